"""Speed as ratios in one run: interleaved, medians, on this machine as it is now."""

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import VecEnv

from looplab.agents.lanes_vec_env import LanesVecEnv
from looplab.agents.lean import lean
from looplab.agents.sb3 import Agent
from looplab.envs.desks.ops_desk import OpsDesk
from looplab.envs.errors import UsageError, choice
from looplab.experiments import build
from looplab.experiments.composition import groups
from looplab.experiments.files import write_whole
from looplab.experiments.overrides import plan
from looplab.oversight import (
    Accuracy,
    AutomationBias,
    ConfidenceBelow,
    Fatigue,
    Gate,
    Ledger,
    PriorBias,
    RiskAbove,
    SimulatedHuman,
    SkillDecay,
    Tempo,
    Vigilance,
)
from looplab.oversight.ledger import FLUSH_ROWS
from looplab.oversight.vec_wrapper import OverseenVecEnv

LANES = (8, 16, 64, 128)
SHARE_LANES = 16
HUMAN_LANES = 64
ROLLOUT_STEPS = 128
MAX_BATCH = 1024
EPOCHS = 4
#: Each side of a pair runs this many times, in turn with the other.
REPEATS = 5
#: Differences of two sides are smaller than the sides, and want more.
DIFFERENCE_REPEATS = 9
#: Steps of one timed run, at least; the ledger is written to disk once in so many.
MIN_STEPS = 16384
#: The same where shares are measured: as many as an ordinary ledger takes between flushes.
SHARE_STEPS = FLUSH_ROWS
_PREPARED_STEPS = 512
_MICRO = 1e6
_SEED = 0
#: Sides of a comparison that act as Stable-Baselines3 does; the others act leanly.
STOCK = "stock"
#: Who acts, in words.
_ACTING = {STOCK: "as Stable-Baselines3 does", "lean": "as LoopLab's agents do"}


