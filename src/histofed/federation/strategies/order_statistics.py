"""Coordinate-wise median and trimmed mean: rules that a minority of wild sites cannot drag away.

Yin, Chen, Ramchandran, Bartlett. Byzantine-robust distributed learning: towards optimal statistical
rates. ICML 2018, definitions 1 and 2.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from histofed.federation.strategies.arithmetic import averages, by_name, check_range, middle, wide
from histofed.federation.strategies.base import Outcome, Strategy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from histofed.federation.messages import SiteUpdate


class OrderStatistic(Strategy):
    """A rule that sorts the sites' values of each number; every hospital counts the same.

    Patients do not count, or a wild site would win by claiming many. Integers and flags, which have
    no mean, take the lower median: one site in a minority cannot choose them. Differing hospitals
    are not wild ones, and the centre of few of them is a coarser model than their mean.
    """

    def aggregate(
        self,
        state: Mapping[str, Tensor],
        updates: Sequence[SiteUpdate],
        memory: Mapping[str, Tensor],
    ) -> Outcome:
        """Return the centre of every number; nothing is remembered."""
        ordered = by_name(updates)
        new_state = {}
        for name, old in state.items():
            stacked_S = torch.stack([update.state[name] for update in ordered])
            if averages(old):
                new_state[name] = self.centre(wide(stacked_S).sort(dim=0).values).to(old.dtype)
            else:
                new_state[name] = middle(stacked_S)
        return Outcome(new_state, {})

    @abstractmethod
    def centre(self, sorted_S: Tensor) -> Tensor:
        """Return the centre of values that ascend along the first axis, one for each site."""


@dataclass(frozen=True)
class CoordinateMedian(OrderStatistic):
    """The median of every number; of an even number of sites, the mean of the two in the middle.

    With fewer than half of the sites wild, each number stays within the range of the others. With
    one site it is that site's model, bit for bit; with two it is their mean.
    """

    def centre(self, sorted_S: Tensor) -> Tensor:
        """Return the median."""
        half = len(sorted_S) // 2
        return (
            sorted_S[half].clone() if len(sorted_S) % 2 else sorted_S[half - 1 : half + 1].mean(0)
        )


@dataclass(frozen=True)
class TrimmedMean(OrderStatistic):
    """The mean of every number without the largest and the smallest.

    With at most ``trim`` sites wild, each number stays within the range of the others.

    Attributes
    ----------
    trim
        Sites that are cut at each end; the paper's fraction times the number of sites.
    """

    trim: int = 1

    def __post_init__(self) -> None:
        """Refuse to cut a negative number of sites."""
        check_range("trim", self.trim, low=0)

    @property
    def fewest(self) -> int:
        """One more than is cut."""
        return 2 * self.trim + 1

    def centre(self, sorted_S: Tensor) -> Tensor:
        """Return the mean of what is left."""
        return sorted_S[self.trim : len(sorted_S) - self.trim].mean(0)
