"""Several reviewers judge the same proposal, and one verdict is made of theirs."""

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

from looplab.envs.core import BoolArray, FloatArray
from looplab.envs.errors import UsageError, choice, within
from looplab.oversight.asking import consult, corrections, several
from looplab.oversight.detection import Detections
from looplab.oversight.proposals import Proposals
from looplab.oversight.types import APPROVE, ESCALATE, MODIFY, Verdicts

RULES = ("majority", "unanimity", "any_veto", "any_approval", "weighted")
#: A d' above which nobody ever errs, as far as floating-point numbers tell.
SHARPEST = 20.0
#: Members from which others have a majority, so that each can be measured against it.
_LEARNING_MEMBERS = 3


class Panel:
    """k reviewers judge independently, at the same time; a rule decides whether the action may run.

    Every verdict but ``approve`` counts as refusal, ``escalate`` too: nobody vouched for the act.

    - ``majority``: it runs if more than half approve (Condorcet 1785); a tie refuses.
    - ``any_veto``: it runs only if all approve.
    - ``any_approval``: it is refused only if all refuse.
    - ``unanimity``: it runs if all approve and is refused if all refuse; a hung panel answers
      ``escalate``, for the next tier of a ``Chain``, or to fail closed behind a gate.
    - ``weighted``: it runs if those who approve weigh more than those who refuse; a tie refuses.
      Somebody with sensitivity d' weighs log(p / (1 - p)), where p = Phi(d' / 2) is the skill of an
      unbiased detector: the best rule for independent reviewers, if errors cost alike and half of
      the proposals are unsafe (Nitzan & Paroush 1982). A d' below 0 weighs nothing.

    What is refused gets the middle one of the refusing verdicts in the order of ``VERDICTS``, the
    stricter of two; ``modify`` brings the first member's correction that there is. Human seconds
    add up; the panel answers when the slowest member has.

    Where d' is not given, each lane's panel learns it: that of a member with a method
    ``sensitivity(proposals)``, such as ``CatchTrials``, is what the member says; that of the others
    is estimated from earlier votes, with the majority of the other members standing for the truth
    (where these tie, the vote tells nothing). As they err too, it is an underestimate where members
    err independently. Before anything is known all weigh 0, and one refusal is enough.

    Args:
        overseers: the members, a list or a mapping from names; plain functions too. Members draw
            from streams of their own, so the same object cannot sit twice; members that ask the
            same overseer within share its errors.
        rule: one of ``RULES``.
        d_prime: sensitivity of each member, for ``weighted``, in [0, 20]; None: learned.
        name: name in the record.

    Raises:
        UsageError: if a member sits twice, d' is not one number per member, or fewer than three
            members are to learn it.
    """

    def __init__(
        self,
        overseers: Sequence[Any] | Mapping[str, Any],
        rule: str = "majority",
        d_prime: Sequence[float] | None = None,
        name: str = "panel",
    ) -> None:
        _, self.parts = several("Panel", overseers)
        size = len(self.parts)
        if len({id(member) for member in self.parts}) < size:
            raise UsageError("Panel: the same overseer sits twice; its answers would be the same")
        self.rule = choice("rule", rule, RULES)
        self.weights: FloatArray | None = None
        if d_prime is not None:
            if len(d_prime) != size:
                raise UsageError(f"Panel: d_prime must hold {size} numbers, got {d_prime!r}")
            given = [within("d_prime", value, 0.0, SHARPEST) for value in d_prime]
            self.weights = log_odds(np.array(given))[:, None]
        elif rule == "weighted" and size < _LEARNING_MEMBERS:
            raise UsageError(
                f"Panel: d' is learned from at least {_LEARNING_MEMBERS} members, got {size}; "
                "give d_prime"
            )
        self.name = name
        self._reasons = tuple(f"{against} of {size} against" for against in range(size + 1))

    def start(self, num_lanes: int) -> Detections:
        """Earlier votes of every member against the majority of the others, shape (k, n)."""
        return Detections.none(len(self.parts), num_lanes)

    def __call__(self, proposals: Proposals) -> Verdicts:
        """The panel's verdicts on all lanes' proposals."""
        asked, watching = proposals.asked, proposals.watching
        answers = [consult(member, proposals, asked, watching) for member in self.parts]
        codes = np.stack([answer.code for answer in answers])
        refuses = codes != APPROVE
        against, size = refuses.sum(axis=0), len(answers)
        code = self._verdict(codes, against, self._refused(proposals, refuses, against))
        correction, corrected = corrections(answers, [code == MODIFY] * size, proposals)
        return Verdicts(
            code=code,
            seconds=sum(answer.seconds for answer in answers),
            reason=against,
            reasons=self._reasons,
            overseer=self.name,
            correction=correction,
            corrected=corrected,
            elapsed=reduce(np.maximum, [answer.wait for answer in answers], np.zeros(len(asked))),
            overdue=_any_overdue(answers),
            disagreement=np.minimum(against, size - against) / size,
            rating=_mean_rating(answers),
        )

    def _refused(
        self, proposals: Proposals, refuses: BoolArray, against: NDArray[np.int64]
    ) -> BoolArray:
        """Lanes whose proposal may not run, shape (n,)."""
        size = len(refuses)
        enough = {"majority": (size + 1) // 2, "any_approval": size}.get(self.rule, 1)
        refused: BoolArray = against >= enough
        if self.rule == "weighted":
            refused &= (self._weights(proposals) * np.where(refuses, 1.0, -1.0)).sum(axis=0) >= 0.0
            if self.weights is None:
                self._learn(proposals, refuses, against)
        return refused

    def _verdict(
        self, codes: NDArray[np.int8], against: NDArray[np.int64], refused: BoolArray
    ) -> NDArray[np.int8]:
        """Approve, or the middle one of the refusing verdicts, shape (n,)."""
        size = len(codes)
        middle = np.minimum(size - against + against // 2, size - 1)  # approvals come first
        code = np.take_along_axis(np.sort(codes, axis=0), middle[None], axis=0)[0]
        if self.rule == "unanimity":
            code = np.where(against < size, ESCALATE, code)
        return np.where(refused, code, APPROVE).astype(np.int8)

    def _weights(self, proposals: Proposals) -> FloatArray:
        """Weight of every member, shape (k, n) or (k, 1)."""
        if self.weights is not None:
            return self.weights
        d_prime = proposals.memory(self).d_prime
        for place, member in enumerate(self.parts):
            if hasattr(member, "sensitivity"):
                d_prime[place] = member.sensitivity(proposals)
        return log_odds(np.maximum(d_prime, 0.0))

    def _learn(self, proposals: Proposals, refuses: BoolArray, against: NDArray[np.int64]) -> None:
        lead = 2 * (against - refuses) - (len(refuses) - 1)  # of the other members who refuse
        votes: Detections = proposals.memory(self)
        votes.add(proposals.asked & (lead != 0), lead > 0, refuses)


def log_odds(d_prime: FloatArray) -> FloatArray:
    """log(p / (1 - p)) of an unbiased detector's skill p = Phi(d' / 2)."""
    odds: FloatArray = log_ndtr(d_prime / 2.0) - log_ndtr(-d_prime / 2.0)
    return odds


def _any_overdue(answers: Sequence[Verdicts]) -> BoolArray | None:
    overdue = [answer.overdue for answer in answers if answer.overdue is not None]
    return np.logical_or.reduce(overdue) if overdue else None


def _mean_rating(answers: Sequence[Verdicts]) -> FloatArray | None:
    """Mean of what the members say, where any of them rates; NaN where none says anything."""
    if all(answer.rating is None for answer in answers):
        return None
    ratings = np.stack([answer.rated for answer in answers])
    said = ~np.isnan(ratings)
    total = np.where(said, ratings, 0.0).sum(axis=0)
    return np.where(said.any(axis=0), total / np.maximum(said.sum(axis=0), 1), np.nan)
