"""State and random streams of oversight's parts, kept apart from the parts themselves.

Protocols, triggers and overseers are plain settings: the same object can oversee two environments,
because what it remembers of each lane lives here, in the engine that runs it.
"""

from typing import Any

import numpy as np

from looplab.envs.core import BoolArray, FloatArray, IntArray
from looplab.envs.streams import Streams


class Memory:
    """What the parts of one engine remember, and what they draw from.

    Args:
        num_lanes: number of lanes n.
        seed: lane i's parts draw from seed + i.
    """

    def __init__(self, num_lanes: int, seed: int) -> None:
        self.num_lanes = num_lanes
        #: All lanes marked, shape (n,); not to be written to.
        self.everyone = np.ones(num_lanes, np.bool_)
        self.everyone.flags.writeable = False
        self._seed = seed
        self._states: list[tuple[Any, Any]] = []
        self._owners: dict[str, list[object]] = {}
        self._streams: dict[str, Streams] = {}
        # The same by the owner's id, to be found at once; copies have others, and find anew.
        self._state_of: dict[int, Any] = {}
        self._streams_of: dict[tuple[int, str], Streams] = {}
        #: Steps since the engine began, the same for all lanes: the clock that people live by.
        self.clock = 0

    def reseed(self, seed: int) -> None:
        """Lane i's parts draw from ``seed + i`` from now on."""
        self._seed = seed
        self._streams.clear()
        self._streams_of.clear()

    def __getstate__(self) -> dict[str, Any]:
        """What a copy takes along: not the ids of the owners whom it copies."""
        return self.__dict__ | {"_state_of": {}, "_streams_of": {}}

    def know(self, owner: object) -> None:
        """Gives an owner its place among those of its kind, and with it its streams.

        Owners that are known beforehand draw the same numbers whoever of them is asked first.
        """
        self._place(owner, _kind(owner))

    def state(self, owner: Any) -> Any:
        """State of an owner, made by its ``start(num_lanes)`` when first asked for."""
        found = self._state_of.get(id(owner))
        if found is None:
            found = self._state_of[id(owner)] = self._kept_state(owner)
        return found

    def _kept_state(self, owner: Any) -> Any:
        for known, state in self._states:
            if known is owner:
                return state
        state = owner.start(self.num_lanes)
        self._states.append((owner, state))
        return state

    def begin(self, mask: BoolArray) -> None:
        """Tells every owner with a ``begin`` which lanes begin an episode."""
        for owner, state in self._states:
            begin = getattr(owner, "begin", None)
            if begin is not None:
                begin(state, mask)

    def uniforms(
        self, owner: object, name: str, count: int, episode: IntArray, step: IntArray
    ) -> FloatArray:
        """Draws of each lane from the owner's stream, shape (n, count)."""
        streams = self._streams_of.get((id(owner), name))
        if streams is None:
            streams = self._streams_of[id(owner), name] = self._kept_streams(owner, name)
        return streams.uniforms(episode, step, count)

    def _kept_streams(self, owner: object, name: str) -> Streams:
        kind = _kind(owner)
        channel = f"overseer/{kind}/{self._place(owner, kind)}/{name}"
        streams = self._streams.get(channel)
        if streams is None:
            streams = self._streams[channel] = Streams(self.num_lanes, channel, self._seed)
        return streams

    def _place(self, owner: object, kind: str) -> int:
        owners = self._owners.setdefault(kind, [])
        for place, known in enumerate(owners):
            if known is owner:
                return place
        owners.append(owner)
        return len(owners) - 1


def _kind(owner: object) -> str:
    name: str = getattr(owner, "__name__", type(owner).__name__)
    return name
