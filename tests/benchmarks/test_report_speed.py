"""The benchmark of reports draws a folder with all that a comparison leaves, and measures."""

import importlib.util
from pathlib import Path

import pytest

FILE = Path(__file__).resolve().parents[2] / "benchmarks" / "report_speed.py"


@pytest.mark.slow
def test_a_small_folder_is_drawn_and_measured(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = importlib.util.spec_from_file_location("report_speed", FILE)
    assert spec is not None
    assert spec.loader is not None
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    monkeypatch.setattr(benchmark, "TASKS", ("lava_shortcut", "ops_desk"))
    monkeypatch.setattr(benchmark, "REGIMES", ("autonomous", "adaptive"))
    monkeypatch.setattr(benchmark, "LIMIT_SECONDS", 0.0)
    assert benchmark.main(["8", "40"]) == 1  # slower than no time at all
    said = capfd.readouterr().out
    assert "large/report.html" in said
    assert "8 runs x 40 episodes" in said
