r"""Survival as hazards of discrete times (Gensheimer and Narasimhan 2019, arXiv:1805.00917).

.. math::
    h_c = \sigma(\mathrm{logit}_c), \qquad S_c = \prod_{j \le c} (1 - h_j)

Logit c is of the interval that ends at time c. A patient with an event in interval k adds
:math:`-\log h_k - \sum_{j<k} \log(1 - h_j)`, one censored in it only what was survived whole,
:math:`-\sum_{j<k} \log(1 - h_j)`; who outlives the last time survived all. At the very end of an
interval an event is in it, and who is censored there survived it: events come first. The loss is a
sum over patients, so it federates exactly, which a partial likelihood does not.

Suffixes: B bags, N instances, C logits (intervals), K numbers of a label (time, event).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn.functional import logsigmoid

from histofed.mil.objectives.base import Objective

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


class Hazard(Objective):
    """Probability of no event until each of a few times.

    Parameters
    ----------
    times
        Ends of the intervals, rising, above 0.
    """

    times_C: Tensor

    def __init__(self, times: Sequence[float]) -> None:
        super().__init__(n_logits=len(times))
        # The task says them; a model's file need not.
        self.register_buffer("times_C", torch.tensor(times, dtype=torch.float32), persistent=False)

    def loss(self, logits_BC: Tensor, target_BK: Tensor) -> Tensor:
        """Return the negative log-likelihood of what was seen of the patient."""
        time_B1, event_B1 = target_BK[:, :1], target_BK[:, 1:].bool()
        starts_C = torch.cat([self.times_C.new_zeros(1), self.times_C[:-1]])
        survived_BC = (time_B1 > self.times_C) | (~event_B1 & (time_B1 == self.times_C))
        died_BC = event_B1 & (time_B1 > starts_C) & (time_B1 <= self.times_C)
        log_died, log_survived = logsigmoid(logits_BC), logsigmoid(-logits_BC)
        return -(died_BC * log_died + survived_BC * log_survived).sum(dim=-1)

    def outputs(self, logits_BC: Tensor) -> Tensor:
        """Return the risk, and survival to each time.

        The risk is the part of the time up to the last that is expected to be lost: one minus the
        restricted mean survival over its length (Royston and Parmar 2013), 0..1.
        """
        survival_BC = logsigmoid(-logits_BC).cumsum(dim=-1).exp()
        return torch.cat([self._risk(survival_BC).unsqueeze(-1), survival_BC], dim=-1)

    def tile_heads(self, logits_BNC: Tensor) -> dict[str, Tensor]:
        """Return the risk, 0..1."""
        return {"tile_risk": self._risk(logsigmoid(-logits_BNC).cumsum(dim=-1).exp())}

    def _risk(self, survival: Tensor) -> Tensor:
        """Return one minus the area under survival, straight between the times, over its width."""
        at = torch.cat([torch.ones_like(survival[..., :1]), survival], dim=-1)
        widths_C = self.times_C.diff(prepend=self.times_C.new_zeros(1))
        area = ((at[..., 1:] + at[..., :-1]) / 2 * widths_C).sum(dim=-1)
        return 1 - area / self.times_C[-1]
