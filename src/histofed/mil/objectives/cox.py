r"""Survival by the partial likelihood (Cox 1972), tied events after Breslow (1974).

.. math::
    -\frac{1}{B} \sum_{i: e_i = 1} \Big( r_i - \log \sum_{j: t_j \ge t_i} \exp r_j \Big)

The risk set of a patient is everybody still in sight, so a step sees the whole fold; risk sets of a
mini-batch would estimate another likelihood.

Over hospitals each one's own patients are its risk sets, and the sum of their losses is the partial
likelihood stratified by hospital (Kalbfleisch, Prentice. The statistical analysis of failure time
data, 2nd edition, Wiley 2002): one model of the risks, and a baseline hazard of each hospital's
own, so that no time or event has to leave it. Weighted by their patients, the gradients of the
hospitals' means add up to that of this likelihood. Patients of different hospitals are not compared
in training; a hospital with a single patient in sight at each event teaches nothing.

The likelihood does not know a constant that all r have in common. So that models of several folds
can be compared, risks are said relative to the mean of the training patients in the last step.

Suffixes: B bags, N instances, C logits (one), K numbers of a label (time, event).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch

from histofed.mil.objectives.base import Objective

if TYPE_CHECKING:
    from torch import Tensor


class Cox(Objective):
    """A log hazard ratio, relative to the mean training patient.

    Parameters
    ----------
    n_times
        At which survival is asked; this model does not say it.
    """

    whole_fold: ClassVar[bool] = True

    centre_C: Tensor

    def __init__(self, *, n_times: int) -> None:
        super().__init__(n_logits=1)
        self.n_times = n_times
        self.register_buffer("centre_C", torch.zeros(1))

    def loss(self, logits_BC: Tensor, target_BK: Tensor) -> Tensor:
        """Return each patient's share of the negative log partial likelihood."""
        risk_B, time_B, event_B = logits_BC[:, 0], target_BK[:, 0], target_BK[:, 1]
        order_B = time_B.argsort(descending=True, stable=True)
        at_risk_B = risk_B[order_B].logcumsumexp(dim=0)
        # Patients of the same time are at risk together: each takes the sum past the last of them.
        last_B = torch.searchsorted(-time_B[order_B], -time_B, right=True) - 1
        return event_B * (at_risk_B[last_B] - risk_B)

    def outputs(self, logits_BC: Tensor) -> Tensor:
        """Return the log hazard ratio; survival is not known."""
        unknown = logits_BC.new_full((len(logits_BC), self.n_times), torch.nan)
        return torch.cat([logits_BC - self.centre_C, unknown], dim=-1)

    def tile_heads(self, logits_BNC: Tensor) -> dict[str, Tensor]:
        """Return the log hazard ratio."""
        return {"tile_risk": logits_BNC[..., 0] - self.centre_C}

    def watch(self, logits_BC: Tensor) -> None:
        """Keep the mean of all training patients."""
        self.centre_C.copy_(logits_BC.mean(dim=0))
