import math

import numpy as np
import pytest

from looplab.envs.errors import UsageError
from looplab.experiments.statistics import holm


def test_holms_correction_worked_by_hand() -> None:
    # sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1 = 0.02, 0.03, 0.06, 0.04, never falling
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_one_claim_stays_as_it_is_and_values_end_at_one() -> None:
    assert holm([0.2]).tolist() == [0.2]
    assert holm([0.6, 0.7]).tolist() == [1.0, 1.0]
    assert holm([]).shape == (0,)


def test_it_rejects_what_the_step_down_rule_rejects(rng: np.random.Generator) -> None:
    for _ in range(50):
        values = rng.beta(0.3, 3.0, 6)
        rejected, order = np.zeros(6, bool), np.argsort(values)
        for rank, place in enumerate(order):
            if values[place] > 0.05 / (6 - rank):
                break
            rejected[place] = True
        assert ((holm(values) <= 0.05) == rejected).all()


def test_what_is_no_probability_is_refused() -> None:
    for bad in ([0.5, 1.1], [-0.1], [math.nan]):
        with pytest.raises(UsageError, match="p-values must be probabilities"):
            holm(bad)
