"""Reviewers with roles: who answers depends on what is proposed."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from looplab.envs.actions import action_names, action_number
from looplab.envs.core import IntArray, Lanes
from looplab.envs.errors import UsageError, unknown
from looplab.oversight.asking import consult, name_of, selected, titled
from looplab.oversight.proposals import Proposals
from looplab.oversight.types import Verdicts, brief, some

DEFAULT = "default"


class Roles:
    """Each proposal goes to whoever has the role for it; the record names the role.

    Args:
        roles: overseers by role; without ``by``, roles are actions, by name or number.
        by: a plain function of the proposals that answers one role per lane; None: the action.
        default: who answers where nobody has the role; None: somebody must have every role.
        name: name of them together.

    Raises:
        UsageError: if there is no role; once the task is known, if a role is no action of it, or
            an action is nobody's or two people's.
    """

    def __init__(
        self,
        roles: Mapping[Any, Any],
        by: Callable[[Proposals], Any] | None = None,
        default: Any = None,
        name: str = "roles",
    ) -> None:
        if not isinstance(roles, Mapping) or not roles:
            raise UsageError(f"Roles needs a mapping of roles to overseers, got {brief(roles)}")
        if by is not None and not callable(by):
            raise UsageError(f"by must be a function of proposals, got {by!r}")
        self.by = by
        self.names = (*map(str, roles), *(() if default is None else (DEFAULT,)))
        self.parts = (*roles.values(), *(() if default is None else (default,)))
        self.has_default = default is not None
        self.name = name

    def fits(self, lanes: Lanes) -> None:
        """Checks the roles against the task's actions."""
        if self.by is None:
            self._by_action(lanes)

    def start(self, num_lanes: int) -> dict[str, IntArray]:
        """Holds the role of every action, so that it is looked up once."""
        return {}

    def __call__(self, proposals: Proposals) -> Verdicts:
        """Each lane's verdict from whoever has its role."""
        asked, watching = proposals.asked, proposals.watching
        role = self._role(proposals)
        answers: list[Verdicts] = []
        which: IntArray = np.zeros(len(proposals), np.int64)
        for place, (name, overseer) in enumerate(zip(self.names, self.parts, strict=True)):
            here = asked & (role == place)
            if some(here):
                which[here] = len(answers)
                answers.append(titled(consult(overseer, proposals, here, watching), name))
        return selected(answers, which, proposals, self.name)

    def _role(self, proposals: Proposals) -> IntArray:
        """Place in ``parts`` of who answers in each lane, shape (n,)."""
        if self.by is not None:
            return self._answered(self.by(proposals), proposals)
        found = proposals.memory(self)
        if "table" not in found:
            found["table"] = self._by_action(proposals.lanes)
        role: IntArray = found["table"][proposals.action]
        return role

    def _answered(self, answer: Any, proposals: Proposals) -> IntArray:
        given: NDArray[Any] = np.asarray(answer)
        if given.shape != (len(proposals),):
            raise UsageError(
                f"by={name_of(self.by)} must answer {len(proposals)} roles, got {brief(answer)}"
            )
        words = given.astype(str)
        last = len(self.parts) - 1
        role = np.full(len(words), last if self.has_default else -1)
        for place, name in enumerate(self.names):
            role[words == name] = place
        nobody = proposals.asked & (role < 0)
        if some(nobody):
            raise unknown("role", words[nobody][0], self.names)
        return role

    def _by_action(self, lanes: Lanes) -> IntArray:
        """Place in ``parts`` of who answers for each action, shape (A,)."""
        if not hasattr(lanes.action_space, "n"):
            raise UsageError("Roles: roles by action need a Discrete action space; give by=")
        actions = action_names(lanes)
        table: IntArray = np.full(len(actions), -1)
        for place, name in enumerate(self.names[: len(self.names) - self.has_default]):
            action = action_number(actions, name, "action in roles")
            if table[action] >= 0:
                raise UsageError(f"Roles: two people answer for action {actions[action]}")
            table[action] = place
        if self.has_default:
            table[table < 0] = len(self.parts) - 1
        elif (table < 0).any():
            nobodys = actions[int(table.argmin())]
            raise UsageError(f"Roles: nobody answers for action {nobodys}; give a default")
        return table
