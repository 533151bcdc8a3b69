"""State and random streams of oversight's parts, kept apart from the parts themselves.

Protocols, triggers and overseers are plain settings: the same object can oversee two environments,
because what it remembers of each lane lives here, in the engine that runs it.
"""

from typing import Any

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
        self._seed = seed
        # Owners are told apart by id; each is kept beside it, so that no other gets the same.
        self._states: dict[int, tuple[Any, Any]] = {}
        self._owners: dict[str, list[object]] = {}
        self._streams: dict[tuple[int, str], Streams] = {}
        #: Steps since the engine began, the same for all lanes: the clock that people live by.
        self.clock = 0

    def reseed(self, seed: int) -> None:
        """Lane i's parts draw from ``seed + i`` from now on."""
        self._seed = seed
        self._streams.clear()

    def know(self, owner: object) -> None:
        """Gives an owner its place among those of its kind, and with it its streams.

        Owners that are known beforehand draw the same numbers whoever of them is asked first.
        """
        self._place(owner, _kind(owner))

    def state(self, owner: Any) -> Any:
        """State of an owner, made by its ``start(num_lanes)`` when first asked for."""
        known = self._states.get(id(owner))
        if known is None:
            known = self._states[id(owner)] = (owner, owner.start(self.num_lanes))
        return known[1]

    def begin(self, mask: BoolArray) -> None:
        """Tells every owner with a ``begin`` which lanes begin an episode."""
        for owner, state in self._states.values():
            begin = getattr(owner, "begin", None)
            if begin is not None:
                begin(state, mask)

    def uniforms(
        self, owner: object, name: str, count: int, episode: IntArray, step: IntArray
    ) -> FloatArray:
        """Draws of each lane from the owner's stream, shape (n, count)."""
        streams = self._streams.get((id(owner), name))
        if streams is None:
            kind = _kind(owner)
            channel = f"overseer/{kind}/{self._place(owner, kind)}/{name}"
            streams = Streams(self.num_lanes, channel, self._seed)
            self._streams[id(owner), name] = streams
        return streams.uniforms(episode, step, count)

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
