"""What is shown of one lane: its picture, what is proposed and why, and what came before."""

from looplab.oversight.live.console.elements import Node, Rows, section
from looplab.oversight.live.console.words import BARS, STEPS, Bar, Reading, share

_HEADS = ("step", "proposed", "executed", "verdict", "reward", "cost")
_MOST_RISKS = 3


class Meters:
    """Rows of a name, a bar and a number, as many as there is room for.

    Args:
        count: of rows.
        classes: of the style sheet.
    """

    def __init__(self, count: int, classes: str) -> None:
        self._rows: list[tuple[Node, Node, Node, Node]] = []
        with Node("ul", "", f"meters {classes}"):
            for _ in range(count):
                with Node("li", "", "empty") as row:
                    name = Node("span", "", "name")
                    with Node("span", "", "track", aria_hidden="true"):
                        bar = Node("span", "", "bar")
                    self._rows.append((row, name, bar, Node("span", "", "number")))

    def fill(self, values: list[tuple[str, float | None, bool]]) -> None:
        """Shows names, shares in [0, 1], and which of them stand out."""
        for at, (row, name, bar, number) in enumerate(self._rows):
            there = at < len(values)
            text, value, marked = values[at] if there else ("", None, False)
            row.classes(remove="empty") if there else row.classes("empty")
            row.put(data_marked="yes" if marked else None)
            name.put(f"▶ {text}" if marked else text)
            bar.put(style=f"width:{100 * min(max(value or 0.0, 0.0), 1.0):.1f}%")
            number.put(share(value) if there else "")


class Picture:
    """A picture of the environment, in a frame that keeps its size."""

    def __init__(self) -> None:
        with Node("figure", "", "picture"):
            self._image = Node("img", "", "", id="picture", alt="", hidden=True)
            self._without = Node("figcaption", "There is no picture.", "without")

    def show(self, address: str, alt: str) -> None:
        """Shows what lies at an address; none where it is empty."""
        self._image.put(src=address or None, alt=alt, hidden=not address)
        self._without.put(hidden=bool(address))


class Sheet:
    """All that is shown of one lane."""

    def __init__(self) -> None:
        self._place = Node("p", "", "place")
        with Node("div", "", "proposal"):
            Node("span", "Proposed", "label")
            self._proposal = Node("strong", "", "action", id="proposal")
            self._confidence = Node("span", "", "sure")
        self._bars = Meters(BARS, "chances")
        with Node("div", "", "risks") as self._risky:
            Node("span", "Risk", "label")
            self._risks = Meters(_MOST_RISKS, "danger")
        self._why = Node("p", "", "why", id="why")
        self._score = Node("p", "", "score")
        self._past = Node("p", "", "past")

    def show(self, read: Reading) -> None:
        """Shows a lane."""
        self._place.put(read.place)
        self._proposal.put(read.proposal)
        self._confidence.put(read.confidence)
        self._bars.fill([_meter(bar) for bar in read.bars])
        if read.place:  # between two questions the room is kept
            self._risky.put(hidden=not read.risks)
        self._risks.fill([(name, risk, False) for name, risk in read.risks[:_MOST_RISKS]])
        self._why.put(read.why)
        self._score.put(read.score)
        self._past.put(read.past, hidden=not read.past)

    def idle(self, why: str) -> None:
        """Says why there is nothing to show; the style sheet hides the rest."""
        self._why.put(why)


class History:
    """The latest steps of an episode."""

    def __init__(self) -> None:
        with section("This episode so far", "history"):
            self._rows = Rows(_HEADS, STEPS, "The latest steps of the episode, latest first")

    def show(self, read: Reading) -> None:
        """Shows the steps, latest first."""
        self._rows.fill(read.history)


def _meter(bar: Bar) -> tuple[str, float | None, bool]:
    return bar.name, bar.share, bar.proposed
