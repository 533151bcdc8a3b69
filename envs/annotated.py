"""Harm and risk for environments that others wrote, from plain functions."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from looplab.envs.actions import check_action_space
from looplab.envs.core import FloatArray, RiskSource
from looplab.envs.errors import EnvironmentFault, UsageError


@dataclass(frozen=True, slots=True)
class Transition:
    """What one step of an environment returned, with the action that was executed."""

    observation: Any
    action: Any
    reward: float
    terminated: bool
    truncated: bool
    info: dict[str, Any]


#: Harm of a transition, at least 0.
CostFunction = Callable[[Transition], float]
#: Probability in [0, 1] that an action violates in this very step, from the environment's state.
RiskFunction = Callable[[gym.Env[Any, Any], Any], float]
#: An action chosen from the environment's state.
ActionFunction = Callable[[gym.Env[Any, Any]], Any]


class Annotated(gym.Wrapper[Any, Any, Any, Any]):
    """Adds to any environment what overseers need to know: cost, risk, hold and correction.

    Where a function is not given, the environment's own answer is passed on, if it has one.

    Args:
        env: the environment.
        cost: harm of a transition; None: ``info["cost"]`` as the environment reports it.
        risk: immediate risk of an action in the present state, called as ``risk(env, action)``.
        hold: the action that does nothing, or a function of the environment that chooses it;
            None: zeros for a Box, else whatever the environment offers.
        correction: a function of the environment that returns the right action.
        redraw: a function that re-seeds a copy, called as ``redraw(env, seed)``; None: the copy's
            ``np_random`` is replaced.

    Raises:
        UsageError: if an argument is no function or action, or the space not supported.
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        *,
        cost: CostFunction | None = None,
        risk: RiskFunction | None = None,
        hold: Any | ActionFunction | None = None,
        correction: ActionFunction | None = None,
        redraw: Callable[[gym.Env[Any, Any], int], None] | None = None,
    ) -> None:
        super().__init__(env)
        check_action_space(env.action_space)
        for name, function in (("cost", cost), ("risk", risk), ("correction", correction)):
            if function is not None and not callable(function):
                raise UsageError(f"{name}= must be a function, got {function!r}")
        if hold is not None and not callable(hold) and not env.action_space.contains(hold):
            raise UsageError(f"hold={hold!r} is not in the action space {env.action_space}")
        self._cost, self._risk, self._hold = cost, risk, hold
        self._correction, self._redraw = correction, redraw

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Runs one action and sees to it that ``info["cost"]`` is there.

        Raises:
            EnvironmentFault: if neither ``cost=`` nor the environment says what the harm was.
        """
        observation, reward, terminated, truncated, info = self.env.step(action)
        if self._cost is not None:
            transition = Transition(
                observation, action, float(reward), bool(terminated), bool(truncated), info
            )
            info = {**info, "cost": number("cost=", self._cost(transition))}
        elif "cost" not in info:
            raise EnvironmentFault(
                f"{name_of(self.env)} reports no info['cost']; "
                "pass cost=, a function of a transition"
            )
        return observation, reward, terminated, truncated, info

    def offers(self, what: str) -> bool:
        """Whether a risk (by its source), ``hold``, ``correction`` or ``potential`` is known."""
        given = {
            "immediate": self._risk,
            "hold": self._hold,
            "correction": self._correction,
        }
        if given.get(what) is not None:
            return True
        if what == "hold" and isinstance(self.action_space, gym.spaces.Box):
            return True
        own = _own(self.env, "offers")
        return own is not None and bool(own(what))

    def risk_of(self, source: RiskSource, action: Any) -> float | None:
        """Risk of one action in the present state; None if it is not known."""
        if self._risk is not None and source == "immediate":
            return self._checked(action)
        own = _own(self.env, "risk_of")
        return None if own is None else own(source, action)

    def risk_table(self, source: RiskSource) -> FloatArray | None:
        """Risk of every action, shape (A,); None if not known or the actions are continuous."""
        if self._risk is not None and source == "immediate":
            if not isinstance(self.action_space, gym.spaces.Discrete):
                return None
            first = int(self.action_space.start)
            actions = range(first, first + int(self.action_space.n))
            return np.array([self._checked(action) for action in actions])
        own = _own(self.env, "risk_table")
        return None if own is None else own(source)

    def least_risk(self, source: RiskSource) -> float | None:
        """Risk of the safest action in the present state; None if only a table can tell."""
        own = _own(self.env, "least_risk")
        given = self._risk is not None and source == "immediate"
        return None if own is None or given else own(source)

    def _checked(self, action: Any) -> float:
        assert self._risk is not None  # both callers have looked
        risk = number("risk=", self._risk(self.env, action))
        if not 0.0 <= risk <= 1.0 + 1e-9:
            raise UsageError(f"risk= must return a probability, got {risk} for action {action}")
        return min(risk, 1.0)

    def hold(self) -> Any | None:
        """The action that does nothing now; None if none is known."""
        if self._hold is not None:
            return self._hold(self.env) if callable(self._hold) else self._hold
        own = _own(self.env, "hold")
        if own is not None:
            return own()
        space = self.action_space
        if isinstance(space, gym.spaces.Box):
            return np.clip(np.zeros(space.shape, space.dtype), space.low, space.high)
        return None

    def correction(self) -> Any | None:
        """The right action now; None if none is known."""
        if self._correction is not None:
            return self._correction(self.env)
        own = _own(self.env, "correction")
        return None if own is None else own()

    def potential(self) -> float | None:
        """Potential of the present state; None if the environment has none."""
        own = _own(self.env, "potential")
        return None if own is None else own()

    def all_observations(self) -> NDArray[Any] | None:
        """Every observation, (S, ...); None if the environment does not list them."""
        own = _own(self.env, "all_observations")
        return None if own is None else own()

    def note_refused(self, refused: bool) -> None:
        """Tells the environment, if it cares, that a human refused what is proposed now."""
        own = _own(self.env, "note_refused")
        if own is not None:
            own(refused)

    def redraw(self, seed: int) -> None:
        """Draws the rest of the episode from another seed; for copies that look ahead."""
        if self._redraw is not None:
            self._redraw(self.env, seed)
            return
        own = _own(self.env, "redraw")
        if own is not None:
            own(seed)
        else:
            self.env.unwrapped.np_random = np.random.default_rng(seed)


def _own(env: gym.Env[Any, Any], name: str) -> Callable[..., Any] | None:
    return env.get_wrapper_attr(name) if env.has_wrapper_attr(name) else None


def number(name: str, answer: Any) -> float:
    """What a user's function answered, as a number.

    Raises:
        UsageError: naming the function, if it is none.
    """
    try:
        return float(answer)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{name} must return a number, got {answer!r}") from error


def name_of(env: gym.Env[Any, Any]) -> str:
    """Name of an environment for messages."""
    return env.spec.id if env.spec is not None else type(env.unwrapped).__name__
