"""Mean and standard deviation of features, from sums that hospitals can add up.

A sum over tiles is exact whoever adds it, so standardising over hospitals equals standardising the
pooled tiles, and no tile leaves: only a count and two vectors per hospital do.

Suffixes: N tiles, D features.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Moments:
    """Count, sum and sum of squares of tiles, in float64."""

    n_tiles: int
    sum_D: Tensor
    square_sum_D: Tensor

    @classmethod
    def of(cls, features_ND: Tensor) -> Moments:
        """Return the moments of one bag."""
        features = features_ND.double()
        return cls(len(features), features.sum(dim=0), features.square().sum(dim=0))

    def __add__(self, other: Moments) -> Moments:
        return Moments(
            self.n_tiles + other.n_tiles,
            self.sum_D + other.sum_D,
            self.square_sum_D + other.square_sum_D,
        )

    @property
    def mean_D(self) -> Tensor:
        """Mean of each feature."""
        return self.sum_D / self.n_tiles

    @property
    def std_D(self) -> Tensor:
        """Standard deviation of each feature; 1 where a feature never changes."""
        variance = self.square_sum_D / self.n_tiles - self.mean_D.square()
        # What cancellation leaves of a constant feature is noise, not variation.
        floor = 1e-9 * self.square_sum_D / self.n_tiles
        return torch.where(variance > floor, variance.clamp_min(0).sqrt(), 1.0)


def total(moments: Iterable[Moments]) -> Moments:
    """Add up; the order does not matter beyond float64 rounding."""
    return reduce(Moments.__add__, moments)
