"""Remember the losses of every epoch: the rows of ``curves.csv``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
import torch

from histofed.mil.module import SELECT_LOSS, TRAIN_LOSS

if TYPE_CHECKING:
    from collections.abc import Mapping


class CurveRecorder(pl.Callback):
    """Record the mean training loss and the selection loss of each epoch, from 1.

    Attributes
    ----------
    rows
        ``(epoch, train_loss, select_loss)``.
    """

    def __init__(self) -> None:
        self.rows: list[tuple[int, float, float]] = []
        self._losses: list[torch.Tensor] = []

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: torch.Tensor | Mapping[str, Any] | None,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Keep the task's loss of the batch."""
        assert isinstance(outputs, dict)
        self._losses.append(outputs[TRAIN_LOSS])

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Close the epoch; its validation has just run."""
        train_loss = torch.stack(self._losses).mean().item()
        select = float(trainer.callback_metrics[SELECT_LOSS])
        self.rows.append((trainer.current_epoch + 1, train_loss, select))
        self._losses.clear()
