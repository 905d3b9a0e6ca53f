r"""DTFD-MIL (Zhang et al. 2022, CVPR, arXiv:2203.12081).

The tiles of a bag are dealt to M pseudo-bags. A first tier of gated attention predicts the bag's
target from each pseudo-bag and distils one or two features of it; a second tier of gated attention
predicts from those:

.. math::
    a_{mi} &= \mathrm{softmax}_{i \in m}\; s_1(h_i), \qquad
        z_m = \sum_i a_{mi} h_i, \qquad \mathrm{logit}_m = C_1 z_m \\
    b_k &= \mathrm{softmax}_k\; s_2(f_k), \qquad
        z = \sum_k b_k f_k, \qquad \mathrm{logit} = C_2 z

with :math:`h_i = \mathrm{ReLU}(W\,\mathrm{LN}(x_i))` and the distilled features f:

- ``attended`` (AFS in the paper): :math:`f_m = z_m`;
- ``max_min`` (MaxMinS): for each class, the tiles of m with the highest and with the lowest share
  :math:`a_{mi} C_{1c} h_i` in the logit (the paper's class activation).

In training tiles are dealt at random, as in the paper. The paper does so in the test as well, so
that one slide has many answers; here they are then dealt in turn by their score :math:`s_1`, which
gives every pseudo-bag its share of the attended tiles and depends on no order. Bags of fewer than M
tiles are dealt more than once, so that no pseudo-bag is empty.

Suffixes: B bags, N instances, D features, C classes, E embedding, M pseudo-bags, K distilled.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from histofed.mil.aggregators.auxiliary import BagTerm
from histofed.mil.aggregators.base import Aggregator, MILOutput
from histofed.mil.aggregators.blocks import GatedScore, masked_softmax
from histofed.mil.aggregators.projection import ProjectTiles, Tiles


class DTFD(Aggregator):
    """Double-tier feature distillation.

    Parameters
    ----------
    hidden_dim
        Length of h, and of the bag's embedding.
    attention_dim
        Length of the gate of each tier.
    n_pseudo_bags
        M.
    distill
        What of a pseudo-bag goes on to the second tier.
    first_tier_weight
        Of the pseudo-bags' loss, beside a bag's loss of weight one.
    dropout
        On h, in training.
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
        attention_dim: int = 64,
        n_pseudo_bags: int = 8,
        distill: Literal["attended", "max_min"] = "attended",
        first_tier_weight: float = 1.0,
        dropout: float = 0.25,
        tile_norm: bool = True,
    ) -> None:
        super().__init__(dim, n_classes)
        self.n_pseudo_bags = n_pseudo_bags
        self.distill = distill
        self.first_tier_weight = first_tier_weight
        self.project = ProjectTiles(dim, hidden_dim, dropout=dropout, tile_norm=tile_norm)
        self.attend_tiles = GatedScore(hidden_dim, attention_dim)
        self.classify_pseudo = nn.Linear(hidden_dim, n_classes)
        self.attend_distilled = GatedScore(hidden_dim, attention_dim)
        self.classify = nn.Linear(hidden_dim, n_classes)

    def aggregate(self, tiles: Tiles, valid_BN: Tensor) -> MILOutput:
        """Aggregate; see `Aggregator.aggregate`."""
        hidden_BNE = self.project(tiles)
        scores_B1N = self.attend_tiles(hidden_BNE)
        dealt_BMN = self._deal(scores_B1N.squeeze(1).detach(), valid_BN)
        attention_BMN = masked_softmax(scores_B1N, dealt_BMN)
        embedding_BME = attention_BMN @ hidden_BNE
        # Weight of each tile in each distilled feature.
        weights_BKN = attention_BMN
        if self.distill == "max_min":
            weights_BKN = self._extremes(hidden_BNE, attention_BMN, dealt_BMN)
        distilled_BKE = weights_BKN @ hidden_BNE
        second_B1K = torch.softmax(self.attend_distilled(distilled_BKE), dim=-1)
        embedding_BE = (second_B1K @ distilled_BKE).squeeze(1)
        first_tier = BagTerm(
            logits_BKC=self.classify_pseudo(embedding_BME), weight=self.first_tier_weight
        )
        return MILOutput(
            logits_BC=self.classify(embedding_BE),
            attention_BN=(second_B1K @ weights_BKN).squeeze(1),
            embedding_BE=embedding_BE,
            auxiliary=(first_tier,) if self.training else (),
        )

    def _deal(self, scores_BN: Tensor, valid_BN: Tensor) -> Tensor:
        """Return which tile is in which pseudo-bag, ``(B, M, N)``."""
        key_BN = torch.rand_like(scores_BN, dtype=torch.float32) if self.training else scores_BN
        order_BN = key_BN.masked_fill(~valid_BN, torch.inf).argsort(dim=1)
        rank_BN = order_BN.argsort(dim=1)  # valid tiles first
        n_dealt_B1 = valid_BN.sum(dim=1, keepdim=True).clamp(max=self.n_pseudo_bags)
        pseudo_M = torch.arange(self.n_pseudo_bags, device=valid_BN.device)
        mine_BM1 = (pseudo_M % n_dealt_B1).unsqueeze(-1)
        return ((rank_BN % n_dealt_B1).unsqueeze(1) == mine_BM1) & valid_BN.unsqueeze(1)

    def _extremes(self, hidden_BNE: Tensor, attention_BMN: Tensor, dealt_BMN: Tensor) -> Tensor:
        """Return weight 1 on the tiles of most and least activation, ``(B, 2 M C, N)``."""
        shares_BCN = (hidden_BNE @ self.classify_pseudo.weight.T).transpose(1, 2)
        activation = attention_BMN.unsqueeze(2) * shares_BCN.unsqueeze(1)  # B, M, C, N
        outside = ~dealt_BMN.unsqueeze(2)
        most = activation.masked_fill(outside, -torch.inf).argmax(dim=-1)
        least = activation.masked_fill(outside, torch.inf).argmin(dim=-1)
        chosen_BK = torch.cat([most, least], dim=2).flatten(start_dim=1)
        tile_N = torch.arange(hidden_BNE.shape[1], device=hidden_BNE.device)
        return (chosen_BK.unsqueeze(-1) == tile_N).to(hidden_BNE.dtype)
