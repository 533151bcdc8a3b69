"""Clause on privileged values: what only an overseer may know is not in the observation.

What can be tested from outside: that no element of the observation is a risk itself or tells more
of it than estimated risk does, that state which is declared as hidden does not show, and that
``reward_mode=hidden`` hides something. What cannot: a leak that takes several elements to see. The
clause says what it could not look at.
"""

from typing import Any

import numpy as np

from looplab.envs.checks.contract import Broken, Unchecked, clause
from looplab.envs.checks.risk import LANES, choices
from looplab.envs.checks.rollout import at_random, first_action, generator, same, wander
from looplab.envs.checks.task import Task
from looplab.envs.core import RISK_RESOLUTION, FloatArray, Lanes, RiskSource
from looplab.envs.native import NativeLanes

STEPS = 60
#: Observations are float32: numbers closer than this are the same.
SAME = 1e-5
#: A flag (two values) may be a danger in plain sight; a number with more is the risk itself.
FEWEST_VALUES = 3
#: Lanes whose observations are held against what estimated risk is off by, and how many standard
#: errors of their covariance are no accident among all elements and actions.
MANY_LANES, TELLING_ERRORS = 256, 6.0
PRIVILEGED: tuple[RiskSource, ...] = ("immediate", "exact")
HIDDEN = "hidden"


@clause("no privileged value is in the observation")
def privacy(task: Task) -> str:
    """Looks for risks among the observation's elements, and for state declared as hidden."""
    lanes = task.lanes(LANES)
    if lanes.observation.dtype == object:
        raise Unchecked("observations are no arrays")
    _no_element_is_a_risk(task, lanes)
    unchecked = ["leaks that no single element shows"]
    for mode in task.reward_modes or (None,):
        if not _no_element_tells_more(task, mode):
            unchecked = ["partial or coded leaks"]
    if isinstance(lanes, NativeLanes) and task.unseen:
        _hidden_state(task.unseen, lanes)
    else:
        unchecked.append("state that is hidden, as none is declared")
    if HIDDEN in task.reward_modes and not _something_is_hidden(task):
        unchecked.append(f"what reward_mode={HIDDEN} hides, as no risk is estimated")
    return f"unchecked: {'; '.join(unchecked)}"


def _no_element_is_a_risk(task: Task, lanes: Lanes) -> None:
    looks, known = _sampled(task, lanes)
    for name, values in known.items():
        if len(np.unique(values.round(6))) < FEWEST_VALUES:
            continue
        for element in np.flatnonzero((np.abs(looks - values[:, None]) < SAME).all(axis=0)):
            raise Broken(
                f"element {element} of the observation is the {name} in all {len(values)} states, "
                "expected no privileged value"
            )


def _no_element_tells_more(task: Task, mode: str | None) -> bool:
    """Looks whether an element of the observation foretells what estimated risk is off by.

    Estimated risk is what the observation says of this step's harm: whatever is seen is then
    uncorrelated with the rest. Lanes are independent of one another, steps are not.

    Returns:
        Whether there was anything to look at.
    """
    settings: dict[str, Any] = {} if mode is None else {"reward_mode": mode}
    lanes = task.lanes(MANY_LANES, **settings)
    looks: list[FloatArray] = []
    rests: list[FloatArray] = []
    for _ in at_random(lanes, STEPS, generator(task)):
        estimated, immediate = lanes.risk_table("estimated"), lanes.risk_table("immediate")
        if estimated is None or immediate is None or task.estimated_error or not task.native:
            return False
        looks.append(lanes.observation.reshape(lanes.num_lanes, -1).astype(np.float64))
        rests.append(immediate - estimated)
    look, rest = np.array(looks), np.array(rests)
    together = np.einsum("tne,tna->nea", look - look.mean(axis=(0, 1)), rest)
    mean, error = together.mean(axis=0), together.std(axis=0, ddof=1) / np.sqrt(len(together))
    for element, action in np.argwhere(np.abs(mean) > TELLING_ERRORS * error + SAME):
        raise Broken(
            f"element {element} of the observation tells more of the immediate risk of action "
            f"{first_action(lanes) + action} than estimated risk does "
            f"({abs(mean[element, action] / error[element, action]):.0f} standard errors"
            f"{'' if mode is None else f', reward_mode={mode}'}), expected no privileged value, or "
            "an estimate that uses it"
        )
    return True


def _sampled(task: Task, lanes: Lanes) -> tuple[FloatArray, dict[str, FloatArray]]:
    """Observations (states, elements), and privileged numbers (states,) by name."""
    looks: list[FloatArray] = []
    known: dict[str, list[FloatArray]] = {}
    rng = generator(task, 1)
    for _ in wander(lanes, STEPS, generator(task)):
        looks.append(lanes.observation.reshape(lanes.num_lanes, -1).astype(np.float64))
        for number, actions in enumerate(choices(lanes, rng)):
            action = f"action {actions[0]}" if actions.ndim == 1 else f"random action {number}"
            for source in PRIVILEGED:
                risk = lanes.risk_of(source, actions)
                if risk is not None:
                    known.setdefault(f"{source} risk of {action}", []).append(risk)
    return np.concatenate(looks), {name: np.concatenate(parts) for name, parts in known.items()}


def _hidden_state(names: tuple[str, ...], lanes: NativeLanes) -> None:
    """Exchanges what is declared as hidden between lanes: nothing of it may be seen."""
    for name in names:
        own: Any = getattr(lanes, name)
        before = lanes._observe()
        setattr(lanes, name, np.roll(own, 1, axis=0))
        after = lanes._observe()
        setattr(lanes, name, own)
        same("observation", after, before, f"with another lane's {name}, which is hidden")


def _something_is_hidden(task: Task) -> bool:
    """Whether risks tell; raises ``Broken`` if the observation tells as much as they do."""
    lanes = task.lanes(LANES, reward_mode=HIDDEN)
    for _ in wander(lanes, STEPS, generator(task)):
        estimated, immediate = lanes.risk_table("estimated"), lanes.risk_table("immediate")
        if estimated is None or immediate is None:
            return False
        if (np.abs(estimated - immediate) > RISK_RESOLUTION).any():
            return True
    raise Broken(
        f"reward_mode={HIDDEN}: estimated and immediate risk are the same in every state, "
        "expected a danger that the observation does not show"
    )
