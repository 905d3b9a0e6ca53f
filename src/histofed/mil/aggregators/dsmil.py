r"""DSMIL (Li, Li and Eliceiri 2021, CVPR, arXiv:2011.08939).

Two streams over :math:`h_i = \mathrm{ReLU}(W\,\mathrm{LN}(x_i))`. The first finds the critical
tile of each class; the second weighs every tile by its likeness to it:

.. math::
    c_{ic} &= w_c^\top h_i, \qquad m_c = \mathrm{argmax}_i\, c_{ic} \\
    a_{ic} &= \mathrm{softmax}_i\; q(h_i)^\top q(h_{m_c}) / \sqrt{E} \\
    b_c &= \sum_i a_{ic} v(h_i) \\
    \mathrm{logit} &= \tfrac{1}{2}\big(\max_i c_i + F(b_1, \dots, b_C)\big)

q is a layer with tanh, v a linear layer with dropout, and F mixes the embeddings of all classes. In
training the first stream also predicts the bag by itself (the paper: half of the loss each).

Suffixes: B bags, N instances, D features, C classes, E embedding.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from histofed.mil.aggregators.auxiliary import BagTerm
from histofed.mil.aggregators.base import Aggregator, MILOutput
from histofed.mil.aggregators.blocks import masked_softmax
from histofed.mil.aggregators.projection import ProjectTiles, Tiles


class DSMIL(Aggregator):
    """Dual-stream MIL.

    Parameters
    ----------
    hidden_dim
        Length of h and of each class's embedding; the bag's embedding has C of them, in a row.
    attention_dim
        Length of q.
    instance_weight
        Of the loss of the critical tiles alone, beside a bag's loss of weight one.
    dropout
        On h and on what v takes, in training.
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
        instance_weight: float = 1.0,
        dropout: float = 0.25,
        tile_norm: bool = True,
    ) -> None:
        super().__init__(dim, n_classes)
        self.instance_weight = instance_weight
        self.scale = 1 / math.sqrt(attention_dim)
        self.project = ProjectTiles(dim, hidden_dim, dropout=dropout, tile_norm=tile_norm)
        self.classify_tile = nn.Linear(hidden_dim, n_classes)
        self.query = nn.Sequential(nn.Linear(hidden_dim, attention_dim), nn.Tanh())
        self.value = nn.Sequential(nn.Dropout(dropout), nn.Linear(hidden_dim, hidden_dim))
        self.classify_bag = nn.Linear(n_classes * hidden_dim, n_classes)

    def aggregate(self, tiles: Tiles, valid_BN: Tensor) -> MILOutput:
        """Aggregate; see `Aggregator.aggregate`."""
        hidden_BNE = self.project(tiles)
        tile_logits_BNC = self.classify_tile(hidden_BNE)
        padding_BN1 = ~valid_BN.unsqueeze(-1)
        critical_BC, index_BC = tile_logits_BNC.masked_fill(padding_BN1, -torch.inf).max(dim=1)
        query = self.query(hidden_BNE)
        critical_query = query.gather(1, index_BC.unsqueeze(-1).expand(-1, -1, query.shape[-1]))
        scores_BCN = critical_query @ query.transpose(1, 2) * self.scale
        attention_BCN = masked_softmax(scores_BCN, valid_BN.unsqueeze(1))
        embedding_BE = (attention_BCN @ self.value(hidden_BNE)).flatten(start_dim=1)
        alone = BagTerm(logits_BKC=critical_BC.unsqueeze(1), weight=self.instance_weight)
        return MILOutput(
            logits_BC=(critical_BC + self.classify_bag(embedding_BE)) / 2,
            attention_BN=attention_BCN.mean(dim=1),
            embedding_BE=embedding_BE,
            auxiliary=(alone,) if self.training else (),
        )
