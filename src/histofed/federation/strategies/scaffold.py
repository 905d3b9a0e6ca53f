"""SCAFFOLD: control variates correct the drift of the sites; the server's part.

Karimireddy, Kale, Mohri, Reddi, Stich, Suresh. SCAFFOLD: stochastic controlled averaging for
federated learning. ICML 2020, algorithm 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from histofed.federation.strategies.arithmetic import (
    Weighting,
    averaged,
    check_positive,
    check_weighting,
    mean_of,
    shares,
    wide,
    zeros_for,
)
from histofed.federation.strategies.base import Outcome, Strategy

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from torch import Tensor

    from histofed.federation.messages import SiteUpdate

N_SITES = "n_sites"


@dataclass(frozen=True)
class Scaffold(Strategy):
    """Average the models, and what each site knows of its own gradient.

    Sites train with `histofed.federation.callbacks.scaffold.ScaffoldCorrection`: they are handed
    the control variate ``c`` of every trainable tensor and answer with the change of their own.
    With S updates of N sites, ``x <- x + learning_rate (mean - x)`` and
    ``c <- c + S/N (mean change)``. Buffers, counters and frozen tensors are those of `FedAvg`. With
    a learning rate of 1, one site is plain training, bit for bit.

    A refused update is missing from ``c`` though its site has moved on, so ``c`` is then a little
    off the mean of the sites' own.

    Attributes
    ----------
    weighting
        As in `FedAvg`, of models and controls alike; ``equal`` is the paper's.
    learning_rate
        Of the server, over the mean of the models.
    """

    weighting: Weighting = "patients"
    learning_rate: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        check_weighting(self.weighting)
        check_positive("learning_rate", self.learning_rate)

    def start(
        self,
        state: Mapping[str, Tensor],
        *,
        trainable: Collection[str] = (),
        sites: Collection[str] = (),
    ) -> dict[str, Tensor]:
        """Return controls of zero, ``c/<name>``, and the number of sites."""
        zeros = zeros_for(state, trainable, rule=type(self).__name__)
        return {f"c/{name}": zero for name, zero in zeros.items()} | {
            N_SITES: torch.tensor(len(sites))
        }

    def controls(self, memory: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ``c``, by the names of the tensors that it corrects."""
        return {
            key.removeprefix("c/"): value for key, value in memory.items() if key.startswith("c/")
        }

    def aggregate(
        self,
        state: Mapping[str, Tensor],
        updates: Sequence[SiteUpdate],
        memory: Mapping[str, Tensor],
    ) -> Outcome:
        """Return the next model, and the next controls."""
        new_state = averaged(state, updates, self.weighting)
        share_of = shares(updates, self.weighting)
        changes = {update.site: update.controls for update in updates}
        present = len(updates) / int(memory[N_SITES])
        new_memory = {N_SITES: memory[N_SITES].clone()}
        for name, control in self.controls(memory).items():
            if self.learning_rate != 1:
                old = wide(state[name])
                moved = old + self.learning_rate * (wide(new_state[name]) - old)
                new_state[name] = moved.to(state[name].dtype)
            change = present * mean_of(name, changes, share_of)
            new_memory[f"c/{name}"] = (wide(control) + change).to(control.dtype)
        return Outcome(new_state, new_memory)
