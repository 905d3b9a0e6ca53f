"""Binary cross-entropy of one logit, that of the positive class.

Suffixes: B bags, N instances, C logits (one), K numbers of a label (one), G classes (two).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from histofed.mil.objectives.base import ClassObjective

if TYPE_CHECKING:
    from torch import Tensor


class Binary(ClassObjective):
    """Probability of the positive class."""

    def __init__(self) -> None:
        super().__init__(n_logits=1, n_classes=2)

    def loss(self, logits_BC: Tensor, target_BK: Tensor) -> Tensor:
        """Return the cross-entropy, times the weight of the patient's class."""
        loss_BC = binary_cross_entropy_with_logits(logits_BC, target_BK, reduction="none")
        return loss_BC.squeeze(-1) * self.weight(target_BK)

    def outputs(self, logits_BC: Tensor) -> Tensor:
        """Return the probability of the positive class."""
        return torch.sigmoid(logits_BC)

    def tile_heads(self, logits_BNC: Tensor) -> dict[str, Tensor]:
        """Return the logit; above 0 speaks for the positive class."""
        return {"tile_logit": logits_BNC[..., 0]}

    def members(self, target_BK: Tensor) -> Tensor:
        """Return (negative, positive)."""
        return torch.cat([1 - target_BK, target_BK], dim=-1)
