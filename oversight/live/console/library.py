"""What reviewers are shown, read once for all pages that show it."""

import json
from collections import OrderedDict
from typing import Any
from weakref import WeakKeyDictionary

from looplab.oversight.live.desk import Desk

_MOST = 64
_Kept = OrderedDict[str, tuple[dict[str, Any], bool]]
_READ: "WeakKeyDictionary[Desk, _Kept]" = WeakKeyDictionary()


async def told(desk: Desk, digest: str) -> tuple[dict[str, Any], bool]:
    """What is shown under a digest, and whether there is a picture of it.

    Raises:
        Refused: if nothing like that is kept.
    """
    kept = _READ.setdefault(desk, OrderedDict())
    if digest not in kept:
        shown = await desk.shown(digest)
        kept[digest] = (json.loads(shown.text), shown.picture is not None)
        while len(kept) > _MOST:
            kept.popitem(last=False)
    return kept[digest]
