"""What makes people err more or less than they would at their best, and how it comes and goes.

Every effect is a function of a ``Look`` that changes ``Odds`` in place; a plain function is one.
An effect that remembers has a state, which ``start(n)`` makes, gets it as its first argument, and
is told by ``settle`` what was answered. Effects that are switched off say so by ``off``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from looplab.envs.core import Actions, BoolArray, FloatArray
from looplab.oversight.humans.odds import Odds
from looplab.oversight.proposals import Proposals

SECONDS_PER_MINUTE = 60.0
#: The least that a time or a length above 0 can be.
LEAST = float(np.finfo(np.float64).tiny)

#: What an effect remembers of n people: arrays of shape (n,) by name.
State = dict[str, Any]


@dataclass(slots=True)
class Look:
    """What n people look at in one moment; arrays of shape (n,).

    Attributes:
        asked: who looks at all.
        watching: they watch what is about to run, instead of being asked.
        rest: seconds since the last look that were neither work nor watching.
        watched: seconds of watching since the last look; 0 where they do not watch.
        action: what is proposed, shape (n, ...).
        proposals: everything about the proposals; None where people serve a queue.
    """

    asked: BoolArray
    watching: bool
    rest: FloatArray
    watched: FloatArray
    action: Actions
    proposals: Proposals | None = None


@dataclass(slots=True)
class Answer:
    """What they answered; arrays of shape (n,).

    Attributes:
        refused: the answer was not approve.
        unsafe: what it should have been, as far as they could know at their best.
        seconds: time that it took.
    """

    refused: BoolArray
    unsafe: BoolArray
    seconds: FloatArray


#: An effect without memory.
Effect = Callable[[Look, Odds], None]
