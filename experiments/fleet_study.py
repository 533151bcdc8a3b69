"""From the words of ``looplab fleet`` to runs: a task, a gate, and agents who share reviewers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from looplab.envs.core import Actions, Lanes
from looplab.envs.errors import UsageError, choice, finite, unknown, whole
from looplab.experiments import build
from looplab.experiments.composition import groups, keys_under
from looplab.experiments.fleet_policy import POLICIES, by_model
from looplab.experiments.overrides import plan
from looplab.experiments.own_words import settings_of
from looplab.experiments.words import Word, check_roots, parse
from looplab.oversight.fallbacks import halts
from looplab.oversight.fleet import (
    Duration,
    Exponential,
    Fixed,
    FlatReviewers,
    Fleet,
    LaneWork,
    Lognormal,
    Period,
    Policy,
    simulate,
)
from looplab.oversight.fleet.closed_forms import Steady, machine_repairman
from looplab.oversight.fleet.people import People
from looplab.oversight.humans.simulated import SimulatedHuman
from looplab.oversight.overseers.scripted import ScriptedOverseer
from looplab.oversight.parts import CONFIDENCE, PROBABILITIES, needs
from looplab.oversight.proposals import Proposals
from looplab.oversight.protocols.autonomous import Autonomous
from looplab.oversight.protocols.gate import Gate
from looplab.oversight.triggers import Always, Never

SWEPT = ("agents", "reviewers")
#: Keys of any run that a fleet has too.
SHARED = ("seed", "seeds", "tolerance", "wage_per_hour", "fee_per_review", "out", "display")
KINDS = ("fixed", "exponential", "lognormal")
LATES = ("execute", "discard")
OWN_SERVICE = "overseer"
#: Where no regime is named: a fleet is about people who are asked.
REGIME = "regime=in_the_loop"


@dataclass(frozen=True)
class Asked:
    """What a command line asks for.

    Attributes:
        own: the fleet's own settings, keys as in ``configs/fleet.yaml``.
        config: resolved configuration of task and regime.
        seeds: seeds of every number of agents and reviewers.
        out: folder of the results, as given; None: not given.
        quiet: whether to print nothing while it runs.
    """

    own: dict[str, Any]
    config: dict[str, Any]
    seeds: tuple[int, ...]
    out: str | None
    quiet: bool


def defaults() -> dict[str, Any]:
    """The fleet's own settings, as ``configs/fleet.yaml`` has them."""
    return settings_of("fleet")


def asked(words: Sequence[str]) -> Asked:
    """Reads the words of a command line.

    Args:
        words: ``key=value``, as in Hydra: keys of ``configs/fleet.yaml``, of which ``SWEPT`` take
            several values, groups such as env and regime, and ``SHARED``.

    Raises:
        UsageError: one line, for a wrong word, key or value.
    """
    own = defaults()
    given = parse(words)
    allowed = {*own, *SHARED}
    for word in given:
        if word.key in keys_under(()) and word.key.split(".")[0] not in {*allowed, *groups()}:
            raise UsageError(
                f"{word.key} means nothing to a fleet, which trains and evaluates no agent"
            )
    check_roots(given, allowed)
    rest = [] if any(word.key == "regime" for word in given) else [REGIME]
    for word, text in zip(given, words, strict=True):
        if word.key in own:
            own[word.key] = _value(word)
        elif word.key.split(".")[0] in own:
            raise unknown("key", word.key, own)
        else:
            rest.append(_several_seeds(text) if word.key == "seed" else text)
    found = plan(rest)
    if len(found.cells) > 1:
        raise UsageError(f"a fleet sweeps {' and '.join(SWEPT)}; give one value of all else")
    quiet = found.running["display"] == "none"
    return Asked(own, found.cells[0], found.seeds, found.running["out"], quiet)


