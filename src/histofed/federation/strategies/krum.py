"""Krum: the update that has the most company.

Blanchard, El Mhamdi, Guerraoui, Stainer. Machine learning with adversaries: Byzantine tolerant
gradient descent. NeurIPS 2017.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from histofed.federation.strategies.arithmetic import (
    averaged,
    averages,
    by_name,
    check_range,
    wide,
)
from histofed.federation.strategies.base import Outcome, Strategy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from histofed.federation.messages import SiteUpdate


@dataclass(frozen=True)
class Krum(Strategy):
    """Keep the update nearest to its neighbours; of several kept (multi-Krum), their mean.

    Of n updates, each is scored by the sum of its squared distances to the ``n - wild - 2`` nearest
    others, over all its real numbers, buffers included; the lowest scores are kept, of equals the
    first by name. Patients do not count, or a wild site would win by claiming many. With ``keep=1``
    the next global model is one hospital's own.

    Attributes
    ----------
    wild
        Wild sites to withstand; the paper's f.
    keep
        Updates to keep; the paper's m.
    """

    wild: int = 1
    keep: int = 1

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        check_range("wild", self.wild, low=0)
        check_range("keep", self.keep, low=1)

    @property
    def fewest(self) -> int:
        """``2 wild + 3``, of the paper; multi-Krum keeps no more than have company."""
        return max(2 * self.wild + 3, self.keep + self.wild + 2)

    def aggregate(
        self,
        state: Mapping[str, Tensor],
        updates: Sequence[SiteUpdate],
        memory: Mapping[str, Tensor],
    ) -> Outcome:
        """Return the mean of the updates kept; nothing is remembered."""
        ordered = by_name(updates)
        scores_S = self.scores(squared_distances(state, ordered))
        best = torch.sort(scores_S, stable=True).indices[: self.keep].tolist()
        return Outcome(averaged(state, [ordered[index] for index in best], "equal"), {})

    def scores(self, squared_SS: Tensor) -> Tensor:
        """Return each site's sum of squared distances to its nearest others, ``(S,)``."""
        n_near = len(squared_SS) - self.wild - 2
        # The smallest of each row is the distance to itself.
        return squared_SS.sort(dim=1).values[:, 1 : 1 + n_near].sum(dim=1)


def squared_distances(state: Mapping[str, Tensor], updates: Sequence[SiteUpdate]) -> Tensor:
    """Return the squared distance between any two updates, ``(S, S)`` in float64."""
    total_SS = torch.zeros(len(updates), len(updates), dtype=torch.float64)
    for name, old in state.items():
        if not averages(old):
            continue
        values_SD = wide(torch.stack([update.state[name] for update in updates])).flatten(1)
        if values_SD.is_complex():
            values_SD = torch.view_as_real(values_SD).flatten(1)
        # By differences: a matrix product loses small distances between large vectors.
        apart_SS = torch.cdist(values_SD, values_SD, compute_mode="donot_use_mm_for_euclid_dist")
        total_SS += apart_SS.square()
    return total_SS
