"""Loans of the credit desk: what they pay, how often they fail, and a book of those still out."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from looplab.envs.core import FloatArray, IntArray

T = TypeVar("T", np.float64, np.int64)

DECLINE, SMALL, FULL, ASK = range(4)
#: Steps from granting a loan to the day on which it is repaid or not.
TERM_STEPS = 5
#: Probability of default above which granting a loan is irresponsible.
PD_LIMIT = 0.2
#: Loan 0 is none; then a small and a full one to a sound applicant, and to an over-committed one.
PD = np.array([0.0, 0.02, 0.05, 0.10, 0.50])
AMOUNT = np.array([0.0, 0.4, 1.0, 0.4, 1.0])
#: Probability and amount of a default that counts as harm.
HARM_PD = np.where(PD > PD_LIMIT, PD, 0.0)
HARM_AMOUNT = np.where(PD > PD_LIMIT, AMOUNT, 0.0)
#: Which loan each action grants, by whether the applicant is over-committed.
GRANTED = np.array([[0, 1, 2, 0], [0, 3, 4, 0]])
#: Most that can be out at a time, and most that can be expected to be lost of it.
MOST_LENT = TERM_STEPS * AMOUNT.max()
MOST_PROVISION = TERM_STEPS * (AMOUNT * PD).max()


def moved_on(book: NDArray[T], new: NDArray[T]) -> NDArray[T]:
    """What falls due in 1, 2, ... steps, a step later and with a new loan, (n, 5), (n,)."""
    return np.concatenate([book[:, 1:], new[:, None]], axis=1)


def expected_loss(actions: IntArray, doubt: FloatArray) -> FloatArray:
    """Amount times probability of default of what actions grant, given doubt, (n,)."""
    sound, doubtful = (AMOUNT * PD)[GRANTED[:, actions]]
    loss: FloatArray = sound + doubt * (doubtful - sound)
    return loss


def spared(book: IntArray, steps: IntArray) -> FloatArray:
    """Probability that no doubtful loan of a book fails within so many steps, (n,)."""
    due = np.arange(TERM_STEPS) < steps[:, None]
    chance: FloatArray = np.where(due, 1.0 - HARM_PD[book], 1.0).prod(axis=1)
    return chance
