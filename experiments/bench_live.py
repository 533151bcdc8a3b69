"""``looplab bench live``: how soon answers are actions, how many are kept, what it weighs."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from looplab.envs.errors import LoopLabError
from looplab.envs.grids.lava_shortcut import LavaShortcut
from looplab.experiments.bench_running import BUSY
from looplab.oversight.engine import Engine
from looplab.oversight.protocols.gate import Gate

LISTENERS = 100
ACTIONS = 300
#: Between two answers, so that nobody comes more often than one may.
PAUSE_SECONDS = 0.025
LANES, BATCH = 250, 1000
SECONDS = 5.0
DECISIONS = 100_000
#: Decisions after which memory is looked at first: until then buffers and caches fill.
_WARM = 10_000
_ABOUT = {
    "env": "bench", "regime": "in_the_loop", "lanes": LANES, "identity": "bench",
    "actions": {"n": 2, "names": ["go", "wait"]},
}  # fmt: skip
#: What the issue of speed asks for: p99 of an answer until its action, and answers per second.
LIMIT_MS, LIMIT_PER_SECOND = 50.0, 1000.0


@dataclass(frozen=True)
class Served:
    """A service that was started for the measurement."""

    url: str
    tokens: dict[str, str]
    process: "subprocess.Popen[str]"

    @property
    def resident_mib(self) -> float:
        """Memory that the service holds now."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
        raise OSError("no VmRSS")


def bench_live(say: Callable[[str], None]) -> dict[str, float]:
    """Measures a service of its own in a temporary folder, one thing after another.

    Args:
        say: prints a line.

    Returns:
        ``action_ms_p50``, ``action_ms_p99``, ``verdicts_per_second``, ``memory_mib`` at first and
        ``memory_growth_mib`` over ``DECISIONS``.
    """
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="looplab-bench-") as folder, _served(folder) as served:
        half, most = np.percentile(actions_after(served), (50, 99))
        say(
            f"from an answer to its action, {LISTENERS} clients listening: {half:.1f} ms, 99 % "
            f"within {most:.1f} ms (limit {LIMIT_MS:g})"
        )
        rate = kept_per_second(served)
        say(f"answers kept on disk: {rate:.0f} a second (at least {LIMIT_PER_SECOND:g})")
        first, last = memory_over(served)
        say(
            f"memory of the service: {first:.0f} MiB after {_WARM} decisions, "
            f"{last - first:+.1f} MiB after {DECISIONS} more"
        )
    if load > BUSY:
        say(f"  (the machine was busy: load {load:.1f} before)")
    return {
        "action_ms_p50": float(half), "action_ms_p99": float(most), "verdicts_per_second": rate,
        "memory_mib": first, "memory_growth_mib": last - first,
    }  # fmt: skip


