"""Federated averaging.

McMahan, Moore, Ramage, Hampson, Agüera y Arcas. Communication-efficient learning of deep networks
from decentralized data. AISTATS 2017.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from histofed.federation.strategies.arithmetic import Weighting, averaged, check_weighting
from histofed.federation.strategies.base import Outcome, Strategy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from histofed.federation.messages import SiteUpdate


@dataclass(frozen=True)
class FedAvg(Strategy):
    """The next global model is the weighted mean of the sites' models, buffers included.

    With one site it is that site's model, bit for bit.

    Attributes
    ----------
    weighting
        ``patients`` (as in the paper), ``equal`` (a hospital, a vote), or ``sqrt`` of the number of
        patients (in between).
    """

    weighting: Weighting = "patients"

    def __post_init__(self) -> None:
        """Refuse a weighting that does not exist."""
        check_weighting(self.weighting)

    def aggregate(
        self,
        state: Mapping[str, Tensor],
        updates: Sequence[SiteUpdate],
        memory: Mapping[str, Tensor],
    ) -> Outcome:
        """Return the weighted mean of the updates; nothing is remembered."""
        return Outcome(averaged(state, updates, self.weighting), {})
