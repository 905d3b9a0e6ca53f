"""Federated averaging with momentum at the server.

Hsu, Qi, Brown. Measuring the effects of non-identical data distribution for federated visual
classification. arXiv:1909.06335, 2019.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from histofed.federation.strategies.arithmetic import (
    Weighting,
    averaged,
    check_range,
    check_weighting,
    wide,
    zeros_for,
)
from histofed.federation.strategies.base import Outcome, Strategy

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from torch import Tensor

    from histofed.federation.messages import SiteUpdate


@dataclass(frozen=True)
class FedAvgM(Strategy):
    """The change that the sites agree on gathers speed: ``v <- momentum v + mean - x; x <- x + v``.

    Buffers, counters and frozen tensors are those of `FedAvg`. The first round, and every round
    without momentum, is `FedAvg` up to rounding.

    Attributes
    ----------
    weighting
        As in `FedAvg`.
    momentum
        Part of the last round's step that is taken again, 0 to 1.
    """

    weighting: Weighting = "patients"
    momentum: float = 0.9

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        check_weighting(self.weighting)
        check_range("momentum", self.momentum, low=0, below=1)

    def start(
        self,
        state: Mapping[str, Tensor],
        *,
        trainable: Collection[str] = (),
        sites: Collection[str] = (),
    ) -> dict[str, Tensor]:
        """Return a standstill."""
        return zeros_for(state, trainable, rule=type(self).__name__)

    def aggregate(
        self,
        state: Mapping[str, Tensor],
        updates: Sequence[SiteUpdate],
        memory: Mapping[str, Tensor],
    ) -> Outcome:
        """Return the model one step on, and the step."""
        new_state = averaged(state, updates, self.weighting)
        steps = {}
        for name, step in memory.items():
            old = wide(state[name])
            moved = self.momentum * wide(step) + (wide(new_state[name]) - old)
            new_state[name] = (old + moved).to(state[name].dtype)
            steps[name] = moved.to(step.dtype)
        return Outcome(new_state, steps)
