r"""Mean pooling with a small network behind it ("SiMLP", arXiv:2502.20823).

.. math:: z = \mathrm{ReLU}(W \tfrac{1}{N} \sum_i \mathrm{LN}(x_i)), \qquad \mathrm{logit} = C z

The reference that every attention model should be compared with: it knows no instance. LN, a layer
norm of each tile, is ours (see `histofed.mil.aggregators.projection.ProjectTiles`).

Suffixes: B bags, N instances, D features, C classes, E embedding.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from torch import Tensor, nn

from histofed.mil.aggregators.base import Aggregator, MILOutput
from histofed.mil.aggregators.blocks import even_weights

if TYPE_CHECKING:
    from histofed.mil.aggregators.projection import Tiles


class SiMLP(Aggregator):
    """Mean of the tiles, two-layer perceptron.

    Parameters
    ----------
    hidden_dim
        Width of the hidden layer, and length of the bag's embedding.
    dropout
        On the hidden layer, in training.
    tile_norm
        Layer norm of each tile before the mean.
    """

    def __init__(
        self,
        dim: int,
        n_classes: int,
        *,
        hidden_dim: int = 128,
        dropout: float = 0.25,
        tile_norm: bool = True,
    ) -> None:
        super().__init__(dim, n_classes)
        self.tile_norm = tile_norm
        self.embed = nn.Sequential(nn.Linear(dim, hidden_dim), nn.ReLU(), nn.Dropout(dropout))
        self.classify = nn.Linear(hidden_dim, n_classes)

    def aggregate(self, tiles: Tiles, valid_BN: Tensor) -> MILOutput:
        """Aggregate; see `Aggregator.aggregate`."""
        standard_BND = replace(tiles, norm=self.tile_norm).standardised()
        weights_BN = even_weights(valid_BN, standard_BND.dtype)
        mean_BD = (weights_BN.unsqueeze(1) @ standard_BND).squeeze(1)
        embedding_BE = self.embed(mean_BD)
        return MILOutput(self.classify(embedding_BE), None, embedding_BE)
