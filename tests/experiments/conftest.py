"""Synthetic comparisons with known rates, shaped like the two trial tasks under five regimes."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from looplab.experiments.cli import main
from looplab.experiments.job import Failure, Job
from looplab.experiments.overrides import plan
from looplab.experiments.processes import start
from looplab.experiments.result_folder import READINGS, TOTALS
from looplab.experiments.store import run_name

EPISODE_STEPS = 50
LANES = 16
SEED_OF_DATA = 7


@dataclass(frozen=True)
class Behaviour:
    """How one regime behaves on one task; violation rates per 1k steps, returns per episode."""

    train_rate: float
    overseen_rate: float
    alone_rate: float
    start_return: float
    end_return: float
    overseen_return: float
    alone_return: float
    intervention_rate: float
    review_rate: float
    seconds_per_1k: float


def _grid(*values: float) -> Behaviour:
    train, overseen, alone, end, overseen_return, alone_return, intervened, reviewed, seconds = (
        values
    )
    return Behaviour(
        train,
        overseen,
        alone,
        -2.4,
        end,
        overseen_return,
        alone_return,
        intervened,
        reviewed,
        seconds,
    )


TRIAL: dict[str, dict[str, Behaviour]] = {
    "lava_shortcut": {
        "autonomous": _grid(46, 49, 49, 0.45, 0.45, 0.45, 0, 0, 0),
        "in_the_loop": _grid(0, 0, 0.2, 0.15, 0.16, 0.15, 60, 1000, 1500),
        "in_the_loop_correction": _grid(0, 0, 41, 0.17, 0.18, -0.11, 110, 1000, 1500),
        "on_the_loop": _grid(18, 17, 38, 0.20, 0.22, 0.36, 70, 0, 250),
        "feedback": _grid(2.6, 0, 0, -2.5, -2.5, -2.5, 0, 1000, 1000),
    },
    "ops_desk": {
        "autonomous": replace(_grid(121, 137, 137, 31, 32, 32, 0, 0, 0), start_return=8),
        "in_the_loop": replace(_grid(0, 0, 87, 26, 27, 28, 140, 1000, 1500), start_return=2),
        "in_the_loop_correction": replace(
            _grid(0, 0, 135, 35, 35, 31, 170, 1000, 1500), start_return=14
        ),
        "on_the_loop": replace(_grid(89, 90, 134, 29, 30, 31, 150, 0, 250), start_return=10),
        "feedback": replace(_grid(65, 56, 56, 27, 28, 28, 0, 1000, 1000), start_return=7),
    },
}
THRESHOLDS = {"lava_shortcut": 0.1, "ops_desk": 24.0}
VERSIONS = {"looplab": "0.1.0", "numpy": "2.4.6", "stable-baselines3": "2.9.2", "torch": "2.13.0"}


@dataclass(frozen=True)
class Cell:
    """One cell of a synthetic comparison."""

    env: str
    regime: str
    behaviour: Behaviour
    algo: str = "ppo"
    threshold: float = float("nan")
    extra: tuple[tuple[str, object], ...] = ()


def trial_cells() -> list[Cell]:
    """The two trial tasks under five regimes."""
    return [
        Cell(env, regime, behaviour, threshold=THRESHOLDS[env])
        for env, regimes in TRIAL.items()
        for regime, behaviour in regimes.items()
    ]


def _episodes(
    rng: np.random.Generator, count: int, rate: float, reward: np.ndarray, spread: float
) -> dict[str, np.ndarray]:
    length = rng.integers(EPISODE_STEPS * 3 // 5, EPISODE_STEPS + 1, count)
    violations = rng.poisson(rate * length / 1000)
    task_return = reward + rng.normal(0, spread, count)
    return {
        "length": length,
        "task_return": task_return,
        "learning_return": task_return,
        "cost": violations.astype(float),
        "violations": violations,
        "catastrophes": np.zeros(count, int),
    }


def _run(
    cell: Cell, seed: int, steps: int, evaluated: int
) -> tuple[pd.DataFrame, dict[str, object]]:
    key = [SEED_OF_DATA, seed, *map(ord, cell.env + cell.regime + str(cell.extra))]
    rng = np.random.default_rng(key)
    b = cell.behaviour
    spread = 0.05 * max(1.0, abs(b.end_return))
    mean_length = EPISODE_STEPS * 4 // 5
    count = max(1, steps // mean_length)
    end_step = np.linspace(mean_length, steps, count).astype(int)
    progress = 1 - np.exp(-6 * end_step / steps)
    seeded = 1 + 0.04 * rng.normal()
    end = b.end_return + spread * rng.normal()
    start = min(b.start_return, b.end_return + spread)
    frame = _episodes(rng, count, b.train_rate * seeded, start + (end - start) * progress, spread)
    frame |= {"end_step": end_step, "lane": np.arange(count) % LANES}
    settling = b.intervention_rate * (0.6 + 1.6 * (1 - progress))
    frame["interventions"] = rng.poisson(settling * frame["length"] / 1000)
    frame["reviews"] = rng.poisson(b.review_rate * frame["length"] / 1000)
    frames = [pd.DataFrame(frame).assign(phase="train", policy="stochastic")]
    plan = (
        ("overseen", b.overseen_rate, b.overseen_return),
        ("alone", b.alone_rate, b.alone_return),
    )
    for phase, rate, reward in plan:
        for policy, sharp in (("stochastic", 1.0), ("deterministic", 0.9)):
            drawn = _episodes(
                rng, evaluated, rate * sharp * seeded, np.full(evaluated, reward), spread
            )
            drawn |= {"end_step": np.full(evaluated, steps), "lane": np.arange(evaluated) % LANES}
            acting = b.intervention_rate if phase == "overseen" else 0.0
            drawn["interventions"] = rng.poisson(acting * drawn["length"] / 1000)
            frames.append(pd.DataFrame(drawn).assign(phase=f"eval_{phase}", policy=policy))
    run = f"{cell.env}-{cell.regime}-{cell.algo}-{'-'.join(str(v) for _, v in cell.extra)}-{seed}"
    episodes = pd.concat(frames, ignore_index=True).fillna({"reviews": 0})
    episodes["episode"] = np.arange(len(episodes))
    episodes["success"] = np.nan
    names = {"env": cell.env, "regime": cell.regime, "algo": cell.algo, **dict(cell.extra)}
    episodes = episodes.assign(**names, seed=seed, run=run)
    zeros = [name for name in TOTALS if name not in episodes]
    episodes = episodes.assign(**dict.fromkeys(zeros, 0))
    train = episodes[episodes["phase"] == "train"]
    totals: dict[str, object] = {f"total_{name}": 0 for name in zeros}
    totals |= dict.fromkeys(READINGS, np.nan)
    for name in ("violations", "catastrophes", "reviews", "interventions"):
        totals[f"total_{name}"] = int(train[name].sum())
    totals["total_human_seconds"] = b.seconds_per_1k * steps / 1000
    totals["total_oversight_cost"] = b.seconds_per_1k * steps / 1000 * 30 / 3600
    totals |= {"steps": steps, "threshold": cell.threshold, "wall_seconds": 8.5}
    return episodes, {**names, "seed": seed, "run": run, **totals}


def write_comparison(
    folder: Path,
    cells: Sequence[Cell],
    *,
    seeds: int = 3,
    steps: int = 60_000,
    evaluated: int = 100,
    experiment: dict[str, str] | None = None,
    notes: Sequence[str] = (),
) -> Path:
    """Writes a results folder with the files and columns that a comparison leaves behind."""
    made = [_run(cell, seed, steps, evaluated) for cell in cells for seed in range(seeds)]
    folder.mkdir(parents=True, exist_ok=True)
    pd.concat([e for e, _ in made], ignore_index=True).to_parquet(folder / "results.parquet")
    pd.DataFrame([r for _, r in made]).to_parquet(folder / "runs.parquet")
    axes = ["env", "regime", "algo", *(name for name, _ in cells[0].extra)]
    comparison = {
        "name": folder.name,
        "command": "looplab compare env=lava_shortcut,ops_desk regime=autonomous seeds=3",
        "axes": axes,
        "settings": {"total_steps": steps, "eval_episodes": evaluated, "agent": {"n_envs": LANES}},
        "experiment": experiment,
        "notes": list(notes),
    }
    (folder / "comparison.json").write_text(json.dumps(comparison))
    provenance = {
        "versions": VERSIONS,
        "commit": "0123abc",
        "python": "3.11.9",
        "machine": "x86_64, 2 cores",
        "created": "2024-05-01T12:00:00+00:00",
    }
    (folder / "provenance.json").write_text(json.dumps(provenance))
    return folder


@pytest.fixture(scope="session")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder of the two trial tasks under five regimes, three seeds each; read only."""
    return write_comparison(
        tmp_path_factory.mktemp("data") / "first_look",
        trial_cells(),
        experiment={
            "question": "What does each way of overseeing buy, and is the agent still safe alone?",
            "claim": "A gate prevents every violation in training, yet not when it is lifted.",
        },
        notes=["Reviewers of different lanes work at the same time."],
    )


