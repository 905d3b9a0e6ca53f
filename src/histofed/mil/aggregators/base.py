"""What every aggregator takes and gives.

Suffixes: B bags, N instances, D features, C classes, E embedding.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class MILOutput:
    """What an aggregator makes of a batch of bags.

    Attributes
    ----------
    logits_BC
        One logit per class (one in all for a binary task).
    attention_BN
        Weight of each instance; sums to one over a bag's valid instances and is exactly 0 on
        padding. None where the method has no attention.
    embedding_BE
        One vector per bag.
    """

    logits_BC: Tensor
    attention_BN: Tensor | None
    embedding_BE: Tensor


class Aggregator(nn.Module):
    """Base of all aggregators. The loss is never in here.

    Features are standardised first, with statistics of the training tiles that are part of the
    weights (`standardise_with`); before that is called, nothing is changed.

    Parameters
    ----------
    dim
        Features per instance, D.
    n_classes
        Logits per bag, C.
    """

    feature_mean_D: Tensor
    feature_std_D: Tensor

    def __init__(self, dim: int, n_classes: int) -> None:
        super().__init__()
        self.dim = dim
        self.n_classes = n_classes
        self.register_buffer("feature_mean_D", torch.zeros(dim))
        self.register_buffer("feature_std_D", torch.ones(dim))

    @abstractmethod
    def aggregate(self, features_BND: Tensor, valid_BN: Tensor) -> MILOutput:
        """Aggregate standardised features; every bag has at least one valid instance."""

    def forward(self, features_BND: Tensor, valid_BN: Tensor) -> MILOutput:
        """Standardise and aggregate; every bag has at least one valid instance."""
        standard_BND = (features_BND - self.feature_mean_D) / self.feature_std_D
        # Whatever padding holds, it must not reach a product with zero: that may be NaN.
        standard_BND = standard_BND.masked_fill(~valid_BN.unsqueeze(-1), 0.0)
        return self.aggregate(standard_BND, valid_BN)

    def standardise_with(self, mean_D: Tensor, std_D: Tensor) -> None:
        """Standardise features with these statistics from now on."""
        self.feature_mean_D.copy_(mean_D)
        self.feature_std_D.copy_(std_D)

    def instance_logits(self, features_BND: Tensor) -> Tensor:
        """Return the logits ``(B, N, C)`` that each instance would get as a bag of its own."""
        B, N, D = features_BND.shape
        alone = features_BND.reshape(B * N, 1, D)
        valid = torch.ones(B * N, 1, dtype=torch.bool, device=features_BND.device)
        return self(alone, valid).logits_BC.reshape(B, N, self.n_classes)


def masked_softmax(scores_BN: Tensor, valid_BN: Tensor) -> Tensor:
    """Softmax over the valid instances of each bag; padding gets exactly 0."""
    return torch.softmax(scores_BN.masked_fill(~valid_BN, -torch.inf), dim=-1)
