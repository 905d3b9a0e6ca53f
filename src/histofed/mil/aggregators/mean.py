"""Mean pooling with a small network behind it ("SiMLP", arXiv:2502.20823).

The reference that every attention model should be compared with: it knows no instance.

Suffixes: B bags, N instances, D features, C classes, E embedding.
"""

from __future__ import annotations

from torch import Tensor, nn

from histofed.mil.aggregators.base import Aggregator, MILOutput


class MeanPool(Aggregator):
    """Layer norm of each instance, mean over the bag, two-layer perceptron.

    Parameters
    ----------
    hidden_dim
        Width of the hidden layer, and length of the bag's embedding.
    dropout
        On the hidden layer, in training.
    """

    def __init__(
        self, dim: int, n_classes: int, *, hidden_dim: int = 128, dropout: float = 0.25
    ) -> None:
        super().__init__(dim, n_classes)
        self.norm = nn.LayerNorm(dim)
        self.embed = nn.Sequential(nn.Linear(dim, hidden_dim), nn.ReLU(), nn.Dropout(dropout))
        self.classify = nn.Linear(hidden_dim, n_classes)

    def aggregate(self, features_BND: Tensor, valid_BN: Tensor) -> MILOutput:
        """Aggregate; see `Aggregator.aggregate`."""
        weights_BN = valid_BN.to(features_BND.dtype)
        weights_BN = weights_BN / weights_BN.sum(dim=-1, keepdim=True)
        mean_BD = (weights_BN.unsqueeze(1) @ self.norm(features_BND)).squeeze(1)
        embedding_BE = self.embed(mean_BD)
        return MILOutput(self.classify(embedding_BE), None, embedding_BE)
