"""``train --multirun``: Hydra's sweeps and Optuna's search around single runs."""

from pathlib import Path

import pytest
import yaml

from looplab.envs.errors import UsageError
from looplab.experiments.multirun import multirun

TINY = ("total_steps=512", "eval_episodes=2", "display=none")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to run in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_commas_and_ranges_sweep_and_nothing_is_repeated(here: Path) -> None:
    words = ("env=lava_shortcut,ops_desk", "seed=range(0,2)", *TINY)
    lines: list[str] = []
    tried = multirun(words, "alone_return", lines.append)
    assert [run.words[:2] for run in tried] == [
        ("env=lava_shortcut", "seed=0"), ("env=lava_shortcut", "seed=1"),
        ("env=ops_desk", "seed=0"), ("env=ops_desk", "seed=1"),
    ]  # fmt: skip
    best = max(tried, key=lambda run: run.value)
    assert lines[-1].startswith("4 runs; best alone_return")
    assert lines[-1].endswith(" ".join(best.words))
    models = {run.folder: (run.folder / "model.zip").stat().st_mtime_ns for run in tried}
    again = multirun(words, "alone_return", lines.append)
    assert [run.value for run in again] == [run.value for run in tried]
    assert {run.folder: (run.folder / "model.zip").stat().st_mtime_ns for run in again} == models


@pytest.mark.parametrize(
    ("objective", "pick"), [("alone_violations_per_1k", min), ("overseen_return", max)]
)
def test_optuna_searches_in_the_direction_of_the_objective(
    here: Path, objective: str, pick: type
) -> None:
    tried = multirun(
        (
            "hydra/sweeper=optuna", "hydra.sweeper.n_trials=3", "hydra.sweeper.sampler.seed=1",
            "agent.settings.learning_rate=tag(log, interval(1e-5, 1e-1))", *TINY,
        ),
        objective,
        lambda line: None,
    )  # fmt: skip
    rates = [float(run.words[0].partition("=")[2]) for run in tried]
    assert len(set(rates)) == 3
    assert all(1e-5 <= rate <= 1e-1 for rate in rates)
    (found,) = here.glob("results/multirun/*/optimization_results.yaml")
    best = yaml.safe_load(found.read_text(encoding="utf-8"))
    assert best["best_value"] == pick(run.value for run in tried)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("env=lava_shortcut,ops_dsk",), "unknown env 'ops_dsk'; did you mean 'ops_desk'"),
        (("out=here",), "out is the folder of one run"),
        (("hydra/sweeper=optunaa",), "Could not find 'hydra/sweeper/optunaa'"),
        (("agent.settings.learning_rat=1,2",), r"agent\.settings\.learning_rat"),
        (("seed=-1", *TINY), "seed must be a whole number"),
    ],
)
def test_bad_words_are_refused_in_a_line(here: Path, words: tuple[str, ...], said: str) -> None:
    with pytest.raises(UsageError, match=said) as error:
        multirun(words, say=lambda line: None)
    assert "\n" not in str(error.value)
    assert not (here / "results" / "train").exists()


def test_an_unknown_objective_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="unknown objective 'alone_retrun'; did you mean 'alone_r"):
        multirun((), "alone_retrun")
