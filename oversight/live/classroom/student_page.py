"""The page of a student: join with a name and the code, then vote on what waits in the loop."""

from functools import partial
from typing import Any

from nicegui import app, ui

from looplab.envs.errors import UsageError
from looplab.oversight.live.classroom.ballot import CODE_LENGTH, LONGEST_NAME, Member
from looplab.oversight.live.classroom.lesson import IN_THE_LOOP, OVERSEEN, TITLES, Lesson
from looplab.oversight.live.classroom.page_parts import button, head, script, text
from looplab.oversight.live.classroom.seat import CLASS

PICTURE_SECONDS = 0.25
#: Under which name a browser's tab keeps who it is.
_SECRET = "member"


class StudentPage:
    """One student's view of the lesson.

    Args:
        lesson: what is voted on.
        code: as the link had it.
        address: where the student comes from.
    """

    def __init__(self, lesson: Lesson, code: str, address: str) -> None:
        self._lesson, self._address = lesson, address
        self._secret = ""
        self._drawn = -1
        head()
        with ui.element("div").classes("lesson").style("max-width: 32rem"):
            text("h1", "You are the human")
            self._joins = ui.element("div")
            with self._joins:
                self._form(code)
            self._votes = ui.element("div")
            with self._votes:
                self._ballot()
            self._votes.set_visibility(False)

    async def begin(self) -> None:
        """Takes up the seat of a tab that was reloaded; then follows the lesson."""
        await ui.context.client.connected()
        secret = app.storage.tab.get(_SECRET, "")
        if self._lesson.ballot.come_back(secret):
            self._enter(secret)
        ui.context.client.on_disconnect(lambda: self._lesson.ballot.leave(self._secret))
        ui.context.client.on_connect(lambda: self._lesson.ballot.come_back(self._secret))
        ui.timer(PICTURE_SECONDS, self._draw)

    def _form(self, code: str) -> None:
        text("p", "An agent asks before it does something risky. You and your class decide.")
        self._name = ui.input("Your name").props(f"outlined maxlength={LONGEST_NAME}")
        self._name.style("width: 100%; margin: .5rem 0")
        self._code = ui.input("Code of the class", value=code[:CODE_LENGTH])
        self._code.props(f"outlined maxlength={CODE_LENGTH} autocapitalize=characters")
        self._code.style("width: 100%; margin: .5rem 0").on("keydown.enter", self._join)
        button("Join", self._join, "main big").style("width: 100%")
        self._wrong = text("p", "").props("role=alert").style("min-height: 1.5em; font-weight: 600")

    def _join(self) -> None:
        try:
            secret = self._lesson.ballot.join(
                str(self._name.value or ""), str(self._code.value or ""), self._address
            )
        except UsageError as error:
            self._wrong.text = str(error)
            return
        app.storage.tab[_SECRET] = secret
        self._enter(secret)

    def _enter(self, secret: str) -> None:
        self._secret = secret
        self._joins.set_visibility(False)
        self._votes.set_visibility(True)
        task = self._lesson.task
        about = {"actions": task.actions, "violation": task.violation}
        ui.run_javascript(script("mount", "stage", about, {IN_THE_LOOP: TITLES[IN_THE_LOOP]}))
        self._drawn = -1

    def _ballot(self) -> None:
        self._says = text("p", "").props('role=status aria-live="polite"')
        self._says.style("min-height: 3em; font-weight: 600; font-size: 1.1rem")
        with ui.element("div").classes("bar"):
            self._buttons: dict[bool, Any] = {}
            for label, approves in (("Approve", True), ("Reject", False)):
                self._buttons[approves] = button(label, partial(self._vote, approves), "big")
        ui.html('<div id="stage"></div>', sanitize=False)

    def _vote(self, approves: bool) -> None:
        if self._open:
            self._lesson.ballot.vote(self._secret, approves)

    @property
    def _open(self) -> bool:
        """Whether there is anything to vote on."""
        lesson = self._lesson
        seat = lesson.seats[IN_THE_LOOP]
        return lesson.phase == OVERSEEN and seat.occupant == CLASS and seat.question is not None

    def _draw(self) -> None:
        lesson = self._lesson
        member = lesson.ballot.member(self._secret)
        if member is None:
            return
        self._says.text = self._state(member)
        for approves, pressed in self._buttons.items():
            pressed.set_enabled(self._open)
            chosen = self._open and member.vote is approves
            pressed.classes(add="chosen" if chosen else "", remove="" if chosen else "chosen")
            pressed.props(f"aria-pressed={str(chosen).lower()}")
        if lesson.version != self._drawn:
            self._drawn = lesson.version
            shown = lesson.shown()
            ui.run_javascript(script("show", {"lanes": shown["lanes"]}))

    def _state(self, member: Member) -> str:
        lesson = self._lesson
        seat = lesson.seats[IN_THE_LOOP]
        if lesson.phase != OVERSEEN:
            return f"{member.name}, the humans were sent home. Watch what the agent does alone."
        if seat.occupant != CLASS:
            return f"Welcome, {member.name}. The class does not vote at the moment."
        if seat.question is None:
            return f"{member.name}, wait for the next risky proposal."
        wish = lesson.task.actions[lesson.runs[IN_THE_LOOP].shown()["proposed"]]
        voted = {None: "May it?", True: "You approve.", False: "You reject."}[member.vote]
        return f"The agent proposes: {wish}. {voted} {seat.left:.0f} s left."
