"""What the aggregators of tokens share: attention layers that never hold tiles x tiles numbers.

Suffixes: B bags, T tokens, Q queries, E embedding, H heads.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from histofed.errors import ConfigError
from histofed.mil.aggregators.blocks import masked_softmax


class Heads(nn.Module):
    """Queries, keys and values of multi-head attention (Vaswani et al. 2017, arXiv:1706.03762).

    Raises
    ------
    ConfigError
        The heads do not divide the embedding.
    """

    def __init__(self, dim: int, n_heads: int) -> None:
        super().__init__()
        if dim % n_heads:
            msg = f"aggregator.hidden_dim is {dim} and aggregator.n_heads {n_heads}; "
            msg += "the heads must divide it"
            raise ConfigError(msg)
        self.n_heads = n_heads
        self.scale = (dim // n_heads) ** -0.5
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim, bias=False)  # a bias would leave every softmax as it is
        self.value = nn.Linear(dim, dim)
        self.out = nn.Linear(dim, dim)

    def split(self, tokens_BTE: Tensor) -> Tensor:
        """Return ``(B, H, T, E / H)``."""
        return tokens_BTE.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)

    def merge(self, heads_BHTE: Tensor) -> Tensor:
        """Return ``(B, T, E)`` after the last linear layer."""
        return self.out(heads_BHTE.transpose(1, 2).flatten(start_dim=2))


class SelfAttention(Heads):
    """Every token looks at every valid token, exactly, in memory linear in the tokens."""

    def forward(self, tokens_BTE: Tensor, valid_BT: Tensor) -> Tensor:
        """Return ``(B, T, E)``."""
        query, key, value = (
            self.split(layer(tokens_BTE)) for layer in (self.query, self.key, self.value)
        )
        mask_B11T = valid_BT[:, None, None]
        return self.merge(scaled_dot_product_attention(query, key, value, attn_mask=mask_B11T))


class ClassAttention(Heads):
    """The class token, the first, looks at every valid token, exactly."""

    def forward(self, tokens_BTE: Tensor, valid_BT: Tensor) -> tuple[Tensor, Tensor]:
        """Return the class token ``(B, 1, E)`` and how it looks at the tiles ``(B, T - 1)``.

        Those weights sum to one for each head, its look at itself left out, and are the mean over
        heads.
        """
        query = self.split(self.query(tokens_BTE[:, :1]))
        scores_BHQT = query @ self.split(self.key(tokens_BTE)).transpose(2, 3) * self.scale
        valid_B11T = valid_BT[:, None, None]
        attended = masked_softmax(scores_BHQT, valid_B11T) @ self.split(self.value(tokens_BTE))
        # Not the weights above divided by their sum: in half precision that may be 0.
        tiles_BHQN = masked_softmax(scores_BHQT[..., 1:], valid_B11T[..., 1:])
        return self.merge(attended), tiles_BHQN.mean(dim=1).squeeze(1)


def with_class_token(
    token_E: Tensor, hidden_BNE: Tensor, valid_BN: Tensor
) -> tuple[Tensor, Tensor]:
    """Return tokens ``(B, 1 + N, E)`` and which are valid; the class token comes first."""
    B = hidden_BNE.shape[0]
    tokens_BTE = torch.cat([token_E.expand(B, 1, -1).to(hidden_BNE), hidden_BNE], dim=1)
    return tokens_BTE, torch.cat([valid_BN.new_ones(B, 1), valid_BN], dim=1)
