"""Where the service keeps what is its own: the audit key, anchors, tokens."""

import os
from pathlib import Path

#: The folder, where it is another than ``~/.looplab``.
HOME_VARIABLE = "LOOPLAB_HOME"
#: The token of a trainer or of a reviewer's program; never a key of a configuration.
TOKEN_VARIABLE = "LOOPLAB_TOKEN"
#: Address of the service, where a configuration names none.
URL_VARIABLE = "LOOPLAB_URL"
KEY_FILE, ANCHORS, TOKENS = "audit.key", "anchors", "tokens"
DEFAULT_DATABASE = "live.db"


def home() -> Path:
    """The folder; it lies outside of any database, and only its owner can read it."""
    named = os.environ.get(HOME_VARIABLE)
    return Path(named) if named else Path.home() / ".looplab"


def default_database() -> str:
    """The database where nothing else is said."""
    return f"sqlite:///{home().absolute() / DEFAULT_DATABASE}"
