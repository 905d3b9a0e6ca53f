r"""Additive attention (Javed et al. 2022, NeurIPS, arXiv:2206.01794).

.. math::
    a_i &= \mathrm{softmax}_i\; w^\top (\tanh(V h_i) \odot \sigma(U h_i)) \\
    \mathrm{logit} &= b + \sum_i \psi(a_i h_i)

with :math:`h_i = \mathrm{ReLU}(W\,\mathrm{LN}(x_i))` and a two-layer perceptron psi, so that each
tile has an exact share in each logit. The biases of psi are left out, b is there instead: a tile
without attention then has no share, and the logit does not grow with the number of tiles. (psi is
then homogeneous: :math:`\psi(a_i h_i) = a_i \psi(h_i)`, which is what is computed, since small
numbers would be lost in half precision.)

Suffixes: B bags, N instances, D features, C classes, E embedding.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from histofed.mil.aggregators.base import Aggregator, MILOutput
from histofed.mil.aggregators.blocks import GatedScore, masked_softmax
from histofed.mil.aggregators.projection import ProjectTiles, Tiles


class AdditiveABMIL(Aggregator):
    """Attention-based MIL whose logit is a sum over tiles.

    Parameters
    ----------
    hidden_dim
        Length of h, and of the bag's embedding.
    attention_dim
        Length of the gate, and width of psi's hidden layer.
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
        attention_dim: int = 64,
        dropout: float = 0.25,
        tile_norm: bool = True,
    ) -> None:
        super().__init__(dim, n_classes)
        self.project = ProjectTiles(dim, hidden_dim, dropout=dropout, tile_norm=tile_norm)
        self.attend = GatedScore(hidden_dim, attention_dim)
        self.contribute = nn.Sequential(
            nn.Linear(hidden_dim, attention_dim, bias=False),
            nn.ReLU(),
            nn.Linear(attention_dim, n_classes, bias=False),
        )
        self.bias_C = nn.Parameter(torch.zeros(n_classes))

    def aggregate(self, tiles: Tiles, valid_BN: Tensor) -> MILOutput:
        """Aggregate; see `Aggregator.aggregate`."""
        hidden_BNE = self.project(tiles)
        attention_B1N = masked_softmax(self.attend(hidden_BNE), valid_BN.unsqueeze(1))
        evidence_BNC = attention_B1N.transpose(1, 2) * self.contribute(hidden_BNE)
        return MILOutput(
            logits_BC=self.bias_C + evidence_BNC.sum(dim=1),
            attention_BN=attention_B1N.squeeze(1),
            embedding_BE=(attention_B1N @ hidden_BNE).squeeze(1),
            evidence_BNC=evidence_BNC,
        )
