"""Verdicts on hand-worked frames: each rule, and the cases at its edges."""

import json
from collections.abc import Mapping, Sequence
from math import isnan, log
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from looplab.experiments.claims import Claim, read_claims
from looplab.experiments.contrast import contrast
from looplab.experiments.statistics import Interval
from looplab.experiments.verdicts import LEAST_P, SIGNIFICANCE, Verdict, _corrected, as_json, judge

AXES = ("env", "regime", "algo")
GATE, ALONE = {"regime": "in_the_loop"}, {"regime": "autonomous"}


def claim(**given: Any) -> Claim:
    """A claim that the gate's return is higher than that of agents alone, but for what is given."""
    stated = {
        "name": "one", "says": "One.", "measure": "alone_return", "of": GATE, "is": "more",
        "than": ALONE, **given,
    }  # fmt: skip
    return read_claims({"name": "x", "claims": [stated]})[0]


def frame(cells: Mapping[tuple[str, str], Sequence[float]], **columns: Any) -> pd.DataFrame:
    """One row for each value of each (task, regime): seeds 0, 1, ..."""
    rows = [
        {"env": env, "regime": regime, "algo": "ppo", "seed": seed, "runs": 1.0,
         "alone_ksteps": 10.0, "alone_return": value, "alone_violations_per_1k": value,
         "train_violations": value, "frozen": value, **columns}
        for (env, regime), values in cells.items()
        for seed, value in enumerate(values)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def one_task(gate: Sequence[float], alone: Sequence[float]) -> pd.DataFrame:
    return frame({("a", "in_the_loop"): gate, ("a", "autonomous"): alone})


def verdict(rows: pd.DataFrame, **given: Any) -> Verdict:
    (found,) = judge([claim(**given)], rows, AXES)
    return found


# Differences


def test_a_difference_is_paired_by_seed_with_the_student_interval_worked_by_hand() -> None:
    # Differences 1, 2, 3: mean 2, standard error 1 / sqrt(3), t(0.975, 2) = 4.302653.
    found = verdict(one_task([11.0, 22.0, 33.0], [10.0, 20.0, 30.0]))
    assert found.estimate == pytest.approx((2.0, 2.0 - 4.302653 / 3**0.5, 2.0 + 4.302653 / 3**0.5))
    assert found.means == pytest.approx((22.0, 20.0))
    assert (found.seeds, found.task) == (3, "a")
    # t = 2 sqrt(3) with 2 degrees of freedom
    assert found.p == pytest.approx(2 * scipy.stats.t.sf(2 * 3**0.5, 2), rel=2e-3)
    assert found.p == pytest.approx(0.0742, abs=2e-4)
    assert found.verdict == "inconclusive"


@pytest.mark.parametrize(
    ("direction", "by", "expected"),
    [
        # Differences 9, 10, 11: 10 within [7.516, 12.484].
        ("more", 0, "supported"),
        ("more", 7, "supported"),
        ("more", 8, "inconclusive"),
        ("more", 13, "not_supported"),
        ("less", 0, "not_supported"),
        ("no_more", 13, "supported"),
        ("no_more", 12, "inconclusive"),
        ("no_more", 7, "not_supported"),
        ("no_less", 1, "supported"),
        ("equal", 13, "supported"),
        ("equal", 12, "inconclusive"),
        ("equal", 7, "not_supported"),
    ],
)
def test_the_interval_must_lie_on_one_side_of_the_margin(
    direction: str, by: float, expected: str
) -> None:
    rows = one_task([19.0, 30.0, 41.0], [10.0, 20.0, 30.0])
    assert verdict(rows, **{"is": direction}, by=by).verdict == expected


def test_directions_are_mirrored() -> None:
    rows = one_task([10.0, 20.0, 30.0], [19.0, 30.0, 41.0])
    found = verdict(rows, **{"is": "less"}, by=7)
    assert found.estimate == pytest.approx((-10.0, -10 - 2.484138, -10 + 2.484138), abs=1e-6)
    assert found.verdict == "supported"
    assert verdict(rows, **{"is": "no_less"}, by=7).verdict == "not_supported"
    assert verdict(rows, **{"is": "no_less"}, by=13).verdict == "supported"


def test_a_number_and_a_factor_can_be_held_against() -> None:
    found = verdict(one_task([19.0, 20.0, 21.0], [0.0, 0.0, 0.0]), than=10)
    assert found.estimate.mean == pytest.approx(10.0)
    assert found.verdict == "supported"
    assert found.means == (20.0, 10.0)
    twice = verdict(one_task([21.0, 41.0, 61.0], [10.0, 20.0, 30.0]), times=2)
    assert twice.estimate == Interval(1.0, 1.0, 1.0)


def test_a_tie_at_the_margin_decides_nothing_and_agreement_beside_it_does() -> None:
    rows = one_task([5.0, 6.0, 7.0], [5.0, 6.0, 7.0])
    tie = verdict(rows)
    assert (tie.verdict, tie.p, tie.estimate) == ("inconclusive", 1.0, Interval(0.0, 0.0, 0.0))
    assert verdict(rows, **{"is": "less"}).verdict == "inconclusive"
    assert verdict(rows, **{"is": "equal"}, by=0.1).verdict == "supported"
    assert verdict(rows, by=1).verdict == "not_supported"
    beside = verdict(one_task([6.0, 7.0], [5.0, 6.0]))
    assert (beside.verdict, beside.p) == ("supported", LEAST_P)
    assert verdict(one_task([6.0, 7.0], [5.0, 6.0]), by=1).verdict == "inconclusive"


def test_one_seed_is_inconclusive_however_large_the_difference() -> None:
    found = verdict(one_task([1000.0], [0.0]))
    assert (found.verdict, found.estimate.mean, found.seeds) == ("inconclusive", 1000.0, 1)
    assert isnan(found.estimate.low)
    assert isnan(found.p_corrected)


def test_only_seeds_that_both_sides_have_count() -> None:
    rows = one_task([11.0, 22.0, float("nan"), 5.0], [10.0, 20.0, 30.0])
    found = verdict(rows)
    assert (found.seeds, found.estimate.mean) == (2, 1.5)
    nothing = verdict(one_task([float("nan")], [1.0]))
    assert (nothing.seeds, nothing.verdict) == (0, "inconclusive")
    assert isnan(nothing.estimate.mean)


def test_twenty_seeds_are_resampled_and_the_p_value_fits_the_interval() -> None:
    rng = np.random.default_rng(3)
    alone = rng.normal(0.0, 1.0, 25)
    rows = one_task((alone + rng.exponential(1.0, 25)).tolist(), alone.tolist())
    free = verdict(rows)
    assert free.estimate.low > 0.0
    assert free.p == pytest.approx(2.0 / 4000.0)
    near = verdict(rows, by=free.estimate.low * 0.999)
    assert 0.045 < near.p <= SIGNIFICANCE
    assert near.verdict == "supported"
    over = verdict(rows, by=free.estimate.low * 1.001)
    assert 0.05 < over.p < 0.055
    assert over.verdict == "inconclusive"
    again = verdict(rows, by=free.estimate.low * 1.001)
    assert (again.p, again.estimate) == (over.p, over.estimate)


# Counts and shares


def test_equal_zeros_never_look_certain() -> None:
    rows = one_task([0.0, 0.0, 0.0], [0.0, 0.0, 0.0])
    found = verdict(rows, measure="alone_violations_per_1k")
    # 30 ksteps on each side: exact two-sided 95 % bound ln 40 / 30 = 3.689 / 30.
    assert found.estimate == pytest.approx((0.0, -log(40) / 30, log(40) / 30))
    assert (found.verdict, found.p) == ("inconclusive", 1.0)
    less = verdict(rows, measure="alone_violations_per_1k", **{"is": "less"})
    assert less.verdict == "inconclusive"
    bounded = verdict(rows, measure="alone_violations_per_1k", **{"is": "no_more"}, by=0.2)
    assert bounded.verdict == "supported"
    # e^(-30 x 0.2) on each tail
    assert bounded.p == pytest.approx(2 * np.exp(-6.0), rel=2e-3)
    near = verdict(rows, measure="alone_violations_per_1k", **{"is": "no_more"}, by=0.12)
    assert near.verdict == "inconclusive"


def test_rare_events_widen_the_interval_and_frequent_ones_do_not() -> None:
    # 3 and 6 events in 30 ksteps: exact Poisson intervals [0.619, 8.767] and [2.202, 13.06].
    rows = one_task([0.2, 0.2, 0.2], [0.1, 0.1, 0.1])
    found = verdict(rows, measure="alone_violations_per_1k")
    down = np.hypot(6.0 - 2.20189, 8.76727 - 3.0) / 30.0
    up = np.hypot(13.05947 - 6.0, 3.0 - 0.61867) / 30.0
    assert found.estimate == pytest.approx((0.1, 0.1 - down, 0.1 + up), rel=1e-5)
    many = verdict(one_task([20.0] * 3, [10.0] * 3), measure="alone_violations_per_1k")
    assert many.estimate == Interval(10.0, 10.0, 10.0)


def test_yes_or_no_needs_more_seeds_than_numbers_that_agree() -> None:
    # Clopper-Pearson: 3 of 3 is [0.292, 1], 5 of 5 [0.478, 1], and mirrored for none.
    three = verdict(one_task([1.0] * 3, [0.0] * 3), measure="frozen")
    assert three.estimate == pytest.approx((1.0, 1.0 - 0.70760 * 2**0.5, 1.0), abs=1e-4)
    assert three.verdict == "inconclusive"
    five = verdict(one_task([1.0] * 5, [0.0] * 5), measure="frozen")
    assert five.estimate.low == pytest.approx(1.0 - 0.52182 * 2**0.5, abs=1e-4)
    assert five.verdict == "supported"


# No event at all


def none(gate: Sequence[float]) -> Verdict:
    rows = one_task(gate, gate)
    return verdict(rows, measure="train_violations", **{"is": "none"}, than=None)


def test_no_event_supports_with_the_rule_of_three() -> None:
    found = none([0.0, 0.0, 0.0])
    assert found.verdict == "supported"
    assert found.estimate == pytest.approx((0.0, 0.0, -log(0.05) / 3))  # 3 runs
    assert isnan(found.p)
    assert isnan(found.means[1])


def test_one_event_refutes_and_one_seed_without_any_tells_nothing() -> None:
    refuted = none([0.0, 1.0, 0.0])
    assert refuted.verdict == "not_supported"
    assert refuted.estimate.mean == pytest.approx(1 / 3)
    one = none([0.0])
    assert one.verdict == "inconclusive"
    assert one.estimate == pytest.approx((0.0, 0.0, -log(0.05)))
    assert none([2.0]).verdict == "not_supported"


# Several claims, several tasks


def test_holms_correction_on_a_known_example() -> None:
    # p = 0.01, 0.04, 0.03, 0.005: 4 x 0.005, 3 x 0.01, 2 x 0.03, and 0.04 raised to 0.06.
    assert _corrected([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert _corrected([0.6, 0.7]) == [1.0, 1.0]
    corrected = _corrected([0.02, float("nan"), 0.03])
    assert corrected[::2] == pytest.approx([0.04, 0.04])
    assert isnan(corrected[1])
    assert _corrected([]) == []


def test_the_correction_counts_every_claim_and_task() -> None:
    # Differences 9, 10, 11 against a margin of 7: t = 3 sqrt(3), p = 0.035; twice that is 0.07.
    gate, alone = [19.0, 30.0, 41.0], [10.0, 20.0, 30.0]
    (single,) = judge([claim(by=7)], one_task(gate, alone), AXES)
    assert single.p == single.p_corrected == pytest.approx(0.0351, abs=1e-4)
    assert single.verdict == "supported"
    both = frame(
        {(t, r): v for t in "ab" for r, v in (("in_the_loop", gate), ("autonomous", alone))}
    )
    found = judge([claim(by=7)], both, AXES)
    assert [one.task for one in found] == ["a", "b"]
    assert [one.p_corrected for one in found] == pytest.approx([0.0702] * 2, abs=2e-4)
    assert [one.verdict for one in found] == ["inconclusive"] * 2
    beside = claim(name="two", measure="train_violations", of=GATE, **{"is": "none"}, than=None)
    assert judge([claim(by=7), beside], one_task(gate, alone), AXES)[0].p_corrected == single.p


def test_tasks_are_judged_apart_or_as_a_mean() -> None:
    rows = frame(
        {
            ("a", "in_the_loop"): [11.0, 21.0, 31.0],
            ("a", "autonomous"): [10.0, 20.0, 30.0],
            ("b", "in_the_loop"): [7.0, 17.0, 27.0],
            ("b", "autonomous"): [10.0, 20.0, 30.0],
        }
    )
    apart = judge([claim()], rows, AXES)
    assert [(v.task, v.verdict, v.estimate.mean) for v in apart] == [
        ("a", "supported", 1.0),
        ("b", "not_supported", -3.0),
    ]
    (together,) = judge([claim(per="all")], rows, AXES)
    assert (together.task, together.averaged) == (None, ("env",))
    assert (together.estimate.mean, together.seeds) == (-1.0, 3)
    (named,) = judge([claim(of={"env": "b", **GATE})], rows, AXES)
    assert (named.task, named.estimate.mean) == ("b", -3.0)


def test_a_seed_that_lacks_one_of_the_pairs_is_left_out() -> None:
    cells = {
        ("a", "in_the_loop"): [1.0, 1.0, 9.0],
        ("a", "autonomous"): [0.0, 0.0, 0.0],
        ("b", "in_the_loop"): [3.0, 3.0],
        ("b", "autonomous"): [0.0, 0.0],
    }
    (found,) = judge([claim(per="all")], frame(cells), AXES)
    assert (found.seeds, found.means) == (2, (2.0, 0.0))


def test_what_is_never_measured_in_one_task_is_left_aside() -> None:
    nan = float("nan")
    cells = {
        ("a", "in_the_loop"): [1.0, 2.0], ("a", "autonomous"): [0.0, 0.0],
        ("b", "in_the_loop"): [nan, nan], ("b", "autonomous"): [nan, nan],
    }  # fmt: skip
    (found,) = judge([claim(per="all")], frame(cells), AXES)
    assert (found.seeds, found.estimate.mean, found.averaged) == (2, 1.5, ())


def test_cells_pair_by_the_axes_that_the_claim_does_not_name() -> None:
    axes = (*AXES, "trigger.share")
    rows = pd.concat(
        [
            one_task([11.0, 21.0], [10.0, 20.0]).assign(**{"trigger.share": 0.1}),
            one_task([13.0, 23.0], [10.0, 20.0]).assign(**{"trigger.share": 0.2}),
        ],
        ignore_index=True,
    )
    found = contrast(claim(), rows, axes)
    assert found.averaged == ("trigger.share",)
    assert found.interval() == Interval(2.0, 2.0, 2.0)
    one = contrast(claim(of={**GATE, "trigger.share": 0.2}), rows, axes)
    assert (one.interval().mean, one.averaged) == (3.0, ())
    across = claim(of={**GATE, "trigger.share": 0.2}, than={"trigger.share": 0.1})
    assert contrast(across, rows, axes).interval().mean == 2.0


def test_claims_about_cells_that_are_not_there_get_no_verdict() -> None:
    rows = one_task([1.0, 2.0], [0.0, 0.0])
    gone = claim(name="gone", than={"regime": "feedback"})
    assert [v.claim.name for v in judge([gone, claim()], rows, AXES)] == ["one"]


# The file


def test_the_record_is_plain_json_with_null_for_what_is_undefined() -> None:
    found = judge([claim(by=0.5)], one_task([1.0], [0.0]), AXES)
    (record,) = json.loads(as_json(found))
    assert record == {
        "claim": "one", "says": "One.", "task": "a", "verdict": "inconclusive", "estimate": 1.0,
        "low": None, "high": None, "n": 1, "p": None, "p_corrected": None, "mean_of": 1.0,
        "mean_than": 0.0, "measure": "alone_return", "of": {"env": "a", "regime": "in_the_loop"},
        "is": "more", "than": {"env": "a", "regime": "autonomous"}, "by": 0.5, "times": 1.0,
        "averaged_over": [],
    }  # fmt: skip
