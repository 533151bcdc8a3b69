"""The ``report`` command: one results folder drawn anew, or several held side by side."""

import json
from collections.abc import Sequence
from pathlib import Path

from looplab.envs.errors import UsageError
from looplab.experiments.processes import begin
from looplab.experiments.result_folder import COMPARISON_FILE

OUT = "out"
#: From so many cells on, figures take longer than helpers take to import what they need.
MANY_CELLS = 20


def report(words: Sequence[str]) -> Path:
    """Writes the report that the words ask for; returns its page.

    Args:
        words: results folders, and ``out=FOLDER`` where there are several.

    Raises:
        UsageError: if a word or a folder cannot be used.
    """
    folders, out = _read(words)
    if len(folders) > 1:
        from looplab.experiments.report_of_several import write_report_of_several

        return write_report_of_several(folders, out)
    if out is not None:
        raise UsageError("out= goes with two or more folders; one report is written in its own")
    if _number_of_cells(folders[0]) >= MANY_CELLS:
        begin()  # what figures need is imported while this process imports it and reads the data
    from looplab.experiments.report import write_report

    return write_report(folders[0])


def _number_of_cells(folder: Path) -> int:
    """Cells of a comparison; 0 where nothing tells: reading the folder will say why."""
    try:
        manifest = json.loads((folder / COMPARISON_FILE).read_text(encoding="utf-8"))
        return len({str(run["cell"]) for run in manifest["runs"]})
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def _read(words: Sequence[str]) -> tuple[list[Path], Path | None]:
    folders: list[Path] = []
    out: Path | None = None
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or Path(word).exists():
            folders.append(Path(word))
        elif key != OUT:
            raise UsageError(f"unknown key '{key}' in '{word}'; allowed: {OUT}")
        elif not value or out is not None:
            raise UsageError(f"give one {OUT}=FOLDER, got '{word}'")
        else:
            out = Path(value)
    if not folders:
        raise UsageError("name a results folder: looplab report FOLDER, e.g. results/first_look")
    return folders, out
