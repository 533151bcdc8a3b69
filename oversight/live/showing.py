"""What a live person is shown of a lane: words, numbers and a picture."""

import io
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from looplab.envs.core import Lanes
from looplab.envs.drawing import Frame
from looplab.envs.overlay import Annotation, overlay
from looplab.oversight.explanation import explain, names_of
from looplab.oversight.proposals import Proposals
from looplab.oversight.record import Record
from looplab.oversight.types import VERDICTS

#: Steps of the episode that are shown, at most.
HISTORY = 20
#: Numbers of an observation that are shown, at most; larger ones are seen in the picture only.
_MOST_NUMBERS = 256
_MOST_PICTURES = 8


class Histories:
    """The latest steps of each lane's episode.

    Args:
        num_lanes: how many lanes there are.
    """

    def __init__(self, num_lanes: int) -> None:
        self.of: list[deque[dict[str, Any]]] = [deque(maxlen=HISTORY) for _ in range(num_lanes)]
        self.seconds = np.zeros(num_lanes)

    def forget(self, mask: Any) -> None:
        """An episode begins in the masked lanes."""
        for lane in np.flatnonzero(mask).tolist():
            self.of[lane].clear()
            self.seconds[lane] = 0.0

    def add(self, record: Record, names: Sequence[str]) -> None:
        """The lanes have lived through a step."""
        self.seconds += record.seconds
        for lane, history in enumerate(self.of):
            asked = bool(record.reviewed[lane])
            history.append(
                {
                    "step": int(record.step[lane]),
                    "proposed": named(names, record.proposed[lane]),
                    "executed": named(names, record.executed[lane]),
                    "verdict": VERDICTS[int(record.verdict[lane])] if asked else "",
                    "reward": float(record.reward[lane]),
                    "cost": float(record.cost[lane]),
                }
            )


def named(names: Sequence[str], action: Any) -> Any:
    """An action as people call it: by name, by number, or as numbers."""
    plain = np.asarray(action).tolist()
    return names[plain] if isinstance(plain, int) and plain < len(names) else plain


def values_of(
    proposals: Proposals, lane: int, histories: Histories, show_risk: bool, phase: str
) -> dict[str, Any]:
    """What is said of a lane, plain values.

    Args:
        proposals: what was proposed.
        lane: which lane.
        histories: what came before.
        show_risk: whether privileged risks are shown, and a trigger's reading of them.
        phase: which part of the run it is, in a word.
    """
    asked = explain(proposals, lane).as_dict()
    if not show_risk:
        for name in ("risks", "score", "threshold"):
            asked.pop(name)
    observation = np.asarray(proposals.observation[lane])
    small = observation.dtype.kind in "biuf" and observation.size <= _MOST_NUMBERS
    return {
        **asked,
        "phase": phase,
        "history": list(histories.of[lane]),
        "human_seconds": float(histories.seconds[lane]),
        "observation": observation.reshape(-1).tolist() if small else None,
        "watching": proposals.watching,
    }


def picture_of(
    proposals: Proposals, lanes: Sequence[int], histories: Histories, show_risk: bool
) -> bytes | None:
    """The lanes side by side, with what is proposed, as a PNG; None where a task draws nothing."""
    frames = [_frame(proposals, lane, histories, show_risk) for lane in lanes[:_MOST_PICTURES]]
    drawn = [frame for frame in frames if frame is not None]
    if not drawn:
        return None
    height = max(len(frame) for frame in drawn)
    padded = [
        np.pad(frame, ((0, height - len(frame)), (0, 0), (0, 0)), constant_values=255)
        for frame in drawn
    ]
    stream = io.BytesIO()
    Image.fromarray(np.hstack(padded)).save(stream, "PNG", optimize=False, compress_level=6)
    return stream.getvalue()


def _frame(proposals: Proposals, lane: int, histories: Histories, show_risk: bool) -> Frame | None:
    drawn = draw(proposals.lanes, lane)
    if drawn is None:
        return None
    names = names_of(proposals.lanes) or tuple(map(str, range(_count(proposals.lanes))))
    risk = float(proposals.truth[lane]) if show_risk and proposals.known else np.nan
    note = Annotation(
        proposed=proposals.action[lane],
        executed=proposals.action[lane],
        actions=names,
        risk=None if np.isnan(risk) else min(max(risk, 0.0), 1.0),
        badge="watched" if proposals.watching else "pending",
        human_seconds=float(histories.seconds[lane]),
        step=int(proposals.step[lane]),
    )
    return overlay(drawn, note)


def draw(lanes: Lanes, lane: int) -> Frame | None:
    """A lane in pixels; None where the task cannot draw it."""
    try:
        picture = lanes.render(lane, "rgb_array")
    except Exception:  # other people's environments fail to draw in ways of their own
        return None
    found = np.asarray(picture)
    return found if found.ndim == 3 and found.dtype == np.uint8 else None


def _count(lanes: Lanes) -> int:
    return int(getattr(lanes.action_space, "n", 0))
