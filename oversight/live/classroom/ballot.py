"""A class that votes: who has joined, by which code, and how they voted."""

import secrets
import time
import unicodedata
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from looplab.envs.errors import UsageError

#: Letters and digits that nobody mistakes for each other.
ALPHABET = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
CODE_LENGTH = 6
MOST_MEMBERS = 60
LONGEST_NAME = 24
#: Wrong codes that one address may give within so many seconds.
MOST_TRIES, TRIES_SECONDS = 8, 60.0
#: Addresses that are remembered for it at most.
MOST_ADDRESSES = 1000


@dataclass
class Member:
    """Somebody who has joined.

    Attributes:
        name: as shown; plain text.
        vote: whether the present proposal may run; None: not voted.
        pages: pages that are open; a reloaded one is open before the old one is known to be closed.
    """

    name: str
    vote: bool | None = None
    pages: int = 1

    @property
    def present(self) -> bool:
        """Whether a page is open."""
        return self.pages > 0


class Ballot:
    """Members join with a code, and vote on one proposal after the other.

    Args:
        code: what lets people join; None: a random one.
        now: the time in seconds, for the limit on tries.
    """

    def __init__(self, code: str | None = None, now: Callable[[], float] = time.monotonic) -> None:
        self.code = code or "".join(secrets.choice(ALPHABET) for _ in range(CODE_LENGTH))
        self._now = now
        self._members: dict[str, Member] = {}
        self._tries: dict[str, deque[float]] = {}

    def join(self, name: str, code: str, address: str = "") -> str:
        """Lets somebody in.

        Args:
            name: shown to the class; control characters are dropped, and it is cut short.
            code: the code that was given.
            address: where the person comes from.

        Returns:
            A secret that stands for the member.

        Raises:
            UsageError: for a wrong code, too many of them, an empty name or a full class.
        """
        tries = self._tries_of(address)
        if len(tries) >= MOST_TRIES:
            raise UsageError("Too many wrong codes; wait a minute.")
        if not secrets.compare_digest(code.strip().upper().encode(), self.code.encode()):
            tries.append(self._now())
            raise UsageError("That is not the code of this class.")
        if not (shown := clean(name)):
            raise UsageError("Please give a name.")
        if sum(member.present for member in self._members.values()) >= MOST_MEMBERS:
            raise UsageError(f"The class is full: {MOST_MEMBERS} have joined.")
        absent = [secret for secret, member in self._members.items() if not member.present]
        if len(absent) >= MOST_MEMBERS:
            del self._members[absent[0]]
        secret = secrets.token_urlsafe(16)
        self._members[secret] = Member(shown)
        return secret

    def _tries_of(self, address: str) -> deque[float]:
        """Times of the wrong codes that an address gave lately."""
        if address not in self._tries and len(self._tries) >= MOST_ADDRESSES:
            self._tries.pop(next(iter(self._tries)))
        tries = self._tries.setdefault(address, deque())
        while tries and self._now() - tries[0] > TRIES_SECONDS:
            tries.popleft()
        return tries

    def member(self, secret: str) -> Member | None:
        """The member whom a secret stands for; None: nobody."""
        return self._members.get(secret)

    def leave(self, secret: str) -> None:
        """A member has closed a page; after the last one, nobody waits for the vote."""
        if (member := self._members.get(secret)) is not None:
            member.pages = max(member.pages - 1, 0)
            if not member.present:
                member.vote = None

    def come_back(self, secret: str) -> bool:
        """A member has opened a page again; whether there is such a member."""
        member = self._members.get(secret)
        if member is not None:
            member.pages += 1
        return member is not None

    def vote(self, secret: str, approves: bool) -> None:
        """A member votes, or votes anew, on the present proposal.

        Raises:
            UsageError: if nobody has joined by that secret.
        """
        member = self._members.get(secret)
        if member is None:
            raise UsageError("Please join first.")
        member.vote = approves

    def open(self) -> None:
        """A new proposal: all votes are forgotten."""
        for member in self._members.values():
            member.vote = None

    @property
    def present(self) -> list[Member]:
        """Members whose page is open, in the order in which they joined."""
        return [member for member in self._members.values() if member.present]

    @property
    def votes(self) -> tuple[int, int]:
        """Votes for and against."""
        cast = [member.vote for member in self.present if member.vote is not None]
        return sum(cast), len(cast) - sum(cast)

    @property
    def complete(self) -> bool:
        """Whether everybody present has voted, and anybody is."""
        return bool(self.present) and all(member.vote is not None for member in self.present)


def clean(name: str) -> str:
    """A name as it is shown: one line of printable text, at most ``LONGEST_NAME`` characters."""
    kept = "".join(sign if unicodedata.category(sign)[0] != "C" else " " for sign in name[:200])
    return " ".join(kept.split())[:LONGEST_NAME].strip()
