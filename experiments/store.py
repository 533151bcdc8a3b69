"""Results on disk: runs addressed by what they are, and folders that are whole or not there."""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from looplab.envs.errors import UsageError
from looplab.experiments.files import write_whole
from looplab.experiments.result_folder import COMPARISON_FILE

#: Keys of a configuration that change nothing in a run's results.
NOT_IDENTITY = ("cell", "out", "executor", "workers", "display", "dry_run")
RUNS = "runs"
HASH_DIGITS = 12
#: Bytes that a run leaves behind, at most, as a rule: model, episodes, decisions, events.
RUN_BYTES = 8 * 1024 * 1024
_LOCK = ".lock"


def identity(config: Mapping[str, Any]) -> str:
    """Hash of a resolved configuration, without what cannot change a result; 12 hex digits."""
    kept = {key: value for key, value in config.items() if key not in NOT_IDENTITY}
    text = json.dumps(kept, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_DIGITS]


def run_name(config: Mapping[str, Any]) -> str:
    """Name of a run's folder: its cell, seed and hash."""
    cell = config["cell"]
    parts = (cell["env"], cell["regime"], cell["algo"], f"s{config['seed']}", identity(config))
    return "-".join(str(part) for part in parts)


def is_finished(folder: Path) -> bool:
    """Whether a run's folder is there: it is moved into place only when it is complete."""
    return (folder / "metrics.json").is_file()


@contextmanager
def written_whole(folder: Path) -> Iterator[Path]:
    """A folder to write in, which takes its place only if nothing is raised.

    Raises:
        UsageError: if nothing can be written there.
    """
    partial = folder.with_name(f".{folder.name}.partial-{os.getpid()}")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        yield partial
        os.replace(partial, folder)
    except OSError as error:
        raise UsageError(f"cannot write {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def remove_partial(folder: Path) -> None:
    """Removes what killed runs left half-written under a locked results folder."""
    for partial in (folder / RUNS).glob(".*.partial-*"):
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def locked(folder: Path, new_runs: int) -> Iterator[None]:
    """Holds a results folder for one process, making it if it is not there.

    The lock ends with the process, however it ends.

    Args:
        folder: the results folder.
        new_runs: runs that will be written, for which there must be room.

    Raises:
        UsageError: if it cannot be written, is in use, or has no room.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"out={folder} is a file, not a folder")
    created = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / _LOCK).open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise UsageError(f"another looplab is working in {folder}") from error
            free = shutil.disk_usage(folder).free
            if free < new_runs * RUN_BYTES:
                if created:
                    shutil.rmtree(folder, ignore_errors=True)
                raise UsageError(
                    f"no space in {folder}: {new_runs} runs may need "
                    f"{new_runs * RUN_BYTES // 2**20} MiB, {free // 2**20} MiB are free"
                )
            yield
    except OSError as error:
        raise UsageError(f"cannot write {folder}: {error.strerror or error}") from error


def check_same(folder: Path, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What a results folder holds already, if it belongs to this comparison; else refuses it.

    More seeds and more values on the same axes belong to it; other axes or settings do not.

    Returns:
        The manifest that is there, empty if there is none.

    Raises:
        UsageError: naming what differs.
    """
    path = folder / COMPARISON_FILE
    if not path.exists():
        strangers = [
            p.name for p in folder.iterdir() if not p.name.startswith(".") and p.name != RUNS
        ] if folder.is_dir() else []
        if strangers:
            raise UsageError(
                f"{folder} holds {strangers[0]}, but no comparison; give an empty folder as out="
            )
        return {}
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {path}: {str(error).splitlines()[0]}") from error
    differing = _differences(found, manifest)
    if differing:
        raise UsageError(
            f"{folder} holds another comparison ({'; '.join(differing)}); give another out="
        )
    return found


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    found = []
    if old.get("name") != new["name"]:
        found.append(f"its name is {old.get('name')}, not {new['name']}")
    if list(old.get("axes", [])) != list(new["axes"]):
        found.append(f"its axes are {', '.join(old.get('axes', []))}, not {', '.join(new['axes'])}")
    before, after = old.get("settings", {}), new["settings"]
    for key in sorted({*before, *after}):
        if before.get(key) != after.get(key):
            found.append(f"its {key} is {before.get(key)}, not {after.get(key)}")
    return found


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Writes ``comparison.json``."""
    text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    write_whole(folder / COMPARISON_FILE, text.encode())
