"""Runs of a fleet in virtual time: agents share reviewers, and nobody is trained."""

import json
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from looplab.envs.errors import UsageError
from looplab.experiments.cells import in_order
from looplab.experiments.files import write_whole
from looplab.experiments.fleet_measures import EXPOSURE, MEASURES
from looplab.experiments.fleet_study import SWEPT, Asked, Study, duration
from looplab.experiments.provenance import provenance
from looplab.experiments.result_folder import PROVENANCE_FILE, RESULTS_FILE, RUNS_FILE
from looplab.experiments.store import CONFIG_FILE, METRICS_FILE, RUNS
from looplab.experiments.trials.trial import Trial
from looplab.experiments.yaml_text import yaml_text

if TYPE_CHECKING:
    from stable_baselines3.common.logger import KVWriter

    from looplab.experiments.measures import Measure
    from looplab.experiments.page import Page

_HORIZON, _WARMUP = "horizon_seconds", "warmup_seconds"


class SharedReviewers(Trial):
    """N agents share c reviewers behind one queue, as ``looplab fleet``.

    ``total_steps`` is the length: so many steps all agents together would make after the warm-up if
    humans took no time. ``eval_episodes`` means nothing, because no agent is evaluated.

    Args:
        **own: the keys of ``configs/fleet.yaml``; one number of agents and one of reviewers. A
            ``horizon_seconds`` takes the place of ``total_steps``.
    """

    def __init__(self, **own: Any) -> None:
        several = [name for name in SWEPT if isinstance(own[name], list)]
        if several:
            raise UsageError(
                f"trial.{several[0]} is one number in each run; sweep it with commas, "
                f"trial.{several[0]}=1,2"
            )
        self._own = own

    def check(self, config: Mapping[str, Any]) -> None:
        """Builds task, gate and reviewers."""
        self._study(config)

    def _study(self, config: Mapping[str, Any]) -> Study:
        own = dict(self._own)
        if own[_HORIZON] is None:
            think = duration("think", own)
            seconds = 0.0 if think is None else think.mean_seconds
            own[_HORIZON] = own[_WARMUP] + config["total_steps"] * seconds / own["agents"]
        return Study(Asked(own, dict(config), (config["seed"],), out=None, quiet=True))

    def run(
        self,
        config: Mapping[str, Any],
        folder: Path,
        report: Callable[[int], None],
        curves: "KVWriter | None" = None,
    ) -> None:
        """Runs one fleet; ``metrics.json`` holds every measure."""
        started = time.perf_counter()
        folder.mkdir(parents=True, exist_ok=True)
        study = self._study(config)
        (fleet,) = study.fleets
        found = study.row(fleet, config["seed"])
        theory = study.theory(fleet)
        if theory is not None:
            found |= {
                "theory_wait_mean": theory.wait_seconds,
                "theory_utilisation": theory.utilisation,
                "wait_above_theory": found["wait_mean"] - theory.wait_seconds,
                "busy_above_theory": found["utilisation"] - theory.utilisation,
            }
        report(int(config["total_steps"]))
        measures = {name: _number(found.get(name)) for name in MEASURES}
        metrics = {
            "agents": fleet.agents,
            "reviewers": fleet.reviewers,
            "steps": int(found["steps"]),
            "counted_seconds": study.period.seconds,
            "measures": measures,
            "wall_seconds": time.perf_counter() - started,
        }
        for name, text in (
            (CONFIG_FILE, yaml_text(dict(config))),
            (PROVENANCE_FILE, json.dumps(provenance(), indent=2) + "\n"),
            (METRICS_FILE, json.dumps(metrics, indent=2) + "\n"),
        ):
            write_whole(folder / name, text.encode())

    @classmethod
    def measures(cls) -> Mapping[str, "Measure"]:
        """What queues, and what they do to harm, are measured by."""
        return MEASURES

    @classmethod
    def figures(cls) -> Collection[str]:
        """One figure, of everything against the number of reviewers."""
        from looplab.experiments.figures.fleet import FIGURE  # imports matplotlib

        return (FIGURE,)

    @classmethod
    def collect(
        cls, folder: Path, entries: Sequence[Mapping[str, Any]], axes: Sequence[str]
    ) -> None:
        """Gathers a row for each run, its times apart, which are never the same."""
        from looplab.experiments.collecting import column, write_frame

        results, times = [], []
        for entry in entries:
            text = (folder / RUNS / entry["run"] / METRICS_FILE).read_text(encoding="utf-8")
            found = json.loads(text)
            named = {"seed": entry["seed"], "run": entry["run"]}
            counts = {name: found[name] for name in ("agents", "reviewers", "steps")}
            rates = {
                name: float("nan") if v is None else v for name, v in found["measures"].items()
            }
            results.append({**named, **counts, EXPOSURE: found["steps"] / 1000.0, **rates})
            spent = {name: found[name] for name in ("steps", "counted_seconds", "wall_seconds")}
            times.append({**named, **spent})
        for file, rows in ((RESULTS_FILE, results), (RUNS_FILE, times)):
            frame = pd.DataFrame(rows)
            for place, axis in enumerate(axes):
                frame.insert(place, axis, column([entry["cell"].get(axis) for entry in entries]))
            write_frame(folder / file, in_order(frame, axes))
        made = json.dumps(provenance(), indent=2) + "\n"
        write_whole(folder / PROVENANCE_FILE, made.encode())

    @classmethod
    def page(cls, folder: Path) -> "Page":
        """Tables, figures and answers about queues."""
        from looplab.experiments.fleet_page import fleet_page

        return fleet_page(folder)


def _number(value: float | None) -> float | None:
    """A number that JSON knows."""
    return None if value is None or value != value else float(value)
