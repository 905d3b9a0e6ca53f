r"""Max pooling ("embedding + max"; MI-Net of Wang et al. 2018, arXiv:1610.02501).

.. math:: z_e = \max_i h_{ie}, \qquad \mathrm{logit} = C z

with :math:`h_i = \mathrm{ReLU}(W\,\mathrm{LN}(x_i))`.

Suffixes: B bags, N instances, D features, C classes, E embedding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from histofed.mil.aggregators.base import MILOutput
from histofed.mil.aggregators.mean import MeanPool

if TYPE_CHECKING:
    from torch import Tensor

    from histofed.mil.aggregators.projection import Tiles


class MaxPool(MeanPool):
    """Maximum over the projected tiles, hidden unit by hidden unit; parameters of `MeanPool`."""

    def aggregate(self, tiles: Tiles, valid_BN: Tensor) -> MILOutput:
        """Aggregate; see `Aggregator.aggregate`."""
        hidden_BNE = self.project(tiles)
        masked = hidden_BNE.masked_fill(~valid_BN.unsqueeze(-1), -torch.inf)
        embedding_BE = masked.amax(dim=1)
        return MILOutput(self.classify(embedding_BE), None, embedding_BE)
