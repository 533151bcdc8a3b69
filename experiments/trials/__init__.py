"""What a run does: one file for each kind, and one in ``configs/trial/`` that names it."""

from collections.abc import Mapping
from typing import Any

from hydra.utils import get_class

from looplab.experiments.composition import TRIAL, class_of_trial
from looplab.experiments.result_folder import TRAIN
from looplab.experiments.trials.trial import Trial

__all__ = ["Trial", "kind", "trial_of"]


def trial_of(config: Mapping[str, Any]) -> Trial:
    """What a run does, from its resolved configuration.

    Raises:
        UsageError: if its settings are wrong.
    """
    from looplab.experiments.build import make  # imports torch

    found: Trial = make(config[TRIAL])
    return found


def kind(comparison: Mapping[str, Any]) -> type[Trial]:
    """How the results of a comparison are read, from its manifest or its composed configuration.

    Raises:
        UsageError: if this version knows no such kind.
    """
    found: Any = get_class(class_of_trial(str(comparison.get(TRIAL, TRAIN))))
    return found  # type: ignore[no-any-return]
