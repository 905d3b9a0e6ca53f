"""Binary cross-entropy of one logit per question, over those that were answered.

Suffixes: B bags, N instances, C logits, K numbers of a label (as many as logits).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from histofed.mil.objectives.base import Objective

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


class Multilabel(Objective):
    """Probability of each question's yes."""

    def __init__(self, questions: Sequence[str]) -> None:
        super().__init__(n_logits=len(questions))
        self.questions = tuple(questions)

    def loss(self, logits_BC: Tensor, target_BK: Tensor) -> Tensor:
        """Return the mean cross-entropy over the questions answered of the patient."""
        known_BK = ~target_BK.isnan()
        loss_BK = binary_cross_entropy_with_logits(
            logits_BC, target_BK.nan_to_num(), reduction="none"
        )
        return mean_of_known(loss_BK, known_BK)

    def outputs(self, logits_BC: Tensor) -> Tensor:
        """Return the probability of each yes."""
        return torch.sigmoid(logits_BC)

    def tile_heads(self, logits_BNC: Tensor) -> dict[str, Tensor]:
        """Return each question's logit; above 0 speaks for yes."""
        return {f"tile_logit_{name}": logits_BNC[..., c] for c, name in enumerate(self.questions)}


def mean_of_known(value_BK: Tensor, known_BK: Tensor) -> Tensor:
    """Return each patient's mean over what is known, ``(B,)``; 0 where nothing is."""
    # Not a product: what is unknown may not be finite.
    total_B = torch.where(known_BK, value_BK, 0.0).sum(dim=-1)
    return total_B / known_BK.sum(dim=-1).clamp(min=1)
