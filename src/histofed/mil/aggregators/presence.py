r"""Presence of concepts, combined by a monotone network.

A bag shows a concept as strongly as its strongest tile does; a class needs all the concepts of at
least one of its groups:

.. math::
    m_{gk} &= \max_i\; f_{gk}(h_i) \\
    \mathrm{all}_g &= -\log \sum_k e^{-m_{gk}} \quad \text{(a smooth minimum)} \\
    \mathrm{logit} &= \log \sum_g e^{\mathrm{all}_g} \quad \text{(a smooth maximum)}

with :math:`h_i = \mathrm{ReLU}(W\,\mathrm{LN}(x_i))` and linear f. These are the presence-based
concepts of Weidmann, Frank and Pfahringer (2003, ECML, "A two-level learning method for generalized
multi-instance problems") in the min-max network of Sill (1997, NeurIPS, "Monotonic networks"), with
smooth minima and maxima.

Every step rises with each tile's concepts, so that a tile can only ever add to a class and never
speak against it: the standard multiple-instance assumption holds by construction, and no bag is
called negative for what it shows. Nor does it matter how often a concept is shown. Where absence or
proportion is the signal, this is the wrong model.

Suffixes: B bags, N instances, D features, C classes, E embedding, G groups, K concepts of a group.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from histofed.mil.aggregators.base import Aggregator, MILOutput
from histofed.mil.aggregators.projection import ProjectTiles, Tiles


class Presence(Aggregator):
    """All the concepts of any group, each shown by at least one tile.

    Parameters
    ----------
    hidden_dim
        Length of h.
    n_groups
        Alternative ways to belong to a class, G.
    n_concepts
        Concepts of each group, K; a group that needs fewer learns one of them twice.
    dropout
        On h, in training.
    tile_norm
        Layer norm of each tile; see `ProjectTiles`.
    """

    def __init__(
        self,
        dim: int,
        n_classes: int,
        *,
        hidden_dim: int = 128,
        n_groups: int = 4,
        n_concepts: int = 4,
        dropout: float = 0.25,
        tile_norm: bool = True,
    ) -> None:
        super().__init__(dim, n_classes)
        self.groups_shape = (n_classes, n_groups, n_concepts)
        self.project = ProjectTiles(dim, hidden_dim, dropout=dropout, tile_norm=tile_norm)
        self.detect = nn.Linear(hidden_dim, n_classes * n_groups * n_concepts)

    def aggregate(self, tiles: Tiles, valid_BN: Tensor) -> MILOutput:
        """Aggregate; see `Aggregator.aggregate`. The embedding is m, all concepts in a row."""
        shown_BNE = self.detect(self.project(tiles))
        most_BE = shown_BNE.masked_fill(~valid_BN.unsqueeze(-1), -torch.inf).amax(dim=1)
        all_BCG = -torch.logsumexp(-most_BE.unflatten(1, self.groups_shape), dim=-1)
        return MILOutput(torch.logsumexp(all_BCG, dim=-1), None, most_BE)
