"""Live people who compare: which of two segments of behaviour is better?"""

import io
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from looplab.envs.core import FloatArray
from looplab.envs.drawing import Frame
from looplab.envs.errors import UsageError, whole
from looplab.oversight.explanation import names_of
from looplab.oversight.humans.segments import Segments
from looplab.oversight.humans.teachers import EQUAL, FIRST, SECOND, SKIPPED
from looplab.oversight.live.overseer import LiveOverseer
from looplab.oversight.live.showing import draw, named
from looplab.oversight.proposals import Proposals

#: What a person may say, and what it means as a label.
LABELS = {"first": FIRST, "second": SECOND, "equal": EQUAL, "skip": SKIPPED}
KEYS = ("1", "2", "=", "s")
_HEIGHT, _MOST_FRAMES, _GAP, _HEADING, _FONT = 120, 6, 6, 26, 20


@dataclass
class Film:
    """What the lanes looked like lately.

    Attributes:
        frames: pictures by lane, episode and step; the oldest first.
    """

    frames: dict[tuple[int, int, int], Frame] = field(default_factory=dict)


class LivePairs:
    """Shows people two segments of one lane, in pictures and actions, and asks which is better.

    They are not told rewards: what they prefer is theirs. Lanes are asked one after the other. A
    pair that they skip, or that nobody could be asked about because the session was stopped, has no
    label. What they say is in the run's journal and in the service's ledger, as every form is.

    Args:
        overseer: by whom people are asked.
        recent_steps: pictures that are kept of each lane; at least as many as ``Comparisons``
            draws segments from.

    Raises:
        UsageError: if it is no live overseer.
    """

    def __init__(self, overseer: LiveOverseer, recent_steps: int = 500) -> None:
        if not isinstance(overseer, LiveOverseer):
            raise UsageError("people compare segments through the review service: overseer=live")
        self.overseer = overseer
        self.recent_steps = whole("recent_steps", recent_steps, 1)
        self.name = overseer.name

    @property
    def parts(self) -> tuple[object, ...]:
        """By whom people are asked."""
        return (self.overseer,)

    def start(self, num_lanes: int) -> Film:
        """Nothing was seen yet."""
        return Film()

    def look(self, proposals: Proposals) -> None:
        """Keeps a small picture of every lane's state, where the task draws one."""
        film: Film = proposals.memory(self)
        for lane in range(len(proposals)):
            drawn = draw(proposals.lanes, lane)
            if drawn is not None:
                key = (lane, int(proposals.episode[lane]), int(proposals.step[lane]))
                film.frames[key] = _small(drawn)
        while len(film.frames) > self.recent_steps * len(proposals):
            del film.frames[next(iter(film.frames))]

    def __call__(
        self, first: Segments, second: Segments, proposals: Proposals
    ) -> tuple[FloatArray, FloatArray]:
        """Labels of m pairs, and the seconds that people took for each, shape (m,) both."""
        label, seconds = np.full(len(first), SKIPPED), np.zeros(len(first))
        film: Film = proposals.memory(self)
        names = names_of(proposals.lanes)
        for at, lane in enumerate(first.lane.tolist()):
            pair = (first, second)
            heads = ["", *(f"step {k + 1}" for k in range(first.action.shape[1]))]
            rows = [
                [title, *(str(named(names, action)) for action in segments.action[at])]
                for title, segments in zip(("first", "second"), pair, strict=True)
            ]
            shown = {
                "title": "Which of the two is better?",
                "text": [f"Two stretches of what lane {lane} lately did, from left to right."],
                "table": [heads, *rows], "keys": list(KEYS),
            }  # fmt: skip
            which = ".".join(f"{int(s.episode[at])}.{int(s.step[at])}" for s in pair)
            answer = self.overseer.fill_in(
                proposals.lanes, f"pair.{proposals.clock}.{lane}.{which}",
                shown, [{"name": "better", "options": list(LABELS)}],
                _picture([_frames(film, segments, at) for segments in pair]),
            )  # fmt: skip
            if answer is not None:
                label[at] = LABELS[answer["values"]["better"]]
                seconds[at] = float(answer["seconds"])
        return label, seconds


def _small(drawn: Frame) -> Frame:
    height, width = drawn.shape[:2]
    size = (max(1, round(width * _HEIGHT / height)), _HEIGHT)
    return np.asarray(Image.fromarray(drawn).resize(size, Image.Resampling.BILINEAR))


def _frames(film: Film, segments: Segments, at: int) -> list[Frame]:
    """Pictures of a segment, evenly chosen if they are many; those that are kept."""
    steps = segments.action.shape[1]
    chosen = np.unique(np.linspace(0, steps - 1, min(steps, _MOST_FRAMES)).round().astype(int))
    lane, episode, step = (int(v[at]) for v in (segments.lane, segments.episode, segments.step))
    keys = [(lane, episode, step + int(k)) for k in chosen]
    return [film.frames[key] for key in keys if key in film.frames]


def _picture(rows: list[list[Frame]]) -> bytes | None:
    """Both segments, one above the other; None where the task draws nothing."""
    if not all(rows):
        return None
    width = max(sum(frame.shape[1] + _GAP for frame in row) for row in rows)
    sheet = Image.new("RGB", (width, len(rows) * (_HEIGHT + _HEADING + _GAP)), "white")
    pen: Any = ImageDraw.Draw(sheet)
    for number, (row, title) in enumerate(zip(rows, ("first", "second"), strict=True)):
        top, left = number * (_HEIGHT + _HEADING + _GAP), 0
        pen.text((2, top), title, fill="black", font=ImageFont.load_default(_FONT))
        for frame in row:
            sheet.paste(Image.fromarray(frame), (left, top + _HEADING))
            left += frame.shape[1] + _GAP
    stream = io.BytesIO()
    sheet.save(stream, "PNG")
    return stream.getvalue()
