"""Results on disk: runs addressed by what they are, and folders that are whole or not there."""

import errno
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
from looplab.experiments.number_text import counted
from looplab.experiments.result_folder import COMPARISON_FILE

#: Keys of a configuration that change nothing in a run's results.
NOT_IDENTITY = (
    "cell", "out", "other_version", "executor", "tracker", "workers", "display", "dry_run",
    "seeds", "sweep", "experiment",
)  # fmt: skip
#: Keys of a live overseer's that say where people are asked, and change nothing in what they are.
_NO_PLACE = ("url", "patience")
_LIVE = "looplab.oversight.live."
#: What runs do where nothing else is said; it is left out, as from runs before there was a choice.
TRAINING = ("trial", {"_target_": "looplab.experiments.trials.training.Training"})
AS_EVER = (TRAINING, ("start_from", None))
RUNS = "runs"
CONFIG_FILE = "config.yaml"
METRICS_FILE = "metrics.json"
HASH_DIGITS = 12
#: Bytes that a run leaves behind, at most, as a rule: model, episodes, decisions, events.
RUN_BYTES = 8 * 1024 * 1024
_MEBIBYTE = 1024 * 1024
_LOCK = ".lock"
_PARTIAL = ".partial-"
_FULL = (errno.ENOSPC, errno.EDQUOT)


def identity(config: Mapping[str, Any]) -> str:
    """Hash of a resolved configuration, without what cannot change a result; 12 hex digits.

    Numbers count by value: 0 and 0.0 are the same. The order of keys does not count.
    """
    kept = {
        key: value
        for key, value in config.items()
        if key not in NOT_IDENTITY and (key, value) not in AS_EVER
    }
    text = json.dumps(_canonical(kept), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_DIGITS]


def _canonical(value: Any) -> Any:
    if isinstance(value, Mapping):
        live = str(value.get("_target_", "")).startswith(_LIVE)
        return {
            str(key): _canonical(item)
            for key, item in value.items()
            if not (live and key in _NO_PLACE)
        }
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def run_name(config: Mapping[str, Any]) -> str:
    """Name of a run's folder: its cell, seed and hash."""
    cell = config["cell"]
    parts = (cell["env"], cell["regime"], cell["algo"], f"s{config['seed']}", identity(config))
    return "-".join(str(part) for part in parts)


def is_finished(folder: Path) -> bool:
    """Whether a run's folder is there: it is moved into place only when it is complete."""
    return (folder / METRICS_FILE).is_file()


@contextmanager
def written_whole(folder: Path) -> Iterator[Path]:
    """A hidden folder to write in, which becomes ``folder`` only if nothing is raised.

    Raises:
        UsageError: if it cannot be made or moved, or the disk is full.
    """
    partial = folder.with_name(f".{folder.name}{_PARTIAL}{os.getpid()}")
    try:
        with _writing(folder):
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
        try:
            yield partial
        except OSError as error:
            if error.errno in _FULL:
                raise UsageError(f"cannot write {folder}: {error.strerror}") from error
            raise
        if not is_finished(folder):  # else another process was faster with the same run
            with _writing(folder):
                os.replace(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(f"cannot write {folder}: {error.strerror or error}") from error


def remove_partial(parent: Path) -> None:
    """Removes what runs of dead processes left half-written; those of living ones stay."""
    for partial in parent.glob(f".*{_PARTIAL}*"):
        process = partial.name.rsplit(_PARTIAL, 1)[1]
        if not (process.isdigit() and lives(int(process))):
            shutil.rmtree(partial, ignore_errors=True)


def lives(process: int) -> bool:
    """Whether a process of this machine lives."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def check_writable(folder: Path, new_runs: int, all_bytes: float | None = None) -> None:
    """Checks that a folder can be made or written and has room, and writes nothing.

    Args:
        folder: where results will go; it need not exist.
        new_runs: runs that will be written.
        all_bytes: what they will leave, all together; None: ``RUN_BYTES`` each.

    Raises:
        UsageError: if it is no folder, may not be written, or has no room.
    """
    there = next(p for p in (folder, *folder.absolute().parents) if p.exists() or p.is_symlink())
    if not there.is_dir():
        raise UsageError(f"cannot write {folder}: {there} is a file, not a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UsageError(f"cannot write {folder}: no permission to write in {there}")
    free = shutil.disk_usage(there).free
    needed = round(new_runs * RUN_BYTES if all_bytes is None else all_bytes)
    if free < needed:
        raise UsageError(
            f"no space for {folder}: {counted(new_runs, 'run')} may need "
            f"{-(-needed // _MEBIBYTE)} MiB, {free // _MEBIBYTE} MiB are free"
        )


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds a results folder for one process, making it if it is not there.

    The lock ends with the process, however it ends; whatever dead processes left half-written is
    removed first, and what this one leaves so (interrupted) last.

    Raises:
        UsageError: if it cannot be written or is in use.
    """
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / _LOCK).open("w")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(f"another looplab is working in {folder}; wait for it") from error
        remove_partial(folder / RUNS)
        try:
            yield
        finally:
            remove_partial(folder / RUNS)


def check_same(folder: Path, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What a results folder holds already, if it belongs to this comparison; else refuses it.

    More seeds and more values on the same axes belong to it; other axes or settings do not.

    Args:
        folder: the results folder; it need not exist.
        manifest: what is asked for, as in ``comparison.json``.

    Returns:
        The manifest that is there, empty if there is none.

    Raises:
        UsageError: naming what differs.
    """
    path = folder / COMPARISON_FILE
    if not path.exists():
        strangers = _strangers(folder)
        if strangers:
            raise UsageError(
                f"{folder} holds {strangers[0]}, but no comparison; give an empty folder as out="
            )
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        differing = _differences(found, manifest)
    except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
        raise UsageError(f"cannot read {path}: {str(error).splitlines()[0]}") from error
    if differing:
        raise UsageError(
            f"{folder} holds another comparison ({'; '.join(differing)}); give another out="
        )
    return dict(found)


def _strangers(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    return sorted(p.name for p in folder.iterdir() if not p.name.startswith(".") and p.name != RUNS)


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    found = []
    if old.get("name") != new["name"]:
        found.append(f"its name is {old.get('name')}, not {new['name']}")
    kinds = [manifest.get("trial", "train") for manifest in (old, new)]
    if kinds[0] != kinds[1]:
        found.append(f"its trial is {kinds[0]}, not {kinds[1]}")
    if list(old["axes"]) != list(new["axes"]):
        found.append(f"its axes are {', '.join(old['axes'])}, not {', '.join(new['axes'])}")
    before, after = old["settings"], new["settings"]
    for key in sorted({*before, *after}):
        if before.get(key) != after.get(key):
            found.append(f"its {key} is {_shown(before, key)}, not {_shown(after, key)}")
    return found or _changed_runs(old["runs"], new["runs"])


def _shown(settings: Mapping[str, Any], key: str) -> str:
    return str(settings[key]) if key in settings else "not set"


def _changed_runs(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[str]:
    """The same cell and seed under another hash: the configuration files have changed since."""
    names = {_place(entry): entry["run"] for entry in old}
    for entry in new:
        before = names.get(_place(entry), entry["run"])
        if before != entry["run"]:
            return [f"its run {before} was configured otherwise than {entry['run']}"]
    return []


def _place(entry: Mapping[str, Any]) -> str:
    return json.dumps([_canonical(entry["cell"]), entry["seed"]], sort_keys=True)


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Writes ``comparison.json``."""
    text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    write_whole(folder / COMPARISON_FILE, text.encode())
