"""An overseer that needs no risk function: it tries the action in copies of the environment."""

import numpy as np

from looplab.envs.annotated import Annotated
from looplab.envs.core import Actions, BoolArray, FloatArray
from looplab.envs.errors import UsageError, whole
from looplab.oversight.overseers.scripted import ScriptedOverseer
from looplab.oversight.proposals import Proposals

_SEED_BITS = 53


class LookAheadOverseer(ScriptedOverseer):
    """Refuses what violated in copies of the environment; else as ``ScriptedOverseer``.

    Each copy is re-seeded from the overseer's own stream (a copy that shared the environment's
    stream would be clairvoyant), takes the action, and then holds for the rest of the horizon. The
    share of copies that violate estimates the risk, with a standard error of at most
    1 / (2 sqrt(copies)); where holding is not the safest course, it is an upper estimate of the
    exact risk. Only environments in this process that can be deep-copied.

    Args:
        copies: copies per action, at least 1; 1 is enough where the environment is deterministic.
        horizon: steps that are looked ahead, at least 1.
        miss_rate: chance that it approves an unsafe proposal, in [0, 1].
        false_alarm_rate: chance that it refuses a safe one, in [0, 1].
        review_seconds: human time of one review, at least 0.
        name: name in the record.
    """

    def __init__(
        self,
        copies: int = 8,
        horizon: int = 1,
        miss_rate: float = 0.0,
        false_alarm_rate: float = 0.0,
        review_seconds: float = 5.0,
        name: str = "look-ahead",
    ) -> None:
        super().__init__(miss_rate, false_alarm_rate, review_seconds, name)
        self.copies = whole("copies", copies, 1)
        self.horizon = whole("horizon", horizon, 1)

    def judge(self, proposals: Proposals) -> BoolArray:
        """What it foresees, whatever the truth may be, shape (n,)."""
        return proposals.judged_by(self.estimate).unsafe

    def estimate(self, proposals: Proposals, actions: Actions, mask: BoolArray) -> FloatArray:
        """Share of copies that violate, per masked lane, shape (n,); NaN in other lanes.

        Raises:
            UsageError: if the environment cannot be copied, or must hold and cannot.
        """
        risk = np.full(len(actions), np.nan)
        draws = [proposals.uniform(self, f"copy {copy}") for copy in range(self.copies)]
        for lane in np.flatnonzero(mask):
            harmed = sum(
                self._harmed(proposals, int(lane), actions[lane], int(u[lane] * 2**_SEED_BITS))
                for u in draws
            )
            risk[lane] = harmed / self.copies
        return risk

    def _harmed(self, proposals: Proposals, lane: int, action: object, seed: int) -> bool:
        fork = proposals.lanes.fork(lane)
        env = fork if isinstance(fork, Annotated) else Annotated(fork)
        env.redraw(seed)
        if isinstance(action, np.integer):
            action = int(action)
        for step in range(self.horizon):
            if step > 0:
                action = env.hold()
                if action is None:
                    raise UsageError("look-ahead beyond one step needs hold=, what to do meanwhile")
            _, _, terminated, truncated, info = env.step(action)
            if info["cost"] > 0:
                return True
            if terminated or truncated:
                return False
        return False
