"""Taking up, from what is on disk, what was open when the service went away."""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from looplab.oversight.live.form import form_of
from looplab.oversight.live.queue import Queue
from looplab.oversight.live.review import DECIDED, OPEN, Review
from looplab.oversight.live.roles import People
from looplab.oversight.live.session import RUNNING, Control, Session, about_of, veto_of
from looplab.oversight.live.settings import Settings
from looplab.oversight.live.store import Store
from looplab.oversight.live.tables import EVENTS, PEOPLE, REQUESTS, SESSIONS, SETTINGS, TOKENS


def people_of(store: Store) -> People:
    """Everybody who may come in."""
    return People(store.read(select(PEOPLE)), store.read(select(TOKENS)))


def queue_of(store: Store) -> Queue:
    """The queue as it stood: settings, sessions, requests that wait, and vetoes."""
    kept = {row["name"]: json.loads(row["value"]) for row in store.read(select(SETTINGS))}
    queue = Queue(Settings().changed(kept))
    for row in store.read(select(SESSIONS)):
        control = Control(**json.loads(row["control"]))
        session = Session(row["id"], about_of(json.loads(row["about"])), row["state"], 0, control)
        session.counts = session.written = json.loads(row["counts"])
        queue.sessions[session.id] = session
    waits = select(REQUESTS).where(REQUESTS.c.state.in_((OPEN, DECIDED)))
    for row in store.read(waits.order_by(REQUESTS.c.asked_at, REQUESTS.c.lane)):
        if queue.sessions[row["session"]].state == RUNNING:
            queue.add(review_of(row))
    vetoes = select(EVENTS).where(EVENTS.c.kind.in_(("vetoed", "veto_taken")))
    for row in store.read(vetoes.order_by(EVENTS.c.number)):
        session, body = queue.sessions[row["session"]], json.loads(row["body"])
        if row["kind"] == "vetoed":
            body = {name: body[name] for name in body if name not in ("clock", "context")}
            session.pending.append(veto_of(body))
        else:
            session.taken[body["clock"]] = [veto_of(veto) for veto in body["vetoes"]]
            session.pending = []
    return queue


def review_of(row: Mapping[str, Any]) -> Review:
    """A request from its row."""
    return Review(
        row["id"], row["session"], row["batch"], row["lane"], row["kind"], row["context"],
        row["priority"], row["tier"], row["asked_at"], row["deadline_at"], row["state"],
        row["seconds"], None if row["answer"] is None else json.loads(row["answer"]),
        row["who"] or "", row["decided_at"] or 0, unsafe=row["unsafe"], trial=bool(row["trial"]),
        form=None if row["form"] is None else form_of(json.loads(row["form"])), limit=row["limit"],
    )  # fmt: skip


def answer_of(review: Review) -> dict[str, Any]:
    """What a trainer is told of a request."""
    return {
        "request": review.id, "lane": review.lane, "who": review.who, **(review.answer or {})
    }  # fmt: skip
