"""Says whether this machine is fit to run LoopLab, and what is wrong if it is not."""

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from looplab.envs.errors import LoopLabError
from looplab.experiments.provenance import cores, provenance
from looplab.experiments.store import METRICS_FILE

_SELF_CHECK_STEPS = 4096
_SLOW_SECONDS = 60.0


def doctor(say: Callable[[str], None] = print) -> bool:
    """Prints versions, cores, threads and a small self-check; returns whether all is well."""
    facts = provenance()
    say(f"python {facts['python']} on {facts['machine']['system']}, {cores()} cores")
    say(", ".join(f"{name} {version}" for name, version in facts["versions"].items()))
    checks = [_torch(say), _folder(say, Path.cwd()), _train(say)]
    say("all is well" if all(checks) else "something is wrong: see the lines marked FAILED")
    return all(checks)


def _torch(say: Callable[[str], None]) -> bool:
    import torch

    say(
        f"ok      torch {torch.__version__}, {torch.get_num_threads()} threads by default, "
        "1 per worker while training"
    )
    return True


def _folder(say: Callable[[str], None], folder: Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=folder):
            say(f"ok      {folder} is writable")
    except OSError as error:
        say(f"FAILED  {folder} is not writable: {error.strerror}")
        return False
    return True


def _train(say: Callable[[str], None]) -> bool:
    """Trains for a few thousand steps behind a perfect gate, which must let nothing through."""
    from looplab.experiments.overrides import plan
    from looplab.experiments.run import run

    words = ["regime=in_the_loop", f"total_steps={_SELF_CHECK_STEPS}", "eval_episodes=10"]
    config = plan(words, sweeps=False).cells[0]
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        try:
            run(config, Path(folder) / "run")
        except LoopLabError as error:
            say(f"FAILED  self-check: {error}")
            return False
        metrics = json.loads((Path(folder) / "run" / METRICS_FILE).read_text(encoding="utf-8"))
    seconds = time.perf_counter() - started
    violations = metrics["totals"]["violations"]
    well = violations == 0 and seconds < _SLOW_SECONDS
    say(
        f"{'ok    ' if well else 'FAILED'}  self-check: {metrics['steps']} steps behind a perfect "
        f"gate in {seconds:.1f} s, {violations} violations"
    )
    return well
