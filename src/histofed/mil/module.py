"""The LightningModule: an aggregator, the objective of its task, and an optimizer.

Suffixes: B bags, N instances, C logits, K numbers of a label, F covariates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytorch_lightning as pl
import torch

from histofed.mil.auxiliary import auxiliary_loss

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

    from histofed.mil.aggregators import Aggregator, MILOutput
    from histofed.mil.bags import BagBatch
    from histofed.mil.fusion import Fusion
    from histofed.mil.objectives import Objective

TRAIN_LOSS = "train_loss"
"""The loss of the task, as it is trained; without what an aggregator asks for beside it."""

SELECT_LOSS = "select_loss"
"""The number that picks the checkpoint: mean loss per patient of the selection fold."""


class MILModule(pl.LightningModule):
    """Train any aggregator on any task.

    Parameters
    ----------
    fusion
        Takes clinical covariates in, beside the aggregator's embedding; None for the image alone.
    learning_rate, weight_decay
        Of AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101).
    """

    def __init__(
        self,
        aggregator: Aggregator,
        objective: Objective,
        *,
        fusion: Fusion | None = None,
        learning_rate: float,
        weight_decay: float,
    ) -> None:
        super().__init__()
        self.aggregator = aggregator
        self.objective = objective
        self.fusion = fusion
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self._seen: list[tuple[Tensor, Tensor]] = []

    def loss(self, batch: BagBatch) -> Tensor:
        """Return the loss of the task: the mean of the patients'."""
        return self.losses(batch)[0]

    def forward(self, batch: BagBatch) -> MILOutput:
        """Return what the aggregator makes of a batch, and of its covariates where they count."""
        output: MILOutput = self.aggregator(batch.features_BND, batch.valid_BN, batch.cells_BN3)
        return output if self.fusion is None else self.fusion(output, _clinical(batch))

    def instance_logits(self, batch: BagBatch) -> Tensor:
        """Return the logits ``(B, N, C)`` of each instance as the only one of its patient."""
        if self.fusion is None:
            return self.aggregator.instance_logits(batch.features_BND)
        B, N, _ = batch.features_BND.shape
        clinical = _clinical(batch).repeat_interleave(N, dim=0)
        logits, start = [], 0
        for output in self.aggregator.each_alone(batch.features_BND):
            stop = start + len(output.logits_BC)
            logits.append(self.fusion(output, clinical[start:stop]).logits_BC)
            start = stop
        return torch.cat(logits).reshape(B, N, -1)

    def losses(self, batch: BagBatch) -> tuple[Tensor, Tensor]:
        """Return the loss of the task, and that with all else the aggregator asks for."""
        output = self(batch)
        if self.training:
            self.objective.watch(output.logits_BC.detach())

        def bag_loss(logits_BC: Tensor) -> Tensor:
            return self.objective.loss(logits_BC, batch.target_BK).mean()

        loss = bag_loss(output.logits_BC)
        return loss, loss + auxiliary_loss(
            output.auxiliary,
            bag_loss=bag_loss,
            member_BG=self.objective.members(batch.target_BK),
        )

    def training_step(self, batch: BagBatch, batch_idx: int) -> dict[str, Tensor]:
        """Return what is minimised, and the loss of the task alone, which the curve shows."""
        loss, total = self.losses(batch)
        self.log(TRAIN_LOSS, loss, on_step=False, on_epoch=True, batch_size=len(batch.ids))
        return {"loss": total, TRAIN_LOSS: loss.detach()}

    def validation_step(self, batch: BagBatch, batch_idx: int) -> None:
        """Keep the logits of a batch: a patient's loss may depend on the others."""
        self._seen.append(self.answers(batch))

    def on_validation_epoch_end(self) -> None:
        """Log the loss that picks the checkpoint."""
        self.log(SELECT_LOSS, self.loss_of(self._seen))
        self._seen = []

    def predict_step(self, batch: BagBatch, batch_idx: int) -> dict[str, tuple[float, ...]]:
        """Return patient -> the numbers that ``Task.output_names`` names."""
        outputs = self.objective.outputs(self(batch).logits_BC).tolist()
        return {name: tuple(row) for name, row in zip(batch.ids, outputs, strict=True)}

    def answers(self, batch: BagBatch) -> tuple[Tensor, Tensor]:
        """Return logits and targets of a batch."""
        return self(batch).logits_BC, batch.target_BK

    def loss_of(self, seen: list[tuple[Tensor, Tensor]]) -> Tensor:
        """Return the loss of the task from the logits and targets of batches."""
        logits_BC, target_BK = (torch.cat(part) for part in zip(*seen, strict=True))
        return self.objective.loss(logits_BC, target_BK).mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return AdamW."""
        return torch.optim.AdamW(
            self.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay
        )


def _clinical(batch: BagBatch) -> Tensor:
    assert batch.clinical_BF is not None  # whoever asks for a fusion encodes every bag
    return batch.clinical_BF


@torch.no_grad()
def select_loss(module: pl.LightningModule, batches: Iterable[BagBatch]) -> dict[str, float]:
    """Return the mean loss per patient by its name; nothing where there is no patient."""
    assert isinstance(module, MILModule)
    on_device = (batch.to(module.device) for batch in batches)
    seen = [module.answers(batch) for batch in on_device]
    return {SELECT_LOSS: module.loss_of(seen).item()} if seen else {}


@torch.inference_mode()
def predict(module: MILModule, batches: Iterable[BagBatch]) -> dict[str, tuple[float, ...]]:
    """Return patient -> the numbers that ``Task.output_names`` names, without a Trainer."""
    module.eval()
    outputs: dict[str, tuple[float, ...]] = {}
    for index, batch in enumerate(batches):
        outputs |= module.predict_step(batch, index)
    return outputs
