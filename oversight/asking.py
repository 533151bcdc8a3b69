"""Asking people about proposals: one overseer, or several of whom one answers in each lane."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from looplab.envs.actions import checked_actions
from looplab.envs.core import Actions, BoolArray, IntArray
from looplab.envs.errors import UsageError
from looplab.oversight.overseers.scripted import ScriptedOverseer
from looplab.oversight.proposals import Proposals
from looplab.oversight.triggers import describe
from looplab.oversight.types import Verdicts, as_verdicts, brief, put, some


def consult(
    overseer: Any, proposals: Proposals, asked: BoolArray, watching: bool = False
) -> Verdicts:
    """Asks an overseer, or a plain function, about the masked lanes.

    Args:
        overseer: who answers.
        proposals: what was proposed.
        asked: lanes that are asked about, shape (n,).
        watching: the human only watches what is about to run.
    """
    proposals.asked, proposals.watching = asked, watching
    answer = overseer(proposals)
    if type(overseer) is ScriptedOverseer or getattr(overseer, "well_formed", False):
        return cast(Verdicts, answer)
    return as_verdicts(answer, len(proposals), name_of(overseer))


def name_of(overseer: Any) -> str:
    """Name of an overseer for the record."""
    return str(getattr(overseer, "name", None) or describe(overseer))


def answered(values: Any, mask: BoolArray, proposals: Proposals, source: str) -> Actions:
    """Actions that somebody answered for the masked lanes; the other lanes keep the proposal.

    Raises:
        UsageError: if they are not one action per lane, or not in the action space.
    """
    given, actions = np.asarray(values), proposals.action.copy()
    if given.shape != actions.shape or not np.can_cast(given.dtype, actions.dtype, "same_kind"):
        raise UsageError(
            f"{source} must answer {len(actions)} actions of {proposals.lanes.action_space}, "
            f"got {brief(values)}"
        )
    put(actions, mask, given)
    try:
        return checked_actions(proposals.lanes.action_space, actions, len(actions))
    except UsageError as error:
        raise UsageError(f"{source}: {error}") from None


def several(owner: str, overseers: Any) -> tuple[tuple[str, ...] | None, tuple[Any, ...]]:
    """Several overseers and the names that they were given, or None where they were listed.

    Args:
        owner: whose overseers they are, for the message.
        overseers: a list of them, or a mapping from names.

    Raises:
        UsageError: if there are none.
    """
    if isinstance(overseers, Mapping):
        names, found = tuple(map(str, overseers)), tuple(overseers.values())
    elif isinstance(overseers, Sequence) and not isinstance(overseers, str):
        names, found = None, tuple(overseers)
    else:
        raise UsageError(f"{owner} needs a list of overseers or a mapping, got {brief(overseers)}")
    if not found:
        raise UsageError(f"{owner} needs at least one overseer, got none")
    return names, found


def titled(answer: Verdicts, title: str) -> Verdicts:
    """The verdicts, given in the name of a tier or a role; several people's names follow it."""
    people = tuple(f"{title}: {person}" for person in answer.people)
    return replace(answer, overseer=title, people=people)


def selected(
    answers: Sequence[Verdicts], which: IntArray, proposals: Proposals, overseer: str
) -> Verdicts:
    """The verdicts of several people, of whom one answers in each lane.

    Args:
        answers: what they answered, at least one.
        which: place in ``answers`` of each lane's, shape (n,).
        proposals: what was proposed.
        overseer: name of them together.
    """
    if len(answers) == 1:
        return answers[0]
    lanes = np.arange(len(which))

    def of(columns: Sequence[Any]) -> NDArray[Any]:
        rows = np.stack([np.broadcast_to(column, which.shape) for column in columns])
        return rows[which, lanes]

    def optional(name: str, blank: Any) -> NDArray[Any] | None:
        columns = [getattr(answer, name) for answer in answers]
        if all(column is None for column in columns):
            return None
        return of([blank if column is None else column for column in columns])

    def numbered(places: Sequence[Any], texts: Sequence[tuple[str, ...]]) -> NDArray[Any]:
        firsts = np.cumsum([0, *map(len, texts)])
        return of([first + place for first, place in zip(firsts, places, strict=False)])

    reasons = [answer.reasons for answer in answers]
    people = [answer.names for answer in answers]
    places = [answer.which for answer in answers]
    mine = [which == place for place in range(len(answers))]
    correction, corrected = corrections(answers, mine, proposals)
    rates = any(answer.rating is not None for answer in answers)
    return Verdicts(
        code=of([answer.code for answer in answers]),
        seconds=of([answer.seconds for answer in answers]),
        reason=numbered([answer.reason for answer in answers], reasons),
        reasons=sum(reasons, ()),
        overseer=overseer,
        correction=correction,
        corrected=corrected,
        elapsed=of([answer.wait for answer in answers]),
        who=numbered(places, people),
        people=sum(people, ()),
        overdue=optional("overdue", False),
        disagreement=optional("disagreement", 0.0),
        rating=of([answer.rated for answer in answers]) if rates else None,
    )


def corrections(
    answers: Sequence[Verdicts], mine: Sequence[BoolArray], proposals: Proposals
) -> tuple[Actions | None, BoolArray | None]:
    """The corrections that some of several people bring, and the lanes in which there is one.

    Args:
        answers: what they answered.
        mine: lanes in which each of them is listened to, each of shape (n,); who comes first in
            the order of ``answers`` has precedence.
        proposals: what was proposed.

    Returns:
        Corrections, shape (n, ...), and the lanes that have one, shape (n,); or None, twice.
    """
    if all(answer.correction is None for answer in answers):
        return None, None
    found = proposals.action.copy()
    done = np.zeros(len(proposals), np.bool_)
    for answer, lanes in zip(answers, mine, strict=True):
        brings = answer.brings_correction(lanes) & ~done
        if some(brings):
            source = f"overseer {answer.overseer}"
            put(found, brings, answered(answer.correction, brings, proposals, source))
            done |= brings
    return found, done
