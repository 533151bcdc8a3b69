"""The normal distribution in compiled loops agrees with SciPy's."""

from typing import Any

import numpy as np
import pytest
from scipy.special import ndtr, ndtri

from looplab.envs.compiled import compiled
from looplab.oversight.humans.normal import cumulative, quantile


@compiled
def _quantiles(chances: Any, out: Any) -> None:
    for place in range(len(chances)):
        out[place] = quantile(chances[place])


@compiled
def _cumulatives(deviates: Any, out: Any) -> None:
    for place in range(len(deviates)):
        out[place] = cumulative(deviates[place])


def test_quantiles_agree_with_scipys_in_the_centre_and_in_both_tails() -> None:
    tails = 10.0 ** -np.arange(0.5, 300.0, 0.5)
    chances = np.concatenate([np.linspace(0.001, 0.999, 9999), tails, 1.0 - tails[tails > 1e-15]])
    found = np.empty(len(chances))
    _quantiles(chances, found)
    np.testing.assert_allclose(found, ndtri(chances), rtol=1e-14, atol=1e-15)


def test_cumulative_chances_agree_with_scipys_and_undo_quantiles() -> None:
    deviates = np.linspace(-37.0, 8.0, 9001)
    found, back = np.empty(len(deviates)), np.empty(len(deviates))
    _cumulatives(deviates, found)
    np.testing.assert_allclose(found, ndtr(deviates), rtol=1e-12)
    _quantiles(found, back)
    middle = deviates < 4.0  # beyond it, too few digits are left of a chance next to 1
    np.testing.assert_allclose(back[middle], deviates[middle], rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize(("chance", "deviate"), [(0.0, -np.inf), (1.0, np.inf), (0.5, 0.0)])
def test_certainties_are_infinitely_far_away(chance: float, deviate: float) -> None:
    assert quantile(chance) == deviate
    assert cumulative(deviate) == chance
