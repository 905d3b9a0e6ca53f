"""The LightningModule: an aggregator, the loss of its task, and an optimizer.

Suffixes: B bags, C classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytorch_lightning as pl
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from histofed.mil.auxiliary import auxiliary_loss

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

    from histofed.mil.aggregators import Aggregator, MILOutput
    from histofed.mil.bags import BagBatch

SELECT_LOSS = "select_loss"
"""The number that picks the checkpoint: mean loss per patient of the selection fold."""


class MILModule(pl.LightningModule):
    """Train any aggregator on a binary task.

    Parameters
    ----------
    learning_rate, weight_decay
        Of AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101).
    """

    def __init__(
        self, aggregator: Aggregator, *, learning_rate: float, weight_decay: float
    ) -> None:
        super().__init__()
        self.aggregator = aggregator
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay

    def loss(self, batch: BagBatch) -> Tensor:
        """Return the mean binary cross-entropy per patient."""
        return self.losses(batch)[0]

    def forward(self, batch: BagBatch) -> MILOutput:
        """Return what the aggregator makes of a batch."""
        return self.aggregator(batch.features_BND, batch.valid_BN, batch.cells_BN3)

    def losses(self, batch: BagBatch) -> tuple[Tensor, Tensor]:
        """Return the loss of the task, and that with all else the aggregator asks for."""
        output = self(batch)
        loss = _task_loss(output.logits_BC, batch)
        return loss, loss + auxiliary_loss(
            output.auxiliary,
            bag_loss=lambda logits_BC: _task_loss(logits_BC, batch),
            member_BG=torch.stack([1 - batch.target_B, batch.target_B], dim=1),
        )

    def training_step(self, batch: BagBatch, batch_idx: int) -> Tensor:
        """Return the loss of one batch; the curve shows that of the task alone."""
        loss, total = self.losses(batch)
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(batch.ids))
        return total

    def validation_step(self, batch: BagBatch, batch_idx: int) -> None:
        """Log the loss that picks the checkpoint."""
        self.log(SELECT_LOSS, self.loss(batch), batch_size=len(batch.ids))

    def predict_step(self, batch: BagBatch, batch_idx: int) -> dict[str, float]:
        """Return patient -> probability of the positive class."""
        probabilities = torch.sigmoid(self(batch).logits_BC.squeeze(-1)).tolist()
        return dict(zip(batch.ids, probabilities, strict=True))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return AdamW."""
        return torch.optim.AdamW(
            self.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay
        )


def _task_loss(logits_BC: Tensor, batch: BagBatch) -> Tensor:
    return binary_cross_entropy_with_logits(logits_BC.squeeze(-1), batch.target_B)


@torch.no_grad()
def select_loss(module: pl.LightningModule, batches: Iterable[BagBatch]) -> dict[str, float]:
    """Return the mean loss per patient by its name; nothing where there is no patient."""
    assert isinstance(module, MILModule)
    total, n_patients = 0.0, 0
    for batch in batches:
        loss = module.loss(batch.to(module.device))
        total += loss.item() * len(batch.ids)
        n_patients += len(batch.ids)
    return {SELECT_LOSS: total / n_patients} if n_patients else {}


@torch.inference_mode()
def predict(module: MILModule, batches: Iterable[BagBatch]) -> dict[str, float]:
    """Return patient -> probability, without a Trainer."""
    module.eval()
    probabilities: dict[str, float] = {}
    for index, batch in enumerate(batches):
        probabilities |= module.predict_step(batch, index)
    return probabilities
