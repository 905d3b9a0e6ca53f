r"""Attention (Ilse, Tomczak and Welling 2018, ICML, arXiv:1802.04712, equation 8).

.. math::
    h_i &= \mathrm{ReLU}(W\,\mathrm{LN}(x_i)) \\
    a_i &= \mathrm{softmax}_i\; w^\top \tanh(V h_i) \\
    z &= \sum_i a_i h_i, \qquad \mathrm{logit} = C z

x is standardised. LN is ours (see `histofed.mil.aggregators.projection.ProjectTiles`).

Suffixes: B bags, N instances, D features, C classes, E embedding.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from histofed.mil.aggregators.base import Aggregator, MILOutput
from histofed.mil.aggregators.blocks import GatedScore, TanhScore, masked_softmax
from histofed.mil.aggregators.projection import ProjectTiles, Tiles


class ABMIL(Aggregator):
    """Attention-based MIL.

    Parameters
    ----------
    hidden_dim
        Length of h, and of the bag's embedding.
    attention_dim
        Length of the layer behind the scores.
    dropout
        On h, in training.
    tile_norm
        Layer norm of each tile; see `ProjectTiles`.
    """

    scorer: ClassVar[type[TanhScore | GatedScore]] = TanhScore

    def __init__(
        self,
        dim: int,
        n_classes: int,
        *,
        hidden_dim: int = 128,
        attention_dim: int = 64,
        dropout: float = 0.25,
        tile_norm: bool = True,
    ) -> None:
        super().__init__(dim, n_classes)
        self.project = ProjectTiles(dim, hidden_dim, dropout=dropout, tile_norm=tile_norm)
        self.attend = self.scorer(hidden_dim, attention_dim)
        self.classify = nn.Linear(hidden_dim, n_classes)

    def aggregate(self, tiles: Tiles, valid_BN: Tensor) -> MILOutput:
        """Aggregate; see `Aggregator.aggregate`."""
        hidden_BNE = self.project(tiles)
        attention_B1N = masked_softmax(self.attend(hidden_BNE), valid_BN.unsqueeze(1))
        embedding_BE = (attention_B1N @ hidden_BNE).squeeze(1)
        return MILOutput(self.classify(embedding_BE), attention_B1N.squeeze(1), embedding_BE)
