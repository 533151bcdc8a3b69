"""One run: trains under a regime, evaluates overseen and alone, and leaves its folder."""

import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.logger import KVWriter, configure

from looplab.agents.loading import begin_from
from looplab.agents.sb3 import save, train
from looplab.envs.core import Lanes
from looplab.experiments.build import Parts, Seeds, lanes, oversee, parts
from looplab.experiments.drift_detection import monitor_alarms
from looplab.experiments.evaluate import ALONE, OVERSEEN, evaluate, evaluation_metrics
from looplab.experiments.live_seat import LiveSeat, seated
from looplab.experiments.provenance import provenance
from looplab.experiments.store import METRICS_FILE
from looplab.experiments.yaml_text import yaml_text
from looplab.oversight.engine import Engine
from looplab.oversight.ledger import Ledger
from looplab.oversight.overseers.catch_trials import CatchTrials
from looplab.oversight.parts import walk
from looplab.oversight.protocols.comparisons import Comparisons
from looplab.oversight.types import Stopped
from looplab.oversight.vec_wrapper import OverseenVecEnv

TRAIN = "train"
#: The model that a run began from, in its folder.
START_FILE = "start.zip"
CELL_COLUMNS = ("env", "regime", "algo")


def run(
    config: Mapping[str, Any],
    folder: Path,
    report: Callable[[int], None] = lambda steps: None,
    curves: KVWriter | None = None,
) -> None:
    """Trains and evaluates one run and leaves its files in ``folder``.

    Args:
        config: the resolved configuration; ``config["cell"]`` names env, regime and algo.
        folder: where the files go; made if it is not there.
        report: called with the training steps since the last call.
        curves: takes the algorithm's curves too; None: only TensorBoard's files do.

    A run with a live person in the overseer's seat is evaluated alone only: nobody sits there
    afterwards. One that a person stops is kept as far as it came.

    Raises:
        UsageError: if the configuration cannot run.
        EnvironmentFault: if the environment returns what none may.
    """
    started = time.perf_counter()
    folder.mkdir(parents=True, exist_ok=True)
    done = train_run(config, folder, report, curves)
    model, venv, task = done.model, done.venv, done.venv.oversight.lanes
    trained = time.perf_counter() - started
    totals, waits = venv.oversight.totals, venv.oversight.measures.waits
    trials = catch_trials(venv.oversight)
    raised = monitor_alarms(venv.oversight, task.num_lanes)
    rows = pd.DataFrame(venv.oversight.episodes)
    _write_preferences(venv.oversight, folder)
    venv.close()
    save(model, folder / "model.zip")
    frames = [rows.assign(phase=TRAIN, policy="stochastic")] if len(rows) else []
    phases = (OVERSEEN, ALONE) if done.seat is None else (ALONE,)
    found = evaluate(
        model, config, config["eval_episodes"], Seeds.of(config["seed"]), venv.oversight, phases
    )
    frames.append(found.episodes)
    write_episodes(pd.concat(frames, ignore_index=True), config, folder)
    _write(folder / "config.yaml", yaml_text(dict(config)))
    _write(folder / "provenance.json", json.dumps(provenance(), indent=2))
    if done.seat is not None:
        done.seat.leave(folder)
    metrics = {
        "steps": done.steps,
        "ended": done.ended,
        "threshold": task.threshold if task.threshold == task.threshold else None,
        "totals": totals,
        "waits": waits,
        "drift_step": drift_step(task),
        "evaluation": evaluation_metrics(found.episodes),
        "calibration": found.calibration,
        "catch_trials": trials,
        "alarms": raised,
        "train_wall_seconds": trained,
        "wall_seconds": time.perf_counter() - started,
    }
    _write(folder / METRICS_FILE, json.dumps(metrics, indent=2))


class Trained(NamedTuple):
    """A run after its training.

    Attributes:
        model: what was trained.
        venv: the overseen environment, still open.
        seat: the live person's, if there was one.
        steps: steps that were run.
        ended: ``finished``, or why it ended early.
    """

    model: BaseAlgorithm
    venv: OverseenVecEnv
    seat: LiveSeat | None
    steps: int
    ended: str


