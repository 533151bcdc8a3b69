"""The database: which ones can hold a ledger, and how one service at a time has it for itself."""

import fcntl
import secrets
from pathlib import Path
from typing import IO, Any

from sqlalchemy import Engine, create_engine, event, insert, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from looplab.envs.errors import UsageError
from looplab.oversight.live.tables import ABOUT, METADATA

#: Layout of the tables; another number is another layout.
LAYOUT = "2"
DATABASES = ("sqlite", "postgresql")
#: Readers do not wait for the writer; a commit is on disk when it returns; what is erased is gone.
_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=10000", "secure_delete=ON")
#: Number of the lock that one service holds of a PostgreSQL database; a name for it, not a secret.
_LOCK_NUMBER = 0x6C6F6F70


def connect(url: str, must_exist: bool = False) -> Engine:
    """An engine for a database; commits are on disk when they return.

    Args:
        url: of the database, in SQLAlchemy's words.
        must_exist: whether a file that is not there is refused.

    Raises:
        UsageError: if the words name no database that can hold a ledger.
    """
    try:
        named = make_url(url)
    except ArgumentError as error:
        raise UsageError(f"db must be a URL such as sqlite:///live.db, got '{url}'") from error
    kind = named.get_backend_name()
    shown = named.render_as_string(hide_password=True)
    if kind not in DATABASES:
        raise UsageError(f"db must be one of {', '.join(DATABASES)}, got {shown}")
    if kind == "sqlite" and named.database in (None, "", ":memory:"):
        raise UsageError("db=sqlite needs a file, as in sqlite:///live.db: memory forgets")
    if kind == "sqlite":
        folder = Path(str(named.database)).absolute().parent
        if not folder.is_dir():
            raise UsageError(f"db: there is no folder {folder}")
        if must_exist and not Path(str(named.database)).is_file():
            raise UsageError(f"db: there is no database {named.database}")
    try:
        engine = create_engine(named, pool_pre_ping=kind != "sqlite")
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise UsageError(f"db={shown} needs a driver that is not installed: {error}") from error
    if kind == "sqlite":
        event.listen(engine, "connect", _durable)
    return engine


def _durable(connection: Any, record: Any) -> None:
    """Sets up a connection to SQLite."""
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


class _ConnectionLock:
    """Holds a lock of PostgreSQL for as long as its connection lives."""

    def __init__(self, engine: Engine) -> None:
        try:
            self._connection = engine.connect()
            found = self._connection.execute(text(f"SELECT pg_try_advisory_lock({_LOCK_NUMBER})"))
            mine = bool(found.scalar())
            self._connection.commit()
        except SQLAlchemyError as error:
            raise UsageError(f"db: {_line(error)}") from error
        if not mine:
            self._connection.close()
            raise _taken(engine)

    def close(self) -> None:
        """Lets go of the lock; as with a file, once more does nothing."""
        if not self._connection.closed:
            self._connection.invalidate()
            self._connection.close()


def lock(engine: Engine) -> "IO[str] | _ConnectionLock":
    """Keeps other services away from the database, until it is closed or the process ends."""
    if engine.url.get_backend_name() != "sqlite":
        return _ConnectionLock(engine)
    path = Path(str(engine.url.database) + ".lock")
    try:
        file = path.open("w")
    except OSError as error:
        raise UsageError(f"db: cannot write {path}: {error.strerror}") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise _taken(engine) from None
    return file


def _taken(engine: Engine) -> UsageError:
    shown = engine.url.render_as_string(hide_password=True)
    return UsageError(f"another service uses {shown}; end it, or give another db=")


def prepare(engine: Engine) -> str:
    """Makes the tables where there are none; returns the database's own name."""
    try:
        METADATA.create_all(engine)
        with engine.begin() as connection:
            about = {row.name: row.value for row in connection.execute(select(ABOUT))}
            if not about:
                about = {"layout": LAYOUT, "name": secrets.token_hex(8)}
                rows = [{"name": name, "value": value} for name, value in about.items()]
                connection.execute(insert(ABOUT), rows)
    except SQLAlchemyError as error:
        shown = engine.url.render_as_string(hide_password=True)
        raise UsageError(f"cannot use {shown}: {_line(error)}") from error
    if about.get("layout") != LAYOUT:
        raise UsageError(
            f"the database has layout {about.get('layout')}, this version reads {LAYOUT}"
        )
    return str(about["name"])


def _line(error: Exception) -> str:
    return str(getattr(error, "orig", error)).splitlines()[0]


def forget(engine: Engine) -> None:
    """Clears SQLite's own log of what was erased, as far as nobody reads it just now."""
    if engine.url.get_backend_name() == "sqlite":
        with engine.connect() as connection:
            connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