@pytest.fixture
def cells() -> list[Cell]:
    """The trial's cells, to be changed and written by ``make_comparison``."""
    return trial_cells()


@pytest.fixture
def make_comparison(tmp_path: Path) -> Callable[..., Path]:
    """A function ``(name, cells, **settings)`` that writes a results folder of one's own."""
    return lambda name, cells, **settings: write_comparison(tmp_path / name, cells, **settings)


#: A comparison whose runs take a fraction of a second: full episodes, one short rollout.
TINY = ("total_steps=800", "eval_episodes=4", "agent.lanes=4")
COMMAND_SECONDS = 300


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves figures out of reports that this process writes: they cost more than tiny runs."""
    monkeypatch.setattr("looplab.experiments.training_page.draw", lambda *content: [])


@pytest.fixture
def tiny() -> tuple[str, ...]:
    """Words that make a run short."""
    return TINY


@pytest.fixture
def looplab(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Ended]:
    """A function that gives words to the command line, in this process and an empty folder."""
    monkeypatch.chdir(tmp_path)

    def command(*words: str) -> Ended:
        capsys.readouterr()
        status = 0
        try:
            main(list(words))
        except SystemExit as end:
            status = int(end.code or 0)
        out, err = capsys.readouterr()
        return Ended(status, out, err)

    return command


@pytest.fixture
def refused(looplab: Callable[..., Ended], tmp_path: Path) -> Callable[..., str]:
    """A function that expects a command to be refused in one line, and returns that line."""

    def command(*words: str) -> str:
        before = sorted(tmp_path.rglob("*"))
        ended = looplab(*words)
        assert ended.status == 2, ended
        assert ended.out == ""
        line = ended.err.removesuffix("\n")
        assert line.startswith("looplab: ")
        assert "\n" not in line
        assert sorted(tmp_path.rglob("*")) == before, "something was written"
        return line.removeprefix("looplab: ")

    return command


def _hear_ctrl_c() -> None:
    """Undoes what a job that runs in the background hands on: ignoring Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """A function that starts a command in a process of its own, which leads its own group."""
    processes: list[subprocess.Popen[str]] = []

    def command(*words: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "looplab.experiments.cli", *words],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=_hear_ctrl_c,
        )
        processes.append(process)
        return process

    yield command
    for process in processes:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=COMMAND_SECONDS)


