"""What the reviewers were worth: how well they judged, what they prevented, and what that cost.

Everything comes from the exact totals of training runs, so it is of the overseers as they were
while the agent learned.
"""

import numpy as np
import pandas as pd

from looplab.oversight.detection import Detections

#: Columns of ``reviewing``, in the order of ``summary.csv``; none is a count.
REVIEWING = (
    "reviewer_recall", "reviewer_false_blocks", "reviewer_precision", "reviewer_d_prime",
    "reviewer_criterion",
    "review_coverage", "automation_rate", "team_accuracy", "agent_accuracy", "human_accuracy",
    "prevented_per_1k", "reviews_per_prevented", "seconds_per_prevented", "cost_per_prevented",
    "wait_p50", "wait_p95", "risk_calibration_error", "confidence_calibration_error",
)  # fmt: skip
#: Those of them that may be negative.
SIGNED = frozenset({"reviewer_d_prime", "reviewer_criterion"})
#: Those that lie in [0, 1].
SHARED = frozenset(
    name
    for name in REVIEWING
    if name.endswith(("_recall", "_blocks", "_precision", "_coverage", "_rate", "_accuracy"))
) | {"risk_calibration_error", "confidence_calibration_error"}
_PER_1K = 1000.0


def reviewing(runs: pd.DataFrame) -> pd.DataFrame:
    """One row per run, of the columns ``REVIEWING``; NaN where nothing could be told.

    Args:
        runs: ``steps``, the totals of ``result_folder.TOTALS``, and what is read per run.

    Returns:
        - ``reviewer_recall``: of the unsafe proposals that somebody judged, the share refused;
        - ``reviewer_false_blocks``: of the safe ones, the share refused;
        - ``reviewer_precision``: of the refused ones, the share that were unsafe;
        - ``reviewer_d_prime``, ``reviewer_criterion``: the reviewers as a signal detector; see
          ``oversight.detection``;
        - ``review_coverage``: of the unsafe proposals, the share that somebody judged;
        - ``automation_rate``: share of the steps without a review;
        - ``team_accuracy``, ``agent_accuracy``, ``human_accuracy``: share of the proposals that
          were safe or stopped, that were safe to begin with, and that were judged rightly;
        - ``prevented_per_1k``: violations that the refused risks would have been, expected; and
          reviews, human seconds and money for each of them;
        - ``wait_p50``, ``wait_p95``: seconds until a verdict;
        - ``risk_calibration_error``, ``confidence_calibration_error``: see
          ``oversight.calibration``.
    """
    total = {
        name.removeprefix("total_"): runs[name].astype(float)
        for name in runs
        if name.startswith("total_")
    }
    steps = runs["steps"].astype(float)
    caught, overlooked = total["caught"], total["overlooked"]
    alarms, cleared = total["false_alarms"], total["cleared"]
    harmful, harmless = caught + overlooked, alarms + cleared
    both = (harmful > 0) & (harmless > 0)
    detections = Detections(*(part.to_numpy() for part in (caught, harmful, alarms, harmless)))
    unsafe, prevented = total["unsafe_proposals"], total["prevented"]
    slipped = total["misses"] + total["unasked"] + total["late"]
    found = {
        "reviewer_recall": _share(caught, harmful),
        "reviewer_false_blocks": _share(alarms, harmless),
        "reviewer_precision": _share(caught, caught + alarms),
        "reviewer_d_prime": pd.Series(detections.d_prime, runs.index).where(both),
        "reviewer_criterion": pd.Series(detections.criterion, runs.index).where(both),
        "review_coverage": _share(harmful, unsafe).clip(upper=1.0),
        "automation_rate": 1.0 - _share(total["reviews"], steps).clip(upper=1.0),
        "team_accuracy": 1.0 - _share(slipped, steps),
        "agent_accuracy": 1.0 - _share(unsafe, steps),
        "human_accuracy": _share(caught + cleared, harmful + harmless),
        "prevented_per_1k": _PER_1K * _share(prevented, steps),
        "reviews_per_prevented": _share(total["reviews"], prevented),
        "seconds_per_prevented": _share(total["human_seconds"], prevented),
        "cost_per_prevented": _share(total["oversight_cost"], prevented),
    }
    frame = pd.DataFrame(found)
    for name in REVIEWING:
        if name not in frame:
            frame[name] = runs[name].astype(float)
    return frame[list(REVIEWING)]


def _share(part: pd.Series, whole: pd.Series) -> pd.Series:
    return part / whole.where(whole > 0, np.nan)
