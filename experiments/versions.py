"""Results of other versions of LoopLab: refused, or kept apart."""

import json
from collections.abc import Iterable
from pathlib import Path

from looplab import __version__
from looplab.envs.errors import UsageError
from looplab.experiments.result_folder import COMPARISON_FILE, PROVENANCE_FILE

#: What may be done about them.
REFUSE, APART = "refuse", "apart"
OTHER_VERSION = (REFUSE, APART)


def place_of(folder: Path, runs: Iterable[Path], other_version: str) -> Path:
    """Where results go: the folder, or one of this version beside it.

    Args:
        folder: a results folder or a run's; it need not exist.
        runs: folders of runs that would be taken as they are.
        other_version: what to do about results of another version, of ``OTHER_VERSION``.

    Raises:
        UsageError: if there are some, and they should not be kept apart.
    """
    found = {version_of(place) for place in (folder, *runs)} - {None, __version__}
    if not found:
        return folder
    if other_version == APART:
        beside = folder.with_name(f"{folder.name}-{__version__}")
        moved = [beside / run.relative_to(folder) for run in runs]
        return place_of(beside, moved, REFUSE)
    raise UsageError(
        f"{folder} holds results of LoopLab {', '.join(sorted(map(str, found)))}, and this is "
        f"{__version__}; give another out=, or other_version=apart to keep both"
    )


def version_of(folder: Path) -> str | None:
    """Version that made a comparison or a run; None where nothing tells."""
    try:
        for file in (folder / COMPARISON_FILE, folder / PROVENANCE_FILE):
            if file.is_file():
                found = json.loads(file.read_text(encoding="utf-8"))
                version = found.get("version") or found.get("versions", {}).get("looplab")
                return None if version is None else str(version)
    except (OSError, ValueError, AttributeError):
        return None  # what reads the file for its content will say so
    return None