def _value(word: Word) -> Any:
    if word.key in SWEPT and word.sweeps:
        return [value.label for value in word.values]
    if word.sweeps:
        raise UsageError(f"{word.key} cannot be swept; a fleet sweeps {' and '.join(SWEPT)}")
    return word.raw if isinstance(word.raw, list) else word.values[0].label


def _several_seeds(text: str) -> str:
    """``seed=3`` as the list of seeds that a plan of several runs wants."""
    value = text.split("=", maxsplit=1)[1]
    return f"seeds={value}" if "," in value else f"seeds=[{value}]"


class Study:
    """Fleets of all the numbers of agents and reviewers that are asked for.

    Attributes:
        fleets: one for each number of agents and, within it, of reviewers, both rising.
        period: how long each runs.

    Args:
        request: what the command line asks for.

    Raises:
        UsageError: naming what cannot be run.
    """

    def __init__(self, request: Asked) -> None:
        self._own, self._config = request.own, request.config
        self._lanes: Lanes | None = None
        self._parts = build.parts(request.config)
        self.period = Period(
            finite("horizon_seconds", self._own["horizon_seconds"], 0.0),
            finite("warmup_seconds", self._own["warmup_seconds"], 0.0),
        )
        self._executes_late = choice("late", self._own["late"], LATES) == "execute"
        gate = self._gate
        deadline = self._own["deadline_seconds"]
        rules: dict[str, Any] = {
            "think": duration("think", self._own),
            "waiting": self._own["waiting"],
            "priority": self._own["priority"],
            "urgent_share": self._own["urgent_share"],
            "deadline_seconds": gate.deadline_seconds if deadline is None else deadline,
            "patience": duration("patience", self._own),
            "fails_open": gate.timeout == "open",
            "overload": _truth("overload", self._own["overload"]),
        }
        self.fleets = tuple(
            Fleet(agents, reviewers, **rules)
            for agents in _numbers("agents", self._own["agents"])
            for reviewers in _numbers("reviewers", self._own["reviewers"])
        )
        if not self.fleets[0].blocking and halts(gate.fallback):
            raise UsageError("agents that go on need a fallback that runs; Halt stops the episode")
        asks = 1.0 if isinstance(gate.trigger, Always) else 0.0
        for fleet in self.fleets:
            fleet.check_load(self._people(fleet).mean_seconds, asks)
        self._work(self.fleets[0], request.seeds[0])

    @cached_property
    def _gate(self) -> Gate:
        """The regime's gate; where nobody oversees, one that never asks."""
        protocol = self._parts.protocol
        if isinstance(protocol, Autonomous):
            return Gate(Never(), fallback=_as_proposed)
        if type(protocol) is not Gate:
            raise UsageError(
                "a fleet's reviewers answer requests, so it needs a gate such as "
                f"regime=in_the_loop, or regime=autonomous; got {type(protocol).__name__}"
            )
        if protocol.world != "paused":
            raise UsageError(
                "protocol.world=running is for one lane with a human of its own; "
                "a fleet's agents go on with waiting=non_blocking"
            )
        return protocol

    def _people(self, fleet: Fleet) -> FlatReviewers | People:
        """The reviewers of one run, rested."""
        overseer = self._gate.overseer
        service = duration("service", self._own, OWN_SERVICE)
        if type(overseer) is ScriptedOverseer:
            service = service or Fixed(overseer.review_seconds)
            return FlatReviewers(service, overseer.miss_rate, overseer.false_alarm_rate)
        if isinstance(overseer, SimulatedHuman):
            if service is not None:
                raise UsageError(
                    "a simulated human takes the time of overseer.review; leave service=overseer"
                )
            return People(overseer, fleet.reviewers)
        raise UsageError(
            "a fleet's reviewers are scripted or simulated humans, not "
            f"{type(overseer).__name__}; use e.g. overseer=scripted or overseer=typical"
        )

    @cached_property
    def _policy(self) -> Policy:
        if self._own["model"] is not None:
            return by_model(
                Path(str(self._own["model"])),
                build.lanes(self._config, 1),
                self._parts.agent,
                _truth("trust", self._own["trust"]),
            )
        gate = self._gate
        if (needs(gate.trigger) | needs(gate.fallback)) & {CONFIDENCE, PROBABILITIES}:
            raise UsageError(
                "this trigger or fallback reads the policy's probabilities: give model="
            )
        return POLICIES[choice("policy", self._own["policy"], POLICIES)]

    def _work(self, fleet: Fleet, seed: int) -> LaneWork:
        if self._lanes is None or self._lanes.num_lanes != fleet.agents:
            self._lanes = build.lanes(self._config, fleet.agents)
        return LaneWork(
            self._lanes,
            self._policy,
            self._gate.trigger,
            self._gate.fallback,
            build.Seeds.of(seed).environment,
            self._parts.settings.tolerance,
            self._executes_late,
        )

    def row(self, fleet: Fleet, seed: int) -> dict[str, float]:
        """Runs one fleet with one seed; numbers of agents and reviewers, seed and measures.

        Reviewers are paid for their presence, and by the review.
        """
        work = self._work(fleet, seed)
        found = simulate(fleet, self._people(fleet), self.period, work, seed).measures()
        prices = self._parts.settings
        found["cost_per_hour"] = (
            prices.wage_per_hour * fleet.reviewers
            + prices.fee_per_review * found["reviews_per_hour"]
        )
        return {"agents": fleet.agents, "reviewers": fleet.reviewers, "seed": seed, **found}

    def theory(self, fleet: Fleet) -> Steady | None:
        """The closed form of one fleet; None where none fits.

        Agents who wait, exponential times to think and to review, nobody who leaves: the machine
        repairman.
        """
        people, gate = self._people(fleet), self._gate
        service = people.service if isinstance(people, FlatReviewers) else None
        patient = fleet.deadline_seconds is None and fleet.patience is None
        if not (fleet.blocking and patient and isinstance(gate.trigger, Always)):
            return None
        if not (isinstance(fleet.think, Exponential) and isinstance(service, Exponential)):
            return None
        return machine_repairman(
            fleet.agents, fleet.reviewers, fleet.think.mean_seconds, service.mean_seconds
        )


