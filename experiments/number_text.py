"""Numbers as a reader wants them: three figures, thousands apart, intervals beside the mean."""

import math

from looplab.experiments.statistics import Interval

THIN_SPACE = "\u202f"
DASH = "\u2013"
MINUS = "\u2212"
FIGURES = 3
REACH_FIGURES = 2


def short_number(value: float) -> str:
    """Three significant figures without exponent or closing zeros, thousands kept apart.

    NaN becomes a dash.

    >>> short_number(0.01664), short_number(48.96), short_number(100.0), short_number(0.0)
    ('0.0166', '49', '100', '0')
    """
    if math.isnan(value):
        return DASH
    if value == 0.0:
        return "0"
    text = _fixed(value, _decimals(value, FIGURES))
    return text.rstrip("0").rstrip(".") if "." in text else text


def with_interval(interval: Interval) -> str:
    """The mean and, in brackets, the ends to the same precision; a dash for an end without bound.

    Two figures of the interval's reach are shown, but never more than three of the mean. Where all
    seeds agree exactly, or one seed has no interval, the mean stands alone.

    >>> with_interval(Interval(0.45372, 0.4466, 0.46085)), with_interval(Interval(0.0, 0.0, 0.0166))
    ('0.454 [0.447, 0.461]', '0 [0, 0.017]')
    """
    if math.isnan(interval.mean):
        return DASH
    ends = [end for end in interval[1:] if not math.isnan(end)]
    if not ends:
        return short_number(interval.mean)
    reach = max(abs(end - interval.mean) for end in ends)
    if reach == 0.0:
        return short_number(interval.mean)
    decimals = min(
        _decimals(reach, REACH_FIGURES),
        _decimals(interval.mean, FIGURES) if abs(interval.mean) > reach else FIGURES,
    )
    mean, low, high = (DASH if math.isnan(part) else _fixed(part, decimals) for part in interval)
    return f"{mean} [{low}, {high}]"


def whole_number(value: float) -> str:
    """A count with its thousands kept apart."""
    return _fixed(value, 0)


def counted(number: int, noun: str) -> str:
    """A count with its noun, which takes an s unless there is exactly one.

    >>> counted(1, "run"), counted(0, "run"), counted(12, "run")
    ('1 run', '0 runs', '12 runs')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _decimals(value: float, figures: int) -> int:
    return max(0, figures - 1 - math.floor(math.log10(abs(value)))) if value else 0


def _fixed(value: float, decimals: int) -> str:
    if value == 0.0:
        return "0"
    return f"{value:,.{decimals}f}".replace(",", THIN_SPACE).replace("-", MINUS)
