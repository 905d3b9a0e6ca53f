r"""TransMIL (Shao et al. 2021, NeurIPS, arXiv:2106.00908), without its dependence on order.

.. math::
    t^0 &= [\mathrm{cls}, h_1, \dots, h_N] \\
    t^1 &= t^0 + \mathrm{Nystrom}(\mathrm{LN}(t^0)) \\
    t^2 &= [\mathrm{cls}, \mathrm{PPEG}(t^1_1, \dots, t^1_N)] \\
    t^3_{\mathrm{cls}} &= t^2_{\mathrm{cls}} + \mathrm{MSA}(\mathrm{LN}(t^2))_{\mathrm{cls}},
        \qquad \mathrm{logit} = C\,\mathrm{LN}(t^3_{\mathrm{cls}})

with :math:`h_i = \mathrm{ReLU}(W\,\mathrm{LN}(x_i))`. In the paper the prediction changes with the
order of the tiles, in three places, and with the padding of the batch:

- PPEG lays the tiles, in the order of the file, on a square that the first tiles are repeated to
  fill, and convolves it (depthwise kernels of 7, 5 and 3 cells). Here the cells are where the tiles
  really lie on their slide, and a cell without tile counts as 0. Features that come without
  positions have no neighbours: each tile keeps its own cell only.
- The landmarks of Nyström attention; see `histofed.mil.aggregators.nystrom`.
- The second attention is Nyström's as well. Only the class token is read from it, and one query
  costs no more when it is exact; its weights are the attention that is given back.

Suffixes: B bags, N instances, D features, C classes, E embedding, T tokens, K cells of a kernel, M
instances x some of those cells.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from histofed.mil.aggregators.base import Aggregator, MILOutput
from histofed.mil.aggregators.nystrom import NystromAttention
from histofed.mil.aggregators.projection import ProjectTiles, Tiles
from histofed.mil.aggregators.tokens import ClassAttention, with_class_token


class TransMIL(Aggregator):
    """Transformer with positions.

    Parameters
    ----------
    hidden_dim
        Length of tokens, and of the bag's embedding; a multiple of ``n_heads``.
    n_heads
        Heads of each attention.
    n_landmarks
        Of the first attention.
    dropout
        On h and behind each attention, in training.
    tile_norm
        Layer norm of each tile; see `ProjectTiles`.
    """

    counts_tiles = True
    uses_positions = True

    def __init__(
        self,
        dim: int,
        n_classes: int,
        *,
        hidden_dim: int = 128,
        n_heads: int = 4,
        n_landmarks: int = 64,
        dropout: float = 0.25,
        tile_norm: bool = True,
    ) -> None:
        super().__init__(dim, n_classes)
        self.project = ProjectTiles(dim, hidden_dim, dropout=dropout, tile_norm=tile_norm)
        self.class_token_E = nn.Parameter(torch.randn(hidden_dim) * 0.02)
        self.norm_first = nn.LayerNorm(hidden_dim)
        self.attend_first = NystromAttention(hidden_dim, n_heads, n_landmarks=n_landmarks)
        self.place = PPEG(hidden_dim)
        self.norm_last = nn.LayerNorm(hidden_dim)
        self.attend_last = ClassAttention(hidden_dim, n_heads)
        self.drop = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(hidden_dim)
        self.classify = nn.Linear(hidden_dim, n_classes)

    def aggregate(
        self, tiles: Tiles, valid_BN: Tensor, cells_BN3: Tensor | None = None
    ) -> MILOutput:
        """Aggregate; see `Aggregator.aggregate`."""
        tokens_BTE, valid_BT = with_class_token(self.class_token_E, self.project(tiles), valid_BN)
        attended = self.attend_first(self.norm_first(tokens_BTE), valid_BT)
        tokens_BTE = tokens_BTE + self.drop(attended)
        token_B1E = tokens_BTE[:, :1]
        placed_BNE = self.place(tokens_BTE[:, 1:], valid_BN, cells_BN3)
        tokens_BTE = torch.cat([token_B1E, placed_BNE], dim=1)
        attended, attention_BN = self.attend_last(self.norm_last(tokens_BTE), valid_BT)
        embedding_BE = self.norm((token_B1E + self.drop(attended)).squeeze(1))
        return MILOutput(self.classify(embedding_BE), attention_BN, embedding_BE)


class PPEG(nn.Module):
    """Depthwise convolutions of 7, 5 and 3 cells and the identity, over the tiles' own cells."""

    SIDE = 7
    APART = 1 << 20
    """Cells from one row to the next, and rows from one slide to the next: more than any has."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.kernels = nn.ParameterList(
            nn.Parameter(nn.init.kaiming_uniform_(torch.empty(dim, 1, side, side), a=5**0.5))
            for side in (self.SIDE, 5, 3)
        )
        self.bias_E = nn.Parameter(torch.zeros(dim))

    def forward(self, tiles_BNE: Tensor, valid_BN: Tensor, cells_BN3: Tensor | None) -> Tensor:
        """Return the tiles with what their neighbours add.

        Parameters
        ----------
        cells_BN3
            Number of the slide, column and row of each tile; None: no tile has neighbours.
        """
        weight_KE, away_K = self._kernel().to(tiles_BNE.dtype), self._away(tiles_BNE.device)
        middle = len(away_K) // 2
        placed_BNE = tiles_BNE * (1 + weight_KE[middle]) + self.bias_E
        if cells_BN3 is None:
            return placed_BNE
        slide, column, row = cells_BN3.unbind(dim=-1)
        key_BN = (slide * self.APART + row) * self.APART + column
        sorted_BN, order_BN = key_BN.masked_fill(~valid_BN, torch.iinfo(torch.int64).max).sort(1)
        taps = [tap for tap in range(len(away_K)) if tap != middle]
        for start in range(0, len(taps), self.SIDE + 1):  # all at once would be much to hold
            some = taps[start : start + self.SIDE + 1]
            wanted_BM = (key_BN.unsqueeze(-1) + away_K[some]).flatten(start_dim=1)
            at_BM = torch.searchsorted(sorted_BN, wanted_BM).clamp(max=key_BN.shape[1] - 1)
            found_BM1 = (sorted_BN.gather(1, at_BM) == wanted_BM).unsqueeze(-1)
            index_BM1 = order_BN.gather(1, at_BM).unsqueeze(-1)
            there = tiles_BNE.gather(1, index_BM1.expand(-1, -1, tiles_BNE.shape[-1])) * found_BM1
            placed_BNE = placed_BNE + (there.unflatten(1, (-1, len(some))) * weight_KE[some]).sum(2)
        return placed_BNE

    def _away(self, device: torch.device) -> Tensor:
        """Return how far the key of each of the kernel's cells is from that of its middle."""
        steps = torch.arange(self.SIDE, device=device) - self.SIDE // 2
        return (steps.unsqueeze(-1) * self.APART + steps).flatten()

    def _kernel(self) -> Tensor:
        """Return the sum of the kernels, the smaller in the middle of the largest, cell by cell."""
        padded = [
            nn.functional.pad(kernel, [(self.SIDE - kernel.shape[-1]) // 2] * 4)
            for kernel in self.kernels
        ]
        return torch.stack(padded).sum(dim=0).flatten(start_dim=1).T
