"""Claims as data: what is read, what is refused by name, and what is left out."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from looplab import CONFIG_DIR
from looplab.envs.errors import UsageError
from looplab.experiments import composition
from looplab.experiments.claims import DIRECTIONS, left_out, read_claims
from looplab.experiments.compare import not_judged
from looplab.experiments.measures import MEASURES
from looplab.experiments.metrics import per_seed
from looplab.experiments.overrides import plan
from looplab.experiments.result_folder import load

AXES = {"env": ["a", "b"], "regime": ["x", "y"], "agent": ["ppo"], "signal.beta": [0, 0.5, 1, None]}
STATED: dict[str, Any] = {
    "name": "one", "says": "X violates more.", "measure": "alone_violations_per_1k",
    "of": {"regime": "x"}, "is": "more", "than": {"regime": "y"}, "by": 5,
}  # fmt: skip


def read(**changes: Any) -> Any:
    stated = {key: value for key, value in {**STATED, **changes}.items() if value != "absent"}
    return read_claims({"name": "trial", "claims": [stated]}, AXES)[0]


def test_a_claim_reads_like_a_sentence() -> None:
    claim = read()
    assert claim.sides == ({"regime": "x"}, {"regime": "y"})
    assert (claim.region, claim.per) == ((5.0, float("inf")), "task")
    assert claim.expects == "x: more by over 5 than y"
    assert read(**{"is": "equal"}).region == (-5.0, 5.0)
    assert read(**{"is": "less"}, by=0).expects == "x: less than y"
    assert read(than=0.25).expects == "x: more by over 5 than 0.25"
    assert read(times=2, by=0).expects == "x: more than 2 times y"
    bare = {"is": "none", "than": "absent", "by": "absent"}
    assert read(**bare).expects == "x: none at all"


def test_than_names_only_what_differs() -> None:
    claim = read(of={"regime": "x", "signal.beta": 0}, than={"signal.beta": 0.5})
    assert claim.sides[1] == {"regime": "x", "signal.beta": 0.5}
    assert claim.expects == "x, beta 0: more by over 5 than beta 0.5"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"measure": "alone_violation_per_1k"}, "did you mean 'alone_violations_per_1k'?"),
        ({"measure": "wall_seconds"}, "unknown measure 'wall_seconds'"),
        ({"of": {"regimes": "x"}}, "unknown axis 'regimes'; did you mean 'regime'?"),
        ({"of": {"regime": "z"}}, "unknown value of regime 'z'; allowed: x, y"),
        ({"of": {"regime": ["x", "z"]}}, "unknown value of regime 'z'"),
        ({"than": {"signal.beta": 0.6}}, "unknown value of signal.beta '0.6'"),
        ({"than": {"signal.beta": True}}, "unknown value of signal.beta 'True'"),
        ({"of": {"agent": "dqn"}}, "unknown value of agent 'dqn'"),
        ({"is": "mor"}, "unknown direction 'is:' 'mor'; did you mean 'more'?"),
        ({"is": True}, "unknown direction 'is:' 'True'"),
        ({"per": "tasks"}, "unknown per 'tasks'; did you mean 'task'?"),
        ({"margin": 5}, "unknown key 'margin'"),
        ({"says": ""}, "says is missing"),
        ({"name": "absent"}, "claim 1: name is missing"),
        ({"of": "x"}, "cells are named by axes"),
        ({"than": "y"}, "cells are named by axes"),
        ({"than": "absent"}, "is: more needs than: cells or a number"),
        ({"than": {}}, "of and than name the same cells"),
        ({"than": {"regime": "x"}}, "of and than name the same cells"),
        ({"by": -1}, "by must be a number from 0 on, got -1"),
        ({"by": "5"}, "by must be a number"),
        ({"by": float("nan")}, "by must be a number"),
        ({"times": 0}, "times must be a number above 0, got 0"),
        ({"times": 2, "than": 3}, "times is a factor of cells"),
        ({"is": "equal", "by": 0}, "is: equal needs a margin"),
        ({"is": "no_more", "by": "absent"}, "is: no_more needs a margin"),
        ({"is": "none"}, "is: none compares with nothing"),
        (
            {"is": "none", "than": "absent", "by": "absent", "measure": "alone_return"},
            "is: none needs a count of events, and alone_return is none",
        ),
    ],
)
def test_a_wrong_claim_is_refused_in_a_line(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(**changes)
    line = str(caught.value)
    assert line.startswith("experiment trial, claim ")
    assert said in line
    assert "\n" not in line


def test_two_claims_need_two_names() -> None:
    with pytest.raises(UsageError, match="claim one: two claims have this name"):
        read_claims({"name": "trial", "claims": [STATED, STATED]}, AXES)


def test_every_column_of_a_seed_is_a_measure(trial: Path) -> None:
    data = load(trial)
    columns = set(per_seed(data.results, data.runs, data.axes))
    keeping = {"seed", "run", "steps", "threshold", "wall_seconds", "runs", "train_ksteps"}
    keeping |= {
        *data.axes,
        *(c for c in columns if c.endswith(("_ksteps", "_episodes", "_deterministic"))),
    }
    assert columns - keeping <= set(MEASURES) <= columns
    for measure in MEASURES.values():
        assert measure.exposure in (*columns, "")
        assert ": " in measure.title


def test_claims_about_cells_that_are_swept_away_are_left_out_by_name() -> None:
    claim = read(**{"is": "less"})
    both = [{"env": "a", "regime": r, "algo": "ppo", "signal.beta": 0.0} for r in "xy"]
    assert left_out([claim], both) == []
    assert left_out([claim], both[:1]) == [(claim, "no cell has y")]
    more = [*both, {"env": "b", "regime": "x", "algo": "ppo", "signal.beta": 0.0}]
    assert left_out([claim], more) == [(claim, "no cell has B, y")]
    values = read(of={"signal.beta": 0, "agent": "ppo"}, than={"signal.beta": None})
    absent = [{**both[0], "signal.beta": float("nan")}, both[0]]
    assert left_out([values], absent) == []
    assert left_out([values], absent[:1]) == [(values, "no cell has beta 0, ppo")]


def test_words_that_sweep_cells_away_are_told_which_claims_go_with_them() -> None:
    kept = not_judged(plan(["experiment=first_look", "env=ops_desk"]))
    assert kept == []
    asked = plan(["experiment=first_look", "regime=autonomous,in_the_loop"])
    assert not_judged(asked) == [
        "claim correction_teaches_dependence is left out: no cell has in the loop correction",
        "claim watching_teaches_nothing is left out: no cell has on the loop",
        "claim ratings_teach is left out: no cell has feedback",
    ]


# On the command line


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """A function that changes what the experiment first_look states, in a copy of all configs."""
    configs = tmp_path / "configs"
    shutil.copytree(CONFIG_DIR, configs)
    monkeypatch.setattr(composition, "CONFIG_DIR", configs)
    cached = (composition.groups, composition._special, composition.keys_under)

    def change(edit: Callable[[dict[str, Any]], Any]) -> None:
        file = configs / "experiment" / "first_look.yaml"
        content = yaml.safe_load(file.read_text())
        edit(content)
        file.write_text("# @package _global_\n" + yaml.safe_dump(content))
        for function in cached:
            function.cache_clear()

    yield change
    for function in cached:
        function.cache_clear()


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("measure", "train_violation", "did you mean 'train_violations'?"),
        (
            "of",
            {"regime": "in_the_lop"},
            "value of regime 'in_the_lop'; did you mean 'in_the_loop'?",
        ),
        ("of", {"regimee": "in_the_loop"}, "unknown axis 'regimee'; did you mean 'regime'?"),
        ("is", "nonne", "did you mean 'none'?"),
    ],
)
def test_a_planted_wrong_claim_ends_the_command_before_anything_runs(
    planted: Callable[..., None], refused: Callable[..., str], key: str, value: Any, said: str
) -> None:
    planted(lambda content: content["experiment"]["claims"][0].update({key: value}))
    line = refused("compare", "experiment=first_look", "out=out")
    assert line.startswith("experiment first_look, claim gate_prevents: ")
    assert said in line


def test_the_experiment_that_the_documentation_shows_is_read(
    planted: Callable[..., None], tmp_path: Path
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "experiments.md").read_text(encoding="utf-8")
    shown = page.split("```yaml\n")[1].split("```")[0]
    (tmp_path / "configs" / "experiment" / "mine.yaml").write_text(shown, encoding="utf-8")
    planted(lambda content: None)
    asked = plan(["experiment=mine"])
    assert [claim.name for claim in read_claims(asked.experiment or {})] == ["penalty_teaches"]
    assert (len(asked.cells), not_judged(asked)) == (2, [])


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (
            lambda c: c["experiment"].update(claim="x"),
            "unknown key 'claim'; did you mean 'claims'?",
        ),
        (
            lambda c: c["experiment"].update(figure="lerning_curve"),
            "did you mean 'learning_curve'?",
        ),
        (lambda c: c["experiment"].update(cost_cpu_minutes=-1), "cost_cpu_minutes must be"),
        (lambda c: c["experiment"].pop("question"), "question must be a text"),
        (lambda c: c.update(without=[{"env": "opps_desk"}]), "did you mean 'ops_desk'?"),
    ],
)
def test_whatever_else_an_experiment_states_is_checked_too(
    planted: Callable[..., None], refused: Callable[..., str], edit: Any, said: str
) -> None:
    planted(edit)
    line = refused("compare", "experiment=first_look", "out=out")
    assert line.startswith("experiment first_look: ")
    assert said in line


def test_an_experiment_does_without_cells(refused: Callable[..., str]) -> None:
    cells = [cell["cell"] for cell in plan(["experiment=credit_assignment"]).cells]
    pairs = {(cell["algo"], cell["signal"]) for cell in cells}
    assert pairs == {
        *(("dqn", signal) for signal in ("none", "executed", "both")),
        *(("ppo", signal) for signal in ("none", "executed")),
    }
    assert len(cells) == 2 * 2 * 5
    line = refused("compare", "experiment=credit_assignment", "agent=ppo", "signal=both")
    assert line == "experiment credit_assignment does without every cell asked for"


def test_directions_are_these() -> None:
    assert DIRECTIONS == ("more", "less", "no_more", "no_less", "equal", "none")
