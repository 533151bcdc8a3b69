"""A live person in the overseer's seat, for both faces of the engine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from looplab.envs.core import BoolArray, Lanes
from looplab.envs.errors import UsageError, finite
from looplab.oversight.explanation import names_of
from looplab.oversight.live.answers import all_stopped, by_lane, verdicts_of
from looplab.oversight.live.client import Connection, checked_url, shown_body, token_from, url_from
from looplab.oversight.live.counts import Counts
from looplab.oversight.live.journal import Journal
from looplab.oversight.live.line import Line, LiveRun, persist
from looplab.oversight.live.review import FORM, RATING, REVIEW
from looplab.oversight.live.showing import Histories, picture_of, values_of
from looplab.oversight.overseers.catch_trials import CATCH_TRIAL
from looplab.oversight.proposals import Proposals
from looplab.oversight.record import Record
from looplab.oversight.types import Verdicts

#: What of a session's control a run has to follow from a certain step on.
_FOLLOWED = ("stopped", "regime")
_MOST_LANES = 64


@dataclass
class Seat:
    """What the overseer carries from step to step in one engine.

    Attributes:
        phase: number of the engine among those that it sits in.
        histories: the latest steps of each lane.
        clock: step of the latest question.
        call: questions in that step.
        names: what the task calls its actions.
        told: what people had set of the session when it was last looked at.
        stopped: the session was stopped while a question waited.
        counts: of the steps that it has seen.
    """

    phase: int
    histories: Histories
    clock: int = -1
    call: int = 0
    names: tuple[str, ...] = ()
    told: dict[str, Any] = field(default_factory=dict)
    stopped: bool = False
    counts: Counts = field(default_factory=Counts)


class LiveOverseer:
    """Asks people through the review service, and waits for them.

    Lanes that are asked about in one step are asked at once and wait together. Each answer is in
    the run's journal before it is executed. What nobody answers in time goes to the next tier, and
    then comes back as ``escalate``, which protocols meet by failing closed.

    A service that is away is waited for, and told again what it may not have heard. In a worker
    process it connects anew.

    Args:
        url: of the service, as in ``http://127.0.0.1:8700``; None: the environment's
            ``LOOPLAB_URL``. The token is in the environment's ``LOOPLAB_TOKEN``.
        session: name of the session; None: the run's own.
        show_risk: whether people see privileged risks; no in studies of how well they judge.
        pictures: whether they see pictures.
        limit: seconds that people have for each question; None: as long as the service gives.
        patience: seconds after which it gives up on a service that does not answer.
        name: name in the record; people follow it by pseudonym.
    """

    #: Shown to people where the policy has them; see ``agents.sb3.Agent.probe``.
    wants_probabilities = True

    def __init__(
        self,
        url: str | None = None,
        session: str | None = None,
        show_risk: bool = True,
        pictures: bool = True,
        limit: float | None = None,
        patience: float = 300.0,
        name: str = "live",
    ) -> None:
        self.url = None if url is None else checked_url(url)
        self.session = session
        self.show_risk = show_risk
        self.pictures = pictures
        self.limit = None if limit is None else finite("limit", limit, 0.001)
        self.patience = finite("patience", patience, 0.0)
        self.name = name
        self._run: LiveRun | None = None
        self._phases = 0
        self._line: Line | None = None
        self._journal: Journal | None = None
        self._counts = Counts()

    def bind(self, run: LiveRun) -> None:
        """Says which run it sits in, before the first question.

        Raises:
            UsageError: if it sits in one already.
        """
        if self._line is not None:
            raise UsageError("a live overseer sits in one run; make another for the next")
        self._run = run

    def fits(self, lanes: Lanes) -> None:
        """Refuses more lanes than people can follow, and actions without bounds."""
        actions_of(lanes)
        if lanes.num_lanes > _MOST_LANES:
            raise UsageError(
                f"a live overseer can follow at most {_MOST_LANES} lanes, got {lanes.num_lanes}; "
                "set agent.lanes="
            )

    def start(self, num_lanes: int) -> Seat:
        """Takes a seat in an engine."""
        seat = Seat(self._phases, Histories(num_lanes))
        if self._phases == 0:  # what is counted is the training, not what is evaluated after it
            self._counts = seat.counts
        self._phases += 1
        return seat

    def begin(self, seat: Seat, mask: BoolArray) -> None:
        """An episode begins: what came before is no longer shown."""
        seat.histories.forget(mask)

    def see(self, seat: Seat, record: Record) -> None:
        """Keeps what the lanes have lived through, to be shown."""
        seat.histories.add(record, seat.names)
        seat.counts.add(record)

    def __call__(self, proposals: Proposals) -> Verdicts:
        """Verdicts of the lanes that are asked about, when people have given them all.

        Raises:
            Refused: if the service turns a question down.
            Unreachable: if it is gone for good.
            Diverged: if a run that is repeated asks otherwise than before.
        """
        seat: Seat = proposals.memory(self)
        seat.names = names_of(proposals.lanes)
        if proposals.clock != seat.clock:
            seat.clock, seat.call = proposals.clock, 0
        key = f"{seat.phase}.{seat.clock}.{seat.call}"
        seat.call += 1
        lanes = np.flatnonzero(proposals.asked).tolist()
        about = {"lanes": lanes, "proposed": proposals.action[proposals.asked].tolist()}
        journal = self._kept(proposals.lanes)
        found = None if journal is None else journal.next(key, about)
        if found is None:
            ask = self._watched if proposals.watching else self._reviewed
            found = ask(key, lanes, seat, proposals)
            if journal is not None:
                quiet = proposals.watching and not found["answers"]
                journal.write(key, about, found, durable=not quiet)
        seat.stopped = seat.stopped or any(a.get("stopped") for a in found["answers"])
        return verdicts_of(found["answers"], proposals, self.name)

    def told(self, proposals: Proposals) -> dict[str, Any]:
        """What people have set of the session: ``stopped``, ``regime``. Waits while it is paused.

        A run that is repeated is told what it was told before, at the same steps.
        """
        seat: Seat = proposals.memory(self)
        seat.names = names_of(proposals.lanes)
        journal = self._kept(proposals.lanes)
        key = f"{seat.phase}.{proposals.clock}.control"
        if journal is not None and (journal.key is not None or journal.replay):
            if journal.key == key:
                seat.told = journal.next(key, {}) or {}
            return seat.told
        line = self._connected(proposals.lanes)
        line.wait_while_paused()
        control = line.control
        told = {name: value for name, value in control.as_dict().items() if name in _FOLLOWED}
        told = {name: value for name, value in told.items() if value}
        if told != seat.told:
            seat.told = told
            if journal is not None:
                journal.write(key, {}, told)
        return told

    def stopped(self, proposals: Proposals) -> bool:
        """Whether the session was stopped while a question of this engine waited."""
        seat: Seat = proposals.memory(self)
        return seat.stopped

    def fill_in(
        self,
        lanes: Lanes,
        name: str,
        shown: Mapping[str, Any],
        fields: Sequence[Mapping[str, Any]] = (),
        picture: bytes | None = None,
    ) -> dict[str, Any] | None:
        """Asks for a form to be filled in, and waits for it.

        Args:
            lanes: of the run.
            name: names the form within the session.
            shown: ``title``, ``text`` (paragraphs), ``labels`` (of the fields, by their names),
                ``table`` (rows, the first of them heads), ``button``; and ``keys``, where each
                option of the one field is a button of its own.
            fields: what is to be filled in, as ``messages.FieldIn`` has it.
            picture: PNG; None: there is none.

        Returns:
            What was answered: ``values`` by the names of the fields, ``seconds`` and ``elapsed``;
            None: the session was stopped.
        """
        key, about = f"form.{name}", {"shown": dict(shown), "fields": [dict(f) for f in fields]}
        journal = self._kept(lanes)
        found = None if journal is None else journal.next(key, about)
        if found is None:
            request = {
                **shown_body({**shown, "form": name}, picture), "lane": 0, "kind": FORM,
                "form": list(fields),
            }  # fmt: skip
            answers = self._answered(self._connected(lanes), key, [request])
            found = {"answers": answers}
            if journal is not None:
                journal.write(key, about, found)
        answers = found["answers"]
        return None if answers is None else {"values": {}, **answers[0]}

    # The service

    def _reviewed(
        self, key: str, lanes: Sequence[int], seat: Seat, proposals: Proposals
    ) -> dict[str, Any]:
        line = self._connected(proposals.lanes)
        kind = RATING if proposals.rated else REVIEW
        requests = [
            {**self._shown(lane, [lane], seat, proposals), "lane": lane, "kind": kind,
             "priority": self._priority(lane, proposals), "limit": self.limit,
             **_truth(lane, proposals)}
            for lane in lanes
        ]  # fmt: skip
        found = self._answered(line, key, requests)
        return {"answers": all_stopped(lanes) if found is None else found}

    def _answered(
        self, line: Line, key: str, requests: Sequence[Mapping[str, Any]]
    ) -> list[dict[str, Any]] | None:
        """Asks, and waits for all answers; None: the session was stopped."""
        counts = self._counts.as_dict()

        def again() -> None:
            line.client.ask(key, requests, counts)

        again()
        while True:
            told = persist(lambda: line.client.answers(key), again, "withdrawn", "unknown")
            line.learned(told)
            if told["ready"]:
                answers: list[dict[str, Any]] = told["answers"]
                return answers
            if line.control.stopped:
                return None

    def _watched(
        self, key: str, lanes: Sequence[int], seat: Seat, proposals: Proposals
    ) -> dict[str, Any]:
        line = self._connected(proposals.lanes)
        shown = self._shown(lanes[0], lanes, seat, proposals)
        counts = self._counts.as_dict()
        step = seat.phase * 10**9 + seat.clock * 10 + min(seat.call, 9)

        def show() -> None:
            line.client.show(step, shown, counts)

        show()
        while True:
            told = persist(lambda: line.client.vetoes(step), show, "invalid")
            line.learned(told)
            if line.control.stopped:
                return {"answers": all_stopped(lanes)}
            if told["ready"]:
                return {"answers": by_lane(told["vetoes"], lanes)}

    def _shown(
        self, lane: int, lanes: Sequence[int], seat: Seat, proposals: Proposals
    ) -> dict[str, Any]:
        phase = "training" if seat.phase == 0 else "evaluation"
        told = [values_of(proposals, one, seat.histories, self.show_risk, phase) for one in lanes]
        values = told[0] if not proposals.watching else {"lanes": told, "watching": True}
        run = self._named(proposals.lanes)
        values |= {"env": run.env, "regime": run.regime}
        drawn = None
        if self.pictures:
            drawn = picture_of(proposals, lanes, seat.histories, self.show_risk)
        return shown_body(values, drawn)

    def _priority(self, lane: int, proposals: Proposals) -> float:
        """The riskiest first, where that may be known."""
        if not self.show_risk or not proposals.known:
            return 0.0
        risk = float(proposals.truth[lane])
        return risk if np.isfinite(risk) else 0.0

    # Where it sits

    def _named(self, lanes: Lanes) -> LiveRun:
        if self._run is None:
            env = type(lanes).__name__
            session = self.session or f"{env}-{lanes.seed}"
            self._run = LiveRun(env, "", "", session, f"{session}/{env}/{lanes.seed}")
        return self._run

    def _kept(self, lanes: Lanes) -> Journal | None:
        """The run's journal, opened at the first question."""
        run = self._named(lanes)
        if self._journal is None and run.journal is not None:
            self._journal = Journal(run.journal, run.identity, run.replay)
        return self._journal

    def _connected(self, lanes: Lanes) -> Line:
        """The line to the service, opened at the first question that is not answered yet."""
        if self._line is None:
            run = self._named(lanes)
            about = {
                "env": run.env, "regime": run.regime, "algo": run.algo,
                "lanes": lanes.num_lanes, "actions": actions_of(lanes),
                "identity": run.identity, "regimes": list(run.regimes),
                "people": list(run.people), "practice": run.practice,
            }  # fmt: skip
            connection = Connection(self.url or url_from(), token_from(), self.patience)
            self._line = Line(connection, self.session or run.session, about)
        return self._line

    @property
    def line(self) -> Line | None:
        """The line to the service; None: nothing had to be asked yet."""
        return self._line

    @property
    def repeated(self) -> int:
        """How many questions the journal has answered."""
        return 0 if self._journal is None else self._journal.repeated

    def close(self, finished: bool = True) -> None:
        """Hangs up.

        Args:
            finished: whether the run is over; else it may go on with the session.
        """
        if self._line is not None:
            if finished:
                self._line.end(self._counts.as_dict())
            else:
                self._line.hang_up()
            self._line = None
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    def __getstate__(self) -> dict[str, Any]:
        """All but line and journal: a copy connects anew, and writes into no other's journal."""
        if self._journal is not None:
            raise UsageError("a live overseer cannot be copied while it writes a run's journal")
        return self.__dict__ | {"_line": None}


def _truth(lane: int, proposals: Proposals) -> dict[str, Any]:
    """What the trainer knows of a question, and reviewers are not told."""
    known = proposals.known and bool(np.isfinite(proposals.truth[lane]))
    return {
        "unsafe": bool(proposals.unsafe[lane]) if known else None,
        "trial": proposals.occasion.endswith(CATCH_TRIAL),
    }


def actions_of(lanes: Lanes) -> dict[str, Any]:
    """What can run in a task, as ``messages.ActionsIn`` has it.

    Raises:
        UsageError: if an action space has no bounds that could be checked.
    """
    space: Any = lanes.action_space
    if hasattr(space, "n"):
        names = names_of(lanes)
        return {"n": int(space.n), "names": list(names) if len(names) == int(space.n) else []}
    low, high = np.asarray(space.low).reshape(-1), np.asarray(space.high).reshape(-1)
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise UsageError(f"a live overseer needs bounded actions, got {space}")
    return {"low": low.tolist(), "high": high.tolist()}
