"""SCAFFOLD: control variates correct the drift of the sites; the site's part.

Karimireddy, Kale, Mohri, Reddi, Stich, Suresh. SCAFFOLD: stochastic controlled averaging for
federated learning. ICML 2020, algorithm 1, option II.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch

from histofed.errors import ConfigError, FederationError
from histofed.federation.callbacks.local_rule import (
    LocalRule,
    about_to_step,
    without_federation,
)
from histofed.federation.state import trainable_names

if TYPE_CHECKING:
    import pytorch_lightning as pl
    from torch import Tensor
    from torch.optim import Optimizer

    from histofed.federation.messages import Round


class ScaffoldCorrection(LocalRule):
    """Add ``c - c_i`` to every gradient; afterwards ``c_i`` is the mean gradient of the round.

    For plain SGD that mean *is* option II of the paper: K steps of size eta move a weight from x to
    ``y = x - eta sum(g - c_i + c)``, so ``c_i - c + (x - y) / (K eta)`` is the mean of g. It is
    taken from the gradients, before they are corrected, and not from the distance moved, because
    under Adam, momentum, weight decay or clipping the distance is no gradient any more: a step of
    Adam has the size of the learning rate however small the gradient, and controls made of such
    steps would drown it. So the rule keeps its meaning with any optimizer; the paper's theorems are
    about SGD.

    ``c_i`` starts at zero and outlives rounds; a checkpoint of Lightning holds it.

    Raises
    ------
    ConfigError
        There is no `FederatedCallback`, there are several optimizers, or the precision skips steps.
    FederationError
        The strategy corrects a tensor that this site does not train.
    """

    takes_controls: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__()
        self._own: dict[str, Tensor] = {}
        self._correction: dict[str, Tensor] | None = None
        self._sums: dict[str, Tensor] = {}
        self._n_steps = 0

    def open_round(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, current: Round
    ) -> None:
        """Take the global control of every tensor, and begin the mean of its gradients."""
        self._check(trainer)
        unknown = sorted(current.controls.keys() - set(trainable_names(pl_module)))
        if unknown:
            msg = (
                f"the strategy corrects tensor {unknown[0]!r}, which is not trained here "
                f"({len(unknown)} such tensors); train the same tensors at every site"
            )
            raise FederationError(msg)
        self._own = {
            name: self._own.get(name, torch.zeros_like(control))
            for name, control in current.controls.items()
        }
        self._correction = {
            name: (control - self._own[name]).to(pl_module.device)
            for name, control in current.controls.items()
        }
        self._sums = {name: torch.zeros_like(each) for name, each in self._correction.items()}
        self._n_steps = 0

    @torch.no_grad()
    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        """Keep the gradients, then correct them."""
        if self._correction is None:
            raise without_federation(self)
        self._n_steps += 1
        gradients = {
            name: parameter.grad
            for name, parameter in about_to_step(pl_module, optimizer)
            if name in self._correction and parameter.grad is not None
        }
        for name, gradient in gradients.items():
            self._sums[name] += gradient
        # A tied parameter has one gradient under several names, and is corrected once.
        for name, gradient in {id(each): (name, each) for name, each in gradients.items()}.values():
            gradient += self._correction[name]

    def close_round(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Tensor]:
        """Move to the mean gradient of the round; return by how much."""
        changes = {}
        for name, own in self._own.items():
            mean = self._sums[name].cpu() / max(self._n_steps, 1)
            changes[name] = mean - own
            # Added as the server adds it, so that with one site both controls stay the same bits.
            self._own[name] = (own.double() + changes[name].double()).to(own.dtype)
        return changes

    def state_dict(self) -> dict[str, Any]:
        """Return the site's controls."""
        return {"own": dict(self._own)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the site's controls back."""
        self._own = dict(state_dict["own"])

    def _check(self, trainer: pl.Trainer) -> None:
        if len(trainer.optimizers) != 1:
            msg = f"ScaffoldCorrection corrects one optimizer, found {len(trainer.optimizers)}"
            raise ConfigError(msg)
        if trainer.precision == "16-mixed":
            msg = (
                "ScaffoldCorrection: trainer.precision 16-mixed skips steps whose gradients "
                "overflow, and their mean would be lost; use bf16-mixed or 32-true"
            )
            raise ConfigError(msg)
