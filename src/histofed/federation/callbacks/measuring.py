"""What a site reports beside its model: the loss of its training, and how the model does here."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from histofed.federation.random_state import undisturbed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import pytorch_lightning as pl

    Evaluate = Callable[[pl.LightningModule], Mapping[str, float]]


class LossMean:
    """The mean training loss of a round, over its batches."""

    def __init__(self) -> None:
        self.losses: list[Tensor] = []

    def add(self, outputs: Tensor | Mapping[str, Any] | None, *, accumulated: int) -> None:
        """Keep what a training step returned.

        Parameters
        ----------
        accumulated
            Batches of an optimizer step, by which Lightning has divided the loss.
        """
        loss = outputs if isinstance(outputs, Tensor) or outputs is None else outputs.get("loss")
        if isinstance(loss, Tensor):
            self.losses.append(loss.detach() * accumulated)

    def metrics(self) -> dict[str, float]:
        """Return ``train_loss``; nothing where no step returned one."""
        # Read once a round: asking the accelerator for every batch would make it wait each time.
        if not self.losses:
            return {}
        return {"train_loss": float(torch.stack(self.losses).float().mean())}

    def clear(self) -> None:
        """Begin a round."""
        self.losses = []


def metrics_of(module: pl.LightningModule, evaluate: Evaluate | None) -> dict[str, float]:
    """Return what ``evaluate`` says of a module in eval mode; no random number is used up."""
    if evaluate is None:
        return {}
    with undisturbed(), _eval_mode(module), torch.no_grad():
        return {name: float(value) for name, value in evaluate(module).items()}


@contextmanager
def _eval_mode(module: pl.LightningModule) -> Iterator[None]:
    """Switch to eval mode, and afterwards back to each part's own mode: some may be frozen."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training
