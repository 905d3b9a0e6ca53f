"""A value with the interval around it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist


@dataclass(frozen=True, slots=True)
class Interval:
    """A value and the interval around it; ``str`` gives ``0.912 (0.843-0.968)``."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f}-{self.high:.3f})"


def two_sided_z(level: float) -> float:
    """Return the normal quantile of a two-sided interval: 1.96 for ``level`` 0.95."""
    return NormalDist().inv_cdf((1 + level) / 2)


def two_sided_p(z: float) -> float:
    """Return the two-sided p-value of a normal statistic."""
    return math.erfc(abs(z) / math.sqrt(2))


def wald(value: float, standard_error: float, *, level: float = 0.95) -> Interval:
    """Return the normal interval of an estimate (Wald 1943)."""
    half = two_sided_z(level) * standard_error
    return Interval(value, value - half, value + half)


def wilson(positives: float, n: float, *, level: float = 0.95) -> Interval:
    """Return a fraction with its score interval (Wilson 1927), sound for few patients."""
    z = two_sided_z(level)
    fraction = positives / n
    centre = (fraction + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(fraction * (1 - fraction) / n + (z / n) ** 2 / 4)
    # At 0 of n and n of n the end is exactly 0 or 1; floating point may fall a hair inside.
    low, high = min(centre - half, fraction), max(centre + half, fraction)
    return Interval(fraction, max(low, 0.0), min(high, 1.0))
