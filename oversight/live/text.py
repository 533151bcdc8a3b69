"""Names and free text: kept apart from the ledger, so that they can be forgotten.

The ledger holds, for each text, a random id and a digest that was made with the audit key and the
text's own salt: who changes a text is found out, and once text and salt are erased the digest tells
nothing.
"""

import hashlib
import hmac
import secrets
import unicodedata
from dataclasses import dataclass

from looplab.oversight.live.refusal import Refused

MAX_NAME, MAX_TEXT = 80, 2000
_ID_BYTES, _SALT_BYTES = 8, 16


@dataclass(frozen=True, slots=True)
class Written:
    """A text that is to be kept.

    Attributes:
        id: says nothing of it.
        salt: makes its digest tell nothing either.
        text: what was written.
        digest: what the ledger holds of it.
    """

    id: str
    salt: str
    text: str
    digest: str

    @property
    def row(self) -> tuple[str, str, str]:
        """As the store keeps it."""
        return (self.id, self.salt, self.text)


def digest_of(key: bytes, salt: str, text: str) -> str:
    """What the ledger holds of a text."""
    return hmac.new(key, f"text:{salt}:{text}".encode(), hashlib.sha256).hexdigest()


def written(key: bytes, text: str, most: int, what: str) -> Written:
    """A text to be kept, cleaned of what is no visible character.

    Args:
        key: the audit key.
        text: what was written.
        most: characters that it may have.
        what: what it is, for the message.

    Raises:
        Refused: if it is too long.
    """
    clean = "".join(
        character for character in unicodedata.normalize("NFC", text)
        if character in "\n\t" or unicodedata.category(character)[0] != "C"
    ).strip()  # fmt: skip
    if len(clean) > most:
        raise Refused("invalid", f"{what} may have {most} characters, got {len(clean)}")
    salt = secrets.token_hex(_SALT_BYTES)
    return Written(f"t_{secrets.token_hex(_ID_BYTES)}", salt, clean, digest_of(key, salt, clean))
