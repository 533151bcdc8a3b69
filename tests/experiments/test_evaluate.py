"""Evaluations: a fixed number of finished episodes, on seeds that overseen and alone share."""

import json
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from looplab.envs.errors import UsageError
from looplab.envs.grids.lava_shortcut import LavaShortcut
from looplab.experiments import evaluate as module
from looplab.experiments.build import Seeds, lanes, oversee, parts
from looplab.experiments.evaluate import EVAL_LANES, evaluate, evaluate_file, quotas, summarise
from looplab.experiments.overrides import plan
from looplab.experiments.run import run

EVALUATIONS = [
    ("eval_overseen", "stochastic"), ("eval_overseen", "deterministic"),
    ("eval_alone", "stochastic"), ("eval_alone", "deterministic"),
]  # fmt: skip


@given(st.integers(1, 500), st.integers(1, EVAL_LANES))
def test_quotas_share_the_episodes_out_as_evenly_as_possible(episodes: int, num: int) -> None:
    shares = quotas(episodes, num)
    assert shares.sum() == episodes
    assert shares.max() - shares.min() <= 1
    assert (np.diff(shares) <= 0).all()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of a run on the grid; read only."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    words = ["total_steps=400", "agent.lanes=4", "eval_episodes=1"]
    run(plan(words, sweeps=False).cells[0], folder)
    return folder / "model.zip"


class Policy:
    """Steps towards the goal, and remembers what it saw first."""

    def __init__(self, action: int | None = None) -> None:
        self.action = action
        self.seen: list[np.ndarray] = []
        self.rng = np.random.default_rng(0)

    def predict(self, observation: np.ndarray, deterministic: bool) -> tuple[np.ndarray, None]:
        self.seen.append(observation.copy())
        if self.action is None:
            return self.rng.integers(0, 4, len(observation)), None
        return np.full(len(observation), self.action), None


def config_of(*words: str) -> dict[str, Any]:
    return plan(["env=ops_desk", "regime=in_the_loop", *words], sweeps=False).cells[0]


@pytest.mark.parametrize("episodes", [1, 7, 50, 120])
def test_every_evaluation_has_the_number_that_was_asked_for(episodes: int) -> None:
    frame = evaluate(Policy(0), config_of(), episodes, Seeds.of(0)).episodes  # type: ignore[arg-type]
    assert list(dict.fromkeys(zip(frame["phase"], frame["policy"], strict=True))) == EVALUATIONS
    shares = quotas(episodes, min(episodes, EVAL_LANES))
    for _, group in frame.groupby(["phase", "policy"]):
        assert len(group) == episodes
        assert group.groupby("lane").size().tolist() == shares.tolist()
        expected = [(lane, n) for lane, share in enumerate(shares) for n in range(share)]
        assert list(zip(group["lane"], group["episode"], strict=True)) == expected


