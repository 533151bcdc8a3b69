"""A trigger that keeps any score within a budget of the human's reviews or time."""

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from looplab.envs.core import BoolArray, FloatArray
from looplab.envs.errors import UsageError, choice, finite, probability, whole
from looplab.oversight.proposals import Proposals
from looplab.oversight.record import Record
from looplab.oversight.triggers.base import Score, Scored, as_scored, describe, reasons
from looplab.oversight.triggers.plain import Always
from looplab.oversight.triggers.ranking import Ranking
from looplab.oversight.types import Reason, some

UNITS = ("reviews", "seconds")
_SECONDS_PER_HOUR = 3600.0
#: Log-odds by which a level is corrected at most.
_MOST = 20.0


@dataclass(slots=True)
class Spending:
    """What has been spent so far, in the budget's unit.

    Attributes:
        ranking: where scores stand among the last ones.
        correction: of the log-odds of the level, for what was asked too little or too much.
        episode: spent in each lane's episode, shape (n,).
        hour: spent in each lane in the present hour, shape (n,).
        total: spent in all lanes.
        reviews: reviews that this trigger led to, in all lanes.
        seconds: human seconds in all lanes.
        steps: steps so far.
        shown: scores, and what they and the caps asked about, of the present step until ``see``.
    """

    ranking: Ranking
    correction: float
    episode: FloatArray
    hour: FloatArray
    total: float = 0.0
    reviews: int = 0
    seconds: float = 0.0
    steps: int = 0
    shown: tuple[FloatArray, BoolArray, BoolArray] | None = None


