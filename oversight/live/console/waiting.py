"""The list of what waits, most urgent first, each with its time."""

from collections.abc import Sequence

from looplab.oversight.live.console.elements import BLANK, Node, section
from looplab.oversight.live.review import Review

_PLACES = 6


class Waiting:
    """What waits; a press opens it.

    Args:
        acts: whether whoever looks may open one.
    """

    def __init__(self, acts: bool) -> None:
        self._rows: list[tuple[Node, Node, Node, Node]] = []
        with section("What waits", "waiting"):
            self._count = Node("p", "", "count", id="waiting", aria_live="polite")
            with Node("ol"):
                for _ in range(_PLACES):
                    with Node("li"), Node("button" if acts else "div", "", "row empty") as row:
                        if acts:
                            row.put(type="button", data_press="open")
                        where = Node("span", BLANK, "where")
                        who = Node("span", "", "who")
                        left = Node("span", "", "left")
                    self._rows.append((row, where, who, left))

    def show(self, reviews: Sequence[Review], opened: str, me: str, now: int) -> None:
        """Shows the most urgent; how many there are is said above."""
        more = len(reviews) - _PLACES
        tail = f", the {_PLACES} most urgent are listed" if more > 0 else ""
        self._count.put(f"{len(reviews)} waiting{tail}" if reviews else "Nothing waits.")
        for at, (row, where, who, left) in enumerate(self._rows):
            if at >= len(reviews):
                row.classes("empty").put(
                    data_value=None, aria_current=None, tabindex="-1", aria_hidden="true"
                )
                where.put(BLANK), who.put(""), left.put("", data_deadline=None)
                continue
            review = reviews[at]
            current = review.id == opened
            row.classes(remove="empty").put(
                data_value=review.id, aria_current="true" if current else None, tabindex="0",
                aria_hidden=None,
            )  # fmt: skip
            by = review.claimed_by
            where.put(f"{'▶ ' if current else ''}lane {review.lane} · {review.session}")
            who.put("" if not by else "you" if by == me else by)
            left.put(data_deadline=review.deadline_at or 0, data_now=now)
