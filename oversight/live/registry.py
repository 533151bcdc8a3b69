"""The registry: who is let in, by which token, and who is forgotten."""

import json
from typing import TYPE_CHECKING

from sqlalchemy import select

from looplab.oversight.live.event import Event
from looplab.oversight.live.refusal import Refused
from looplab.oversight.live.tables import EVENTS, PEOPLE, TEXTS
from looplab.oversight.live.text import MAX_NAME, written

if TYPE_CHECKING:
    from looplab.oversight.live.desk import Desk


class Registry:
    """Lets people in and out; all of it is in the ledger.

    Args:
        desk: whose people they are.
    """

    def __init__(self, desk: "Desk") -> None:
        self._desk = desk

    async def make_person(
        self, role: str, tier: int, name: str, hours: float, by: str = ""
    ) -> tuple[str, str]:
        """A new person and their token.

        Returns:
            Pseudonym, and the token, which is shown this once.
        """
        now, text = self._desk.clock(), written(self._desk.key, name, MAX_NAME, "name")
        person, made = self._desk.people.make_person(role, tier, text.id, now, by)
        made = Event(now, made.kind, {**made.body, "name_digest": text.digest}, who=by)
        token, _, event = self._desk.people.make_token(person, hours, now, by)
        await self._desk.commit([made, event], texts=[text])
        return person, token

    async def make_token(self, person: str, hours: float, by: str = "") -> tuple[str, str]:
        """A new token of a person, and its number."""
        token, number, event = self._desk.people.make_token(person, hours, self._desk.clock(), by)
        await self._desk.commit([event])
        return token, number

    async def revoke(self, token: str, by: str = "") -> None:
        """Ends a token by its number."""
        await self._desk.commit([self._desk.people.revoke(token, self._desk.clock(), by)])

    async def erase(self, person: str, by: str = "") -> int:
        """Forgets a person's name and all that they wrote; what they decided stays, unnamed.

        Returns:
            How many texts were forgotten.
        """
        names = await self._desk.read(select(PEOPLE.c.name).where(PEOPLE.c.id == person))
        if not names:
            raise Refused("unknown", f"there is no person {person!r}")
        mine = select(EVENTS.c.body).where(EVENTS.c.who == person)
        bodies = [json.loads(row["body"]) for row in await self._desk.read(mine)]
        texts = [body.get("answer", body.get("said", {})).get("text") for body in bodies]
        wanted = {text for text in (names[0]["name"], *texts) if text}
        there = await self._desk.read(select(TEXTS.c.id).where(TEXTS.c.id.in_(wanted)))
        ids = sorted(row["id"] for row in there)
        body = {"person": person, "texts": ids}
        await self._desk.commit(
            [Event(self._desk.clock(), "person_erased", body, who=by)], erased=ids
        )
        return len(ids)
