r"""Transformer with class token (Wagner et al. 2023, Cancer Cell, 10.1016/j.ccell.2023.08.002).

.. math::
    t^0 &= [\mathrm{cls}, h_1, \dots, h_N] \\
    u^l &= t^{l} + \mathrm{MSA}(\mathrm{LN}(t^{l})), \qquad
        t^{l+1} = u^l + \mathrm{MLP}(\mathrm{LN}(u^l)) \\
    \mathrm{logit} &= C\, \mathrm{LN}(t^L_{\mathrm{cls}})

with :math:`h_i = \mathrm{ReLU}(W\,\mathrm{LN}(x_i))`; layers are those of the vision transformer
(Dosovitskiy et al. 2021, arXiv:2010.11929) without positions. Padding is masked out of every
softmax. Only the class token is read from the last layer, so only it is computed there; its
attention to the tiles, mean over heads, is the attention given back (its look at itself left out).
Time grows with the square of the tiles in all layers but the last, memory does not.

Suffixes: B bags, N instances, D features, C classes, E embedding, T tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from histofed.mil.aggregators.base import Aggregator, MILOutput
from histofed.mil.aggregators.projection import ProjectTiles, Tiles
from histofed.mil.aggregators.tokens import (
    ClassAttention,
    SelfAttention,
    with_class_token,
)


class Transformer(Aggregator):
    """Transformer with class token.

    Parameters
    ----------
    hidden_dim
        Length of tokens, and of the bag's embedding; a multiple of ``n_heads``.
    n_layers, n_heads
        Layers, at least 1, and heads of each.
    dropout
        On h and behind each block, in training.
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
        n_layers: int = 2,
        n_heads: int = 4,
        dropout: float = 0.25,
        tile_norm: bool = True,
    ) -> None:
        super().__init__(dim, n_classes)
        self.project = ProjectTiles(dim, hidden_dim, dropout=dropout, tile_norm=tile_norm)
        self.class_token_E = nn.Parameter(torch.randn(hidden_dim) * 0.02)
        self.layers = nn.ModuleList(
            _SelfLayer(hidden_dim, n_heads, dropout) for _ in range(n_layers - 1)
        )
        self.last = _ClassLayer(hidden_dim, n_heads, dropout)
        self.norm = nn.LayerNorm(hidden_dim)
        self.classify = nn.Linear(hidden_dim, n_classes)

    def aggregate(self, tiles: Tiles, valid_BN: Tensor) -> MILOutput:
        """Aggregate; see `Aggregator.aggregate`."""
        tokens_BTE, valid_BT = with_class_token(self.class_token_E, self.project(tiles), valid_BN)
        for layer in self.layers:
            tokens_BTE = layer(tokens_BTE, valid_BT)
        token_BE, attention_BN = self.last(tokens_BTE, valid_BT)
        embedding_BE = self.norm(token_BE)
        return MILOutput(self.classify(embedding_BE), attention_BN, embedding_BE)


class _Layer(nn.Module):
    """What both kinds of layer have around their attention."""

    def __init__(self, dim: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.drop = nn.Dropout(dropout)
        self.perceptron = nn.Sequential(
            nn.LayerNorm(dim),
            nn.Linear(dim, dim),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(dim, dim),
            nn.Dropout(dropout),
        )

    def shortcut(self, tokens_BTE: Tensor, attended_BTE: Tensor) -> Tensor:
        """Return tokens after both blocks and their shortcuts."""
        tokens_BTE = tokens_BTE + self.drop(attended_BTE)
        return tokens_BTE + self.perceptron(tokens_BTE)


class _SelfLayer(_Layer):
    def __init__(self, dim: int, n_heads: int, dropout: float) -> None:
        super().__init__(dim, dropout)
        self.attend = SelfAttention(dim, n_heads)

    def forward(self, tokens_BTE: Tensor, valid_BT: Tensor) -> Tensor:
        return self.shortcut(tokens_BTE, self.attend(self.norm(tokens_BTE), valid_BT))


class _ClassLayer(_Layer):
    def __init__(self, dim: int, n_heads: int, dropout: float) -> None:
        super().__init__(dim, dropout)
        self.attend = ClassAttention(dim, n_heads)

    def forward(self, tokens_BTE: Tensor, valid_BT: Tensor) -> tuple[Tensor, Tensor]:
        attended_B1E, attention_BN = self.attend(self.norm(tokens_BTE), valid_BT)
        return self.shortcut(tokens_BTE[:, :1], attended_B1E).squeeze(1), attention_BN
