"""Plain elements of HTML: text is always text, attributes are set by name, and both can change.

Nothing here is parsed: neither names nor texts of others can become markup.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

from nicegui.element import Element

#: Keeps the height of a line where there is nothing to say.
BLANK = "\u00a0"


class Node(Element):
    """An element of HTML.

    Args:
        tag: as in HTML.
        text: its own text.
        classes: of the style sheet.
        **attributes: of HTML; ``data_key`` stands for ``data-key``, and ``for_`` for ``for``.
    """

    def __init__(self, tag: str, text: str = "", classes: str = "", **attributes: Any) -> None:
        super().__init__(tag)
        if classes:
            self.classes(classes)
        self.put(text, **attributes)

    def put(self, text: str | None = None, **attributes: Any) -> Self:
        """Changes what is given; an attribute that is None or False goes away."""
        changed = text is not None and text != (self._text or "")
        if changed:
            self._text = text
        for name, value in attributes.items():
            key = name.rstrip("_").replace("_", "-")
            there = key in self.props
            # As a plain dict: told once below, not at every key; pages are many.
            if value is None or value is False:
                changed = changed or there
                dict.pop(self.props, key, None)
            elif not there or self.props[key] != value:
                changed = True
                dict.__setitem__(self.props, key, value)
        if changed:
            self.update()
        return self


def button(
    text: str, press: str, keys: str = "", shown: str = "", classes: str = "", **attributes: Any
) -> Node:
    """A button that says ``press`` to the page, by mouse, by touch or by a key.

    Args:
        text: what it says.
        press: what the page is told.
        keys: names of the keys that press it, parted by blanks.
        shown: the key as people read it; empty: it has none.
        classes: of the style sheet.
        **attributes: of HTML.
    """
    made = Node("button", "", classes, type="button", data_press=press, **attributes)
    made.put(data_keys=keys or None)
    with made:
        Node("span", text, "what")
        if shown:
            Node("kbd", shown, aria_hidden="true")
    if shown:
        made.put(aria_keyshortcuts=keys.split(" ")[0])
    return made


@contextmanager
def section(title: str, classes: str = "", level: str = "h2") -> Iterator[Node]:
    """A part of a page under a heading."""
    with Node("section", "", f"card {classes}".strip(), aria_label=title) as made:
        Node(level, title)
        yield made


class Rows:
    """A table of so many rows, filled anew without moving what stands below.

    Args:
        heads: of the columns.
        count: of rows that are there, filled or not.
        caption: what it is, for those who hear it.
    """

    def __init__(self, heads: Sequence[str], count: int, caption: str) -> None:
        self._rows: list[tuple[Node, list[Node]]] = []
        with Node("div", "", "scroll"), Node("table"):
            Node("caption", caption, "heard")
            with Node("thead"), Node("tr"):
                for head in heads:
                    Node("th", head, scope="col")
            with Node("tbody"):
                for _ in range(count):
                    with Node("tr", "", "empty") as row:
                        self._rows.append((row, [Node("td", BLANK) for _ in heads]))

    def fill(self, rows: Sequence[Sequence[str]]) -> None:
        """Shows as many rows as there is room for; the others are blank."""
        for at, (row, cells) in enumerate(self._rows):
            there = at < len(rows)
            row.classes(remove="empty") if there else row.classes("empty")
            for column, cell in enumerate(cells):
                cell.put(rows[at][column] if there else BLANK)


def field(label: str, name: str, kind: str = "text", value: str = "", **attributes: Any) -> Node:
    """A labelled input, whose value goes along with every press of its form."""
    with Node("label", "", "field"):
        Node("span", label)
        # As an attribute (^): as a property it would be written over what somebody is typing.
        attributes["^value"] = value or None
        return Node("input", type=kind, name=name, autocomplete="off", **attributes)


def choice_of(label: str, name: str, options: Sequence[tuple[str, str]], chosen: str) -> Node:
    """A labelled choice among values, each with what it is called."""
    with Node("label", "", "field"):
        Node("span", label)
        with Node("select", name=name) as made:
            for value, text in options:
                Node("option", text, value=value, selected=value == chosen)
    return made
