"""The buttons and fields with which people answer; the same words for mouse, touch and keys."""

from looplab.oversight.live.console.elements import Node, button, field
from looplab.oversight.live.console.words import TAGS
from looplab.oversight.live.review import Actions
from looplab.oversight.live.text import MAX_TEXT

#: Actions up to which each has a button and a digit.
_DIGITS = 10
_MOST_NUMBERS = 16


class Chooser:
    """Where another action is chosen: by button and digit, by name, or as numbers in their bounds.

    Args:
        press: what the page is told then.
    """

    def __init__(self, press: str) -> None:
        self._press = press
        self._actions: Actions | None = None
        self._box = Node(
            "div", "", "chooser", id="chooser", hidden=True, role="group",
            aria_label="Which action instead?",
        )  # fmt: skip

    def fit(self, actions: Actions) -> None:
        """Offers what can run in a task."""
        if actions == self._actions:
            return
        self._actions = actions
        self._box.clear()
        with self._box:
            Node("p", "Which action instead?", "label")
            if 0 < actions.n <= _DIGITS:
                for at in range(actions.n):
                    name = actions.names[at] if actions.names else f"action {at}"
                    button(name, self._press, str(at), str(at), "pick", data_action=str(at))
            elif actions.n:
                self._named(actions)
            else:
                self._numbers(actions)

    def _named(self, actions: Actions) -> None:
        hint = "by name or number" if actions.names else f"0 to {actions.n - 1}"
        field(f"Action, {hint}", "named", "text", list="actions", data_enter="instead")
        with Node("datalist", id="actions"):
            for name in actions.names:
                Node("option", value=name)
        button("Execute this", self._press, "", "Enter", "pick", id="instead", data_action="named")

    def _numbers(self, actions: Actions) -> None:
        for at, (low, high) in enumerate(zip(actions.low, actions.high, strict=True)):
            field(
                f"{at}: {low:g} to {high:g}", f"number{at}", "number", "", min=low, max=high,
                step="any", data_enter="instead",
            )  # fmt: skip
        button(
            "Execute this", self._press, "", "Enter", "pick", id="instead", data_action="numbers"
        )


def review_buttons() -> None:
    """The five verdicts."""
    button("Approve", "approve", "a", "a", "verdict approve", data_guarded="")
    button("Reject", "reject", "r", "r", "verdict reject", data_guarded="")
    button(
        "Modify", "choose", "m", "m", "verdict modify", data_local="choose", aria_expanded="false"
    )
    button("Escalate", "escalate", "e", "e", "verdict escalate", data_guarded="")
    button("Terminate", "terminate", "t", "t", "verdict terminate", data_guarded="")


def rating_buttons() -> None:
    """Good, bad, or nothing to say."""
    button("Good", "good", "g", "g", "verdict approve", data_guarded="")
    button("Bad", "bad", "b", "b", "verdict reject", data_guarded="")
    button("Skip", "skip", "s", "s", "verdict skip", data_guarded="")


def reasons() -> None:
    """Tags to tick, and a text; both go along with the verdict."""
    with Node("div", "", "reasons", role="group", aria_label="Reasons, if you like"):
        for at, tag in enumerate(TAGS, 1):
            button(
                tag, "tag", str(at), str(at), "tag", data_local="tag", data_tag=tag,
                aria_pressed="false",
            )  # fmt: skip
        with Node("label", "", "field note"):
            Node("span", "Remark (x)", "heard")
            Node(
                "input", type="text", id="note", maxlength=MAX_TEXT, autocomplete="off",
                placeholder="Remark, if you like (x)",
            )  # fmt: skip
