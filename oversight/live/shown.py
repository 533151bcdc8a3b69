"""What a reviewer is shown, and the digest by which the ledger knows it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from looplab.oversight.live.event import canonical
from looplab.oversight.live.refusal import Refused


@dataclass(frozen=True, slots=True)
class Shown:
    """What a reviewer is shown.

    Attributes:
        digest: SHA-256 of it.
        text: plain values, as canonical text.
        picture: PNG; None: there is none.
    """

    digest: str
    text: str
    picture: bytes | None

    @property
    def row(self) -> tuple[str, str, bytes | None]:
        """As the store keeps it."""
        return (self.digest, self.text, self.picture)


def digest_text(values: Mapping[str, Any]) -> str:
    """The canonical text of what is shown.

    Raises:
        Refused: if a number in it is not finite.
    """
    try:
        return canonical(values)
    except ValueError as error:
        raise Refused("invalid", "what is shown must hold finite numbers") from error
