"""The analyst: reads figures off the ledger, one selection at a time, and rests between."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar, cast

from looplab.oversight.live.analytics.extract import Extract, Selection, extract
from looplab.oversight.live.analytics.summary import (
    OwnFigures,
    Summary,
    own_figures_of,
    summary_of,
)
from looplab.oversight.live.store import Store

Figures = TypeVar("Figures", Summary, OwnFigures)
#: Figures that are kept.
_MOST = 32


class Analyst:
    """Figures of any selection, read in a thread from one state of the database.

    What was read is good until the ledger goes on. One selection is read at a time, and as long as
    that took nothing else is read: however many ask, half of the time is left to answers.

    Args:
        store: the database.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: OrderedDict[tuple[Selection, str], tuple[int, float, object]] = OrderedDict()
        self._reading = asyncio.Lock()
        self._rests_until = 0.0

    async def summary(self, chosen: Selection) -> Summary:
        """All figures of a selection.

        Raises:
            Refused: if there is no such session.
        """
        return await self._figures(chosen, "", summary_of)

    async def own(self, chosen: Selection, person: str) -> OwnFigures:
        """What somebody did, as they may know it.

        Raises:
            Refused: if there is no such session.
        """
        return await self._figures(chosen, person, lambda read, _: own_figures_of(read, person))

    async def _figures(
        self, chosen: Selection, person: str, make: Callable[[Extract, int], Figures]
    ) -> Figures:
        key, came = (chosen, person), time.monotonic()
        async with self._reading:
            event, began, found = self._kept.get(key, (-1, 0.0, None))
            if event != self._store.head.number and began < came:
                await asyncio.sleep(max(self._rests_until - time.monotonic(), 0.0))
                began = time.monotonic()
                event, found = await asyncio.to_thread(self._read, chosen, make)
                self._rests_until = 2.0 * time.monotonic() - began
                self._kept[key] = (event, began, found)
                self._kept.move_to_end(key)
                while len(self._kept) > _MOST:
                    self._kept.popitem(last=False)
        return cast(Figures, found)

    def _read(
        self, chosen: Selection, make: Callable[[Extract, int], Figures]
    ) -> tuple[int, Figures]:
        event = self._store.head.number  # what comes meanwhile is read again next time
        with self._store.snapshot() as connection:
            read = extract(connection, chosen)
        return event, make(read, event)
