"""The terminal client: the same verdicts by the same keys, where there is no browser."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from rich.table import Table
from rich.text import Text
from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Footer, Input, Static

from looplab.envs.errors import LoopLabError
from looplab.oversight.live.client import ReviewerClient
from looplab.oversight.live.refusal import Refused
from looplab.oversight.live.review import FORM
from looplab.oversight.live.settings import MILLISECONDS

_LOOK_SECONDS, _TICK_SECONDS = 0.4, 0.25
_BAR = 20
_SOON_SECONDS = 10.0
#: How many of the episode's latest steps are shown.
_STEPS = 6


def _counted(waiting: Sequence[Mapping[str, Any]]) -> str:
    """How much waits, in words; forms are filled in elsewhere."""
    forms = sum(one["kind"] == FORM for one in waiting)
    line = f"{len(waiting) - forms} waiting" if len(waiting) > forms else "Nothing waits."
    return f"{line} (and a form, which the console shows)" if forms else line


class ReviewTerminal(App[None]):
    """Shows the most urgent question, and sends what is said of it.

    A question is kept for whoever looks at it. Whatever the service refuses (somebody else was
    first, it is too late) is told in a line, and the next question comes.

    Args:
        client: who looks.
    """

    CSS = "Static { padding: 0 1; } #question { height: 1fr; } Input { display: none; }"
    TITLE = "LoopLab"
    AUTO_FOCUS = None  # keys are verdicts, not text
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "say('approve')", "approve"),
        Binding("r", "say('reject')", "reject"),
        Binding("m", "write('modify')", "modify"),
        Binding("e", "say('escalate')", "escalate"),
        Binding("t", "say('terminate')", "terminate"),
        Binding("g", "rate(1.0)", "good"),
        Binding("b", "rate(-1.0)", "bad"),
        Binding("s", "rate", "skip"),
        Binding("u", "undo", "undo"),
        Binding("x", "write('remark')", "remark"),
        Binding("space", "veto", "VETO"),
        Binding("K", "stop", "kill switch"),
        Binding("q", "leave", "quit"),
    ]

    def __init__(self, client: ReviewerClient) -> None:
        super().__init__()
        self.client = client
        #: The question on the screen; None: none waits.
        self.question: dict[str, Any] | None = None
        #: The session whose next step is on the screen; empty: nothing is watched.
        self.watched = ""
        self._last = ""
        self._remark = ""
        self._writing = ""
        self._armed = 0.0
        self._ahead = 0.0

    def compose(self) -> ComposeResult:
        """A line of what waits, the question, a line to write in, what became of it, the keys."""
        yield Static(id="queue")
        yield Static(id="question")
        yield Input(id="line")
        yield Static(id="told")
        yield Footer()

    def on_mount(self) -> None:
        """Begins to look for questions."""
        self.set_interval(_LOOK_SECONDS, self.look)
        self.set_interval(_TICK_SECONDS, self._count_down)
        self.look()

    # The service, in threads

    @work(thread=True, exclusive=True, group="look")
    def look(self) -> None:
        """Asks what waits, and takes the most urgent if nothing is being looked at."""
        try:
            asked = self.client.connection.call("GET", "/api/requests")
            waiting = asked["requests"]
            ahead = asked["now"] / MILLISECONDS - time.time()
            names = [one["id"] for one in waiting]
            question = self.question
            if question is None or question["id"] not in names:
                question = self._first(waiting)
            frame = None if question is not None else self._frame()
        except LoopLabError as error:
            self.call_from_thread(self._tell, str(error))
            return
        self.call_from_thread(self._show, question, _counted(waiting), frame, ahead)

    def _first(self, waiting: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
        """The first question that is not kept for somebody else, kept for oneself."""
        for one in waiting:
            if one["kind"] == FORM:
                continue
            try:
                self.client.claim(one["id"])
                return self.client.request(one["id"])
            except Refused:
                continue
        return None

    def _frame(self) -> dict[str, Any] | None:
        """The step that runs next in the first session that is watched."""
        for session in self.client.connection.call("GET", "/api/sessions"):
            if session["state"] == "open" and session["clock"] is not None:
                path = f"/api/sessions/{session['id']}/frame"
                found: dict[str, Any] = self.client.connection.call("GET", path)
                return {**found, "session": session["id"]}
        return None

    @work(thread=True, group="send")
    def send(self, what: str, call: Callable[[], Any]) -> None:
        """Sends something, and tells what became of it."""
        try:
            result = call()
            told = what
            if isinstance(result, dict) and "unsafe" in result:  # somebody practises
                told += f". In truth it was {'unsafe' if result['unsafe'] else 'safe'}."
        except LoopLabError as error:
            told = str(error)
        self.call_from_thread(self._sent, told)

    # The screen

    def _show(
        self,
        question: dict[str, Any] | None,
        waiting: str,
        frame: dict[str, Any] | None,
        ahead: float,
    ) -> None:
        self.question, self._ahead = question, ahead
        self.watched = "" if frame is None else frame["session"]
        self.query_one("#queue", Static).update(Text(waiting, style="bold"))
        self._count_down()
        shown = question or frame
        if shown is None:
            self.query_one("#question", Static).update(Text(""))
        else:
            self.query_one("#question", Static).update(picture(shown))

    def _count_down(self) -> None:
        question = self.question
        if question is None or question["deadline_at"] is None:
            return
        left = question["deadline_at"] / MILLISECONDS - time.time() - self._ahead
        style = "bold reverse" if left < _SOON_SECONDS else "bold"
        text = f"{max(left, 0):.0f} s left   {question['id']}   tier {question['tier']}"
        self.query_one("#queue", Static).update(Text(text, style=style))

    def _tell(self, text: str) -> None:
        self.query_one("#told", Static).update(Text(text))

    def _sent(self, told: str) -> None:
        self._tell(told)
        self.look()

    # Keys

    def action_say(self, verdict: str, action: Any = None) -> None:
        """A verdict on the question that is on the screen."""
        question = self.question
        if question is None or question["kind"] != "review":
            self._tell("No question waits for a verdict.")
            return
        rest = {"text": self._remark} if self._remark else {}
        rest |= {} if action is None else {"action": action}
        self._answer(question, f"{verdict}: lane {question['lane']}", {"verdict": verdict, **rest})

    def action_rate(self, rating: float | None = None) -> None:
        """A rating of the action that is on the screen, or nothing said of it."""
        question = self.question
        if question is None or question["kind"] != "rating":
            self._tell("No action waits for a rating.")
            return
        word = "skipped" if rating is None else ("good" if rating > 0 else "bad")
        self._answer(question, f"{word}: lane {question['lane']}", {"rating": rating})

    def _answer(self, question: Mapping[str, Any], what: str, body: dict[str, Any]) -> None:
        name, self.question, self._remark = question["id"], None, ""
        self._last = name
        self.send(what, lambda: self.client.answer(name, **body))

    def action_undo(self) -> None:
        """Takes the last answer back, where nothing was executed yet."""
        name = self._last
        if name:
            self.send("taken back", lambda: self.client.undo(name))

    def action_veto(self) -> None:
        """Stops what runs next, in all lanes."""
        session = self.watched
        if session:
            self.send("vetoed", lambda: self.client.veto(session))
        else:
            self._tell("Nothing runs that could be stopped.")

    def action_stop(self) -> None:
        """The kill switch, when it is pressed twice."""
        session = self.watched or (self.question or {}).get("session", "")
        if not session:
            self._tell("No session runs.")
        elif time.monotonic() - self._armed > _SOON_SECONDS:
            self._armed = time.monotonic()
            self._tell(f"K once more stops {session} for good.")
        else:
            self._armed = 0.0
            self.send(f"{session} is stopped", lambda: self.client.stop(session))

    def action_write(self, what: str) -> None:
        """Opens the line: for another action, or for a remark that goes with the answer."""
        line = self.query_one(Input)
        self._writing = what
        hints = {"modify": "which action instead: its name, number, or numbers", "remark": "remark"}
        line.placeholder, line.value, line.styles.display = hints[what], "", "block"
        line.focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter: takes what was written."""
        event.input.styles.display = "none"
        self.set_focus(None)
        if self._writing == "remark":
            self._remark = event.value
            self._tell("The remark goes with your answer.")
        elif event.value.strip():
            self.action_say("modify", action_of(event.value))

    def action_leave(self) -> None:
        """Lets others have the question, and goes."""
        if self.question is not None:
            name = self.question["id"]
            self.send("left", lambda: self.client.unclaim(name))
        self.exit()


