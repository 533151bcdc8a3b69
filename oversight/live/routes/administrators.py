"""What administrators call: people, deadlines, running sessions, and the ledger."""

import json
from typing import Any

from fastapi import APIRouter
from sqlalchemy import select

from looplab.oversight.live.guard import allowed
from looplab.oversight.live.messages import ControlIn, PersonIn, SettingsIn, TokenIn
from looplab.oversight.live.routes.common import (
    PROBLEMS,
    RULING,
    After,
    AtDesk,
    Caller,
    Count,
    PersonName,
    SessionName,
    TokenNumber,
)
from looplab.oversight.live.tables import EVENTS, PEOPLE, TEXTS, TOKENS

router = APIRouter(prefix="/api", tags=["administrators"], responses=PROBLEMS)


@router.patch("/sessions/{session}/control")
@allowed(*RULING)
async def control(
    session: SessionName, body: ControlIn, desk: AtDesk, caller: Caller
) -> dict[str, Any]:
    """Pauses, resumes or slows a session, or switches its regime by preset name."""
    return (await desk.control(session, body.changes(), caller)).as_dict()


@router.get("/settings")
@allowed(*RULING)
async def settings(desk: AtDesk) -> dict[str, Any]:
    """Deadlines by tier and the like."""
    return desk.queue.settings.as_dict()


@router.patch("/settings")
@allowed(*RULING)
async def change_settings(body: SettingsIn, desk: AtDesk, caller: Caller) -> dict[str, Any]:
    """Changes them; requests that are open keep theirs."""
    return (await desk.change_settings(body.changes(), by=caller.id)).as_dict()


@router.get("/people")
@allowed(*RULING)
async def people(desk: AtDesk) -> list[dict[str, Any]]:
    """Everybody who may come in, with their tokens' numbers."""
    named = select(PEOPLE, TEXTS.c.text).join(TEXTS, TEXTS.c.id == PEOPLE.c.name, isouter=True)
    tokens: dict[str, list[dict[str, Any]]] = {}
    for row in await desk.read(select(TOKENS).order_by(TOKENS.c.made_at)):
        kept = {name: row[name] for name in ("id", "made_at", "expires_at", "revoked_at")}
        tokens.setdefault(row["person"], []).append(kept)
    return [
        {
            "person": row["id"], "role": row["role"], "tier": row["tier"], "name": row["text"],
            "tokens": tokens.get(row["id"], []),
        }
        for row in await desk.read(named.order_by(PEOPLE.c.made_at))
    ]  # fmt: skip


@router.post("/people", status_code=201)
@allowed(*RULING)
async def make_person(body: PersonIn, desk: AtDesk, caller: Caller) -> dict[str, Any]:
    """Lets somebody in; their token is shown this once."""
    person, token = await desk.registry.make_person(
        body.role, body.tier, body.name, body.hours, by=caller.id
    )
    return {"person": person, "token": token}


@router.post("/people/{person}/tokens", status_code=201)
@allowed(*RULING)
async def make_token(
    person: PersonName, body: TokenIn, desk: AtDesk, caller: Caller
) -> dict[str, Any]:
    """Gives somebody another token, shown this once."""
    token, number = await desk.registry.make_token(person, body.hours, by=caller.id)
    return {"person": person, "token": token, "number": number}


@router.delete("/tokens/{token}")
@allowed(*RULING)
async def revoke(token: TokenNumber, desk: AtDesk, caller: Caller) -> dict[str, Any]:
    """Ends a token by its number."""
    await desk.registry.revoke(token, by=caller.id)
    return {"token": token}


@router.post("/people/{person}/erase")
@allowed(*RULING)
async def erase(person: PersonName, desk: AtDesk, caller: Caller) -> dict[str, Any]:
    """Forgets a person's name and all that they wrote; what they decided stays, unnamed."""
    return {"person": person, "texts": await desk.registry.erase(person, by=caller.id)}


@router.get("/events")
@allowed(*RULING)
async def events(desk: AtDesk, after: After = 0, count: Count = 100) -> list[dict[str, Any]]:
    """The ledger, in its order."""
    wanted = select(EVENTS).where(EVENTS.c.number > after).order_by(EVENTS.c.number).limit(count)
    return [{**row, "body": json.loads(row["body"])} for row in await desk.read(wanted)]
