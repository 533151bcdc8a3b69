"""Every experiment that there is, run small: each new file in ``configs/experiment`` is tested."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from looplab.experiments.claims import read_claims
from looplab.experiments.composition import TRIAL, groups
from looplab.experiments.overrides import plan
from looplab.experiments.trials import kind

SMALL = ("seeds=2", "total_steps=2000", "eval_episodes=5")
#: A minute on two idle cores is two minutes of processor time at most; on busy ones it takes more.
CPU_SECONDS = 180.0
VERDICTS = {"supported", "not_supported", "inconclusive"}


@pytest.mark.slow
@pytest.mark.parametrize("name", groups()["experiment"])
def test_an_experiment_runs_small_and_judges_every_claim(
    name: str, looplab: Callable[..., Any], tmp_path: Path
) -> None:
    asked = plan([f"experiment={name}", *SMALL])
    began = time.process_time()
    ended = looplab("compare", f"experiment={name}", *SMALL, "display=none", "workers=1")
    spent = time.process_time() - began
    assert ended.status == 0, ended.err
    folder = tmp_path / "results" / name
    claims = read_claims(asked.experiment or {}, measures=kind({TRIAL: asked.trial}).measures())
    verdicts = json.loads((folder / "verdicts.json").read_text())
    assert {record["claim"] for record in verdicts} == {claim.name for claim in claims}
    assert {record["verdict"] for record in verdicts} <= VERDICTS
    cells = pd.read_csv(folder / "summary.csv")
    assert len(cells) == len(asked.cells)
    assert (cells["seeds"] == 2).all()
    results = pd.read_parquet(folder / "results.parquet")
    assert results["run"].nunique() == 2 * len(asked.cells)
    first = (asked.experiment or {})["figure"]
    for suffix in (".png", ".pdf"):
        assert (folder / "figures" / first).with_suffix(suffix).stat().st_size > 1000
    assert (asked.experiment or {})["question"] in (folder / "report.html").read_text()
    assert spent < CPU_SECONDS