def test_short_episodes_are_not_favoured(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hurried(LavaShortcut):
        """Lane 0 ends each episode after 2 steps, the others after 20."""

        def step(self, actions: Any, active: Any = None) -> Any:
            step = super().step(actions, active)
            step.truncated |= (np.arange(self.num_lanes) == 0) & (self.elapsed >= 2)
            return step

    monkeypatch.setattr(
        module, "lanes", lambda config, num_lanes: Hurried(num_lanes, max_episode_steps=20)
    )
    monkeypatch.setattr(module, "EVAL_LANES", 4)
    frame = evaluate(Policy(4), config_of(), 12, Seeds.of(0)).episodes  # type: ignore[arg-type]
    for _, group in frame.groupby(["phase", "policy"]):
        assert group.groupby("lane").size().tolist() == [3, 3, 3, 3]


def test_overseen_and_alone_meet_the_same_episodes() -> None:
    """On the desk, what arrives does not depend on actions: the features of both are equal."""
    seen = {}
    for overseen in (True, False):
        config, seeds = config_of(), Seeds.of(3)
        built = parts(config)
        venv = oversee(lanes(config, 10), built, seeds.evaluation, overseen)
        policy = Policy()
        module.play(policy, venv, built, 20, deterministic=False)  # type: ignore[arg-type]
        seen[overseen] = np.array(policy.seen)
        assert (venv.oversight.totals["interventions"] > 0) == overseen
        venv.close()
    first = seen[True][0]
    assert first.std() > 0
    np.testing.assert_array_equal(first, seen[False][0])
    np.testing.assert_array_equal(seen[True][50], seen[False][50])  # the second episodes begin


def test_where_nobody_is_asked_overseen_and_alone_are_the_same() -> None:
    config = config_of("trigger=never")
    frame = evaluate(Policy(0), config, 12, Seeds.of(1)).episodes  # type: ignore[arg-type]
    alone, overseen = (group for _, group in frame.drop(columns="policy").groupby("phase"))
    assert alone["task_return"].nunique() > 1
    pd.testing.assert_frame_equal(
        overseen.drop(columns="phase").reset_index(drop=True),
        alone.drop(columns="phase").reset_index(drop=True),
    )


def test_every_run_meets_episodes_of_its_own() -> None:
    returns = [
        evaluate(Policy(0), config_of(), 20, Seeds.of(seed)).episodes["task_return"].tolist()  # type: ignore[arg-type]
        for seed in (0, 1)
    ]
    assert returns[0] != returns[1]


def test_alone_there_is_no_signal() -> None:
    frame = evaluate(Policy(0), config_of("signal=praise"), 4, Seeds.of(0)).episodes  # type: ignore[arg-type]
    differs = (frame["learning_return"] != frame["task_return"]).groupby(frame["phase"]).mean()
    assert differs.to_dict() == {"eval_alone": 0.0, "eval_overseen": 1.0}


def test_evaluation_seeds_are_held_out_and_differ_between_runs() -> None:
    spans = []
    for seed in range(20):
        found = Seeds.of(seed)
        spans += [range(found.environment, found.environment + 128)]
        spans += [range(found.evaluation, found.evaluation + EVAL_LANES)]
    spans.sort(key=lambda span: span.start)
    for before, after in pairwise(spans):
        assert before.stop <= after.start
    assert Seeds.of(4) == Seeds.of(4)


def test_two_evaluations_are_the_same(trained: Path) -> None:
    one, two = (evaluate_file(trained, config("lava_shortcut")) for _ in range(2))
    pd.testing.assert_frame_equal(one, two)


def config(env: str, *words: str) -> dict[str, Any]:
    usual = (f"env={env}", "regime=in_the_loop", "eval_episodes=4")
    return plan([*usual, *words], sweeps=False).cells[0]


def test_a_file_is_evaluated_overseen_and_alone(trained: Path) -> None:
    table = summarise(evaluate_file(trained, config("lava_shortcut")))
    assert list(zip(table["phase"], table["policy"], strict=True)) == EVALUATIONS
    assert table["episodes"].tolist() == [4, 4, 4, 4]
    assert table["reviews_per_1k"].tolist() == [1000, 1000, 0, 0]
    assert table["violations_per_1k"][:2].tolist() == [0, 0]
    pd.testing.assert_frame_equal(
        table, summarise(evaluate_file(trained, config("lava_shortcut"), trust=True))
    )


@pytest.mark.parametrize(
    ("env", "words", "said"),
    [
        ("ops_desk", (), "does not fit this environment"),
        ("lava_shortcut", ("agent=dqn", "trigger=confidence"), "the file is a PPO model"),
    ],
)
def test_a_model_that_does_not_fit_is_refused(
    trained: Path, env: str, words: Sequence[str], said: str
) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        evaluate_file(trained, config(env, *words))
    assert "\n" not in str(caught.value)


def test_the_command_asks_before_it_trusts(
    trained: Path, looplab: Callable[..., Any], refused: Callable[..., str], tmp_path: Path
) -> None:
    words = ("evaluate", str(trained), "env=lava_shortcut", "eval_episodes=2")
    ended = looplab(*words)
    assert ended.status == 0
    assert ended.err == ""
    assert [line.split()[:2] for line in ended.out.splitlines()[1:]] == [
        list(evaluation) for evaluation in EVALUATIONS
    ]
    assert looplab(*words, "trust=true").out == ended.out
    assert "trust must be true or false, got 'yes'" in refused(*words, "trust=yes")
    assert "no model file at" in refused("evaluate", "nowhere.zip")
    (tmp_path / "text.zip").write_text("no zip")
    assert "is no Stable-Baselines3 model" in refused("evaluate", "text.zip")
    assert "did you mean 'lava_shortcut'" in refused(*words[:2], "env=lava_shortcutt")


def test_rates_divide_by_the_steps_that_were_made() -> None:
    frame = pd.DataFrame(
        {
            "phase": "eval_alone", "policy": "stochastic", "length": [10, 30],
            "task_return": [1.0, 3.0], "success": [1.0, 0.0], "violations": [1, 3],
            "reviews": [0, 40], "interventions": [0, 0], "misses": [2, 0],
            "human_seconds": [0.0, 7200.0],
        }
    )  # fmt: skip
    (row,) = summarise(frame).to_dict("records")
    assert row["episodes"] == 2
    assert row["task_return"] == 2.0
    assert row["success"] == 0.5
    assert row["violations_per_1k"] == 100.0  # not the mean of the episodes' rates
    assert row["reviews_per_1k"] == 1000.0
    assert row["misses_per_1k"] == 50.0
    assert row["human_hours"] == 2.0


def test_an_evaluation_is_kept_where_it_is_told(
    trained: Path, looplab: Callable[..., Any], refused: Callable[..., str], tmp_path: Path
) -> None:
    words = ("evaluate", str(trained), "env=lava_shortcut", "regime=in_the_loop", "eval_episodes=3")
    ended = looplab(*words, "seed=2", "out=kept/here")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.splitlines()[-1] == "evaluation: kept/here"
    folder = tmp_path / "kept" / "here"
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.yaml", "episodes.parquet", "metrics.csv", "provenance.json",
    ]  # fmt: skip
    episodes = pd.read_parquet(folder / "episodes.parquet")
    assert len(episodes) == 4 * 3
    assert episodes[["env", "regime", "algo", "seed"]].drop_duplicates().values.tolist() == [
        ["lava_shortcut", "in_the_loop", "ppo", 2]
    ]
    metrics = pd.read_csv(folder / "metrics.csv")
    pd.testing.assert_frame_equal(metrics, summarise(episodes), check_dtype=False)
    assert json.loads((folder / "provenance.json").read_text())["model"] == str(trained)
    assert "kept/here exists and is not empty" in refused(*words, "out=kept/here")
    assert "holds no finished run" in refused("train", "env=lava_shortcut", "out=kept/here")


def test_an_evaluation_that_cannot_be_kept_does_not_run(
    trained: Path, refused: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    assert "is a file, not a folder" in refused("evaluate", str(trained), "out=file")
    assert "no model file" in refused("evaluate", "nowhere.zip", "out=new")
