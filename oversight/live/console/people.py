"""Who may come in: made, given tokens, revoked, and forgotten by administrators."""

from typing import Any

from sqlalchemy import select

from looplab.oversight.live.console.elements import Node, button, choice_of, field, section
from looplab.oversight.live.console.visit import Press, Visit
from looplab.oversight.live.console.words import moment
from looplab.oversight.live.messages import PersonIn, TokenIn
from looplab.oversight.live.refusal import Refused
from looplab.oversight.live.roles import ROLES
from looplab.oversight.live.tables import PEOPLE, TEXTS, TOKENS

_HOURS = "12"


class PeopleCard:
    """Everybody who may come in.

    Args:
        visit: of an administrator.
    """

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._drawn: list[tuple[Any, ...]] = []
        with section("People", "people wide"):
            with Node("div", "", "form", data_form=""):
                field("Name", "name", maxlength=80)
                choice_of("Role", "role", [(role, role) for role in ROLES], "reviewer")
                field("Tier", "tier", "number", "0", min=0, max=99)
                field("Hours", "hours", "number", _HOURS, min=0.1, step="any")
                button("Let in", "make_person")
            with Node("div", "", "once", hidden=True) as self._once:
                Node("p", "The token, shown this once. Hand it over in private:", "label")
                self._token = Node("p", "", "secret", id="secret")
                button("Hide it", "hide_token", "", "", "small")
            self._list = Node("div")
        visit.presses |= {
            "make_person": self._make, "make_token": self._give, "hide_token": self._hide,
            "revoke": self._revoke, "erase": self._erase,
        }  # fmt: skip

    async def draw(self) -> None:
        """Shows everybody, and those of their tokens that still let them in."""
        desk, now = self._visit.desk, self._visit.desk.clock()
        named = select(PEOPLE, TEXTS.c.text).join(TEXTS, TEXTS.c.id == PEOPLE.c.name, isouter=True)
        good = select(TOKENS).where(TOKENS.c.revoked_at.is_(None), TOKENS.c.expires_at > now)
        tokens = await desk.read(good.order_by(TOKENS.c.made_at))
        people = [
            (
                row["id"], row["text"], row["role"], row["tier"],
                tuple((t["id"], t["expires_at"]) for t in tokens if t["person"] == row["id"]),
            )
            for row in await desk.read(named.order_by(PEOPLE.c.made_at))
        ]  # fmt: skip
        if people == self._drawn:
            return
        self._drawn = list(people)
        self._list.clear()
        with self._list:
            for person in people:
                self._entry(*person)

    def _entry(
        self,
        person: str,
        name: str | None,
        role: str,
        tier: int,
        tokens: tuple[tuple[str, int], ...],
    ) -> None:
        with Node("div", "", "entry", data_form="", data_person=person):
            with Node("div", "", "line"):
                Node("strong", "(erased)" if name is None else name, "name")
                Node("span", f"{person} · {role} · tier {tier}", "label")
                button("New token", "make_token", "", "", "small", data_value=person)
                button(
                    "Erase name and texts", "erase", "", "", "small", data_value=person,
                    data_twice="Press again: it cannot be undone",
                )  # fmt: skip
            for number, expires_at in tokens:
                with Node("div", "", "line"):
                    mine = " (yours)" if number == self._visit.person.token else ""
                    Node(
                        "span",
                        f"token {number}{mine}, good until {moment(expires_at)} UTC",
                        "label",
                    )
                    button("Revoke", "revoke", "", "", "small", data_value=number)

    async def _make(self, press: Press) -> None:
        form = press.form
        body = PersonIn.model_validate(
            {
                "name": form.get("name", "").strip(), "role": form.get("role", ""),
                "tier": form.get("tier", ""), "hours": form.get("hours", ""),
            }
        )  # fmt: skip
        person, token = await self._visit.desk.registry.make_person(
            body.role, body.tier, body.name, body.hours, by=self._visit.person.id
        )
        self._show(token)
        self._visit.say(f"{person} may come in.", "good")

    async def _give(self, press: Press) -> None:
        hours = TokenIn().hours
        token, number = await self._visit.desk.registry.make_token(
            press.value, hours, by=self._visit.person.id
        )
        self._show(token)
        self._visit.say(f"Token {number} of {press.value} is good for {hours:g} hours.", "good")

    def _show(self, token: str) -> None:
        self._token.put(token)
        self._once.put(hidden=False)

    async def _hide(self, press: Press) -> None:
        self._token.put("")
        self._once.put(hidden=True)

    async def _revoke(self, press: Press) -> None:
        if press.value == self._visit.person.token:
            raise Refused("invalid", "this is the token that you came in with")
        await self._visit.desk.registry.revoke(press.value, by=self._visit.person.id)
        self._visit.say(f"Token {press.value} is revoked.", "good")

    async def _erase(self, press: Press) -> None:
        count = await self._visit.desk.registry.erase(press.value, by=self._visit.person.id)
        self._visit.say(f"{count} texts of {press.value} are erased.", "good")
