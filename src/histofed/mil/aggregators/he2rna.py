r"""HE2RNA (Schmauch et al. 2020, Nature Communications 11:3877, 10.1038/s41467-020-17678-4).

.. math::
    s_{ic} &= f_c(x_i) \\
    \mathrm{logit}_c &= \frac{1}{k} \sum_{r=1}^{k} s_{(r)c}

Every tile gets a score for every output from the same perceptron (layers of width one over the
tiles); an output is the mean of its k highest scores. In training k is drawn for each batch from a
list, otherwise the means of all k of the list are averaged. A bag of fewer than k tiles gives the
mean of all of them.

The mean is a sum over tiles, so each has an exact share in each logit, and its score alone is what
it would get as a bag of its own: the paper's map of expression. The paper ends in a ReLU, since
expression is not negative; here logits are of any task, and numbers are standardised, so it is left
out. LN is ours (see `histofed.mil.aggregators.projection.ProjectTiles`).

Suffixes: B bags, N instances, D features, C classes, E hidden, R ranks.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from histofed.errors import ConfigError
from histofed.mil.aggregators.base import Aggregator, MILOutput
from histofed.mil.aggregators.blocks import top_of
from histofed.mil.aggregators.projection import ProjectTiles, Tiles


class HE2RNA(Aggregator):
    """Mean of the highest tile scores of each output.

    Parameters
    ----------
    hidden_dim
        Width of the two layers behind the tile scores, and of the bag's embedding: the mean of the
        second over the tiles that count, each output alike.
    n_top
        The list of k.
    dropout
        On the hidden layers of each tile, in training.
    tile_norm
        Layer norm of each tile; see `ProjectTiles`.

    Raises
    ------
    ConfigError
        ``n_top`` is empty.
    """

    counts_tiles = True

    def __init__(
        self,
        dim: int,
        n_classes: int,
        *,
        hidden_dim: int = 128,
        n_top: tuple[int, ...] = (1, 2, 5, 10, 20, 50, 100),
        dropout: float = 0.25,
        tile_norm: bool = True,
    ) -> None:
        super().__init__(dim, n_classes)
        if not n_top:
            msg = "aggregator.n_top is empty; it lists how many of a bag's highest scores are "
            msg += "averaged, for example [10]"
            raise ConfigError(msg)
        self.n_top = tuple(n_top)
        self.project = nn.Sequential(
            ProjectTiles(dim, hidden_dim, dropout=dropout, tile_norm=tile_norm),
            nn.Linear(hidden_dim, hidden_dim),
            nn.ReLU(),
            nn.Dropout(dropout),
        )
        self.score = nn.Linear(hidden_dim, n_classes)

    def aggregate(self, tiles: Tiles, valid_BN: Tensor) -> MILOutput:
        """Aggregate; see `Aggregator.aggregate`."""
        hidden_BNE = self.project(tiles)
        scores_BCN = self.score(hidden_BNE).transpose(1, 2)
        tops = self._drawn() if self.training else self.n_top
        index_BCR, _ = top_of(scores_BCN.detach(), valid_BN.unsqueeze(1), max(tops))
        weight_BR = _weights(valid_BN.sum(dim=1), tops).to(scores_BCN.dtype)
        # Ranks that a short bag lacks point to its first tile with a weight of 0.
        share_BCN = torch.zeros_like(scores_BCN).scatter_add(
            2, index_BCR, weight_BR.unsqueeze(1).expand_as(index_BCR)
        )
        evidence_BCN = (share_BCN * scores_BCN).masked_fill(~valid_BN.unsqueeze(1), 0.0)
        return MILOutput(
            logits_BC=evidence_BCN.sum(dim=2),
            attention_BN=None,
            embedding_BE=(share_BCN.mean(dim=1, keepdim=True) @ hidden_BNE).squeeze(1),
            evidence_BNC=evidence_BCN.transpose(1, 2),
        )

    def _drawn(self) -> tuple[int]:
        return (self.n_top[int(torch.randint(len(self.n_top), ()))],)


def _weights(n_tiles_B: Tensor, tops: tuple[int, ...]) -> Tensor:
    """Return the weight of the tile of each rank, ``(B, R)``, for a mean over all of ``tops``."""
    rank_R = torch.arange(max(tops), device=n_tiles_B.device)
    top_B1K = torch.tensor(tops, device=n_tiles_B.device).minimum(n_tiles_B[:, None]).unsqueeze(1)
    return ((rank_R[:, None] < top_B1K) / top_B1K).mean(dim=-1)
