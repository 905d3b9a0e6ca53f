"""What travels between the server and a site: named tensors, never positional lists.

A state maps the names of ``LightningModule.state_dict()`` to tensors in CPU memory: parameters and
buffers alike.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """The global model as handed to the sites.

    Rounds 1 to ``total`` train. The message after the last one is *final*: a site loads its state,
    evaluates it, reports the metrics in an update without tensors, and stops. So every aggregated
    model is evaluated at every site, the last one included.

    Attributes
    ----------
    number
        1-based. The state was aggregated ``number - 1`` times; in round 1 it is the initial model.
    total
        Rounds that train. A server that ends early sends a smaller total than it announced.
    state
        The global model.
    """

    number: int
    total: int
    state: dict[str, Tensor]

    @property
    def final(self) -> bool:
        """Whether nothing is left to train."""
        return self.number > self.total


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteUpdate:
    """What one site sends back.

    Attributes
    ----------
    site
        Name of the hospital.
    round
        Number of the round that it answers.
    state
        The whole model after local training (not a difference); empty in answer to a final round.
    n_patients
        Patients that the site trains on.
    metrics
        ``train_loss`` of this round's training, and the site's evaluation of the global model *as
        it came in*. A metric that a site cannot compute is left out, never NaN.
    """

    site: str
    round: int
    state: dict[str, Tensor]
    n_patients: int
    metrics: dict[str, float] = field(default_factory=dict)
