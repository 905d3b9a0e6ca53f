"""Adaptive optimizers at the server: FedAdam, FedYogi, FedAdagrad.

Reddi, Charles, Zaheer, Garrett, Rush, Konečný, Kumar, McMahan. Adaptive federated optimization.
ICLR 2021, algorithm 2.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from histofed.federation.strategies.arithmetic import (
    Weighting,
    averaged,
    check_positive,
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
class FedOpt(Strategy):
    """The mean change of the sites is a gradient to an adaptive optimizer.

    With ``d = mean - x``: ``m <- beta1 m + (1 - beta1) d``, ``v`` by the rule,
    ``x <- x + learning_rate m / (sqrt(v) + tau)``; as in the paper m starts at 0, v at tau squared,
    and neither is corrected for its start. Only trainable tensors take this step; buffers (running
    variances must stay positive), counters and frozen tensors are those of `FedAvg`.

    One site is not plain training under these rules: the server steps by its own learning rate.
    Where no site moves from the start on, nothing moves.

    Attributes
    ----------
    weighting
        As in `FedAvg`; ``equal`` is the paper's.
    learning_rate
        Of the server: about how far one round moves a weight on whose direction the sites agree.
    beta1
        Memory of the direction, 0 to 1.
    tau
        How adaptive: changes much smaller than this are not scaled up.
    """

    weighting: Weighting = "patients"
    learning_rate: float = 0.01
    beta1: float = 0.9
    tau: float = 0.001

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        check_weighting(self.weighting)
        check_positive("learning_rate", self.learning_rate)
        check_range("beta1", self.beta1, low=0, below=1)
        check_positive("tau", self.tau)

    def start(
        self,
        state: Mapping[str, Tensor],
        *,
        trainable: Collection[str] = (),
        sites: Collection[str] = (),
    ) -> dict[str, Tensor]:
        """Return both moments of every trainable tensor: ``m/<name>`` and ``v/<name>``."""
        zeros = zeros_for(state, trainable, rule=type(self).__name__)
        first = {f"m/{name}": zero for name, zero in zeros.items()}
        return first | {f"v/{name}": zero + self.tau**2 for name, zero in zeros.items()}

    def aggregate(
        self,
        state: Mapping[str, Tensor],
        updates: Sequence[SiteUpdate],
        memory: Mapping[str, Tensor],
    ) -> Outcome:
        """Return the model one step on, and both moments."""
        new_state = averaged(state, updates, self.weighting)
        new_memory = {}
        for name in (key.removeprefix("m/") for key in memory if key.startswith("m/")):
            m, v = memory[f"m/{name}"], memory[f"v/{name}"]
            old = wide(state[name])
            change = wide(new_state[name]) - old
            first = self.beta1 * wide(m) + (1 - self.beta1) * change
            second = self.second_moment(wide(v), change.square())
            step = self.learning_rate * first / (second.sqrt() + self.tau)
            new_state[name] = (old + step).to(state[name].dtype)
            new_memory[f"m/{name}"] = first.to(m.dtype)
            new_memory[f"v/{name}"] = second.to(v.dtype)
        return Outcome(new_state, new_memory)

    @abstractmethod
    def second_moment(self, v: Tensor, squared: Tensor) -> Tensor:
        """Return the next v from the last one and the squared change."""


@dataclass(frozen=True)
class FedAdagrad(FedOpt):
    """The adaptive rule that never forgets: ``v <- v + d^2``; the paper takes ``beta1 = 0``."""

    beta1: float = 0.0

    def second_moment(self, v: Tensor, squared: Tensor) -> Tensor:
        """Return the sum so far."""
        return v + squared


@dataclass(frozen=True)
class FedAdam(FedOpt):
    """The adaptive rule that forgets slowly: ``v <- beta2 v + (1 - beta2) d^2``.

    Attributes
    ----------
    beta2
        Memory of the squared change, 0 to 1.
    """

    beta2: float = 0.99

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        super().__post_init__()
        check_range("beta2", self.beta2, low=0, below=1)

    def second_moment(self, v: Tensor, squared: Tensor) -> Tensor:
        """Return the running mean."""
        return self.beta2 * v + (1 - self.beta2) * squared


@dataclass(frozen=True)
class FedYogi(FedAdam):
    """As `FedAdam`, at a pace that does not depend on v.

    ``v <- v - (1 - beta2) d^2 sign(v - d^2)``.
    """

    def second_moment(self, v: Tensor, squared: Tensor) -> Tensor:
        """Return v, moved towards the squared change."""
        return v - (1 - self.beta2) * squared * torch.sign(v - squared)
