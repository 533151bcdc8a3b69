"""What there is to choose from: every group's choices with their one-line descriptions."""

from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from looplab import CONFIG_DIR
from looplab.envs.errors import unknown
from looplab.experiments.composition import EXPERIMENT, composed, groups

#: Plural names that people type, and the group that they mean.
PLURALS = {
    "envs": "env", "agents": "agent", "protocols": "protocol", "triggers": "trigger",
    "overseers": "overseer", "fallbacks": "fallback", "signals": "signal", "regimes": "regime",
    "experiments": "experiment", "executors": "executor", "trials": "trial", "trackers": "tracker",
}  # fmt: skip


def describe(file: Path) -> str:
    """An experiment in a line; else a file's first comment that is no directive of Hydra's."""
    if file.parent.name == EXPERIMENT:
        from looplab.experiments.experiment import line_about  # imports pandas

        return line_about(file.stem)
    for line in file.read_text(encoding="utf-8").splitlines():
        text = line.strip()
        if not text.startswith("#"):
            break
        text = text.lstrip("#").strip()
        if text and not text.startswith("@"):
            return text
    return ""


@cache
def target(env: str) -> Any:
    """What an environment's preset builds lanes with: a class of lanes, or a function."""
    module, _, name = composed([f"env={env}"])["env"]["_target_"].rpartition(".")
    return getattr(import_module(module), name)


def catalogue(name: str | None = None) -> dict[str, dict[str, str]]:
    """Choices of one group, or of all, with their descriptions.

    Args:
        name: a group, in singular or plural; None: all.

    Raises:
        UsageError: if there is no such group.
    """
    wanted = list(groups())
    if name is not None:
        group = PLURALS.get(name, name)
        if group not in groups():
            raise unknown("list", name, PLURALS)
        wanted = [group]
    return {
        group: {
            choice: describe(CONFIG_DIR / group / f"{choice}.yaml") for choice in groups()[group]
        }
        for group in wanted
    }
