r"""Chowder (Courtiol et al. 2018, arXiv:1802.02212), with several score channels.

.. math::
    s_{ij} &= f_j(x_i) \\
    \mathrm{logit} &= \mathrm{MLP}\big(
        s_{(1)j}, \dots, s_{(R)j},\; s_{(N)j}, \dots, s_{(N-R+1)j} \big)_{j=1..J}

A tile gets J scores; of each channel the R highest (highest first) and the R lowest (lowest first)
go on. The paper has J = 1. Where a bag has fewer than R tiles, the missing scores are 0, and a tile
may be among the highest and the lowest. Scores come from a two-layer perceptron; the paper has one
linear layer. LN is ours (see `histofed.mil.aggregators.projection.ProjectTiles`).

Suffixes: B bags, N instances, D features, C classes, E embedding, J channels, R ranks.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from histofed.mil.aggregators.base import Aggregator, MILOutput
from histofed.mil.aggregators.blocks import top_of
from histofed.mil.aggregators.projection import ProjectTiles, Tiles


class Chowder(Aggregator):
    """Highest and lowest tile scores.

    Parameters
    ----------
    hidden_dim
        Width of the layer behind the tile scores.
    n_channels
        Scores per tile, J.
    n_extreme
        Scores kept at either end, R.
    embedding_dim
        Width of the layer over the kept scores: the length of the bag's embedding.
    dropout
        On the hidden layer of each tile, in training.
    tile_norm
        Layer norm of each tile; see `ProjectTiles`.
    """

    counts_tiles = True

    def __init__(
        self,
        dim: int,
        n_classes: int,
        *,
        hidden_dim: int = 128,
        n_channels: int = 1,
        n_extreme: int = 10,
        embedding_dim: int = 64,
        dropout: float = 0.25,
        tile_norm: bool = True,
    ) -> None:
        super().__init__(dim, n_classes)
        self.n_extreme = n_extreme
        self.score = nn.Sequential(
            ProjectTiles(dim, hidden_dim, dropout=dropout, tile_norm=tile_norm),
            nn.Linear(hidden_dim, n_channels),
        )
        self.embed = nn.Sequential(
            nn.Linear(2 * n_extreme * n_channels, embedding_dim), nn.Sigmoid()
        )
        self.classify = nn.Linear(embedding_dim, n_classes)

    def aggregate(self, tiles: Tiles, valid_BN: Tensor) -> MILOutput:
        """Aggregate; see `Aggregator.aggregate`."""
        scores_BJN = self.score(tiles).transpose(1, 2)
        valid_B1N = valid_BN.unsqueeze(1)
        kept = []
        for signed_BJN in (scores_BJN, -scores_BJN):
            index_BJR, exists_BJR = top_of(signed_BJN, valid_B1N, self.n_extreme)
            kept.append(scores_BJN.gather(2, index_BJR).masked_fill(~exists_BJR, 0.0))
        embedding_BE = self.embed(torch.cat(kept, dim=2).flatten(start_dim=1))
        return MILOutput(self.classify(embedding_BE), None, embedding_BE)
