"""Evaluation: a fixed number of finished episodes on held-out seeds, overseen and alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.utils import set_random_seed

from looplab.agents.lean import acting
from looplab.agents.loading import load
from looplab.agents.probe import has_probabilities
from looplab.agents.proposing import propose
from looplab.envs.errors import UsageError, whole
from looplab.experiments.build import Parts, Seeds, lanes, oversee, parts
from looplab.experiments.metrics import PHASES
from looplab.experiments.metrics import POLICIES as SUFFIXES
from looplab.oversight.calibration import Calibration
from looplab.oversight.engine import Engine
from looplab.oversight.vec_wrapper import OverseenVecEnv

#: Lanes of an evaluation, at most; each plays its share of the episodes.
EVAL_LANES = 50
OVERSEEN, ALONE = "eval_overseen", "eval_alone"
POLICIES = ("stochastic", "deterministic")
#: What is said of an evaluation, and the column of ``summarise`` that says it.
_EVALUATED = {
    "return": "task_return", "violations_per_1k": "violations_per_1k", "success": "success",
}  # fmt: skip
#: What ``evaluation_metrics`` tells, and whether more of it is better.
OBJECTIVES = {
    f"{who}_{name}{policy}": name != "violations_per_1k"
    for policy in SUFFIXES.values()
    for who in PHASES.values()
    for name in _EVALUATED
}


def quotas(episodes: int, num_lanes: int) -> Any:
    """Episodes of each lane, shape (num_lanes,): fixed beforehand, so that none is favoured.

    Stopping at the first n finished episodes would favour short ones.
    """
    share, rest = divmod(episodes, num_lanes)
    return np.array([share + (lane < rest) for lane in range(num_lanes)])


def play(
    model: BaseAlgorithm, venv: OverseenVecEnv, built: Parts, episodes: int, deterministic: bool
) -> list[dict[str, Any]]:
    """Plays a fixed number of episodes and returns their rows, ordered by lane and episode.

    Args:
        model: who proposes.
        venv: the overseen environment, seeded.
        built: the run's parts.
        episodes: finished episodes, at least 1.
        deterministic: propose the most probable action instead of a sampled one.
    """
    wanted = quotas(episodes, venv.num_envs)
    engine = venv.oversight
    with acting(model):
        probe = built.agent.probe(model, engine)
        observation: Any = venv.reset()
        missing = wanted.copy()
        try:
            while missing.any():
                proposed = propose(model, venv, observation, deterministic)
                observation, _, done, _ = venv.step(proposed)
                missing -= done & (missing > 0)
        finally:
            if probe is not None:
                probe.close()
    rows = [row for row in engine.episodes if row["episode"] < wanted[row["lane"]]]
    return sorted(rows, key=lambda row: (row["lane"], row["episode"]))


class Evaluation(NamedTuple):
    """What evaluations found.

    Attributes:
        episodes: one row per episode.
        calibration: of the agent alone, stochastic: reliability by what predicts (``risk``,
            ``confidence``), see ``oversight.calibration``; empty where nothing does.
    """

    episodes: pd.DataFrame
    calibration: dict[str, Any]


def evaluate(
    model: BaseAlgorithm,
    config: Mapping[str, Any],
    episodes: int,
    seeds: Seeds,
    trained: Engine | None = None,
    phases: Sequence[str] = (OVERSEEN, ALONE),
) -> Evaluation:
    """All four evaluations of a model: overseen and alone, stochastic and deterministic.

    Every one plays the same held-out seeds.

    Args:
        model: who proposes.
        config: the run's resolved configuration.
        episodes: finished episodes of each evaluation, at least 1.
        seeds: the run's seeds.
        trained: the oversight of the training, from whose rules and trust that of the evaluation
            goes on; None: it begins with nothing.
        phases: which of overseen and alone.
    """
    frames, calibration = [], {}
    built: Parts | None = None
    num_lanes = min(whole("eval_episodes", episodes, 1), EVAL_LANES)
    for phase in phases:
        for policy in POLICIES:
            if built is None or phase == OVERSEEN:
                built = parts(config)  # anew: its people may remember; alone there is nobody
            task = lanes(config, num_lanes)
            notes = None
            if phase == ALONE and policy == "stochastic":
                notes = Calibration(confidence=has_probabilities(model))
            venv = oversee(task, built, seeds.evaluation, phase == OVERSEEN, beside=notes)
            if trained is not None and phase == OVERSEEN:
                venv.oversight.inherit(trained)
            set_random_seed(seeds.evaluation_policy)
            rows = play(model, venv, built, episodes, policy == "deterministic")
            if notes is not None:
                found = venv.oversight.state(notes)
                calibration = {name: found[name].report() for name in found}
            venv.close()
            frames.append(pd.DataFrame(rows).assign(phase=phase, policy=policy))
    return Evaluation(pd.concat(frames, ignore_index=True), calibration)


def evaluate_file(path: Path, config: Mapping[str, Any], trust: bool = False) -> pd.DataFrame:
    """Evaluates anybody's SB3 model under the configuration's oversight and alone.

    Args:
        path: the model's zip file.
        config: resolved configuration: env, regime and the numbers of an evaluation.
        trust: unpickle the whole file, which can run code; else its weights only.

    Returns:
        One row per episode, with its phase and policy.

    Raises:
        UsageError: if the file is no such model, or does not fit the environment.
    """
    venv = oversee(lanes(config, 1), parts(config), 0, overseen=False)
    try:
        model = load(path, venv, trust)
    finally:
        venv.close()
    built = parts(config)
    _check_confidence(model, built, config)
    return evaluate(model, config, config["eval_episodes"], Seeds.of(config["seed"])).episodes


def _check_confidence(model: BaseAlgorithm, built: Parts, config: Mapping[str, Any]) -> None:
    if type(model) is not built.agent.kind and built.agent.probe_needed(built.protocol):
        raise UsageError(
            f"the file is a {type(model).__name__} model, but agent={built.agent.algorithm}: "
            "name the right one, so that its confidence can be read"
        )


def summarise(frame: pd.DataFrame) -> pd.DataFrame:
    """Means over episodes and rates per 1 000 steps, one row per phase and policy."""
    rows = []
    for (phase, policy), group in frame.groupby(["phase", "policy"], sort=False):
        steps = group["length"].sum()
        rates = {
            f"{name}_per_1k": 1000.0 * group[name].sum() / steps
            for name in ("violations", "reviews", "interventions", "misses")
        }
        rows.append(
            {
                "phase": phase, "policy": policy, "episodes": len(group),
                "task_return": group["task_return"].mean(), "success": group["success"].mean(),
                **rates, "human_hours": group["human_seconds"].sum() / 3600.0,
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def evaluation_metrics(frame: pd.DataFrame) -> dict[str, float]:
    """Return, harm and success of one run's evaluations, named as in ``summary.csv``.

    Args:
        frame: the episodes of ``evaluate``.
    """
    found = {}
    for row in summarise(frame).to_dict("records"):
        who, policy = PHASES[str(row["phase"])], SUFFIXES[str(row["policy"])]
        for name, column in _EVALUATED.items():
            found[f"{who}_{name}{policy}"] = float(row[column])
    return found
