"""The page of a lesson: a thin client of ``Lesson`` that draws it and passes on what is pressed."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from nicegui import ui

from looplab.envs.errors import UsageError
from looplab.oversight.live.classroom.lesson import (
    ALONE,
    IN_THE_LOOP,
    ON_THE_LOOP,
    SPEEDS,
    TITLES,
    Lesson,
)
from looplab.oversight.live.classroom.page_parts import Range, button, guarded, head, script, text
from looplab.oversight.live.classroom.seat import CLASS, SIMULATED, VISITOR
from looplab.oversight.live.classroom.settings import SLIDERS
from looplab.oversight.types import brief

#: Seconds between two pictures, and pictures between two drawings of the charts.
PICTURE_SECONDS, CHART_EVERY = 0.1, 5
#: Largest seed that the page takes.
MOST_SEED = 2**31 - 1


_OCCUPANTS = {SIMULATED: "Simulated human", VISITOR: "You", CLASS: "The class"}


@dataclass(frozen=True)
class Joining:
    """How students join.

    Attributes:
        link: what they open.
        open: whether the server can be reached from other machines.
    """

    link: str
    open: bool


class TeacherPage:
    """One browser's view of the lesson.

    Args:
        lesson: what is shown.
        joining: how students join.
    """

    def __init__(self, lesson: Lesson, joining: Joining) -> None:
        self._lesson, self._joining = lesson, joining
        self._drawn = -1
        self._pictures = 0
        self._occupants: dict[str, Any] = {}
        head()
        with ui.element("div").classes("lesson"):
            self._top()
            with ui.element("div").classes("board"):
                _place("stage").classes("flat")
                self._sliders()
                self._gate_seat()
                self._veto_seat()
            _place("stage-charts")
            self._class()
        about = {"actions": lesson.task.actions, "violation": lesson.task.violation}
        ui.run_javascript(
            f"{script('mount', 'stage', about, TITLES)}; LoopLabStage.keys(emitEvent)"
        )
        ui.on("looplab", lambda event: self._key(event.args))
        ui.timer(PICTURE_SECONDS, self._draw)

    def _top(self) -> None:
        lesson = self._lesson
        with ui.element("div").classes("bar"):
            text("h1", "In the loop, on the loop, or alone?")
            dark = ui.dark_mode(None)

            def turn() -> None:
                dark.set_value(not dark.value)
                theme = "dark" if dark.value else "light"
                ui.run_javascript(f"document.documentElement.dataset.theme = '{theme}'")

            button("Dark / light", turn).style("margin-left: auto")
        text("p", f"{lesson.task.story} A violation is {lesson.task.violation}.")
        with ui.element("div").classes("bar"):
            self._play = button("Play", self._toggle_play, "main")
            button("Step", lesson.step)
            speeds = {speed: f"{speed} steps/s" for speed in SPEEDS}
            self._speed = ui.select(
                speeds, value=lesson.speed, label="Speed",
                on_change=lambda event: lesson.set_speed(event.value),
            ).props("dense outlined options-dense").style("min-width: 8rem")  # fmt: skip
            self._seed = ui.number("Seed", value=lesson.seed, min=0, max=MOST_SEED, precision=0)
            self._seed.props("dense outlined").style("width: 7rem")
            button("Restart", guarded(self._restart))
            self._home = ui.switch("Send the humans home", on_change=self._send_home)
            self._alone = text("span", "Nobody oversees, nobody learns").classes("home")
        with ui.element("div").classes("bar"):
            self._clock = text("strong", "Clock 0:00").style("min-width: 7rem")
            self._news = text("span", "").classes("news").props('role=status aria-live="polite"')

    def _sliders(self) -> None:
        lesson = self._lesson
        self._values: dict[str, Any] = {}
        self._moved: dict[str, Range] = {}
        with ui.element("section").classes("panel sliders").props('aria-label="Settings"'):
            text("h2", "The simulated human")
            for name, slider in SLIDERS.items():
                value = getattr(lesson.settings, name)
                with ui.element("div").classes("bar").style("margin: .5rem 0 0"):
                    text("h3", slider.label)
                    self._values[name] = text("strong", slider.text(value)).style(
                        "margin-left: auto"
                    )
                act = guarded(partial(lesson.set, name))
                self._moved[name] = Range(slider.label, slider, value, act)
                text("p", slider.explains).classes("soft")

    def _gate_seat(self) -> None:
        lesson = self._lesson
        with self._seat(IN_THE_LOOP, "Who sits in the loop?"):
            self._occupant(IN_THE_LOOP, _OCCUPANTS)
            with ui.element("div").classes("bar"):
                self._answers = [
                    button(label, partial(lesson.answer, ok))
                    for label, ok in (("Approve (A)", True), ("Reject (R)", False))
                ]
            self._asked = text("p", "").style("min-height: 1.5em")
            _place(f"score-{IN_THE_LOOP}")

    def _veto_seat(self) -> None:
        with self._seat(ON_THE_LOOP, "Who sits on the loop?"):
            alone = {name: _OCCUPANTS[name] for name in (SIMULATED, VISITOR)}
            self._occupant(ON_THE_LOOP, alone)
            with ui.element("div").classes("bar"):
                self._veto = button("VETO (space)", self._lesson.veto, "veto")
            self._vetoed = text("p", "").style("min-height: 1.5em")
            _place(f"score-{ON_THE_LOOP}")

    @staticmethod
    def _seat(lane: str, title: str) -> Any:
        panel = ui.element("section").classes(f"panel seat-{lane}").props(f'aria-label="{title}"')
        with panel:
            text("h2", title)
        return panel

    def _occupant(self, lane: str, options: dict[str, str]) -> None:
        lesson = self._lesson
        chosen = ui.radio(
            options, value=lesson.seats[lane].occupant,
            on_change=lambda event: guarded(self._sit)(lane, event.value),
        ).props(f'inline dense aria-label="Who sits {TITLES[lane].lower()}"')  # fmt: skip
        self._occupants[lane] = chosen

    def _class(self) -> None:
        joining, ballot = self._joining, self._lesson.ballot
        panel = ui.element("section").classes("panel").style("margin-top: .75rem")
        with panel.props('aria-label="The class"'):
            text("h2", "The class votes")
            text("p", "Students open the link, type the code, and vote on every proposal that "
                  "waits in the loop. The majority decides; a tie refuses.")  # fmt: skip
            text("p", joining.link).style("font-weight: 600; overflow-wrap: anywhere")
            with ui.element("p"):
                text("span", "Code ")
                text("strong", ballot.code).style("font-size: 1.6rem; letter-spacing: .15em")
            if not joining.open:
                text("p", "Only this machine can open it. For phones: looplab demo host=0.0.0.0")
            self._votes = text("p", "").style("font-weight: 600; min-height: 1.5em")
            self._names = text("p", "").classes("soft").style("overflow-wrap: anywhere")

    # What people press.

    def _toggle_play(self) -> None:
        lesson = self._lesson
        if lesson.playing:
            lesson.pause()
        else:
            lesson.play()

    def _restart(self) -> None:
        value = self._seed.value
        if value is None or value != int(value):
            raise UsageError(f"The seed must be a whole number, not {brief(value)}.")
        self._lesson.restart(int(value))

    def _send_home(self, event: Any) -> None:
        if event.value:
            self._lesson.send_home()
        else:
            self._lesson.call_back()

    def _sit(self, lane: str, occupant: str) -> None:
        if occupant != self._lesson.seats[lane].occupant:
            self._lesson.sit(lane, occupant)

    def _key(self, pressed: object) -> None:
        lesson = self._lesson
        acts: dict[object, Callable[[], Any]] = {
            "veto": lesson.veto,
            "approve": lambda: lesson.answer(True),
            "reject": lambda: lesson.answer(False),
        }
        if isinstance(pressed, str) and pressed in acts:
            acts[pressed]()

    # What is shown.

    def _draw(self) -> None:
        lesson = self._lesson
        self._votes_shown()
        if lesson.version == self._drawn:
            return
        begins = self._drawn < 0
        self._drawn = lesson.version
        shown = lesson.shown()
        calls = [script("show", shown)]
        self._pictures += 1
        if begins or not lesson.playing or self._pictures % CHART_EVERY == 0:
            calls.append(script("chart", lesson.courses()))
        ui.run_javascript(";".join(calls))
        self._texts(shown)

    def _texts(self, shown: dict[str, Any]) -> None:
        lesson, alone = self._lesson, shown["phase"] == ALONE
        self._play.set_text("Pause" if shown["playing"] else "Play")
        minutes, seconds = divmod(shown["clock"], 60)
        slowed = f", slowed to {shown['pace']}/s" if shown["pace"] < shown["speed"] else ""
        whose = "Alone for" if alone else "Clock"
        self._clock.text = f"{whose} {minutes}:{seconds:02d}{slowed}"
        self._news.text = shown["news"]
        self._speed.value = shown["speed"]
        self._home.value = alone
        self._alone.classes(add="on" if alone else "", remove="" if alone else "on")
        for name, moved in self._moved.items():
            value = getattr(lesson.settings, name)
            self._values[name].text = SLIDERS[name].text(value)
            moved.show(value)
        for lane, chosen in self._occupants.items():
            chosen.value = shown["seats"][lane]["occupant"]
        self._seat_texts(shown["seats"], alone)

    def _seat_texts(self, seats: dict[str, Any], alone: bool) -> None:
        mine, watched = seats[IN_THE_LOOP], seats[ON_THE_LOOP]
        sits = mine["occupant"] == VISITOR and not alone
        for pressed in self._answers:
            pressed.set_enabled(sits and mine["asked"])
        if sits:
            left = f"{mine['left']:.0f} s left"
            self._asked.text = f"Your verdict? {left}" if mine["asked"] else "Nothing to judge yet."
        else:
            self._asked.text = ""
        vetoes = watched["occupant"] == VISITOR and not alone
        self._veto.set_enabled(vetoes)
        said = (
            "Vetoed: you take over with the next step." if watched["vetoed"] else "Watch the arrow."
        )
        self._vetoed.text = said if vetoes else ""

    def _votes_shown(self) -> None:
        ballot, seat = self._lesson.ballot, self._lesson.seats[IN_THE_LOOP]
        present = ballot.present
        joined = "nobody" if not present else f"{len(present)}"
        said = f"Joined: {joined}."
        if seat.occupant == CLASS:
            yes, no = ballot.votes
            if seat.question is not None:
                said += f" Votes: {yes} approve, {no} reject; {seat.left:.0f} s left."
            elif seat.last_votes is not None:
                yes, no = seat.last_votes
                said += f" Last vote: {yes} approve, {no} reject."
        if said != self._votes.text:
            self._votes.text = said
        names = ", ".join(member.name for member in present)
        if names != self._names.text:
            self._names.text = names


def _place(name: str) -> Any:
    """An empty element with an id, for the stage to draw in."""
    return ui.html(f'<div id="{name}"></div>', sanitize=False)
