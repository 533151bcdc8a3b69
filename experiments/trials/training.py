"""Runs that train an agent under a regime and evaluate it, overseen and alone."""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from looplab.experiments.trials.trial import Trial

if TYPE_CHECKING:
    from stable_baselines3.common.logger import KVWriter

    from looplab.experiments.measures import Measure
    from looplab.experiments.page import Page

#: Parts that are built on their own to be checked, also where a regime leaves them unused.
_PARTS = ("trigger", "overseer", "fallback")


class Training(Trial):
    """Trains for ``total_steps`` over all lanes, and evaluates ``eval_episodes`` each way."""

    def check(self, config: Mapping[str, Any]) -> None:
        """Builds task, agent and oversight, and trains nothing."""
        from looplab.experiments.build import check, make  # imports torch

        for part in _PARTS:
            make(config[part])
        check(config)

    def run(
        self,
        config: Mapping[str, Any],
        folder: Path,
        report: Callable[[int], None],
        curves: "KVWriter | None" = None,
    ) -> None:
        """Trains, evaluates, and leaves what ``run.run`` says."""
        from looplab.experiments.run import run  # imports torch

        run(config, folder, report, curves)

    @classmethod
    def measures(cls) -> Mapping[str, "Measure"]:
        """The columns of ``metrics.per_seed``."""
        from looplab.experiments.measures import MEASURES

        return MEASURES

    @classmethod
    def figures(cls) -> Collection[str]:
        """The figures of training and evaluation."""
        from looplab.experiments.figures import FIGURES  # imports matplotlib

        return FIGURES

    @classmethod
    def collect(
        cls, folder: Path, entries: Sequence[Mapping[str, Any]], axes: Sequence[str]
    ) -> None:
        """Gathers every episode of every run."""
        from looplab.experiments.collecting import collect

        collect(folder, entries, axes)

    @classmethod
    def page(cls, folder: Path) -> "Page":
        """Tables, figures and findings of training, evaluation and oversight."""
        from looplab.experiments.training_page import training_page

        return training_page(folder)
