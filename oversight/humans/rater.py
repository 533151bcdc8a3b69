"""A rater: a teacher who says how good an executed action was, for ``Feedback``."""

import numpy as np

from looplab.envs.core import BoolArray, FloatArray
from looplab.envs.errors import UsageError, choice, probability, whole, within
from looplab.oversight.humans.teachers import Teacher, bpref_return
from looplab.oversight.parts import TRUTH
from looplab.oversight.proposals import Proposals
from looplab.oversight.types import APPROVE, ESCALATE, REJECT, Verdicts

#: Rating of what the human finds bad.
BAD_RATING = -1.0
_REASONS = ("good", "bad", "neither good nor bad", "no rating given")
_GOOD, _BAD, _EVEN, _NONE = range(len(_REASONS))
_CODES = np.array([APPROVE, REJECT, APPROVE, ESCALATE], dtype=np.int8)


class Rater:
    """Rates executed actions with the irrationalities of a B-Pref teacher (Lee et al. 2021).

    What it feels is the harm of the last actions that it was shown in this episode,
    G = sum of gamma^k h_k, with k = 0 the present one and h = 1 for an unsafe action. It then
    chooses between two answers, as the teacher chooses between two segments: ``bad`` is worth G,
    ``good`` 1 - G, so that P(bad) = mistake + (1 - 2 mistake) sigmoid(beta (2 G - 1)): one unsafe
    act counts as one unit of return. Where |2 G - 1| < equal, the rating is 0; where G < skip, it
    gives none, which is a review all the same: it looked. The oracle's ratings are those of a
    ``ScriptedOverseer`` that never errs. ``unit`` and ``floor`` of the teacher are not used: harm
    has its own.

    The verdict is reject for bad and approve for good and for 0; where it gives none, it escalates,
    so that it fails closed behind a gate.

    Args:
        teacher: its irrationalities; default the oracle.
        window: last actions that count, the present one included, at least 1.
        graded: h is the risk of the action instead of 0 or 1; then the oracle calls bad what is
            riskier than 0.5.
        praise: rating of what is good, in [0, 1]. Praise can be farmed, as ``AdditiveShaping``.
        review_seconds: human time of one rating, at least 0.
        name: name in the record.
    """

    needs: tuple[str, ...] = (TRUTH,)

    def __init__(
        self,
        teacher: Teacher | None = None,
        window: int = 1,
        graded: bool = False,
        praise: float = 0.0,
        review_seconds: float = 5.0,
        name: str = "teacher",
    ) -> None:
        self.teacher = Teacher() if teacher is None else teacher
        if not isinstance(self.teacher, Teacher):
            raise UsageError(f"teacher must be a Teacher, got {self.teacher!r}")
        self.window = whole("window", window, 1)
        self.graded = choice("graded", graded, (False, True))
        self.praise = probability("praise", praise)
        self.review_seconds = within("review_seconds", review_seconds, 0.0)
        self.name = name

    def start(self, num_lanes: int) -> FloatArray:
        """Harm of the last actions that were shown, the latest first, shape (window, n)."""
        return np.zeros((self.window, num_lanes))

    def begin(self, shown: FloatArray, mask: BoolArray) -> None:
        """A new episode is rated afresh."""
        shown[:, mask] = 0.0

    def __call__(self, proposals: Proposals) -> Verdicts:
        """Ratings of all lanes' actions; one draw per lane decides between good and bad."""
        harm = self._harm(proposals)
        gap = 2.0 * harm - 1.0
        bad = proposals.uniform(self) < self.teacher.chance(gap)
        answer = np.where(bad, _BAD, _GOOD)
        answer[np.abs(gap) < self.teacher.equal] = _EVEN
        answer[harm < self.teacher.skip] = _NONE
        return Verdicts(
            code=_CODES[answer],
            seconds=self.review_seconds,
            reason=answer,
            reasons=_REASONS,
            overseer=self.name,
            rating=np.array([self.praise, BAD_RATING, 0.0, np.nan])[answer],
        )

    def _harm(self, proposals: Proposals) -> FloatArray:
        """Harm of the last actions, the present one counting in full, shape (n,)."""
        shown: FloatArray = proposals.memory(self)
        asked = proposals.asked
        shown[1:, asked] = shown[:-1, asked]
        now = proposals.truth if self.graded else proposals.unsafe
        np.copyto(shown[0], now, where=asked)
        return bpref_return(shown[::-1].T, self.teacher.gamma)