@contextmanager
def _served(folder: str) -> Iterator[Served]:
    environment = {**os.environ, "LOOPLAB_HOME": folder}
    command = [sys.executable, "-m", "looplab.experiments.cli", "serve", "port=0"]
    process = subprocess.Popen(
        [*command, "deadlines=[null]"], env=environment, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("open: "):
                break
        (file,) = (Path(folder) / "tokens").glob("*.json")
        tokens = json.loads(file.read_text(encoding="utf-8"))
        yield Served(tokens["url"], tokens, process)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


def actions_after(served: Served) -> Any:
    """Milliseconds from when an answer is sent to when its action has run, shape (ACTIONS,)."""
    from looplab.oversight.live.client import ReviewerClient
    from looplab.oversight.live.line import LiveRun
    from looplab.oversight.live.overseer import LiveOverseer

    lanes = LavaShortcut(1)
    lanes.reseed(0)
    lanes.reset()
    overseer = LiveOverseer(served.url, session="actions", pictures=False)
    os.environ["LOOPLAB_TOKEN"] = served.tokens["trainer"]
    overseer.bind(LiveRun("lava_shortcut", "in_the_loop", "", "actions", "actions"))
    engine = Engine(lanes, Gate(overseer=overseer))
    ran: list[float] = []

    def step() -> None:
        for _ in range(ACTIONS):
            record = engine.step(np.array([4]))
            ran.append(time.perf_counter())
            done = record.terminated | record.truncated
            if done.any():
                lanes.reset(done)
                engine.begin(done)

    sent: list[float] = []
    with _listening(served), ReviewerClient(served.url, served.tokens["admin"]) as reviewer:
        thread = threading.Thread(target=step)
        thread.start()
        while len(sent) < ACTIONS:
            for one in reviewer.waiting():
                sent.append(time.perf_counter())
                reviewer.answer(one["id"], "approve")
                while len(ran) < len(sent):
                    time.sleep(0.0002)
            time.sleep(PAUSE_SECONDS)
        thread.join()
    overseer.close()
    return 1000.0 * (np.array(ran) - np.array(sent))


@contextmanager
def _listening(served: Served) -> Iterator[None]:
    """Clients that hear all news, in a thread of their own."""
    from websockets.asyncio.client import connect

    address = served.url.replace("http", "ws") + "/api/stream"
    headers = {"Authorization": f"Bearer {served.tokens['admin']}"}
    connected, over = threading.Event(), threading.Event()

    async def one() -> None:
        async with connect(address, additional_headers=headers) as socket:
            while not over.is_set():
                try:
                    async with asyncio.timeout(0.5):
                        await socket.recv()
                except TimeoutError:
                    continue

    async def everybody() -> None:
        tasks = [asyncio.create_task(one()) for _ in range(LISTENERS)]
        await asyncio.sleep(2.0)
        connected.set()
        await asyncio.gather(*tasks)

    thread = threading.Thread(target=lambda: asyncio.run(everybody()))
    thread.start()
    connected.wait()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _rounds(served: Served, session: str) -> Generator[int, None, None]:
    """Asks and answers a thousand at a time; yields nanoseconds that answering took."""
    from looplab.oversight.live.client import Connection, ReviewerClient, TrainerClient

    connection = Connection(served.url, served.tokens["trainer"])
    trainer = TrainerClient(connection, session, {**_ABOUT, "identity": session})
    trainer.open()
    number = 0
    with ReviewerClient(served.url, served.tokens["admin"]) as reviewer:
        try:
            while True:
                batches = [f"{number}.{part}" for part in range(BATCH // LANES)]
                number += 1
                for batch in batches:
                    lanes = [{"lane": lane, "values": {"round": number}} for lane in range(LANES)]
                    trainer.ask(batch, lanes)
                verdicts = [
                    {"request": f"{session}:{batch}:{lane}", "verdict": "approve"}
                    for batch in batches
                    for lane in range(LANES)
                ]
                started = time.perf_counter()
                told = reviewer.answer_many(verdicts)
                if not all(one["ok"] for one in told):
                    raise LoopLabError(f"the service turned answers down: {told[:1]}")
                yield round((time.perf_counter() - started) * 1e9)
                for batch in batches:
                    trainer.answers(batch)
        finally:
            trainer.end()
            connection.close()


def kept_per_second(served: Served) -> float:
    """Answers that are acknowledged, and so on disk, per second of answering."""
    spent, count = 0.0, 0
    rounds = _rounds(served, "rate")
    while spent < SECONDS:
        spent += next(rounds) / 1e9
        count += BATCH
    rounds.close()
    return count / spent


def memory_over(served: Served) -> tuple[float, float]:
    """Memory of the service after its first decisions and after ``DECISIONS`` more, in MiB."""
    rounds = _rounds(served, "memory")
    for _ in range(_WARM // BATCH):
        next(rounds)
    first = served.resident_mib
    for _ in range(DECISIONS // BATCH):
        next(rounds)
    last = served.resident_mib
    rounds.close()
    return first, last
