"""The joint between a comparison and what each of its runs does."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stable_baselines3.common.logger import KVWriter

    from looplab.experiments.measures import Measure
    from looplab.experiments.page import Page


class Trial(ABC):
    """What one run of a comparison does, and how the results of many are read.

    An instance holds the settings of ``configs/trial/NAME.yaml`` and executes runs; the class alone
    reads what they left. ``total_steps`` is a run's length in the kind's own sense.
    """

    @abstractmethod
    def check(self, config: Mapping[str, Any]) -> None:
        """Builds everything once, small and dry, before anything runs.

        Raises:
            UsageError: naming what does not fit.
        """

    @abstractmethod
    def run(
        self,
        config: Mapping[str, Any],
        folder: Path,
        report: Callable[[int], None],
        curves: "KVWriter | None" = None,
    ) -> None:
        """Executes one run and leaves its files in ``folder``, ``metrics.json`` among them.

        Args:
            config: the run's resolved configuration.
            folder: where the files go.
            report: called with the steps since the last call, ``total_steps`` in all.
            curves: takes an algorithm's curves too, where there are some; None: nobody does.
        """

    @classmethod
    @abstractmethod
    def measures(cls) -> Mapping[str, "Measure"]:
        """What a claim can be about, by name."""

    @classmethod
    @abstractmethod
    def figures(cls) -> Collection[str]:
        """Stems of the figures that an experiment can name as its main one."""

    @classmethod
    @abstractmethod
    def collect(
        cls, folder: Path, entries: Sequence[Mapping[str, Any]], axes: Sequence[str]
    ) -> None:
        """Writes ``results.parquet``, ``runs.parquet`` and ``provenance.json`` of finished runs.

        Args:
            folder: the results folder.
            entries: at least one finished run of the manifest: ``run``, ``seed`` and ``cell``.
            axes: columns that name a cell.
        """

    @classmethod
    @abstractmethod
    def page(cls, folder: Path) -> "Page":
        """Reads a results folder.

        Raises:
            UsageError: if it is missing or damaged.
        """
