r"""ACMIL (Zhang et al. 2024, ECCV, arXiv:2311.07125).

K branches of gated attention over :math:`h_i = \mathrm{ReLU}(W\,\mathrm{LN}(x_i))`, which are kept
from looking at the same few tiles:

.. math::
    a_{ki} &= \mathrm{softmax}_i\; w_k^\top (\tanh(V h_i) \odot \sigma(U h_i)) \\
    z &= \sum_i \bar a_i h_i, \qquad \bar a_i = \tfrac{1}{K} \sum_k a_{ki}, \qquad
        \mathrm{logit} = C z

In training only:

- each branch predicts the bag by itself, :math:`C_k \sum_i a_{ki} h_i`;
- the mean cosine between the attentions of two branches is a penalty;
- a random 60 % of the ten most attended tiles of each branch are masked (STKIM). Of bags of fewer
  than ten tiles the same share is masked, rounded down, so that a tile always remains.

Suffixes: B bags, N instances, D features, C classes, E embedding, K branches, T top tiles.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from histofed.errors import ConfigError
from histofed.mil.aggregators.auxiliary import Auxiliary, BagTerm, Penalty
from histofed.mil.aggregators.base import Aggregator, MILOutput
from histofed.mil.aggregators.blocks import GatedScore, masked_softmax, top_of
from histofed.mil.aggregators.projection import ProjectTiles, Tiles


class ACMIL(Aggregator):
    """Attention-challenging MIL.

    Parameters
    ----------
    hidden_dim
        Length of h, and of the bag's embedding.
    attention_dim
        Length of the gate.
    n_branches
        K, at least 2.
    n_masked_from
        The most attended tiles of each branch, of which some are masked.
    masked_share
        Share of them that is masked, below 1.
    branch_weight, diversity_weight
        Of the branches' own losses and of the penalty, beside a bag's loss of weight one.
    dropout
        On h, in training.
    tile_norm
        Layer norm of each tile; see `ProjectTiles`.

    Raises
    ------
    ConfigError
        Fewer than two branches, or every attended tile masked.
    """

    def __init__(
        self,
        dim: int,
        n_classes: int,
        *,
        hidden_dim: int = 128,
        attention_dim: int = 64,
        n_branches: int = 5,
        n_masked_from: int = 10,
        masked_share: float = 0.6,
        branch_weight: float = 1.0,
        diversity_weight: float = 1.0,
        dropout: float = 0.25,
        tile_norm: bool = True,
    ) -> None:
        super().__init__(dim, n_classes)
        if n_branches < 2 or not 0 <= masked_share < 1:
            msg = f"aggregator.n_branches is {n_branches} and aggregator.masked_share is "
            msg += f"{masked_share}; ACMIL needs at least 2 branches and a share from 0 to below 1"
            raise ConfigError(msg)
        self.n_masked_from = n_masked_from
        self.masked_share = masked_share
        self.branch_weight = branch_weight
        self.diversity_weight = diversity_weight
        self.project = ProjectTiles(dim, hidden_dim, dropout=dropout, tile_norm=tile_norm)
        self.attend = GatedScore(hidden_dim, attention_dim, n_branches=n_branches)
        self.classify_branch = nn.ModuleList(
            nn.Linear(hidden_dim, n_classes) for _ in range(n_branches)
        )
        self.classify = nn.Linear(hidden_dim, n_classes)

    def aggregate(self, tiles: Tiles, valid_BN: Tensor) -> MILOutput:
        """Aggregate; see `Aggregator.aggregate`."""
        hidden_BNE = self.project(tiles)
        scores_BKN = self.attend(hidden_BNE)
        seen_BKN = valid_BN.unsqueeze(1).expand_as(scores_BKN)
        if self.training:
            seen_BKN = seen_BKN & ~self._masked(scores_BKN.detach(), seen_BKN)
        attention_BKN = masked_softmax(scores_BKN, seen_BKN)
        embedding_BKE = attention_BKN @ hidden_BNE
        embedding_BE = embedding_BKE.mean(dim=1)
        return MILOutput(
            logits_BC=self.classify(embedding_BE),
            attention_BN=attention_BKN.mean(dim=1),
            embedding_BE=embedding_BE,
            auxiliary=self._asked(embedding_BKE, masked_softmax(scores_BKN, valid_BN.unsqueeze(1)))
            if self.training
            else (),
        )

    def _masked(self, scores_BKN: Tensor, valid_BKN: Tensor) -> Tensor:
        """Return which tiles a branch may not see this time."""
        top_BKT, exists_BKT = top_of(scores_BKN, valid_BKN, self.n_masked_from)
        n_top_BK1 = exists_BKT.sum(dim=-1, keepdim=True)
        lot_BKT = torch.rand_like(top_BKT, dtype=torch.float32).masked_fill(~exists_BKT, torch.inf)
        place_BKT = lot_BKT.argsort(dim=-1).argsort(dim=-1)
        drawn_BKT = place_BKT < (self.masked_share * n_top_BK1).floor()
        # Adding, not writing: ranks that do not exist all point at tile 0.
        return torch.zeros_like(scores_BKN).scatter_add(2, top_BKT, drawn_BKT.to(scores_BKN)) > 0

    def _asked(self, embedding_BKE: Tensor, attention_BKN: Tensor) -> tuple[Auxiliary, ...]:
        """Return the branches' predictions, and how much their attentions are alike."""
        logits = [
            classify(branch_BE)
            for classify, branch_BE in zip(
                self.classify_branch, embedding_BKE.unbind(dim=1), strict=True
            )
        ]
        unit_BKN = nn.functional.normalize(attention_BKN, dim=-1)
        cosine_BKK = unit_BKN @ unit_BKN.transpose(1, 2)
        first, second = torch.triu_indices(len(logits), len(logits), offset=1)
        return (
            BagTerm(logits_BKC=torch.stack(logits, dim=1), weight=self.branch_weight),
            Penalty(value_B=cosine_BKK[:, first, second].mean(dim=1), weight=self.diversity_weight),
        )
