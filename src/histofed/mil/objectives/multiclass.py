"""Cross-entropy of one logit per class.

Suffixes: B bags, N instances, C logits, K numbers of a label (one), G classes (as many as logits).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn.functional import cross_entropy, one_hot

from histofed.mil.objectives.base import ClassObjective

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


class Multiclass(ClassObjective):
    """Probabilities of classes that exclude one another."""

    def __init__(self, classes: Sequence[str]) -> None:
        super().__init__(n_logits=len(classes), n_classes=len(classes))
        self.classes = tuple(classes)

    def loss(self, logits_BC: Tensor, target_BK: Tensor) -> Tensor:
        """Return the cross-entropy, times the weight of the patient's class."""
        loss_B = cross_entropy(logits_BC, target_BK[:, 0].long(), reduction="none")
        return loss_B * self.weight(target_BK)

    def outputs(self, logits_BC: Tensor) -> Tensor:
        """Return the probability of each class."""
        return logits_BC.softmax(dim=-1)

    def tile_heads(self, logits_BNC: Tensor) -> dict[str, Tensor]:
        """Return by how much each class's logit is above the mean of all; only that counts."""
        centred = logits_BNC - logits_BNC.mean(dim=-1, keepdim=True)
        return {f"tile_logit_{name}": centred[..., c] for c, name in enumerate(self.classes)}

    def members(self, target_BK: Tensor) -> Tensor:
        """Return 1 at the patient's class."""
        return one_hot(target_BK[:, 0].long(), self.n_logits).to(target_BK.dtype)
