"""``looplab train --multirun``: single runs under Hydra's sweepers, Optuna's search among them.

Hydra reads the words, and its sweeper (``hydra/sweeper=``) decides which runs there are: all that
commas, ranges and choices ask for, or those that a search tries.
"""

import json
import logging
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra._internal.hydra import Hydra  # hydra.main would read sys.argv and end the process
from hydra._internal.utils import create_config_search_path
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from looplab import CONFIG_DIR
from looplab.envs.errors import UsageError, choice
from looplab.experiments.composition import groups, one_line
from looplab.experiments.evaluate import OBJECTIVES
from looplab.experiments.number_text import counted, short_number
from looplab.experiments.store import METRICS_FILE
from looplab.experiments.training import single_job, train_one

#: What is told of each run, and what a search improves.
OBJECTIVE = "overseen_return"
#: Where Hydra keeps the words of every run, and a search what it found.
SWEEP_FOLDER = "results/multirun/${now:%Y-%m-%d_%H-%M-%S}"
_SWEEPER = "hydra/sweeper"
_OPTUNA = "optuna"


@dataclass(frozen=True)
class Tried:
    """One run of a sweep: its words, its folder, and what came of it."""

    words: tuple[str, ...]
    folder: Path
    value: float


def multirun(
    words: Sequence[str], objective: str = OBJECTIVE, say: Callable[[str], None] = print
) -> list[Tried]:
    """Executes every run that a sweep or a search asks for, one after the other.

    Runs are kept under ``results/train`` as those of ``looplab train`` are, and what is finished
    already is not repeated.

    Args:
        words: ``key=value`` in Hydra's grammar, ``hydra/sweeper=`` and ``hydra.`` keys too.
        objective: what is told of each run and what a search improves: upwards for returns and
            success, downwards for violations, unless ``hydra.sweeper.direction=`` says otherwise.
        say: prints a line.

    Raises:
        UsageError: if the words ask for nothing that can run.
        RunsFailed: if a run failed.
    """
    choice("objective", objective, OBJECTIVES)
    if any(word.partition("=")[0] == "out" for word in words):
        raise UsageError("out is the folder of one run; several runs go to results/train/NAME")
    tried: list[Tried] = []

    def task(_: Any) -> float:
        own = tuple(HydraConfig.get().overrides.task)
        _, job = single_job(own)
        train_one(own, lambda line: None)
        metrics = json.loads((job.folder / METRICS_FILE).read_text(encoding="utf-8"))
        found = Tried(own, job.folder, metrics["evaluation"][objective])
        tried.append(found)
        say(f"{objective} {short_number(found.value):>8}  {' '.join(own)}  -> {found.folder}")
        return found.value

    _check_choices(words)
    try:
        _sweep([*words, *_defaults(words, objective)], task)
    except (HydraException, OmegaConfBaseException) as error:
        raise UsageError(f"cannot sweep {' '.join(words)}: {one_line(error)}") from error
    say(_best(tried, objective))
    return tried


def _defaults(words: Sequence[str], objective: str) -> list[str]:
    """Words for what the others leave open."""
    given = {word.lstrip("+").partition("=")[0]: word.partition("=")[2] for word in words}
    wanted = {
        "hydra.sweep.dir": SWEEP_FOLDER, "hydra.job.chdir": "false",
        "hydra/hydra_logging": "none", "hydra/job_logging": "none",
    }  # fmt: skip
    if given.get(_SWEEPER) == _OPTUNA:
        _quiet_optuna()
        direction = "maximize" if OBJECTIVES[objective] else "minimize"
        wanted |= {"hydra.sweeper.direction": direction, "hydra.sweeper.n_jobs": "1"}
    return [f"{key}={value}" for key, value in wanted.items() if key not in given]


def _quiet_optuna() -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about names that have moved in what it uses
            import optuna
    except ImportError as error:
        raise UsageError(
            "hydra/sweeper=optuna needs a package that is not installed: "
            "pip install 'looplab[optuna]'"
        ) from error
    optuna.logging.set_verbosity(logging.WARNING)


def _check_choices(words: Sequence[str]) -> None:
    """Names the nearest choice where a group's is unknown, which Hydra does not."""
    known = groups()
    for word in words:
        group, _, values = word.partition("=")
        if group in known and "(" not in values:
            for value in values.split(","):
                choice(group, value, known[group])


def _sweep(words: Sequence[str], task: Callable[[Any], float]) -> None:
    """Lets Hydra run the task for whatever the words ask for; raises what a run raised."""
    GlobalHydra.instance().clear()
    try:
        hydra = Hydra.create_main_hydra2("train", create_config_search_path(str(CONFIG_DIR)))
        found = hydra.multirun("config", task, list(words), with_log_configuration=False)
        for batch in found or ():
            for job in batch:
                _ = job.return_value  # raises what the run raised
    finally:
        GlobalHydra.instance().clear()


def _best(tried: Sequence[Tried], objective: str) -> str:
    pick = max if OBJECTIVES[objective] else min
    best = pick(tried, key=lambda run: run.value)
    return (
        f"{counted(len(tried), 'run')}; best {objective} {short_number(best.value)}: "
        f"{' '.join(best.words)}"
    )
