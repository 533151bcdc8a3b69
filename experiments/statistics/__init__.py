"""Statistics over seeds, and over tables of runs x tasks.

Every function is pure: it takes plain arrays, and a generator where it resamples.
"""

from looplab.experiments.statistics.aggregates import (
    aggregate,
    aggregate_difference,
    interquartile_mean,
)
from looplab.experiments.statistics.claims import holm
from looplab.experiments.statistics.counts import (
    RARE_EVENTS,
    poisson_interval,
    poisson_upper_bound,
    proportion_interval,
    rule_of_three,
)
from looplab.experiments.statistics.improvement import probability_of_improvement
from looplab.experiments.statistics.intervals import LEVEL, UNDEFINED, Floats, Interval
from looplab.experiments.statistics.means import (
    BOOTSTRAP_SEEDS,
    mean_interval,
    mean_intervals,
    paired_difference,
)
from looplab.experiments.statistics.power import (
    detectable_effect,
    power_of,
    seeds_needed,
    spread_interval,
)
from looplab.experiments.statistics.profiles import Profile, performance_profile
from looplab.experiments.statistics.resampling import RESAMPLES
from looplab.experiments.statistics.survival import (
    SurvivalCurve,
    kaplan_meier_median,
    survival_curve,
)
from looplab.experiments.statistics.tails import conditional_value_at_risk, worst_seed

__all__ = [
    "BOOTSTRAP_SEEDS",
    "LEVEL",
    "RARE_EVENTS",
    "RESAMPLES",
    "UNDEFINED",
    "Floats",
    "Interval",
    "Profile",
    "SurvivalCurve",
    "aggregate",
    "aggregate_difference",
    "conditional_value_at_risk",
    "detectable_effect",
    "holm",
    "interquartile_mean",
    "kaplan_meier_median",
    "mean_interval",
    "mean_intervals",
    "paired_difference",
    "performance_profile",
    "poisson_interval",
    "poisson_upper_bound",
    "power_of",
    "probability_of_improvement",
    "proportion_interval",
    "rule_of_three",
    "seeds_needed",
    "spread_interval",
    "survival_curve",
    "worst_seed",
]
