"""Resamples with an explicit generator, and the studentised intervals made of them."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from looplab.experiments.statistics.intervals import Floats

#: Resamples of each bootstrap.
RESAMPLES = 4000
#: A resample whose standard error is below this share of the sample's own tells nothing about it:
#: it has drawn (next to) nothing but equal values.
LEAST_SPREAD = 0.1
#: Numbers held at once while tables are resampled.
_CHUNK = 4_000_000
#: Weights by number of seeds and state of the generator, with its state afterwards.
_kept: dict[tuple[int, str], tuple[Floats, Any]] = {}
_MOST_KEPT = 8


def weights(seeds: int, rng: np.random.Generator) -> Floats:
    """How large a part each seed is of each resample, shape (RESAMPLES, seeds); rows sum to 1.

    A report draws them thousands of times from generators of one seed: the last ones are kept, with
    the state in which they leave a generator, and handed out again, read-only.
    """
    key = seeds, repr(rng.bit_generator.state)
    if key not in _kept:
        drawn = rng.multinomial(seeds, np.full(seeds, 1.0 / seeds), RESAMPLES) / seeds
        drawn.setflags(write=False)
        while len(_kept) >= _MOST_KEPT:
            del _kept[next(iter(_kept))]
        _kept[key] = drawn, rng.bit_generator.state
    drawn, rng.bit_generator.state = _kept[key]
    return drawn


def stratified(tables: Floats, rng: np.random.Generator) -> Iterator[Floats]:
    """Resamples runs within each task (Agarwal et al. 2021), paired across the first axis.

    Args:
        tables: shape (n, runs, tasks).
        rng: generator.

    Yields:
        Blocks of shape (n, resamples, runs, tasks), ``RESAMPLES`` in all.
    """
    _, runs, tasks = tables.shape
    block = max(1, _CHUNK // tables.size)
    for start in range(0, RESAMPLES, block):
        size = (min(block, RESAMPLES - start), runs, tasks)
        yield tables[:, rng.integers(runs, size=size), np.arange(tasks)]


def studentised(
    estimate: Floats, error: Floats, resampled: Floats, errors: Floats, level: float
) -> tuple[Floats, Floats]:
    """Ends of bootstrap-t intervals (Efron & Tibshirani 1993, section 12.5).

    Args:
        estimate: shape (rows,).
        error: its standard error, shape (rows,), above 0.
        resampled: estimates of resamples, shape (rows, resamples).
        errors: their standard errors, same shape.
        level: confidence level in (0, 1).

    Returns:
        Low and high ends, shape (rows,); infinite where the tail they come from consists of
        resamples without spread (``LEAST_SPREAD``).
    """
    apart = resampled - estimate[:, None]
    flat = errors < LEAST_SPREAD * error[:, None]
    endless = np.where(apart == 0.0, 0.0, np.copysign(np.inf, apart))
    distance = np.where(flat, endless, apart / np.where(flat, 1.0, errors))
    tail = (1.0 - level) / 2.0
    lowest, highest = np.quantile(distance, [tail, 1.0 - tail], axis=1, method="inverted_cdf")
    return estimate - highest * error, estimate - lowest * error
