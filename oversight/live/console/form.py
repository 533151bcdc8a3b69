"""A form that a person is asked to fill in: text, fields, perhaps a table and a picture."""

from collections.abc import Mapping
from typing import Any

from looplab.oversight.live.console.elements import Node, button, section
from looplab.oversight.live.console.visit import Press
from looplab.oversight.live.form import Field
from looplab.oversight.live.refusal import Refused
from looplab.oversight.live.review import Review

#: Steps of a slider, about; a number is chosen as finely as that.
_STEPS = 20
_MOST_LINES, _MOST_ROWS, _MOST_COLUMNS = 40, 60, 12


class FormCard:
    """Shows one form at a time; whoever may not answer sees it without the button.

    Args:
        acts: whether whoever looks may fill it in.
    """

    def __init__(self, acts: bool) -> None:
        self._acts = acts
        self._shown = ""
        with section("Form", "filling wide") as self._place:
            self._body = Node("div", "", "form-body", data_form="")
        self._place.put(hidden=True)

    def hide(self) -> None:
        """There is none to be filled in."""
        if self._shown:
            self._shown = ""
            self._body.clear()
        self._place.put(hidden=True)

    def show(self, review: Review, values: Mapping[str, Any], address: str) -> None:
        """Shows a form; what somebody is filling in is left alone.

        Args:
            review: the request.
            values: what is shown of it.
            address: of its picture; empty: there is none.
        """
        self._place.put(hidden=False)
        if review.id == self._shown:
            return
        self._shown = review.id
        self._body.clear()
        with self._body:
            Node("h3", _text(values.get("title")) or "A form")
            for line in _list(values.get("text"))[:_MOST_LINES]:
                Node("p", _text(line), "reading")
            if address:
                Node("img", src=address, alt="What the table says, drawn", classes="drawn")
            _table(_list(values.get("table")))
            if self._acts and _at_once(review, values):
                self._buttons(review, _list(values.get("keys")))
                return
            labels = values.get("labels")
            for field in () if review.form is None else review.form.fields:
                wording = labels.get(field.name) if isinstance(labels, dict) else None
                _field(field, wording if isinstance(wording, dict) else {})
            if self._acts:
                what = _text(values.get("button")) or "Send"
                button(what, "fill", "", "", "verdict approve", data_value=review.id)

    def _buttons(self, review: Review, keys: list[Any]) -> None:
        """Each option of the one field as a button, with its key."""
        assert review.form is not None
        with Node("div", "", "options"):
            for at, (option, key) in enumerate(
                zip(review.form.fields[0].options, keys, strict=True)
            ):
                button(
                    option, "fill", _text(key), _text(key), "verdict skip", data_value=review.id,
                    data_action=str(at), data_guarded="",
                )  # fmt: skip


def _at_once(review: Review, values: Mapping[str, Any]) -> bool:
    """Whether one key answers it: it has one field, whose options have a key each."""
    fields = () if review.form is None else review.form.fields
    keys = _list(values.get("keys"))
    return len(fields) == 1 and 0 < len(fields[0].options) == len(keys)


def filled(review: Review, press: Press) -> dict[str, Any]:
    """What was filled in, numbers as numbers; what was left out is not there.

    Raises:
        Refused: if something that should be a number is none.
    """
    found: dict[str, Any] = {}
    fields = () if review.form is None else review.form.fields
    if isinstance(press.action, int) and len(fields) == 1:
        options = fields[0].options
        return {fields[0].name: options[press.action]} if press.action < len(options) else {}
    for field in fields:
        given = press.form.get(field.name, "").strip()
        if not given:
            continue
        try:
            found[field.name] = given if field.options else float(given)
        except ValueError:
            raise Refused("invalid", f"{field.name} must be a number, got {given!r}") from None
    return found


def _field(field: Field, wording: Mapping[str, Any]) -> None:
    """One thing to fill in, with its question and what its ends mean."""
    with Node("div", "", "asked"):
        name = f"field-{field.name}"
        Node("label", _text(wording.get("label")) or field.name.replace("_", " "), for_=name)
        explained = _text(wording.get("help"))
        if explained:
            Node("p", explained, "label", id=f"{name}-help")
        described = f"{name}-help" if explained else None
        if field.options:
            with Node("select", name=field.name, id=name, aria_describedby=described):
                Node("option", "\u2013 choose \u2013", value="")
                for option in field.options:
                    Node("option", option, value=option)
            return
        low, high = field.low or 0.0, field.high or 0.0
        whole = float(low).is_integer() and float(high).is_integer()
        step = max(1.0, (high - low) / _STEPS) if whole else (high - low) / _STEPS
        with Node("div", "", "slider"):
            Node("span", _text(wording.get("left")) or f"{low:g}", "end")
            ends = {"min": f"{low:g}", "max": f"{high:g}", "step": f"{step:g}"}
            slider = Node("input", type="range", name=field.name, id=name, **ends)
            slider.put(aria_describedby=described)
            Node("span", _text(wording.get("right")) or f"{high:g}", "end")
            Node("output", "not answered yet", for_=name)


def _table(rows: list[Any]) -> None:
    plain = [_list(row)[:_MOST_COLUMNS] for row in rows[:_MOST_ROWS]]
    if not plain:
        return
    with Node("div", "", "scroll"), Node("table"):
        with Node("thead"), Node("tr"):
            for head in plain[0]:
                Node("th", _text(head), scope="col")
        with Node("tbody"):
            for row in plain[1:]:
                with Node("tr"):
                    for cell in row:
                        Node("td", _text(cell))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str:
    """What anybody may have sent, as text."""
    return value if isinstance(value, str) else "" if value is None else str(value)
