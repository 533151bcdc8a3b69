"""The benchmark of tasks: what it measures, what it says, and where plain rivals come from."""

from pathlib import Path

import pytest

from looplab.envs.grids.lava_shortcut import LavaShortcut
from looplab.envs.worlds.point_hazard import PointHazard
from looplab.experiments import bench_envs

PLAIN = {"plain Python", "plain through gym.make"}
RUNS = {"n = 1", "n = 16", "n = 256", "n = 4096", "MiniGrid", *PLAIN}


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_envs, "STEPS", 40)
    monkeypatch.setattr(bench_envs, "ENV_STEPS", 200)
    monkeypatch.setattr(bench_envs, "REPEATS", 2)


def test_every_task_is_measured_and_told() -> None:
    lines: list[str] = []
    rivals = bench_envs.plain_rivals()
    tasks = {"lava_shortcut": LavaShortcut, "without_rival": LavaShortcut}
    found = bench_envs.bench_envs(tasks, rivals, lines.append)
    assert set(found["lava_shortcut"]) == RUNS
    assert set(found["without_rival"]) == RUNS - PLAIN
    assert all(value > 0.0 for speed in found.values() for value in speed.values())
    ratio = found["lava_shortcut"]["n = 256"] / found["lava_shortcut"]["plain Python"]
    assert lines[0] == "lava_shortcut"
    assert f"{ratio:.1f} x plain Python" in lines[2]
    assert len(lines) == 6


def test_continuous_actions_are_drawn_too() -> None:
    assert bench_envs.lanes_run(PointHazard(2))() > 0.0


def test_rivals_come_from_every_module_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("RIVALS = {'task': dict}\n")
    assert bench_envs.plain_rivals(tmp_path) == {"task": dict}
    assert bench_envs.plain_rivals(tmp_path / "nowhere") == {}
