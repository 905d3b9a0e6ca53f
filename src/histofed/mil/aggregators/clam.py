r"""CLAM (Lu et al. 2021, Nature Biomedical Engineering, 10.1038/s41551-020-00682-w).

Gated attention with one branch (SB) or one branch per class (MB), and a classifier of tiles for
each class that learns from the attention of its branch:

.. math::
    a_{mi} &= \mathrm{softmax}_i\; w_m^\top (\tanh(V h_i) \odot \sigma(U h_i)) \\
    z_m &= \sum_i a_{mi} h_i, \qquad \mathrm{logit}_m = c_m^\top z_m

In training, of the branch of each class, the B tiles with the most attention should speak for the
class of the bag and the B with the least should not. With ``exclusive`` classes those with the most
attention in any other branch should not speak for the other class either.

A binary task has one logit here: the difference of the two that the paper has. Losses of tiles are
cross-entropies (the paper: a smooth support vector loss). The two choices never overlap: a bag of
fewer than 2B tiles gives half of its tiles to each. The paper weighs the bag 0.7 and the tiles 0.3;
with a weight of one for the bag that is 0.43.

Suffixes: B bags, N instances, D features, C classes, E embedding, M branches, G groups of bags (two
for a binary task, else C), K chosen instances.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from histofed.mil.aggregators.auxiliary import InstanceTerm
from histofed.mil.aggregators.base import Aggregator, MILOutput
from histofed.mil.aggregators.blocks import GatedScore, masked_softmax, top_of
from histofed.mil.aggregators.projection import ProjectTiles, Tiles


class CLAM(Aggregator):
    """Clustering-constrained attention.

    Parameters
    ----------
    hidden_dim
        Length of h, and of the bag's embedding (mean over branches).
    attention_dim
        Length of the gate.
    n_chosen
        Tiles with the most, and with the least attention that are clustered, B.
    instance_weight
        Of the tiles' loss, beside a bag's loss of weight one.
    multi_branch
        One branch per class (CLAM-MB) rather than one in all (CLAM-SB).
    exclusive
        Whether a patient of one class has no tile of another.
    dropout
        On h, in training.
    tile_norm
        Layer norm of each tile; see `ProjectTiles`.
    """

    needs_classes = True

    def __init__(
        self,
        dim: int,
        n_classes: int,
        *,
        hidden_dim: int = 128,
        attention_dim: int = 64,
        n_chosen: int = 8,
        instance_weight: float = 0.43,
        multi_branch: bool = False,
        exclusive: bool = False,
        dropout: float = 0.25,
        tile_norm: bool = True,
    ) -> None:
        super().__init__(dim, n_classes)
        self.n_chosen = n_chosen
        self.instance_weight = instance_weight
        self.multi_branch = multi_branch
        self.exclusive = exclusive
        n_groups = max(n_classes, 2)
        self.project = ProjectTiles(dim, hidden_dim, dropout=dropout, tile_norm=tile_norm)
        self.attend = GatedScore(
            hidden_dim, attention_dim, n_branches=n_groups if multi_branch else 1
        )
        self.classify = nn.Linear(hidden_dim, n_groups if multi_branch else n_classes)
        self.cluster = nn.Linear(hidden_dim, n_groups)

    def aggregate(self, tiles: Tiles, valid_BN: Tensor) -> MILOutput:
        """Aggregate; see `Aggregator.aggregate`."""
        hidden_BNE = self.project(tiles)
        scores_BMN = self.attend(hidden_BNE)
        attention_BMN = masked_softmax(scores_BMN, valid_BN.unsqueeze(1))
        embedding_BME = attention_BMN @ hidden_BNE
        return MILOutput(
            logits_BC=self._logits(embedding_BME),
            attention_BN=attention_BMN.mean(dim=1),
            embedding_BE=embedding_BME.mean(dim=1),
            auxiliary=(self._clusters(hidden_BNE, scores_BMN, valid_BN),) if self.training else (),
        )

    def _logits(self, embedding_BME: Tensor) -> Tensor:
        if not self.multi_branch:
            return self.classify(embedding_BME.squeeze(1))
        # Each branch has its class: the diagonal of all branches x all classes.
        logits_BM = self.classify(embedding_BME).diagonal(dim1=1, dim2=2)
        return logits_BM[:, 1:] - logits_BM[:, :1] if self.n_classes == 1 else logits_BM

    def _clusters(self, hidden_BNE: Tensor, scores_BMN: Tensor, valid_BN: Tensor) -> InstanceTerm:
        """Return the most and the least attended tiles, as the classifier of each group sees them.

        Which tiles are chosen carries no gradient; what they hold does.
        """
        n_chosen = self.n_chosen
        valid_B1N = valid_BN.unsqueeze(1)
        most, _ = top_of(scores_BMN.detach(), valid_B1N, n_chosen)
        least, _ = top_of(-scores_BMN.detach(), valid_B1N, n_chosen)
        index_BMK = torch.cat([most, least], dim=2)
        rank_K = torch.arange(n_chosen, device=valid_BN.device).repeat(2)
        enough_BK = rank_K < valid_BN.sum(dim=1, keepdim=True) // 2
        evidence_BGN = self.cluster(hidden_BNE).transpose(1, 2)
        index_BGK = index_BMK.expand(-1, evidence_BGN.shape[1], -1)
        logits_BGK = evidence_BGN.gather(2, index_BGK)
        return InstanceTerm(
            logits_BGK=logits_BGK,
            top_K=torch.arange(2 * n_chosen, device=valid_BN.device) < n_chosen,
            valid_BGK=enough_BK.unsqueeze(1).expand_as(logits_BGK),
            exclusive=self.exclusive,
            weight=self.instance_weight,
        )