def action_of(text: str) -> Any:
    """An action as it was written: a name, a number, or several numbers."""
    words = text.replace(",", " ").split()
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        return text.strip()
    if len(numbers) == 1 and words[0].lstrip("-").isdigit():
        return int(words[0])
    return numbers


def picture(question: Mapping[str, Any]) -> Table:
    """What is shown of a question, or of a step that runs next, as text only."""
    shown = question["shown"]
    shown = shown["lanes"][0] if "lanes" in shown else shown
    table = Table.grid(padding=(0, 2))
    episode, step = shown.get("episode"), shown.get("step")
    table.add_row(Text("where"), Text(f"lane {shown.get('lane')}, episode {episode}, step {step}"))
    table.add_row(Text("proposed"), Text(str(shown.get("name")), style="bold reverse"))
    if shown.get("because"):
        table.add_row(Text("because"), Text(str(shown["because"])))
    if shown.get("probability") is not None:
        table.add_row(Text(str(shown.get("name"))), _bar(shown["probability"]))
    for other in shown.get("alternatives") or ():
        table.add_row(Text(str(other["name"])), _bar(other["probability"]))
    for source, risk in (shown.get("risks") or {}).items():
        table.add_row(Text(f"{source} risk"), _bar(risk))
    for past in list(shown.get("history") or ())[-_STEPS:]:
        told = f"{past['proposed']} -> {past['executed']} {past['verdict']} {past['reward']:+.2f}"
        harm = f"  cost {past['cost']:g}" if past["cost"] else ""
        table.add_row(Text(f"step {past['step']}"), Text(told + harm))
    return table


def _bar(share: float) -> Text:
    filled = round(min(max(share, 0.0), 1.0) * _BAR)
    return Text("█" * filled + "░" * (_BAR - filled) + f" {share:.0%}")