class Budget:
    """Asks about the proposals of highest score, as many as a budget allows.

    ``share`` replaces the trigger's own threshold by a quantile of its score: the optimum under a
    bound on how much is asked, with ties broken at random (Franc, Prusa & Voracek 2023). The
    quantile is learned online from the last ``window`` scores, and its level is corrected by what
    was asked so far, as in adaptive conformal inference (Gibbs & Candes 2021), here in log-odds:
    any score meets the share in the long run, however it drifts, and a drift of the level by a
    factor e costs 1 / ``gain`` reviews. ``per_episode``, ``per_hour`` and ``total`` are hard caps;
    where ``total`` does not suffice for all, the highest scores go first.

    Each lane has its own human: caps per episode and per hour hold in every lane, ``total`` for all
    lanes together. In the unit ``seconds``, ``share`` is the share of the human's time, and nobody
    is asked for whom less is left than a review has taken on average so far, but for the first.

    Args:
        trigger: a scored trigger; or a plain function that returns numbers, higher where asking
            matters more, or booleans; None: nothing tells proposals apart, so that they are drawn
            at random. Without ``share`` it is a trigger, and asks where it would.
        share: of the proposals (of the human's time), in [0, 1]; None: not bounded.
        per_episode: cap in every episode of a lane, at least 0; None: not bounded.
        per_hour: cap in every hour of the clock and lane, at least 0; None: not bounded.
        total: cap in all, at least 0; None: not bounded.
        unit: ``reviews`` or ``seconds``: what share and caps count.
        step_seconds: seconds that one step takes, above 0.
        window: scores that the quantile is learned from, at least 1.
        gain: log-odds by which one review lowers the level, at least 0.

    Raises:
        UsageError: if nothing is bounded, or an argument is out of range.
    """

    def __init__(
        self,
        trigger: Scored | Score | None = None,
        share: float | None = None,
        per_episode: float | None = None,
        per_hour: float | None = None,
        total: float | None = None,
        unit: str = "reviews",
        step_seconds: float = 1.0,
        window: int = 2048,
        gain: float = 0.1,
    ) -> None:
        self.trigger: Scored | Score = Always() if trigger is None else trigger
        self.scored = as_scored(self.trigger)
        self.share = None if share is None else probability("share", share)
        caps = {"per_episode": per_episode, "per_hour": per_hour, "total": total}
        self.caps = {k: finite(k, cap, 0.0) for k, cap in caps.items() if cap is not None}
        if self.share is None and not self.caps:
            raise UsageError("Budget needs share, per_episode, per_hour or total")
        self.unit = choice("unit", unit, UNITS)
        self.step_seconds = finite("step_seconds", step_seconds, np.finfo(np.float64).tiny)
        self.window = whole("window", window, 1)
        self.gain = finite("gain", gain, 0.0)
        self._text = self._in_words()

    @property
    def parts(self) -> tuple[object, ...]:
        """What scores the proposals."""
        return (self.scored,)

    def start(self, num_lanes: int) -> Spending:
        """Nothing is spent."""
        return Spending(Ranking(self.window), 0.0, np.zeros(num_lanes), np.zeros(num_lanes))

    def begin(self, spending: Spending, mask: BoolArray) -> None:
        """A new episode has a cap of its own."""
        spending.episode[mask] = 0.0

    def inherit(self, spending: Spending, former: Spending) -> None:
        """Goes on with the quantile that another engine learned; what that one spent is its own."""
        spending.ranking, spending.correction = copy.deepcopy(former.ranking), former.correction

    def __call__(self, proposals: Proposals) -> BoolArray:
        """Lanes that are asked about, shape (n,)."""
        spending: Spending = proposals.memory(self)
        score = self._signed(proposals)
        draws = proposals.uniform(self, "ties")
        if self.share is None:
            wanted = self._own(proposals)
        else:
            wanted = spending.ranking.rank(score, draws) < self._level(spending)
        asked = self._within_caps(wanted, score, draws, spending)
        spending.shown = score, wanted, asked
        return asked

    def _signed(self, proposals: Proposals) -> FloatArray:
        """The score, higher where asking matters more, shape (n,)."""
        reading = self.scored.reading(proposals)
        return -reading if self.scored.BELOW else reading

    def _own(self, proposals: Proposals) -> BoolArray:
        named = np.asarray(self.trigger(proposals))
        if named.dtype != np.bool_:
            raise UsageError(
                f"Budget: {describe(self.trigger)} returns scores and has no threshold of its own; "
                "give share="
            )
        return named

    def _price(self, spending: Spending) -> float:
        """What one review costs: 1, or the seconds that it took on average."""
        if self.unit == "reviews":
            return 1.0
        return spending.seconds / spending.reviews if spending.reviews else 0.0

    def _target(self, spending: Spending) -> float:
        """Share of the proposals to ask about."""
        assert self.share is not None
        price = self._price(spending)
        if self.unit == "reviews" or price == 0.0:
            return self.share
        return min(self.share * self.step_seconds / price, 1.0)

    def _level(self, spending: Spending) -> float:
        """Rank below which proposals are asked about: the target, with corrected log-odds."""
        target = self._target(spending)
        raised = target * math.exp(spending.correction)
        return raised / (1.0 - target + raised)

    def _within_caps(
        self, wanted: BoolArray, score: FloatArray, draws: FloatArray, spending: Spending
    ) -> BoolArray:
        """Lanes, of those that are wanted, that the caps allow, a fresh array of shape (n,)."""
        price = self._price(spending)
        asked = wanted.copy()
        for name, spent in (("per_episode", spending.episode), ("per_hour", spending.hour)):
            if name in self.caps:
                left = self.caps[name] - spent
                asked &= (left >= price) & (left > 0.0)
        if "total" not in self.caps:
            return asked
        lanes = np.flatnonzero(asked)
        affordable = self._affordable(price, spending)
        if len(lanes) > affordable:
            highest_first = np.lexsort((draws[lanes], -score[lanes]))
            asked[lanes[highest_first[affordable:]]] = False
        return asked

    def _affordable(self, price: float, spending: Spending) -> int:
        """Reviews that ``total`` leaves; one, as long as nobody knows what a review takes."""
        left = self.caps["total"] - spending.total
        if left <= 0.0:
            return 0
        if price > 0.0:
            return int(left / price)
        return len(spending.episode) if spending.reviews else 1

    def see(self, spending: Spending, record: Record) -> None:
        """Counts what was spent, and learns where scores stand."""
        considered = ~record.standby
        asked: BoolArray = np.zeros_like(considered)
        if spending.shown is not None:
            (score, wanted, asked), spending.shown = spending.shown, None
            asked = asked & (record.asked | record.watched)
            if self.share is not None and some(considered):
                spending.ranking.add(score[considered])
                self._correct(spending, wanted[considered])
        spent: FloatArray = record.seconds if self.unit == "seconds" else asked.astype(np.float64)
        spending.episode += spent
        spending.hour += spent
        spending.total += float(spent.sum())
        spending.reviews += int(asked.sum())
        spending.seconds += float(record.seconds.sum())
        hour = self._hour(spending.steps)
        spending.steps += 1
        if self._hour(spending.steps) != hour:
            spending.hour[:] = 0.0

    def _hour(self, steps: int) -> int:
        return int(steps * self.step_seconds // _SECONDS_PER_HOUR)

    def _correct(self, spending: Spending, wanted: BoolArray) -> None:
        target = self._target(spending)
        gain = self.gain * len(wanted)
        gain /= 1.0 + gain * target * (1.0 - target)  # many lanes at once must not overshoot
        spending.correction += gain * (target - float(wanted.mean()))
        spending.correction = min(max(spending.correction, -_MOST), _MOST)

    def reasons(self, proposals: Proposals, asked: BoolArray) -> Iterator[Reason]:
        """The trigger's own reasons; or the score, and the quantile that it was compared with."""
        if self.share is None:
            yield from reasons(self.trigger, proposals, asked)
            return
        spending: Spending = proposals.memory(self)
        threshold = spending.ranking.quantile(self._level(spending))
        if self.scored.BELOW:
            threshold = -threshold
        yield Reason(asked, self._text, self.scored.reading(proposals), threshold)

    def __str__(self) -> str:
        return self._text

    def _in_words(self) -> str:
        caps: dict[str, Any] = {name.replace("_", " "): cap for name, cap in self.caps.items()}
        limits = [f"at most {cap:g} {self.unit} {name}" for name, cap in caps.items()]
        chosen = describe(self.trigger)
        if self.share is not None:
            of = "time" if self.unit == "seconds" else "proposals"
            end = "lowest" if self.scored.BELOW else "highest"
            by = "at random" if type(self.trigger) is Always else f"of {end} {self.scored.name}"
            chosen = f"{100.0 * self.share:g} % of {of}, {by}"
        return ", ".join([chosen, *limits])