class PreparedArrays(VecEnv):
    """An environment that costs nothing: it returns observations and rewards prepared beforehand.

    Episodes never end, so that Stable-Baselines3 has nothing to do but act and learn.

    Args:
        observation_space: of one lane.
        action_space: of one lane.
        num_envs: number of lanes.
    """

    def __init__(
        self, observation_space: gym.Space[Any], action_space: gym.Space[Any], num_envs: int
    ) -> None:
        self.render_mode = None
        super().__init__(num_envs, observation_space, action_space)
        rng = np.random.default_rng(_SEED)
        shape = (_PREPARED_STEPS, num_envs, *(observation_space.shape or ()))
        self._observations = rng.standard_normal(shape).astype(np.float32)
        self._rewards = rng.standard_normal((_PREPARED_STEPS, num_envs)).astype(np.float32)
        self._never = np.zeros(num_envs, dtype=np.bool_)
        self._at = 0

    def reset(self) -> Any:
        """The first observations."""
        return self._observations[0]

    def step_async(self, actions: Any) -> None:
        """Moves on, whatever the actions."""
        self._at = (self._at + 1) % _PREPARED_STEPS

    def step_wait(self) -> Any:
        """The next observations and rewards."""
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        return self._observations[self._at], self._rewards[self._at].copy(), self._never, infos

    def close(self) -> None:
        """Nothing is open."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """This object's own attribute, once per lane."""
        return [getattr(self, attr_name)] * self.num_envs

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Refuses: there is nothing to set."""
        raise UsageError("prepared arrays have no attributes to set")

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> Any:
        """Refuses: there is nothing to call."""
        raise UsageError("prepared arrays have no methods")

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """No lane is wrapped."""
        return [False] * self.num_envs


def _settings(num_lanes: int) -> dict[str, Any]:
    return {
        "n_steps": ROLLOUT_STEPS,
        "batch_size": min(MAX_BATCH, ROLLOUT_STEPS * num_lanes),
        "n_epochs": EPOCHS,
    }


def _stock(venv: VecEnv) -> PPO:
    return PPO(
        "MlpPolicy", venv, seed=_SEED, device="cpu",
        policy_kwargs={"net_arch": [64, 64]}, **_settings(venv.num_envs),
    )  # fmt: skip


def _overseen(num_lanes: int, gate: Gate, ledger: Ledger | None) -> PPO:
    venv = OverseenVecEnv(LanesVecEnv(OpsDesk(num_lanes)), gate, ledger=ledger)
    venv.seed(_SEED)
    agent = Agent("ppo", num_lanes, _settings(num_lanes))
    model = agent.build(venv, _SEED)
    agent.probe(model, venv.oversight)
    assert isinstance(model, PPO)  # the algorithm that was named
    return model


def _timed(model: PPO, learn: bool, spared: bool, min_steps: int) -> float:
    """Processor seconds per step of ``learn`` or of its collecting; ``spared``: acting leanly."""
    rollout = ROLLOUT_STEPS * model.n_envs
    steps = -(-min_steps // rollout) * rollout
    if not learn:
        model.train = lambda: None  # type: ignore[method-assign]
    model.set_logger(Logger(None, []))  # else SB3 makes a folder that nobody removes
    with lean(model) if spared else nullcontext():
        model.learn(rollout)  # first calls pay for imports and memory
        started = time.process_time()  # one thread: other programs' time does not count
        model.learn(steps, reset_num_timesteps=False)
        seconds = (time.process_time() - started) / steps
    if isinstance(model.env, OverseenVecEnv):
        model.env.close()
    return seconds


def _times(
    makers: dict[str, Callable[[Path], PPO]], learn: bool, repeats: int, min_steps: int
) -> dict[str, list[float]]:
    """Seconds per step of each, one after the other in every repeat."""
    times: dict[str, list[float]] = {name: [] for name in makers}
    for _ in range(repeats):
        for name, make in makers.items():
            with tempfile.TemporaryDirectory() as folder:
                model = make(Path(folder) / "ledger")
                spared = not name.startswith(STOCK)
                times[name].append(_timed(model, learn, spared, min_steps))
    return times


def _share(of: Sequence[float], without: Sequence[float]) -> float:
    """Share of the time that only the first side takes: the median over repeats."""
    return statistics.median((a - b) / a for a, b in zip(of, without, strict=True))


def _confident(num_lanes: int, flush_rows: int) -> Callable[[Path], PPO]:
    def make(folder: Path) -> PPO:
        ledger = Ledger(folder, flush_rows)
        return _overseen(num_lanes, Gate(ConfidenceBelow(0.8)), ledger)

    return make


def learning(say: Callable[[str], None]) -> dict[str, float]:
    """Share of stock SB3's bound that PPO reaches under gate, confidence and ledger."""
    ratios = {}
    space = OpsDesk(1)
    say("PPO's learn() on ops_desk, gate + confidence trigger + ledger, against stock SB3 PPO on")
    say("prepared arrays (same spaces and hyperparameters)")
    for n in LANES:

        def bound(folder: Path, n: int = n) -> PPO:
            return _stock(PreparedArrays(space.observation_space, space.action_space, n))

        sides = {STOCK: bound, "ours": _confident(n, MIN_STEPS)}
        times = _times(sides, learn=True, repeats=REPEATS, min_steps=MIN_STEPS)
        median = {name: statistics.median(values) for name, values in times.items()}
        ratios[str(n)] = median[STOCK] / median["ours"]
        say(
            f"  n = {n:3d}  bound {1 / median[STOCK]:8.0f} steps/s   "
            f"ours {1 / median['ours']:8.0f} steps/s   ratio {ratios[str(n)]:.2f}"
        )
    return ratios


def shares(say: Callable[[str], None]) -> dict[str, dict[str, float]]:
    """Share of collecting that the wrapper takes, at n = 16: the same PPO with and without it.

    Once as Stable-Baselines3 acts by itself, which is what one runs without LoopLab, and once as
    LoopLab's agents act, which takes less time and so leaves oversight a larger share of it.

    Returns:
        ``oversight_share`` and ``oversight_share_lean``, each by ``rules`` and
        ``confidence_ledger``.
    """
    n = SHARE_LANES
    sides: dict[str, Callable[[Path], PPO]] = {
        "": lambda folder: _stock(LanesVecEnv(OpsDesk(n))),
        "rules": lambda folder: _overseen(n, Gate(RiskAbove(0.05)), None),
        "confidence_ledger": _confident(n, SHARE_STEPS),
    }
    makers = {
        f"{acting} {name}": make for acting in (STOCK, "lean") for name, make in sides.items()
    }
    times = _times(makers, learn=False, repeats=DIFFERENCE_REPEATS, min_steps=SHARE_STEPS)
    found: dict[str, dict[str, float]] = {}
    for acting, key in ((STOCK, "oversight_share"), ("lean", "oversight_share_lean")):
        plain = times[f"{acting} "]
        found[key] = {name: _share(times[f"{acting} {name}"], plain) for name in sides if name}
        micros = statistics.median(plain) * n * _MICRO
        say(
            f"share of collecting taken by oversight, ops_desk, n = {n}, acting "
            f"{_ACTING[acting]} ({micros:.0f} us a step without oversight)"
        )
        for name, share in found[key].items():
            say(f"  {name:18s} {100 * share:5.1f} %")
    return found


