r"""Gated attention (Ilse, Tomczak and Welling 2018, ICML, arXiv:1802.04712).

.. math::
    h_i &= \mathrm{ReLU}(W\,\mathrm{LN}(x_i)) \\
    a_i &= \mathrm{softmax}_i\; w^\top (\tanh(V h_i) \odot \sigma(U h_i)) \\
    z &= \sum_i a_i h_i, \qquad \mathrm{logit} = C z

x is standardised. LN, a layer norm of each instance, is ours: a tile far outside of what training
saw (a fold, a pen) has a large norm and would otherwise dominate the bag.

Suffixes: B bags, N instances, D features, C classes, E embedding.
"""

from __future__ import annotations

from torch import Tensor, nn

from histofed.mil.aggregators.base import Aggregator, MILOutput, masked_softmax


class GatedABMIL(Aggregator):
    """Gated attention-based MIL.

    Parameters
    ----------
    hidden_dim
        Length of h, and of the bag's embedding.
    attention_dim
        Length of the gate.
    dropout
        On h, in training.
    """

    def __init__(
        self,
        dim: int,
        n_classes: int,
        *,
        hidden_dim: int = 128,
        attention_dim: int = 64,
        dropout: float = 0.25,
    ) -> None:
        super().__init__(dim, n_classes)
        self.project = nn.Sequential(
            nn.LayerNorm(dim), nn.Linear(dim, hidden_dim), nn.ReLU(), nn.Dropout(dropout)
        )
        self.attend_tanh = nn.Linear(hidden_dim, attention_dim)
        self.attend_gate = nn.Linear(hidden_dim, attention_dim)
        self.attend_score = nn.Linear(attention_dim, 1, bias=False)
        self.classify = nn.Linear(hidden_dim, n_classes)

    def aggregate(self, features_BND: Tensor, valid_BN: Tensor) -> MILOutput:
        """Aggregate; see `Aggregator.aggregate`."""
        hidden_BNE = self.project(features_BND)
        gated = self.attend_tanh(hidden_BNE).tanh() * self.attend_gate(hidden_BNE).sigmoid()
        attention_BN = masked_softmax(self.attend_score(gated).squeeze(-1), valid_BN)
        embedding_BE = (attention_BN.unsqueeze(1) @ hidden_BNE).squeeze(1)
        return MILOutput(self.classify(embedding_BE), attention_BN, embedding_BE)
