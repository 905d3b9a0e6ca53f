"""Squared error of numbers, standardised with the training patients' mean and deviation.

Suffixes: B bags, N instances, C logits, K numbers of a label (as many as logits), P patients.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from histofed.mil.objectives.base import Objective
from histofed.mil.objectives.multilabel import mean_of_known

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from histofed.mil.objectives.base import Sums


class Regression(Objective):
    """One or many numbers; a number that is not known of a patient counts nothing."""

    mean_K: Tensor
    std_K: Tensor

    def __init__(self, quantities: Sequence[str]) -> None:
        super().__init__(n_logits=len(quantities))
        self.quantities = tuple(quantities)
        self.register_buffer("mean_K", torch.zeros(len(quantities)))
        self.register_buffer("std_K", torch.ones(len(quantities)))

    def sums(self, target_PK: Tensor) -> Sums:
        """Return how many patients each number is known of, its sum and that of its squares."""
        values_PK = target_PK.double()
        return {
            **super().sums(target_PK),
            "known_K": (~values_PK.isnan()).double().sum(dim=0),
            "sum_K": values_PK.nansum(dim=0),
            "square_sum_K": values_PK.square().nansum(dim=0),
        }

    def prepare(self, sums: Sums) -> None:
        """Learn mean and deviation of each number, so that each counts alike in the loss."""
        known_K = sums["known_K"].clamp(min=1)
        mean_K, square_K = sums["sum_K"] / known_K, sums["square_sum_K"] / known_K
        variance_K = square_K - mean_K.square()
        # What rounding leaves of a number that is the same of everybody is no variation.
        varies_K = variance_K > 1e-12 * square_K
        self.mean_K.copy_(mean_K)
        self.std_K.copy_(torch.where(varies_K, variance_K.clamp(min=0).sqrt(), 1.0))

    def loss(self, logits_BC: Tensor, target_BK: Tensor) -> Tensor:
        """Return the mean squared error over the numbers known of the patient."""
        # Any number will do where none is known, but NaN: its gradient would be NaN as well.
        standardised_BK = (target_BK.nan_to_num() - self.mean_K) / self.std_K
        error_BK = (logits_BC - standardised_BK).square()
        return mean_of_known(error_BK, ~target_BK.isnan())

    def outputs(self, logits_BC: Tensor) -> Tensor:
        """Return the numbers in their own unit."""
        return logits_BC * self.std_K + self.mean_K

    def tile_heads(self, logits_BNC: Tensor) -> dict[str, Tensor]:
        """Return each number in deviations from the mean of the training patients."""
        return {f"tile_value_{name}": logits_BNC[..., c] for c, name in enumerate(self.quantities)}
