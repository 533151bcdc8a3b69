"""A chain of events: each is sealed with the one before it, by a key that the database lacks.

Every event's seal is HMAC-SHA-256 over the seal before it and the event's canonical text. Who
changes, drops, adds or reorders events without the key breaks the chain there; who cuts off its
end is found out by the anchor, a file beside the key that names the last seal.
"""

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from looplab.envs.errors import UsageError
from looplab.oversight.live.event import canonical

_KEY_BYTES = 32
#: Seal before the first event.
START = "0" * 64


def key_from(path: Path, make: bool = True) -> bytes:
    """The key in a file that only its owner can read; a new one where there is none.

    Args:
        path: where the key is kept, in hexadecimal digits.
        make: whether a missing key is made.

    Raises:
        UsageError: if there is no key, or what is there is none.
    """
    if make:
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            handle = -1
        except OSError as error:
            raise UsageError(f"cannot write the audit key {path}: {error.strerror}") from error
        if handle >= 0:
            with os.fdopen(handle, "w") as file:
                file.write(secrets.token_hex(_KEY_BYTES) + "\n")
                file.flush()
                os.fsync(file.fileno())
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except OSError as error:
        raise UsageError(f"cannot read the audit key {path}: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{path} holds no key: hexadecimal digits are expected") from error
    if len(key) < _KEY_BYTES:
        raise UsageError(f"{path} holds a key of {len(key)} bytes; at least {_KEY_BYTES} are safe")
    return key


def seal(key: bytes, before: str, event: Sequence[object]) -> str:
    """Seal of an event after the seal ``before``, 64 hexadecimal digits.

    Args:
        key: the secret.
        before: seal of the event before.
        event: number, time, kind, session, request, who, and the body's canonical text.
    """
    text = before + canonical(list(event))
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


@dataclass(frozen=True)
class Head:
    """The last event of a chain: its number, from 1 on, and its seal; 0 where there is none."""

    number: int = 0
    seal: str = START


class Anchor:
    """Keeps a chain's head in a file of its own, so that a cut-off end is noticed.

    Args:
        path: the file; made at the first write.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Head | None:
        """The head that was written last; None: none was.

        Raises:
            UsageError: if the file holds anything else.
        """
        try:
            found = json.loads(self.path.read_text(encoding="ascii"))
            return Head(int(found["number"]), str(found["seal"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(f"cannot read the anchor {self.path}: {error}") from error

    def write(self, head: Head) -> None:
        """Writes a head, whole or not at all, and waits until it is on disk."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        hidden = self.path.with_name(f".{self.path.name}.tmp")
        with hidden.open("w", encoding="ascii") as file:
            json.dump({"number": head.number, "seal": head.seal}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(hidden, self.path)
