"""What several aggregators are made of.

Suffixes: B bags, N instances, E hidden, K branches.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class TanhScore(nn.Module):
    r"""Attention scores :math:`w_k^\top \tanh(V h_i)` of K branches, ``(B, K, N)``."""

    def __init__(self, hidden_dim: int, attention_dim: int, *, n_branches: int = 1) -> None:
        super().__init__()
        self.tanh = nn.Linear(hidden_dim, attention_dim)
        self.score = nn.Linear(attention_dim, n_branches, bias=False)

    def forward(self, hidden_BNE: Tensor) -> Tensor:
        """Return ``(B, K, N)`` scores, before softmax."""
        return self.score(self.tanh(hidden_BNE).tanh()).transpose(1, 2)


class GatedScore(nn.Module):
    r"""Attention scores :math:`w_k^\top (\tanh(V h_i) \odot \sigma(U h_i))` of K branches."""

    def __init__(self, hidden_dim: int, attention_dim: int, *, n_branches: int = 1) -> None:
        super().__init__()
        self.tanh = nn.Linear(hidden_dim, attention_dim)
        self.gate = nn.Linear(hidden_dim, attention_dim)
        self.score = nn.Linear(attention_dim, n_branches, bias=False)

    def forward(self, hidden_BNE: Tensor) -> Tensor:
        """Return ``(B, K, N)`` scores, before softmax."""
        gated = self.tanh(hidden_BNE).tanh() * self.gate(hidden_BNE).sigmoid()
        return self.score(gated).transpose(1, 2)


def masked_softmax(scores_BKN: Tensor, valid_BKN: Tensor) -> Tensor:
    """Softmax over the valid instances (last axis); padding gets exactly 0."""
    return torch.softmax(scores_BKN.masked_fill(~valid_BKN, -torch.inf), dim=-1)


def even_weights(valid_BN: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the weights of a mean over the valid instances; padding gets exactly 0."""
    # Counted in float32: float16 ends at 65,504 tiles.
    return (valid_BN / valid_BN.sum(dim=-1, keepdim=True, dtype=torch.float32)).to(dtype)


def top_of(scores_BKN: Tensor, valid_BKN: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the indices ``(B, K, k)`` of the k highest scores of valid instances, highest first.

    The second tensor tells which of them exist: a bag may have fewer than k instances. Indices
    that do not exist are 0.
    """
    masked = scores_BKN.masked_fill(~valid_BKN, -torch.inf)
    # k columns more, so that k of them are always there.
    masked = torch.nn.functional.pad(masked, (0, k), value=-torch.inf)
    values, indices = masked.topk(k, dim=-1)
    exists = values > -torch.inf
    return indices.masked_fill(~exists, 0), exists
