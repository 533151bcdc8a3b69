"""Charts over time: drawn here, as paths that change in place, with axes that are plain text.

The plot alone is stretched to the room that it has; words keep the size that the reader has set.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from looplab.oversight.live.console.elements import BLANK, Node

_SIDE = 100.0
#: Tops of axes, times a power of ten: their halves are round, too.
_TOPS = (1.0, 2.0, 4.0, 6.0, 8.0, 10.0)
#: Share of its stretch of time that a bar leaves free.
_GAP = 0.12
_DAY_SECONDS, _MINUTE_SECONDS = 86_400.0, 60.0
#: Textures of areas, so that no colour says anything alone: lines along and across, and both.
_ALONG, _ACROSS = ("reject", "terminate", "overdue"), ("modify", "terminate", "overdue")
_ALONG_STEP, _ACROSS_STEP, _LINE = 7.0, 1.4, 0.22

Values = Sequence[float | None]


class Chart:
    """One chart: a heading, what its marks mean, the plot, and its two axes.

    Args:
        title: what is shown, with its unit.
        names: of the marks, and how each is called.
        table: what holds the same numbers, in words.
    """

    def __init__(self, title: str, names: dict[str, str], table: str) -> None:
        self._paths: dict[str, Node] = {}
        with Node("figure", "", "chart"):
            self._title = Node("figcaption", title)
            with Node("ul", "", "legend"):
                for mark, name in names.items():
                    with Node("li"):
                        Node("span", "", f"swatch {mark}", aria_hidden="true")
                        Node("span", name)
            with Node("div", "", "axes"):
                with Node("div", "", "y", aria_hidden="true"):
                    self._y = [Node("span", BLANK) for _ in range(3)]
                with Node(
                    "svg", "", "plot", viewBox=f"0 0 {_SIDE:g} {_SIDE:g}", role="img",
                    preserveAspectRatio="none", aria_label=f"{title}. The numbers: {table}.",
                ):  # fmt: skip
                    self._grid()
                    for mark in names:
                        self._texture(mark)
                        self._paths[mark] = Node("path", "", f"mark {mark}", d="")
                with Node("div", "", "x", aria_hidden="true"):
                    self._x = [Node("span", BLANK) for _ in range(3)]
                Node("p", "time (UTC)", "of-x", aria_hidden="true")

    def _grid(self) -> None:
        for y in (0.0, _SIDE / 2.0, _SIDE):
            Node("path", "", "grid", d=f"M0 {y:g}H{_SIDE:g}")

    def _texture(self, mark: str) -> None:
        """Lines over the colour of an area; ``console.css`` fills it with them."""
        along, across = mark in _ALONG, mark in _ACROSS
        if not along and not across:
            return
        wide, high = _ACROSS_STEP if across else _SIDE, _ALONG_STEP if along else _SIDE
        with Node("defs"), Node(
            "pattern", id=f"texture-{mark}", patternUnits="userSpaceOnUse", width=wide, height=high
        ):  # fmt: skip
            Node("rect", "", f"ground {mark}", width=wide, height=high)
            if along:
                Node("rect", "", "line", width=wide, height=high * _LINE)
            if across:
                Node("rect", "", "line", width=wide * _LINE, height=high)

    def title(self, text: str) -> None:
        """Changes the heading."""
        self._title.put(text)

    def times(self, starts: Sequence[int], seconds: float) -> None:
        """Names the ends and the middle of the time axis.

        Args:
            starts: of the points, in milliseconds since 1970.
            seconds: that each spans.
        """
        if not starts:
            for label in self._x:
                label.put(BLANK)
            return
        first, last = starts[0] / 1000.0, starts[-1] / 1000.0 + seconds
        for label, at in zip(self._x, (first, (first + last) / 2.0, last), strict=True):
            label.put(_clock(at, last - first))

    def bars(self, layers: dict[str, Sequence[float]]) -> None:
        """Draws bars one upon the other, the first lowest."""
        count = len(next(iter(layers.values())))
        total = [sum(layer[at] for layer in layers.values()) for at in range(count)]
        top = self._scale(max(total, default=0.0), at_least=2.0)
        base = [0.0] * count
        for mark, layer in layers.items():
            boxes = [
                _box(at, count, base[at] / top, value / top)
                for at, value in enumerate(layer) if value
            ]  # fmt: skip
            base = [low + value for low, value in zip(base, layer, strict=True)]
            self._paths[mark].put(d="".join(boxes))

    def lines(self, courses: dict[str, Values], top: float | None = None, unit: str = "") -> None:
        """Draws courses, level within each point; where a value is None, there is a gap.

        Args:
            courses: by mark.
            top: of the axis; None: what the values need.
            unit: behind the numbers of the axis.
        """
        known = [value for course in courses.values() for value in course if value is not None]
        top = self._scale(max(known, default=0.0) if top is None else top, unit=unit)
        for mark, course in courses.items():
            self._paths[mark].put(d="".join(_steps(course, top)))

    def _scale(self, most: float, at_least: float = 0.0, unit: str = "") -> float:
        """Writes the axis; returns its top."""
        top = nice(max(most, at_least))
        for label, value in zip(self._y, (top, top / 2.0, 0.0), strict=True):
            label.put(f"{value:.4g}{unit}")
        return top


def nice(most: float) -> float:
    """The least round number that nothing exceeds, above 0."""
    if most <= 0.0:
        return 1.0
    power = 10.0 ** (len(f"{int(most)}") - 1) if most >= 1.0 else 1.0
    while most < power:
        power /= 10.0
    return next(top * power for top in _TOPS if top * power >= most * (1.0 - 1e-9))


def _box(at: int, count: int, base: float, share: float) -> str:
    wide = _SIDE / count
    x, y = (at + _GAP / 2.0) * wide, _SIDE * (1.0 - base)
    across, high = (1.0 - _GAP) * wide, _SIDE * share
    return f"M{x:.2f} {y:.2f}h{across:.2f}v{-high:.2f}h{-across:.2f}z"


def _steps(course: Values, top: float) -> Iterable[str]:
    wide, there = _SIDE / max(len(course), 1), False
    for at, value in enumerate(course):
        if value is not None:
            y = _SIDE * (1.0 - min(value / top, 1.0))
            yield f"{'L' if there else 'M'}{at * wide:.2f} {y:.2f}H{(at + 1) * wide:.2f}"
        there = value is not None


def _clock(at: float, span: float) -> str:
    """A time as an axis has room for it."""
    when = datetime.fromtimestamp(at, UTC)
    if span >= 2.0 * _DAY_SECONDS:
        return when.strftime("%Y-%m-%d")
    return when.strftime("%H:%M" if span >= 10.0 * _MINUTE_SECONDS else "%H:%M:%S")
