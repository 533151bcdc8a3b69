"""Runs on a real cluster of two nodes on this machine, and on one of LoopLab's own."""

import itertools
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from looplab.envs.errors import UsageError
from looplab.experiments.build import make
from looplab.experiments.executors import Local
from looplab.experiments.job import Job
from looplab.experiments.ray_cluster import Ray
from looplab.experiments.store import is_finished

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # read when the cluster starts
ray = pytest.importorskip("ray")
cluster_utils = pytest.importorskip("ray.cluster_utils")

WORDS = ("env=lava_shortcut", "regime=autonomous,in_the_loop", "seeds=2")
WAIT_SECONDS = 120.0
#: Last parts of loopback addresses that no node has had yet.
_PLACES = itertools.count(2)
pytestmark = [pytest.mark.usefixtures("broken"), pytest.mark.slow]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head without cores, so that runs go to nodes that a test may kill; loopback only."""
    from ray._private import ray_constants

    patch = pytest.MonkeyPatch()
    patch.setattr(ray_constants, "ENABLE_RAY_CLUSTER", False)
    made = cluster_utils.Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}
    )
    yield made
    made.shutdown()
    patch.undo()


def node(cluster: Any) -> Any:
    """Another node of the cluster, with one core and an address of its own.

    Whoever starts runs joins the node at its own address, and must not be killed with it.
    """
    return cluster.add_node(num_cpus=1, node_ip_address=f"127.0.0.{next(_PLACES)}")


def names(folder: Path) -> list[str]:
    """Files of a run; the names of TensorBoard's end with a time and a process."""
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*"))
    return sorted(name.partition("tfevents")[0] for name in found)


def timeless(job: Job) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((job.folder / "metrics.json").read_text())
    return {key: value for key, value in found.items() if "seconds" not in key}


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def test_two_nodes_make_the_runs_that_this_machine_makes(
    cluster: Any,
    job: Callable[..., Job],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    watching: Any,
) -> None:
    nodes = [node(cluster), node(cluster)]
    there = [job("", seed) for seed in range(4)]
    here = [Job(one.name, one.config, tmp_path / "here" / one.name) for one in there]
    notes = watching()
    assert Local()(here, 1, notes) == []
    monkeypatch.setattr("ray._private.ray_constants.ENABLE_RAY_CLUSTER", True)  # as it comes
    assert Ray(address=cluster.address)(there, None, notes) == []
    assert not ray.is_initialized()
    for one, other in zip(here, there, strict=True):
        assert names(one.folder) == names(other.folder)
        for name in ("episodes.parquet", "decisions.parquet", "config.yaml"):
            assert (one.folder / name).read_bytes() == (other.folder / name).read_bytes(), name
        assert timeless(one) == timeless(other)
        assert notes.of(one) == ["started", "finished"] * 2
        assert notes.steps[one.name] == one.config["total_steps"]
    monkeypatch.undo()
    for one in nodes:
        cluster.remove_node(one, allow_graceful=False)


def test_a_node_that_is_killed_costs_its_runs_one_more_try(
    cluster: Any, job: Callable[..., Job], tmp_path: Path, watching: Any
) -> None:
    class Killer(watching):
        """Kills the node where the long run is, once it stalls there in the middle of training."""

        def started(self, name: str) -> None:
            super().started(name)
            if name == long.name and self.of(long) == ["started"]:
                until((tmp_path / "has_stalled").exists)
                cluster.remove_node(doomed, allow_graceful=False)
                node(cluster)

    long, wrong = job("StallsOnce", 0), [job("Raises"), job("NanReward")]
    doomed = node(cluster)
    notes = Killer()
    failures = Ray(address=cluster.address)([long, *wrong, job(seed=1)], None, notes)
    assert [failure.name for failure in failures] == [one.name for one in wrong]
    assert "ArithmeticError: the wires burnt" in failures[0].message
    assert "Traceback" in failures[0].details
    assert notes.of(long) == ["started", "started", "finished"]
    assert notes.steps[long.name] == long.config["total_steps"]
    assert notes.of(wrong[0]) == ["started", "started", "finished"]  # by chance? once more
    assert notes.of(wrong[1]) == ["started", "finished"]  # LoopLab knows that it is the task
    assert is_finished(long.folder)
    assert is_finished(job(seed=1).folder)
    assert {path.name for path in long.folder.parent.iterdir()} == {long.name, job(seed=1).name}


OWN = """
import sys
from pathlib import Path
import ray
from looplab.experiments import ray_cluster
from looplab.experiments.cli import main

def connected(*words, **settings):
    found = init(*words, **settings)
    Path("address").write_text(ray.get_runtime_context().gcs_address)
    return found

init, ray.init = ray.init, connected
main(sys.argv[1:])
"""


def test_a_cluster_of_its_own_is_quiet_hears_this_machine_alone_and_ends(
    tmp_path: Path, tiny: Sequence[str]
) -> None:
    words = ("compare", *WORDS[:2], "seeds=1", *tiny, "executor=ray", "workers=2", "out=out")
    done = subprocess.run(
        [sys.executable, "-c", OWN, *words], cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)}, timeout=WAIT_SECONDS * 2,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[-1] == "report: out/report.html"
    assert all(
        re.match(r"\d+ runs|finished|report: |estimate: | *\d+ %|about", line) for line in lines
    ), lines
    address = (tmp_path / "address").read_text()
    assert address.startswith("127.0.0.1:")
    until(lambda: not _listens(address))


def _listens(address: str) -> bool:
    import socket

    host, port = address.split(":")
    with socket.socket() as door:
        return door.connect_ex((host, int(port))) == 0


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"address": ""}, "executor.address must be host:port or auto, got ''"),
        ({"cpus": 0}, "executor.cpus must be a whole number of at least 1, got 0"),
        ({"memory_gb": -1}, "executor.memory_gb"),
        ({"working_dir": "/nowhere/at/all"}, "there is no folder /nowhere/at/all"),
    ],
)
def test_a_wrong_setting_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        Ray(**settings)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "localhost:1"])
def test_a_cluster_that_is_not_there_is_named(
    address: str, job: Callable[..., Job], watching: Any
) -> None:
    with pytest.raises(UsageError, match=f"no Ray cluster answers at executor.address={address}"):
        Ray(address=address)([job()], None, watching())


def test_a_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"pip install 'looplab\[ray\]'"):
        make({"_target_": "looplab.experiments.ray_cluster.Ray"})
