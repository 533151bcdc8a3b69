"""``looplab validate``: honest runs agree with theory, and planted faults are found."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from scipy import stats

from looplab.envs.errors import UsageError
from looplab.experiments.cli import main
from looplab.experiments.validation.check import FAMILY_ERROR, WIDEST, Check, Finding, Sample
from looplab.experiments.validation.validate import CHECKS, comparison_error, validate

SEED = 7


def plants() -> Iterator[Any]:
    """Every parameter of every check, 10 % more; whole numbers by at least one."""
    for check in CHECKS.values():
        for name, value in check.defaults.items():
            wrong = value + max(round(value / 10), 1) if isinstance(value, int) else 1.1 * value
            yield pytest.param(check, {name: wrong}, id=f"{check.name}-{name}")


@pytest.mark.slow
@pytest.mark.parametrize("check", list(CHECKS.values()), ids=list(CHECKS))
def test_honest_runs_agree_in_narrow_intervals(check: Check) -> None:
    for finding in check.run(SEED, comparison_error()):
        assert finding.agrees, finding
        assert finding.high - finding.low <= 2 * WIDEST * abs(finding.expected) + 1e-8


@pytest.mark.slow
@pytest.mark.parametrize(("check", "planted"), list(plants()))
def test_a_parameter_ten_percent_off_is_found(check: Check, planted: dict[str, Any]) -> None:
    findings = check.run(SEED, comparison_error(), planted=planted)
    assert any(finding.verdict == "DIFFERS" for finding in findings)


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ["machine_repairman", "agents=8", "reviewers=2", "service=60", "think=90"],
        ["erlang_c", "reviewers=1", "load=0.7"],
        ["binomial_misses", "miss_rate=0.02"],
        ["audit_leak", "probability=0.5", "miss_rate=0.3"],
        ["veto_renewal", "lag=0", "vigilance=0.8", "override=3", "unsafe=0.12"],
        ["veto_renewal", "lag=5", "vigilance=1", "override=1"],
        ["corridor", "width=3", "lag=7"],
        ["corridor", "width=4", "lag=0"],
        ["chow", "review_cost=0.2", "error_cost=2", "human_error=0.05"],
        ["signal_detection", "d_prime=1.2", "criterion=-0.4"],
        ["fatigue", "slowdown=0", "worst_error=0.5", "reviews=12", "rest_seconds=60"],
        ["bpref", "beta=8", "mistake=0", "skip=0.5", "equal=0.3", "gamma=1"],
        ["potential_shaping", "gamma=0.99", "scale=3"],
    ],
)
def test_other_parameters_agree_too(words: list[str]) -> None:
    assert all(finding.agrees for finding in validate([*words, "seed=3"], lambda line: None))


def test_the_checks_together_fail_an_honest_run_with_the_stated_chance() -> None:
    comparisons = sum(len(check.expect()) for check in CHECKS.values())
    assert comparisons * comparison_error() == pytest.approx(FAMILY_ERROR)
    assert comparisons > 25


def test_intervals_cover_as_often_as_they_say() -> None:
    rng = np.random.default_rng(SEED)
    means = [Sample.of(row).interval(0.1) for row in rng.standard_normal((4000, 12))]
    covered = sum(low <= 0.0 <= high for low, high in means)
    assert stats.binomtest(covered, 4000, 0.9).pvalue > 1e-4
    counts = [Sample.counted(hits, 40).interval(0.1) for hits in rng.binomial(40, 0.2, 4000)]
    assert sum(low <= 0.2 <= high for low, high in counts) / 4000 >= 0.9


def test_a_verdict_needs_a_narrow_interval() -> None:
    assert Finding("c", "q", 1.0, 1.01, 0.98, 1.04).verdict == "agrees"
    assert Finding("c", "q", 1.0, 1.1, 1.07, 1.13).verdict == "DIFFERS"
    assert Finding("c", "q", 1.0, 2.0, 1.5, 2.5).verdict == "DIFFERS"
    assert Finding("c", "q", 1.0, 1.0, 0.5, 1.5).verdict == "UNCLEAR"
    assert not Finding("c", "q", 1.0, 1.0, 0.5, 1.5).agrees


def test_the_table_shows_what_was_compared() -> None:
    lines: list[str] = []
    findings = validate(["corridor", "width=6", "lag=2", "seed=5"], lines.append)
    assert [finding.expected for finding in findings] == [2.0, 4.0]
    text = "\n".join(lines)
    for part in ("width 6, lag 2", "expected", "measured", "interval", "2 of 2 agree (seed 5"):
        assert part in text


def test_a_difference_is_status_1(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = CHECKS["corridor"]
    wrong = Check("corridor", "", honest.expect, lambda seed, size, width, lag: honest.measure(
        seed, size, width, lag + 1
    ))  # fmt: skip
    monkeypatch.setitem(CHECKS, "corridor", wrong)
    with pytest.raises(SystemExit) as stopped:
        main(["validate", "corridor"])
    assert stopped.value.code == 1
    monkeypatch.setitem(CHECKS, "corridor", honest)
    with pytest.raises(SystemExit) as stopped:
        main(["validate", "corridor"])
    assert stopped.value.code in (0, None)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["erlang"], "unknown check 'erlang'; did you mean 'erlang_c'?"),
        (["erlang_c", "reviewer=3"], "unknown parameter 'reviewer'; did you mean 'reviewers'?"),
        (["erlang_c", "reviewers=0"], "reviewers must be a whole number of at least 1, got 0"),
        (["erlang_c", "reviewers=2.5"], "reviewers must be a whole number, got '2.5'"),
        (["erlang_c", "reviewers=2", "load=2"], "load must lie below the 2 servers"),
        (["veto_renewal", "vigilance=0"], "vigilance and unsafe must be above 0"),
        (["audit_leak", "probability=1.5"], r"probability must be a number in \[0, 1\], got 1.5"),
        (["signal_detection", "d_prime=-1"], "refuses the safe"),
        (["machine_repairman", "service=-3"], "service must be a number above 0, got -3"),
        (["corridor", "chow"], "validate takes one check at most, got corridor chow"),
        (["lag=3"], "lag belongs to one check: name it, e.g. looplab validate veto_renewal lag="),
        (["lagg=3"], "unknown parameter 'lagg'; did you mean 'lag'?"),
        (["machine_repairman", "service=inf"], "service must be finite"),
        (["erlang_c", "reviewers=1", "load=0.99"], "takes too long to settle; at most 0.92"),
        (["seed=x"], "seed must be a whole number, got 'x'"),
        (["seed=-1"], "seed must be a whole number of at least 0"),
    ],
)
def test_bad_words_are_answered_in_one_line(words: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        validate(words, lambda line: None)


def _rare(seed: int, size: int, chance: float) -> dict[str, Sample]:
    _SIZES.append(size)
    hits = np.random.default_rng(seed).binomial(100 * size, chance)
    return {"hits": Sample.counted(hits, 100 * size)}


_SIZES: list[int] = []


def test_runs_stay_bounded_where_no_interval_could_get_narrow() -> None:
    _SIZES.clear()
    check = Check("rare", "", lambda chance=0.1: {"hits": chance}, _rare)
    assert [finding.verdict for finding in check.run(1, 1e-4, {"chance": 1e-5})] == ["UNCLEAR"]
    assert sum(_SIZES) <= 2


def test_long_runs_are_made_in_batches_and_agree_as_one() -> None:
    _SIZES.clear()
    check = Check("rare", "", lambda chance=0.3: {"hits": chance}, _rare)
    (finding,) = check.run(1, 1e-4)
    assert finding.agrees
    assert max(_SIZES) <= 10 < sum(_SIZES)


def test_what_never_happens_agrees_with_a_chance_of_nothing() -> None:
    (finding,) = CHECKS["binomial_misses"].run(SEED, comparison_error(), {"miss_rate": 0.0})
    assert finding.measured == 0.0
    assert finding.agrees
    assert Finding("c", "q", 0.0, 0.001, 0.0005, 0.0015).verdict == "DIFFERS"
    assert "missed, of the audited" not in CHECKS["audit_leak"].expect(probability=0.0)


def test_samples_join_to_the_sample_of_all_their_values() -> None:
    values = np.random.default_rng(SEED).standard_normal(50)
    joined, whole = (
        Sample.joined([Sample.of(values[:20]), Sample.of(values[20:])]),
        Sample.of(values),
    )
    assert (joined.mean, joined.error) == pytest.approx((whole.mean, whole.error))
    assert Sample.joined([Sample.counted(2, 5), Sample.counted(1, 3)]) == Sample.counted(3, 8)
