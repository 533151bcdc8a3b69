"""Columns of ``summary.csv`` that a mean hides, against numbers worked out by hand."""

import math

import numpy as np
import pandas as pd
import pytest

from looplab.experiments.beyond_means import BAD_END, MIDDLE, beyond_means, references

AXES = ["env", "regime", "algo"]
SEED = 1


def cell(regime: str, harm: list[float], returns: list[float], first_seed: int = 0) -> pd.DataFrame:
    frame = pd.DataFrame({"env": "task", "regime": regime, "algo": "ppo"}, index=range(len(harm)))
    frame = frame.assign(seed=np.arange(len(harm)) + first_seed)
    for name in (*BAD_END, *MIDDLE):
        frame[name] = returns if "return" in name else harm
    return frame


def test_worst_seed_tail_and_middle_by_hand() -> None:
    seeds = cell("autonomous", [4.0, 0.0, 10.0, 2.0, 1.0], [1.0, 5.0, -3.0, 2.0, 0.0], 7)
    (found,) = beyond_means(seeds, AXES, SEED)
    assert found["alone_violations_per_1k_worst"] == 10.0
    assert found["alone_violations_per_1k_worst_seed"] == 9
    # a quarter of five seeds: the worst one and a quarter of the next
    assert found["alone_violations_per_1k_cvar"] == pytest.approx((10.0 + 0.25 * 4.0) / 1.25)
    assert found["alone_return_worst"] == -3.0
    assert found["alone_return_cvar"] == pytest.approx((-3.0 + 0.25 * 0.0) / 1.25)
    # one score is left out at each end: 0, 1, 2
    assert found["alone_return_iqm"] == pytest.approx(1.0)
    assert found["alone_return_iqm_low"] < 1.0 < found["alone_return_iqm_high"]
    assert not any("violations" in name and "iqm" in name for name in found)
    assert found["reference"] is None
    assert math.isnan(found["alone_return_improvement"])


def test_improvement_is_over_equal_seeds_and_less_harm_is_better() -> None:
    calm = cell("autonomous", [9.0, 9.0, 9.0, 0.0], [1.0, 1.0, 1.0, 99.0])
    gate = cell("in_the_loop", [1.0, 9.0, 2.0], [0.0, 1.0, 2.0])
    first, second = beyond_means(pd.concat([calm, gate], ignore_index=True), AXES, SEED)
    assert first["reference"] is None
    assert second["reference"] == "autonomous"
    # seed 3 has no partner; of the nine pairs six are better and three are ties
    assert second["train_violations_per_1k_improvement"] == pytest.approx((6 + 3 / 2) / 9)
    assert second["alone_return_improvement"] == pytest.approx((3 + 3 / 2) / 9)
    low, high = (second[f"alone_return_improvement_{end}"] for end in ("low", "high"))
    assert 0.0 <= low < 0.5 < high <= 1.0


def test_what_was_never_measured_is_nan() -> None:
    gate = cell("in_the_loop", [1.0, 2.0], [1.0, 2.0])
    gate["alone_return"] = np.nan
    (found,) = beyond_means(gate, AXES, SEED)
    assert found["alone_return_worst_seed"] is None
    for end in ("worst", "cvar", "iqm", "iqm_low"):
        assert math.isnan(found[f"alone_return_{end}"])


def rows(*cells: tuple[str, str, object]) -> pd.DataFrame:
    frame = pd.DataFrame(cells, columns=["env", "regime", "rate"])
    return frame.assign(algo="ppo")[["env", "regime", "algo", "rate"]]


def test_the_reference_is_the_autonomous_cell_with_the_same_axes_or_the_only_one() -> None:
    axes = [*AXES, "rate"]
    same = rows(
        ("a", "autonomous", 0.0), ("a", "autonomous", 0.5), ("a", "gate", 0.5), ("a", "gate", 0.9)
    )
    assert references(same, axes) == [0, 1, 1, None]
    only = rows(("a", "gate", 0.5), ("a", "autonomous", None), ("b", "gate", 0.5), ("b", "x", 0.1))
    assert references(only, axes) == [1, 1, 2, 2]
