"""Who may do what: roles, the people who have them, and the tokens by which they are known.

A token is 256 random bits that its holder keeps; the service keeps only its SHA-256, which for so
many bits is as good as a slow hash. People go by pseudonyms; their names stand apart.
"""

import hashlib
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from looplab.envs.errors import choice, finite, whole
from looplab.oversight.live.event import Event
from looplab.oversight.live.refusal import Refused
from looplab.oversight.live.settings import MILLISECONDS

#: May look; may answer too; may do all that people can; is a program that asks.
VIEWER, REVIEWER, ADMIN, TRAINER = "viewer", "reviewer", "admin", "trainer"
ROLES = (VIEWER, REVIEWER, ADMIN, TRAINER)
#: What an administrator may answer: every tier.
TOP_TIER = 99
TOKEN_PREFIX = "looplab_"
_TOKEN_BYTES = 32
_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who came in with a token, a program included.

    Attributes:
        id: pseudonym.
        role: one of ``ROLES``.
        tier: the highest tier whose requests they may answer, from 0 on.
        token: number of the token that they came in with.
        expires_at: when that ends, in milliseconds since 1970.
    """

    id: str
    role: str
    tier: int
    token: str
    expires_at: int


def digest_of(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


class People:
    """Everybody who may come in, by the digests of their tokens.

    Args:
        people: rows of ``tables.PEOPLE``.
        tokens: rows of ``tables.TOKENS``.
    """

    def __init__(
        self, people: Iterable[Mapping[str, Any]] = (), tokens: Iterable[Mapping[str, Any]] = ()
    ) -> None:
        self._people: dict[str, tuple[str, int]] = {}
        self._tokens: dict[str, Person] = {}
        self._revoked: set[str] = set()
        for row in people:
            self._people[row["id"]] = (row["role"], int(row["tier"]))
        for row in tokens:
            self._admit(row["person"], row["id"], row["digest"], int(row["expires_at"]))
            if row["revoked_at"] is not None:
                self._revoked.add(row["id"])

    def _admit(self, person: str, token: str, digest: str, expires_at: int) -> None:
        role, tier = self._people[person]
        self._tokens[digest] = Person(person, role, tier, token, expires_at)

    def __contains__(self, person: str) -> bool:
        return person in self._people

    def known(self, token: str, now: int) -> Person:
        """Whose token it is.

        Args:
            token: as it was handed out.
            now: milliseconds since 1970.

        Raises:
            Refused: if nobody's, or no more.
        """
        found = self._tokens.get(digest_of(token))
        if found is None or found.token in self._revoked:
            raise Refused("unauthenticated", "this token is not valid")
        if found.expires_at <= now:
            raise Refused("expired", "this token has expired; ask for a new one")
        return found

    def holds(self, person: Person, now: int) -> bool:
        """Whether somebody who came in earlier may still stay."""
        return person.token not in self._revoked and person.expires_at > now

    def make_person(
        self, role: str, tier: int, name: str, now: int, by: str = ""
    ) -> tuple[str, Event]:
        """A new person, and what happened.

        Args:
            role: one of ``ROLES``.
            tier: the highest tier whose requests they may answer, at least 0.
            name: number of the text that holds their name.
            now: milliseconds since 1970.
            by: who made them.

        Raises:
            UsageError: if there is no such role or tier.
        """
        choice("role", role, ROLES)
        tier = TOP_TIER if role == ADMIN else whole("tier", tier, 0)
        person = f"p_{secrets.token_hex(6)}"
        self._people[person] = (role, tier)
        body = {"person": person, "role": role, "tier": tier, "name": name}
        return person, Event(now, "person_made", body, who=by)

    def make_token(
        self, person: str, hours: float, now: int, by: str = ""
    ) -> tuple[str, str, Event]:
        """A new token of somebody's, its number, and what happened; nobody keeps the token itself.

        Raises:
            Refused: if there is no such person.
            UsageError: if the hours are not above 0.
        """
        if person not in self._people:
            raise Refused("unknown", f"there is no person {person!r}")
        finite("hours", hours, 1.0 / _HOUR)
        token, number = TOKEN_PREFIX + secrets.token_urlsafe(_TOKEN_BYTES), secrets.token_hex(6)
        digest = digest_of(token)
        expires_at = now + round(hours * _HOUR * MILLISECONDS)
        self._admit(person, number, digest, expires_at)
        body = {
            "person": person, "token": number, "digest": digest, "expires_at": expires_at,
        }  # fmt: skip
        return token, number, Event(now, "token_made", body, who=by)

    def revoke(self, token: str, now: int, by: str = "") -> Event:
        """Ends a token by its number.

        Raises:
            Refused: if there is none, or it has ended.
        """
        if token in self._revoked or all(known.token != token for known in self._tokens.values()):
            raise Refused("unknown", f"there is no valid token with the number {token!r}")
        self._revoked.add(token)
        return Event(now, "token_revoked", {"token": token}, who=by)
