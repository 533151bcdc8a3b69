"""The tables of the review service, on any database that SQLAlchemy speaks to."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

METADATA = MetaData()

#: What the database is: its number of layout, and a random name that its anchor goes by.
ABOUT = Table(
    "about",
    METADATA,
    Column("name", String(40), primary_key=True),
    Column("value", Text, nullable=False),
)

#: The ledger: append-only, sealed; see ``chain``.
EVENTS = Table(
    "events",
    METADATA,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("kind", String(40), nullable=False),
    Column("session", String(200), nullable=False),
    Column("request", String(300), nullable=False),
    Column("who", String(40), nullable=False),
    Column("body", Text, nullable=False),
    Column("seal", String(64), nullable=False),
    Index("events_by_session", "session", "number"),
    Index("events_by_request", "request"),
    Index("events_by_kind", "kind", "at"),
)

#: What the events say of live runs, and of requests for reviews, as it stands now.
SESSIONS = Table(
    "sessions",
    METADATA,
    Column("id", String(200), primary_key=True),
    Column("state", String(20), nullable=False),
    Column("opened_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("about", Text, nullable=False),
    Column("control", Text, nullable=False),
    Column("mixed", Boolean, nullable=False),
    Column("counts", Text, nullable=False),
)
REQUESTS = Table(
    "requests",
    METADATA,
    Column("id", String(300), primary_key=True),
    Column("session", String(200), nullable=False),
    Column("batch", String(120), nullable=False),
    Column("lane", Integer, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("state", String(20), nullable=False),
    Column("tier", Integer, nullable=False),
    Column("priority", Float, nullable=False),
    Column("asked_at", BigInteger, nullable=False),
    Column("deadline_at", BigInteger),
    Column("decided_at", BigInteger),
    Column("verdict", String(20)),
    Column("answer", Text),
    Column("who", String(40)),
    Column("seconds", Float, nullable=False),
    Column("context", String(64), nullable=False),
    Column("unsafe", Boolean),
    Column("trial", Boolean, nullable=False),
    Column("form", Text),
    Column("limit", Float),
    Index("requests_by_state", "state", "session"),
    Index("requests_by_session", "session", "batch"),
    Index("requests_by_person", "who", "decided_at"),
)

#: What reviewers were shown, by the SHA-256 of it, which the events hold.
CONTEXTS = Table(
    "contexts",
    METADATA,
    Column("digest", String(64), primary_key=True),
    Column("shown", Text, nullable=False),
    Column("picture", LargeBinary),
)

#: Free text and names, by a number that says nothing; the events hold a sealed digest of each.
TEXTS = Table(
    "texts",
    METADATA,
    Column("id", String(40), primary_key=True),
    Column("salt", String(40), nullable=False),
    Column("text", Text, nullable=False),
)

PEOPLE = Table(
    "people",
    METADATA,
    Column("id", String(40), primary_key=True),
    Column("role", String(20), nullable=False),
    Column("tier", Integer, nullable=False),
    Column("name", String(40), nullable=False),
    Column("made_at", BigInteger, nullable=False),
)
TOKENS = Table(
    "tokens",
    METADATA,
    Column("id", String(40), primary_key=True),
    Column("digest", String(64), nullable=False, unique=True),
    Column("person", String(40), nullable=False),
    Column("made_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
)
SETTINGS = Table(
    "settings",
    METADATA,
    Column("name", String(40), primary_key=True),
    Column("value", Text, nullable=False),
)
