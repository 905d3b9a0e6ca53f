"""Federated averaging.

McMahan, Moore, Ramage, Hampson, Agüera y Arcas. Communication-efficient learning of deep networks
from decentralized data. AISTATS 2017.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import torch

from histofed.errors import ConfigError, FederationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from histofed.federation.messages import SiteUpdate

Weighting = Literal["patients", "equal", "sqrt"]


@dataclass(frozen=True, slots=True)
class FedAvg:
    """The next global model is the weighted mean of the sites' models, buffers included.

    Sums run in float64 in the order of the site names and are cast back, so the result depends
    neither on the order of arrival nor on float32 rounding.

    Integer and boolean tensors are taken from the update of largest weight (of equals, the first by
    name). A mean of counters or of indices is the state of no model; the old global value would
    freeze ``num_batches_tracked`` while the running statistics beside it move on; and with a single
    site the result is exactly that site's model.

    Attributes
    ----------
    weighting
        ``patients`` (as in the paper), ``equal`` (a hospital, a vote), or ``sqrt`` of the number of
        patients (in between).
    """

    weighting: Weighting = "patients"

    def __post_init__(self) -> None:
        """Refuse a weighting that does not exist."""
        if self.weighting not in get_args(Weighting):
            msg = (
                f"strategy.weighting must be one of {', '.join(get_args(Weighting))}, "
                f"got {self.weighting!r}"
            )
            raise ConfigError(msg)

    def weights(self, updates: Sequence[SiteUpdate]) -> dict[str, float]:
        """Return each site's share, in the order of the site names; the shares add up to 1."""
        sizes = {update.site: update.n_patients for update in updates}
        raw = {site: self._raw_weight(sizes[site]) for site in sorted(sizes)}
        total = math.fsum(raw.values())
        return {site: weight / total for site, weight in raw.items()}

    def aggregate(
        self, global_state: Mapping[str, Tensor], updates: Sequence[SiteUpdate]
    ) -> dict[str, Tensor]:
        """Return the weighted mean of the updates.

        Raises
        ------
        FederationError
            There is nothing to average.
        """
        if not updates:
            msg = "no update to average; a round needs at least one"
            raise FederationError(msg)
        weights = self.weights(updates)
        states = {update.site: update.state for update in updates}
        heaviest = max(weights, key=weights.__getitem__)
        new_state = {}
        for name, old in global_state.items():
            if old.is_floating_point() or old.is_complex():
                values = [(weight, states[site][name]) for site, weight in weights.items()]
                new_state[name] = _weighted_sum(values)
            else:
                new_state[name] = states[heaviest][name].clone()
        return new_state

    def _raw_weight(self, n_patients: int) -> float:
        match self.weighting:
            case "patients":
                return float(n_patients)
            case "sqrt":
                return math.sqrt(n_patients)
            case "equal":
                return 1.0


def _weighted_sum(values: Sequence[tuple[float, Tensor]]) -> Tensor:
    """Add in float64 (complex128), in the given order, and cast back."""
    dtype = values[0][1].dtype
    wide = torch.promote_types(dtype, torch.float64)
    terms = [weight * value.to(wide) for weight, value in values]
    # Starting from the first term, not from zero, keeps a lone -0.0 what it is.
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total.to(dtype)
