"""What executing runs costs beside the runs, and what a second worker brings."""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from looplab.experiments.backlog import Backlog
from looplab.experiments.collecting import collect
from looplab.experiments.compare import check_cells, jobs
from looplab.experiments.crew import Crew
from looplab.experiments.executors import Local
from looplab.experiments.job import Failure, Watcher
from looplab.experiments.manifest import manifest_of
from looplab.experiments.overrides import Plan, plan
from looplab.experiments.store import locked, write_manifest

#: Runs as long as those of ``experiment=first_look``; the overhead is the same for longer ones.
WORDS = ("env=lava_shortcut", "regime=autonomous,in_the_loop", "total_steps=60000")
SEEDS = 2
#: Runs that are to show what a second worker brings: many, and short.
SHORT = ("env=lava_shortcut", "regime=in_the_loop", "total_steps=20000")
#: Runs of each worker whose time counts; one before them pays for imports.
RUNS_PER_WORKER = 3
#: Load of other programs from which on two workers do not have a core each.
BUSY = 0.5


class _Stopwatch(Watcher):
    """Processor seconds of this process within runs, and when each run ended."""

    def __init__(self) -> None:
        self.own = 0.0
        self.ends: list[float] = []
        self._began = 0.0

    def started(self, name: str) -> None:
        self._began = time.process_time()

    def advanced(self, name: str, steps: int) -> None:
        pass

    def finished(self, name: str, failure: Failure | None) -> None:
        self.own += time.process_time() - self._began
        self.ends.append(time.perf_counter())


def overhead(words: tuple[str, ...] = WORDS, seeds: int = SEEDS) -> float:
    """Processor time of a comparison beside its runs, as a share of the runs' own.

    All but the report counts: composing and checking cells, executing, writing, collecting. One
    worker, which is this process. What is loaded and compiled once is not counted.
    """
    asked = [*words, f"seeds={seeds}"]
    check_cells(plan(asked))
    began, watch = time.process_time(), _Stopwatch()
    found = plan(asked)
    check_cells(found)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        wanted = jobs(found, folder)
        manifest = manifest_of(found, wanted, None)
        with locked(folder):
            write_manifest(folder, manifest)
            Local()(wanted, 1, watch)
            collect(folder, manifest["runs"], manifest["axes"])
    return (time.process_time() - began - watch.own) / watch.own


def seconds_per_run(asked: Plan, workers: int) -> float:
    """Wall-clock seconds per run with so many workers, after each has made one run."""
    watch = _Stopwatch()
    with tempfile.TemporaryDirectory() as folder:
        wanted = jobs(asked, Path(folder))[: workers * (1 + RUNS_PER_WORKER)]
        Crew(Backlog(wanted, watch), workers, watch).work()
    first, last = watch.ends[workers - 1], watch.ends[-1]
    return (last - first) / (len(wanted) - workers)


def bench_running(say: Callable[[str], None]) -> dict[str, float]:
    """Measures both, prints them and returns ``overhead`` and ``two_workers``.

    Args:
        say: prints a line.
    """
    load = os.getloadavg()[0]
    found = {"overhead": overhead()}
    say(f"orchestration beside the runs: {100 * found['overhead']:.2f} % of their own time")
    asked = plan([*SHORT, f"seeds={2 * (1 + RUNS_PER_WORKER)}"])
    found["two_workers"] = seconds_per_run(asked, 1) / seconds_per_run(asked, 2)
    say(f"two workers against one: {found['two_workers']:.2f} times as fast, start-up excluded")
    if load > BUSY:
        say(f"  (the machine was busy: load {load:.1f} before; two workers want two idle cores)")
    return found
