"""Closed forms of gates, audits and vetoes."""

import numpy as np

from looplab.envs.core import FloatArray
from looplab.envs.errors import UsageError, probability, whole, within
from looplab.experiments.validation.check import Check, Expected, Sample
from looplab.experiments.validation.play import Corridor, Dangers, Doubts, play
from looplab.oversight import Audit, Chow, Gate, ScriptedOverseer, Veto

_LANES, _STEPS = 1000, 100
#: Steps until a veto's alarms have forgotten that none was pending at the beginning, in overrides.
_WARM_UP = 20


def _misses(miss_rate: float = 0.1) -> Expected:
    return {"missed, of the unsafe": probability("miss_rate", miss_rate)}


def _misses_run(seed: int, size: int, miss_rate: float) -> dict[str, Sample]:
    gate = Gate(overseer=ScriptedOverseer(miss_rate=miss_rate))
    told, _ = play(Dangers(), gate, _LANES, _STEPS * size, seed, ("cost",))
    violations = told["cost"] > 0.0
    return {"missed, of the unsafe": Sample.counted(violations.sum(), violations.size)}


def _audit(probability: float = 0.2, miss_rate: float = 0.1) -> Expected:
    _in_unit("probability", probability)
    _in_unit("miss_rate", miss_rate)
    found = {"leaked, of the unsafe": 1.0 - probability * (1.0 - miss_rate), "audited": probability}
    return found | {"missed, of the audited": miss_rate} if probability else found


_in_unit = probability


def _audit_run(seed: int, size: int, probability: float, miss_rate: float) -> dict[str, Sample]:
    gate = Gate(Audit(probability), ScriptedOverseer(miss_rate=miss_rate))
    told, _ = play(Dangers(), gate, _LANES, _STEPS * size, seed, ("cost", "reviewed", "miss"))
    leaked, audited = told["cost"] > 0.0, told["reviewed"]
    return {
        "leaked, of the unsafe": Sample.counted(leaked.sum(), leaked.size),
        "audited": Sample.counted(audited.sum(), audited.size),
        "missed, of the audited": Sample.counted(told["miss"].sum(), audited.sum()),
    }


def _renewal(
    lag: int = 2, vigilance: float = 0.8, override: int = 3, unsafe: float = 0.3
) -> Expected:
    whole("lag", lag, 0)
    whole("override", override, 1)
    probability("vigilance", vigilance)
    probability("unsafe", unsafe)
    if not (vigilance and unsafe):
        raise UsageError("vigilance and unsafe must be above 0, else nothing is ever renewed")
    wait = 1.0 / (unsafe * vigilance)
    if lag == 0:
        cycle, violations = wait - 1.0 + override, (1.0 - vigilance) / vigilance
    else:
        cycle = wait + lag - 1.0 + override
        violations = 1.0 / vigilance + unsafe * (lag - 1.0)
    return {
        "violations a step": violations / cycle,
        "alarms a step": 1.0 / cycle,
        "overridden, of the steps": (override - (lag == 0)) / cycle,
        "noticed, of the watched unsafe": vigilance,
    }


def _renewal_run(
    seed: int, size: int, lag: int, vigilance: float, override: int, unsafe: float
) -> dict[str, Sample]:
    veto = Veto(lag=lag, vigilance=vigilance, override=override)
    cycle = 1.0 / (unsafe * vigilance) + lag + override
    warm_up = int(_WARM_UP * cycle)
    columns = ("cost", "noticed", "standby", "watched", "unsafe")
    told, _ = play(Dangers(unsafe), veto, _LANES, warm_up + 4 * _STEPS * size, seed, columns)
    told = {name: column[warm_up:] for name, column in told.items()}
    seen = told["watched"] & told["unsafe"]
    return {
        "violations a step": Sample.of((told["cost"] > 0.0).mean(axis=0)),
        "alarms a step": Sample.of(told["noticed"].mean(axis=0)),
        "overridden, of the steps": Sample.of(told["standby"].mean(axis=0)),
        "noticed, of the watched unsafe": Sample.counted(told["noticed"].sum(), seen.sum()),
    }


def _corridor(width: int = 5, lag: int = 2) -> Expected:
    whole("width", width, 1)
    whole("lag", lag, 0)
    return {
        "violations in a corridor": float(min(width, lag)),
        "overridden steps in a corridor": float(max(width - lag, 0)),
    }


def _corridor_run(seed: int, size: int, width: int, lag: int) -> dict[str, Sample]:
    veto = Veto(lag=lag, override=max(width - lag, 1))
    told, _ = play(Corridor(width), veto, 16, width, seed, ("cost", "standby"))
    overridden = told["standby"] if lag else told["standby"] | (told["cost"] == 0.0)
    return {
        "violations in a corridor": Sample.of((told["cost"] > 0.0).sum(axis=0) * 1.0),
        "overridden steps in a corridor": Sample.of(overridden.sum(axis=0) * 1.0),
    }


def _chow(review_cost: float = 0.05, error_cost: float = 1.0, human_error: float = 0.1) -> Expected:
    within("review_cost", review_cost, 0.0)
    within("error_cost", error_cost, np.finfo(np.float64).tiny)
    probability("human_error", human_error)
    risk = Doubts().risks
    asked = risk >= review_cost / error_cost + human_error
    if not asked.any():
        raise UsageError("so dear, or so bad, a human is never asked; choose smaller numbers")
    alone, together = risk * error_cost, review_cost + human_error * error_cost
    return {
        "cost of a case": float(np.where(asked, together, alone).mean()),
        "cost of reviews in a case": review_cost * float(asked.mean()),
        "asked": float(asked.mean()),
        "error cost in a case asked about": human_error * error_cost,
    }


def _chow_run(
    seed: int, size: int, review_cost: float, error_cost: float, human_error: float
) -> dict[str, Sample]:
    trigger = Chow(review_cost, error_cost, error_cost, human_error, human_error, "estimated")
    gate = Gate(trigger, ScriptedOverseer(human_error, human_error))
    columns = ("cost", "reviewed", "false_alarm")
    told, _ = play(Doubts(), gate, _LANES, 2 * _STEPS * size, seed, columns)
    errs = (told["cost"] > 0.0) | told["false_alarm"]
    asked = told["reviewed"]
    errors: FloatArray = np.where(errs, error_cost, 0.0)
    cost: FloatArray = review_cost * asked + errors
    return {
        "cost of a case": Sample.of(cost.mean(axis=0)),
        "cost of reviews in a case": Sample.of((review_cost * asked).mean(axis=0)),
        "asked": Sample.counted(asked.sum(), asked.size),
        "error cost in a case asked about": Sample.of(errors[asked]),
    }


LOOPS = (
    Check(
        "binomial_misses",
        "a gate whose reviewer misses with probability e: violations are Binomial(unsafe, e)",
        _misses,
        _misses_run,
    ),
    Check(
        "audit_leak",
        "an audit with probability p and a reviewer who misses with e leaks 1 - p (1 - e)",
        _audit,
        _audit_run,
    ),
    Check(
        "veto_renewal",
        "on the loop, dangers independent: alarms renew themselves",
        _renewal,
        _renewal_run,
    ),
    Check(
        "corridor",
        "on the loop, a corridor of w unsafe cells and a lag L: min(w, L) violations",
        _corridor,
        _corridor_run,
    ),
    Check(
        "chow",
        "deferring where the risk exceeds review cost / error cost + human error (Chow 1970)",
        _chow,
        _chow_run,
    ),
)
