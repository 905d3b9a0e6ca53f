"""FedProx: local training is held near the global model.

Li, Sahu, Zaheer, Sanjabi, Talwalkar, Smith. Federated optimization in heterogeneous networks. MLSys
2020.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from histofed.errors import ConfigError
from histofed.federation.callbacks.local_rule import (
    LocalRule,
    about_to_step,
    without_federation,
)

if TYPE_CHECKING:
    import pytorch_lightning as pl
    from torch import Tensor
    from torch.optim import Optimizer

    from histofed.federation.messages import Round


class FedProx(LocalRule):
    """Minimise the loss plus ``mu / 2 |w - w_round|^2``, by the gradient of the second term.

    Of the tensors that are exchanged: a private one has no global value to stay near. The loss that
    is logged stays that of the task.

    Parameters
    ----------
    mu
        Pull towards the global model; 0 is plain training.

    Raises
    ------
    ConfigError
        ``mu`` is negative or not finite, or there is no `FederatedCallback`.
    """

    def __init__(self, mu: float) -> None:
        super().__init__()
        if not 0 <= mu < float("inf"):
            msg = f"FedProx: mu must be 0 or a positive number, got {mu!r}"
            raise ConfigError(msg)
        self.mu = mu
        self._global: dict[str, Tensor] | None = None

    def open_round(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, current: Round
    ) -> None:
        """Remember the global model where it is needed: on the site's device."""
        self._global = {
            name: parameter.detach().clone()
            for name, parameter in pl_module.named_parameters()
            if name in current.state
        }

    @torch.no_grad()
    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        """Add ``mu (w - w_round)`` to the gradients."""
        if self._global is None:
            raise without_federation(self)
        for name, parameter in about_to_step(pl_module, optimizer):
            if name in self._global and parameter.grad is not None:
                parameter.grad.add_(parameter - self._global[name], alpha=self.mu)