def train_run(
    config: Mapping[str, Any],
    folder: Path,
    report: Callable[[int], None] = lambda steps: None,
    curves: KVWriter | None = None,
    replayed: Path | None = None,
) -> Trained:
    """The training of a run, with its ledger and TensorBoard's files in ``folder``.

    Args:
        config: the resolved configuration.
        folder: where the files go.
        report: called with the training steps since the last call.
        curves: takes the algorithm's curves too.
        replayed: folder of a live run, whose journal answers in place of people.
    """
    built, seat = seated(parts(config), config, folder, replayed)
    try:
        return _train(built, seat, config, folder, report, curves, replayed)
    except BaseException:
        if seat is not None:
            seat.overseer.close(finished=False)
        raise


def _train(
    built: Parts,
    seat: LiveSeat | None,
    config: Mapping[str, Any],
    folder: Path,
    report: Callable[[int], None],
    curves: KVWriter | None,
    replayed: Path | None,
) -> Trained:
    seeds = Seeds.of(config["seed"])
    task = lanes(config, built.agent.lanes, drawn=seat is not None)
    built.agent.check(task, built.protocol, built.signal.credit)
    fraction = min(1.0, config["max_decisions"] / config["total_steps"])
    venv = oversee(task, built, seeds.environment, ledger=Ledger(folder, fraction=fraction))
    model = built.agent.build(venv, seeds.policy)
    start = config.get("start_from")
    if start is not None:
        file = Path(start) if replayed is None else replayed / START_FILE
        begin_from(file, model, venv)
        shutil.copyfile(file, folder / START_FILE)
    logger = configure(str(folder / "tensorboard"), ["tensorboard"])
    logger.output_formats += [] if curves is None else [curves]
    model.set_logger(logger)
    probe = built.agent.probe(model, venv.oversight)
    ended = "finished"
    try:
        steps = train(model, config["total_steps"], report)
    except Stopped as stop:
        steps, ended = model.num_timesteps, str(stop)
    if probe is not None:
        probe.close()
    model.logger.close()
    return Trained(model, venv, seat, steps, ended)


def _write_preferences(engine: Engine, folder: Path) -> None:
    """Writes what teachers said of pairs of segments, where the protocol asks for that."""
    for part in walk(engine.protocol):
        if isinstance(part, Comparisons) and engine.state(part).groups:
            engine.state(part).preferences().write(folder / "preferences.parquet")


def catch_trials(engine: Engine) -> list[dict[str, Any]]:
    """How well each reviewer who was tested tells unsafe from safe; None: cannot be told."""
    return [
        {"overseer": part.name, **engine.state(part).report()}
        for part in walk(engine.protocol)
        if isinstance(part, CatchTrials)
    ]


def drift_step(task: Lanes) -> int | None:
    """Training step, over all lanes, at which the task begins to drift; None: never."""
    drift = getattr(task, "drift", None)
    return None if drift is None else int(drift.at_step) * task.num_lanes


def write_episodes(frame: pd.DataFrame, config: Mapping[str, Any], folder: Path) -> None:
    """Writes ``episodes.parquet``: the rows, after columns that name the run.

    Args:
        frame: one row per episode; the columns are added to it.
        config: the run's resolved configuration.
        folder: where the file goes.
    """
    named = {name: config["cell"][name] for name in CELL_COLUMNS}
    for place, (name, value) in enumerate({**named, "seed": config["seed"]}.items()):
        frame.insert(place, name, value)
    hidden = folder / ".episodes.tmp"
    frame.to_parquet(hidden, index=False)
    os.replace(hidden, folder / "episodes.parquet")


def _write(path: Path, text: str) -> None:
    hidden = path.with_name(f".{path.name}.tmp")
    hidden.write_text(text, encoding="utf-8")
    os.replace(hidden, path)
