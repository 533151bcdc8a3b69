"""How oversight is composed: parts within parts, and what each part needs to be known."""

from collections.abc import Iterator
from typing import Any

from looplab.envs.core import Lanes
from looplab.envs.errors import UsageError
from looplab.oversight.proposals import NEEDS_TRUTH

#: What a part may list in ``needs`` beside what a task can offer.
TRUTH, TABLE, ANY_RISK = "truth", "table", "risk"
CONFIDENCE, PROBABILITIES = "confidence", "probabilities"

_MISSING = {
    TRUTH: NEEDS_TRUTH,
    TABLE: "needs the risk of every action, so a Discrete action space",
    ANY_RISK: "needs a risk, and the environment offers none; pass risk=, a function of "
    "(env, action)",
    "hold": "needs an action that does nothing, and the environment names none; pass hold= or use "
    "another fallback, e.g. SafestAction",
    "correction": "needs corrections, and the environment supplies none; use another fallback, "
    "e.g. SafestAction",
    "potential": "needs a potential, and the environment has none; pass potential=, a function of "
    "observations",
}


def walk(part: Any) -> Iterator[Any]:
    """The part and all parts within it, outermost first.

    Raises:
        UsageError: if one of them cannot be called, or is a class that was never called.
    """
    if isinstance(part, type):
        raise UsageError(f"{part.__name__} is a class; pass an object, {part.__name__}(...)")
    if not callable(part):
        raise UsageError(f"a part of oversight must be callable, got {part!r}")
    yield part
    for inner in getattr(part, "parts", ()):
        yield from walk(inner)


def needs(part: Any) -> frozenset[str]:
    """Everything that a part and the parts within it need to know."""
    return frozenset(need for inner in walk(part) for need in getattr(inner, "needs", ()))


def check(part: Any, lanes: Lanes, has_truth: bool) -> None:
    """Checks that the task supplies what every part needs, and that it ``fits(lanes)``.

    Raises:
        UsageError: naming the part and what is missing.
    """
    discrete = hasattr(lanes.action_space, "n")
    if discrete and int(getattr(lanes.action_space, "start", 0)) != 0:
        raise UsageError(f"actions must count from 0, got {lanes.action_space}")
    sources = ("immediate", "exact", "estimated")
    for inner in walk(part):
        name = getattr(inner, "__name__", type(inner).__name__)
        if hasattr(inner, "fits"):
            inner.fits(lanes)
        for need in getattr(inner, "needs", ()):
            if need in (CONFIDENCE, PROBABILITIES):
                continue  # known only once there is a policy; asked for at the first step
            supplied = {
                TRUTH: has_truth,
                TABLE: has_truth and discrete,
                ANY_RISK: any(lanes.offers(source) for source in sources),
            }
            if not supplied.get(need, need not in supplied and lanes.offers(need)):
                offered = ", ".join(filter(lanes.offers, sources)) or "none"
                lacking = f"needs the {need} risk, and the environment offers: {offered}"
                missing = _MISSING.get(need, lacking)
                if need == TABLE and not has_truth:
                    missing = NEEDS_TRUTH
                raise UsageError(f"{name}: {missing}")