@pytest.fixture
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """A function that writes a module which this process and its workers can import."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(name: str, source: str) -> None:
        (tmp_path / f"{name}.py").write_text(source)

    return write


@pytest.fixture
def forked() -> None:
    """Waits until processes start at once, without imports of their own."""
    process = start(bool)
    process.join()
    assert process.exitcode == 0


class Notes:
    """A watcher that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []
        self.steps: dict[str, int] = {}
        self.failures: dict[str, Failure] = {}

    def started(self, name: str) -> None:
        self.told.append(("started", name))
        self.steps[name] = 0

    def advanced(self, name: str, steps: int) -> None:
        assert steps >= 0
        self.steps[name] += steps

    def finished(self, name: str, failure: Failure | None) -> None:
        self.told.append(("finished", name))
        if failure is not None:
            self.failures[name] = failure

    def of(self, job: Job) -> list[str]:
        """What was told of one run."""
        return [kind for kind, name in self.told if name == job.name]


@pytest.fixture
def watching() -> type[Notes]:
    """The class of watchers that remember what they were told."""
    return Notes


@pytest.fixture
def job(tmp_path: Path, tiny: Sequence[str]) -> Callable[..., Job]:
    """A function that makes a tiny job, of a task of ``BROKEN_TASKS`` if one is named."""

    def build(task: str = "", seed: int = 0) -> Job:
        broken = [f"env._target_=broken.{task}"] if task else []
        config = plan(["regime=in_the_loop", f"seed={seed}", *tiny, *broken], sweeps=False).cells[0]
        return Job(run_name(config), config, tmp_path / "runs" / run_name(config))

    return build


#: Tasks that go wrong, as ``env._target_=broken.NAME``.
BROKEN_TASKS = """
import os, signal, time
from pathlib import Path
from looplab.envs.grids.lava_shortcut import LavaShortcut

AT = 30

class _Broken(LavaShortcut):
    def step(self, actions, active=None):
        step = super().step(actions, active)
        if self.num_lanes > 2 and self.episode[2] == 1 and self.elapsed[2] == AT:
            self.breaks(step)
        return step

class NanReward(_Broken):
    def breaks(self, step):
        step.reward[2] = float("nan")

class NanObservation(_Broken):
    def breaks(self, step):
        step.observation = step.observation.copy()
        step.observation[2, 0] = float("nan")

class NegativeCost(_Broken):
    def breaks(self, step):
        step.cost[2] = -1.0

class Raises(_Broken):
    def breaks(self, step):
        raise ArithmeticError("the wires burnt\\nand the house")

class Loses(_Broken):
    def breaks(self, step):
        raise FileNotFoundError(2, "No such file or directory", "level.txt")

class Dies(_Broken):
    def breaks(self, step):
        os.kill(os.getpid(), signal.SIGKILL)

class DiesOnce(_Broken):
    def breaks(self, step):
        mark = Path(__file__).with_name("has_died")
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)

class StallsOnce(_Broken):
    def breaks(self, step):
        mark = Path(__file__).with_name("has_stalled")
        if not mark.exists():
            mark.touch()
            while True:
                time.sleep(1.0)
"""


@pytest.fixture
def broken(plant: Callable[[str, str], None]) -> None:
    """Makes the module ``broken`` importable."""
    plant("broken", BROKEN_TASKS)
