"""Events: what happened, one after another; all else that the service keeps is made of them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    Attributes:
        at: when, in milliseconds since 1970.
        kind: what; see ``projection``.
        body: plain values; neither names nor free text, which stand apart and can be erased.
        session: the live run that it belongs to; empty: none.
        request: the request for a review that it belongs to; empty: none.
        who: pseudonym of the person or program that did it; empty: the service itself.
    """

    at: int
    kind: str
    body: Mapping[str, Any] = field(default_factory=dict)
    session: str = ""
    request: str = ""
    who: str = ""


def canonical(value: Any) -> str:
    """The one text of a plain value, the same whatever the order of its keys.

    Raises:
        ValueError: if a number is not finite.
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
