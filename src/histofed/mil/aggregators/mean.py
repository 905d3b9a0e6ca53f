r"""Mean pooling.

.. math:: z = \tfrac{1}{N} \sum_i h_i, \qquad \mathrm{logit} = C z

with :math:`h_i = \mathrm{ReLU}(W\,\mathrm{LN}(x_i))` ("embedding + mean" in Wang et al. 2018,
Pattern Recognition, arXiv:1610.02501, and Ilse, Tomczak and Welling 2018, arXiv:1802.04712).

Suffixes: B bags, N instances, D features, C classes, E embedding.
"""

from __future__ import annotations

from torch import Tensor, nn

from histofed.mil.aggregators.base import Aggregator, MILOutput
from histofed.mil.aggregators.blocks import even_weights
from histofed.mil.aggregators.projection import ProjectTiles, Tiles


class MeanPool(Aggregator):
    """Mean of the projected tiles.

    Parameters
    ----------
    hidden_dim
        Length of h, and of the bag's embedding.
    dropout
        On h, in training.
    tile_norm
        Layer norm of each tile; see `ProjectTiles`.
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
        self.project = ProjectTiles(dim, hidden_dim, dropout=dropout, tile_norm=tile_norm)
        self.classify = nn.Linear(hidden_dim, n_classes)

    def aggregate(self, tiles: Tiles, valid_BN: Tensor) -> MILOutput:
        """Aggregate; see `Aggregator.aggregate`."""
        hidden_BNE = self.project(tiles)
        weights_BN = even_weights(valid_BN, hidden_BNE.dtype)
        embedding_BE = (weights_BN.unsqueeze(1) @ hidden_BNE).squeeze(1)
        return MILOutput(self.classify(embedding_BE), None, embedding_BE)
