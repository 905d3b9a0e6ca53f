r"""The first layer of nearly every aggregator, where most of its work and memory is.

.. math:: h_i = \mathrm{ReLU}\big(W\,\mathrm{LN}((x_i - m) / s) + b\big)

Features need no gradient, so nothing as large as they are has to be kept for one: tiles go through
a few hundred at a time, while they lie in the processor's cache, and once more in the backward
pass. They stay float16 in the batch.

Suffixes: B bags, N instances, D features, E hidden; T instances of all bags in a row.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS_ON_CPU, ROWS_ELSEWHERE = 512, 2**17
"""Tiles at a time: 512 x 1,024 values of float32 are 2 MB."""


@dataclass(frozen=True, slots=True)
class Tiles:
    """Features of bags as they came, and what standardises them.

    Attributes
    ----------
    features_BND
        Of any floating type; whatever padding holds.
    valid_BN
        True on real instances; every bag has at least one. None where all are known to be real.
    mean_D, std_D
        Of the training tiles.
    norm
        Whether `standardised` ends with a layer norm, of each tile over its features.
    """

    features_BND: Tensor
    valid_BN: Tensor | None
    mean_D: Tensor
    std_D: Tensor
    norm: bool = False

    def standardised(self) -> Tensor:
        """Return features of mean 0 and deviation 1 over the training tiles; 0 on padding."""
        standard_BND = self.features_BND.to(self.mean_D.dtype, copy=True)
        standard_BND.sub_(self.mean_D).mul_(1 / self.std_D)
        if self.valid_BN is not None:
            # Whatever padding holds, it must not reach a product with zero: that may be NaN.
            standard_BND.masked_fill_(~self.valid_BN.unsqueeze(-1), 0.0)
        return layer_norm(standard_BND, standard_BND.shape[-1:]) if self.norm else standard_BND

    def pieces(self) -> Iterator[tuple[slice, Tiles]]:
        """Yield rows, and the tiles in them, ``(T, D)``: as many as a processor's cache holds."""
        assert self.valid_BN is not None
        flat_TD, valid_T = self.features_BND.flatten(0, 1), self.valid_BN.flatten()
        on_cpu = flat_TD.device.type == "cpu"
        step = ROWS_ON_CPU if on_cpu else ROWS_ELSEWHERE
        for start in range(0, len(flat_TD), step):
            rows = slice(start, start + step)
            valid = None if on_cpu and valid_T[rows].all() else valid_T[rows]  # a GPU would wait
            yield rows, replace(self, features_BND=flat_TD[rows], valid_BN=valid)


class ProjectTiles(nn.Module):
    r"""Tiles to hidden ones: :math:`h_i = \mathrm{ReLU}(W\,\mathrm{LN}(x_i) + b)`, with dropout.

    LN, a layer norm of each tile, is ours: a tile far outside of what training saw (a fold, a pen)
    has a large norm and would otherwise dominate the bag. It also hides what only shifts or scales
    all the features of a tile; ``tile_norm=False`` leaves it out, as the papers do. It has no
    weights of its own, which W and b would only repeat.
    """

    def __init__(
        self, dim: int, hidden_dim: int, *, dropout: float, tile_norm: bool = True
    ) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, hidden_dim)
        self.dropout = nn.Dropout(dropout)
        self.tile_norm = tile_norm

    def forward(self, tiles: Tiles) -> Tensor:
        """Return hidden tiles ``(B, N, E)``."""
        linear, tiles = self.linear, replace(tiles, norm=self.tile_norm)
        # In one piece where a graph is exported, or somebody asks how features change the result.
        if torch.compiler.is_compiling() or tiles.features_BND.requires_grad:
            hidden_BNE = linear(tiles.standardised().to(linear.weight.dtype))
        else:
            dtype = _dtype(linear.weight)
            weight_ED, bias_E = linear.weight.to(dtype), linear.bias.to(dtype)
            hidden_TE = _InPieces.apply(tiles, weight_ED, bias_E)
            hidden_BNE = hidden_TE.unflatten(0, tiles.features_BND.shape[:2])
        return self.dropout(hidden_BNE.relu())


class _InPieces(torch.autograd.Function):
    """The linear layer of standardised tiles in a row; only its weights get a gradient."""

    @staticmethod
    def forward(context: Any, tiles: Tiles, weight_ED: Tensor, bias_E: Tensor) -> Tensor:
        """Return ``(T, E)``."""
        context.tiles = tiles
        hidden_TE = weight_ED.new_empty(tiles.features_BND[..., 0].numel(), len(weight_ED))
        for rows, piece in tiles.pieces():
            standard = piece.standardised().to(weight_ED.dtype)
            torch.addmm(bias_E, standard, weight_ED.T, out=hidden_TE[rows])
        return hidden_TE

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of weight and bias."""
        (gradient_TE,) = gradients
        of_weight_ED = gradient_TE.new_zeros(gradient_TE.shape[1], len(context.tiles.mean_D))
        for rows, piece in context.tiles.pieces():
            standard = piece.standardised().to(gradient_TE.dtype)
            of_weight_ED.addmm_(gradient_TE[rows].T, standard)
        return None, of_weight_ED, gradient_TE.sum(dim=0)


def _dtype(weight: Tensor) -> torch.dtype:
    """Return the type of the arithmetic, as autocast wants it for linear layers."""
    device = weight.device.type
    if torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    return weight.dtype