def _everything_on() -> SimulatedHuman:
    """A person on whom every effect is switched on."""
    return SimulatedHuman(
        accuracy=Accuracy(d_prime=2.5),
        review=Tempo(5.0, 15.0),
        fatigue=Fatigue(worst_error=0.5, slowdown=0.5),
        vigilance=Vigilance(loss=0.5),
        skill_decay=SkillDecay(worst_error=0.5),
        prior_bias=PriorBias({0: 0.5}),
        automation_bias=AutomationBias(a_max=0.5),
        error_memory="episode",
    )


def human_share(say: Callable[[str], None]) -> float:
    """Share of collecting that a simulated human takes, at n = 64, on top of a scripted overseer.

    Every proposal is reviewed, and every effect is on.
    """
    n = HUMAN_LANES
    makers: dict[str, Callable[[Path], PPO]] = {
        "scripted": lambda folder: _overseen(n, Gate(), None),
        "human": lambda folder: _overseen(n, Gate(overseer=_everything_on()), None),
    }
    times = _times(makers, learn=False, repeats=DIFFERENCE_REPEATS, min_steps=SHARE_STEPS)
    share = _share(times["human"], times["scripted"])
    say(f"share of collecting taken by a simulated human, every effect on, ops_desk, n = {n}")
    say(f"  {100 * share:5.1f} %   (a scripted overseer instead: 0)")
    return share


def bench(json_file: Path | None = None, say: Callable[[str], None] = print) -> dict[str, Any]:
    """Measures all ratios, prints them, and writes them if a file is named.

    Args:
        json_file: where to write ``bound_ratio``, ``oversight_share``, ``oversight_share_lean``
            and ``human_share``; None: nowhere.
        say: prints a line.

    Raises:
        UsageError: if the file cannot be written.
    """
    _check_file(json_file)
    torch.set_num_threads(1)
    found = {
        "bound_ratio": learning(say),
        **shares(say),
        "human_share": human_share(say),
    }
    return _written(found, json_file)


def _check_file(json_file: Path | None) -> None:
    if json_file is not None and not json_file.absolute().parent.is_dir():
        raise UsageError(f"cannot write {json_file}: its folder does not exist")
    if json_file is not None and json_file.is_dir():
        raise UsageError(f"cannot write {json_file}: it is a folder; name a file")


def _written(found: dict[str, Any], json_file: Path | None) -> dict[str, Any]:
    if json_file is not None:
        write_whole(json_file, (json.dumps(found, indent=2) + "\n").encode())
    return found


def _presets(names: Sequence[str]) -> list[str]:
    """The named presets, or all native ones."""
    from looplab.experiments.solving import native_presets

    return [choice("env", name, groups()["env"]) for name in names] or native_presets()


def _learning(names: Sequence[str], json_file: Path | None, say: Callable[[str], None]) -> None:
    if names:
        raise UsageError(f"bench learning takes no names, got {' '.join(names)}")
    bench(json_file, say)


def _envs(names: Sequence[str], json_file: Path | None, say: Callable[[str], None]) -> None:
    """Steps per second of tasks' lanes, against single environments and MiniGrid."""
    from looplab.experiments.bench_envs import bench_envs, plain_rivals

    _check_file(json_file)
    cells = {name: plan([f"env={name}"], sweeps=False).cells[0] for name in _presets(names)}
    makers = {name: partial(build.lanes, cell) for name, cell in cells.items()}
    _written(bench_envs(makers, plain_rivals(), say), json_file)


def _solve(names: Sequence[str], json_file: Path | None, say: Callable[[str], None]) -> None:
    """Trains an agent on every task; figures of named tasks replace those in an existing file."""
    from looplab.experiments.solving import measure

    _check_file(json_file)
    found = measure(_presets(names), say)
    if names and json_file is not None and json_file.is_file():
        found = json.loads(json_file.read_text(encoding="utf-8")) | found
    _written(dict(sorted(found.items())), json_file)


def _running(names: Sequence[str], json_file: Path | None, say: Callable[[str], None]) -> None:
    from looplab.experiments.bench_running import bench_running

    if names:
        raise UsageError(f"bench running takes no names, got {' '.join(names)}")
    _check_file(json_file)
    _written(bench_running(say), json_file)


def _live(names: Sequence[str], json_file: Path | None, say: Callable[[str], None]) -> None:
    from looplab.experiments.bench_live import bench_live

    if names:
        raise UsageError(f"bench live takes no names, got {' '.join(names)}")
    _check_file(json_file)
    _written(bench_live(say), json_file)


#: What can be measured, by name.
BENCHES: dict[str, Callable[[Sequence[str], Path | None, Callable[[str], None]], None]] = {
    "learning": _learning,
    "envs": _envs,
    "solve": _solve,
    "running": _running,
    "live": _live,
}