def duration(name: str, own: Mapping[str, Any], none: str | None = None) -> Duration | None:
    """The distribution that ``NAME``, ``NAME_seconds`` and ``NAME_p95`` describe.

    Args:
        name: the key.
        own: all settings.
        none: what the key says where there is no distribution.

    Raises:
        UsageError: naming the key that is wrong, missing or not used.
    """
    kind, seconds, late = own[name], own[f"{name}_seconds"], own[f"{name}_p95"]
    if kind == none:
        if seconds is not None or late is not None:
            raise UsageError(f"{name}_seconds and {name}_p95 need {name}={' or '.join(KINDS)}")
        return None
    choice(name, kind, KINDS if none is None else (*KINDS, none))
    if (late is None) == (kind == "lognormal"):
        raise UsageError(f"{name}_p95 and {name}=lognormal go together, got {name}={kind}")
    if seconds is None:
        raise UsageError(f"{name}={kind} needs {name}_seconds")
    seconds = finite(f"{name}_seconds", seconds, 0.0)
    if kind == "lognormal":
        return Lognormal(seconds, finite(f"{name}_p95", late, seconds))
    return Fixed(seconds) if kind == "fixed" else Exponential(seconds)


def _numbers(name: str, given: Any) -> list[int]:
    """Different whole numbers of at least 1, rising."""
    numbers = given if isinstance(given, list) else [given]
    if not numbers:
        raise UsageError(f"{name} names no number")
    return sorted({whole(name, number, 1) for number in numbers})


def _truth(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise UsageError(f"{name} must be true or false, got {value!r}")
    return value


def _as_proposed(proposals: Proposals) -> Actions:
    """The fallback of a gate that never refuses."""
    return proposals.action
