"""``looplab validate``: runs checks, prints what they found, and says whether all agree."""

from collections.abc import Callable, Sequence

import pandas as pd

from looplab.envs.errors import UsageError, choice, unknown
from looplab.experiments.text_table import text_table
from looplab.experiments.validation.check import (
    FAMILY_ERROR,
    SEED,
    UNCLEAR,
    Check,
    Finding,
    checked_seed,
)
from looplab.experiments.validation.loops import LOOPS
from looplab.experiments.validation.people import PEOPLE
from looplab.experiments.validation.queues import QUEUES

CHECKS: dict[str, Check] = {check.name: check for check in (*QUEUES, *LOOPS, *PEOPLE)}


def comparison_error() -> float:
    """Chance that an honest run fails one comparison: all together fail with ``FAMILY_ERROR``."""
    return FAMILY_ERROR / sum(len(check.expect()) for check in CHECKS.values())


def validate(words: Sequence[str], say: Callable[[str], None] = print) -> list[Finding]:
    """Runs all checks, or the named one.

    Args:
        words: a check's name, if any, and key=value parameters: of the check, and ``seed``.
        say: prints a line.

    Raises:
        UsageError: if a name, a key or a value is not possible.
    """
    names = [word for word in words if "=" not in word]
    given = dict(word.split("=", 1) for word in words if "=" in word)
    if len(names) > 1:
        raise UsageError(f"validate takes one check at most, got {' '.join(names)}")
    seed = checked_seed(given.pop(SEED, "0"))
    if not names and given:
        key = next(iter(given))
        owner = next((name for name, check in CHECKS.items() if key in check.defaults), None)
        if owner is None:
            raise unknown(
                "parameter", key, {k for check in CHECKS.values() for k in check.defaults}
            )
        raise UsageError(
            f"{key} belongs to one check: name it, e.g. looplab validate {owner} {key}=..."
        )
    chosen = [CHECKS[choice("check", name, CHECKS)] for name in names] or list(CHECKS.values())
    plans = [(check, check.parse(given)) for check in chosen]
    for check, parameters in plans:
        check.expect(**check.defaults | parameters)  # impossible numbers, before anything runs
    findings: list[Finding] = []
    for check, parameters in plans:
        found = check.run(seed, comparison_error(), parameters)
        shown = ", ".join(f"{k} {v:g}" for k, v in (check.defaults | parameters).items())
        say(f"{check.name}: {check.text}\n  {shown}\n{_table(found)}\n")
        findings += found
    failed = sum(not finding.agrees for finding in findings)
    if any(finding.verdict == UNCLEAR for finding in findings):
        say(f"{UNCLEAR}: so rare that no run of bounded length gives a narrow interval")
    say(
        f"{len(findings) - failed} of {len(findings)} agree (seed {seed}; an honest run of all "
        f"checks fails with a chance of at most {FAMILY_ERROR:g})"
    )
    return findings


def _table(findings: Sequence[Finding]) -> str:
    rows = [
        {
            "quantity": finding.quantity,
            "expected": f"{finding.expected:.4g}",
            "measured": f"{finding.measured:.4g}",
            "interval": f"[{finding.low:.4g}, {finding.high:.4g}]",
            "verdict": finding.verdict,
        }
        for finding in findings
    ]
    return "\n".join("  " + line for line in text_table(pd.DataFrame(rows)).splitlines())
