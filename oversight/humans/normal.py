"""The standard normal distribution inside compiled loops, where SciPy's functions cannot go."""

import math

from looplab.envs.compiled import compiled

# Coefficients of Wichura's AS 241, numerators and denominators, highest power first.
_CENTRE = (
    (
        2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457,
        13731.693765509461125, 1971.5909503065514427, 133.14166789178437745, 3.387132872796366608,
    ),
    (
        5226.495278852854561, 28729.085735721942674, 39307.89580009271061, 21213.794301586595867,
        5394.1960214247511077, 687.1870074920579083, 42.313330701600911252, 1.0,
    ),
)  # fmt: skip
_TAIL = (
    (
        7.7454501427834140764e-4, 2.27238449892691845833e-2, 2.4178072517745061177e-1,
        1.27045825245236838258, 3.64784832476320460504, 5.7694972214606914055,
        4.6303378461565452959, 1.42343711074968357734,
    ),
    (
        1.05075007164441684324e-9, 5.475938084995344946e-4, 1.51986665636164571966e-2,
        1.4810397642748007459e-1, 6.8976733498510000455e-1, 1.6763848301838038494,
        2.05319162663775882187, 1.0,
    ),
)  # fmt: skip
_FAR_TAIL = (
    (
        2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.2426609473880784386e-3,
        2.6532189526576123093e-2, 2.9656057182850489123e-1, 1.7848265399172913358,
        5.4637849111641143699, 6.6579046435011037772,
    ),
    (
        2.04426310338993978564e-15, 1.4215117583164458887e-7, 1.8463183175100546818e-5,
        7.868691311456132591e-4, 1.4875361290850615025e-2, 1.3692988092273580531e-1,
        5.9983220655588793769e-1, 1.0,
    ),
)  # fmt: skip
_CENTRE_EDGE, _TAIL_EDGE = 0.425, 5.0
_CENTRE_START, _TAIL_START, _FAR_TAIL_START = 0.180625, 1.6, 5.0
_SQRT_HALF = math.sqrt(0.5)


@compiled
def _ratio(above: tuple[float, ...], below: tuple[float, ...], x: float) -> float:
    """Two polynomials, one over the other."""
    numerator = denominator = 0.0
    for power in range(len(above)):
        numerator = numerator * x + above[power]
        denominator = denominator * x + below[power]
    return numerator / denominator


@compiled
def quantile(chance: float) -> float:
    """The deviate z below which a chance in [0, 1] lies; infinite at 0 and at 1.

    Wichura 1988, "Algorithm AS 241: The Percentage Points of the Normal Distribution", to about 16
    digits.
    """
    if chance <= 0.0:
        return -math.inf
    if chance >= 1.0:
        return math.inf
    middle = chance - 0.5
    if abs(middle) <= _CENTRE_EDGE:
        return middle * _ratio(_CENTRE[0], _CENTRE[1], _CENTRE_START - middle * middle)
    depth = math.sqrt(-math.log(chance if middle < 0.0 else 1.0 - chance))
    if depth <= _TAIL_EDGE:
        size = _ratio(_TAIL[0], _TAIL[1], depth - _TAIL_START)
    else:
        size = _ratio(_FAR_TAIL[0], _FAR_TAIL[1], depth - _FAR_TAIL_START)
    return -size if middle < 0.0 else size


@compiled
def cumulative(deviate: float) -> float:
    """The chance Phi(z) of lying below a deviate z."""
    return 0.5 * math.erfc(-deviate * _SQRT_HALF)
