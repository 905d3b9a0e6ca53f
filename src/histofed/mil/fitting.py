"""Fitting with Lightning: one Trainer for every arm, seeded, quiet, keeping the best epoch."""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, EarlyStopping, ModelCheckpoint

from histofed.io.tables import write_rows
from histofed.mil.curves import CurveRecorder
from histofed.mil.module import SELECT_LOSS, TRAIN_LOSS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from histofed.mil.data import BagDataModule
    from histofed.mil.module import MILModule

logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitting:
    """How one model is fitted.

    Attributes
    ----------
    patience
        Epochs without a better selection loss before stopping.
    accelerator, precision
        As Lightning names them.
    """

    max_epochs: int
    patience: int
    accelerator: str
    precision: str

    def trainer(self, callbacks: Sequence[Callback], *, folder: Path, validate: bool) -> pl.Trainer:
        """Return a Trainer on one device that prints and logs nothing by itself."""
        return pl.Trainer(
            max_epochs=self.max_epochs,
            accelerator=self.accelerator,
            devices=1,
            precision=self.precision,  # type: ignore[arg-type]  # checked by Lightning
            callbacks=list(callbacks),
            default_root_dir=folder,
            logger=False,
            enable_checkpointing=any(isinstance(each, ModelCheckpoint) for each in callbacks),
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            limit_val_batches=None if validate else 0,
        )

    def fit_best(self, module: MILModule, data: BagDataModule, *, folder: Path) -> None:
        """Fit and leave the weights of the epoch with the best selection loss in the module.

        Writes ``curves.csv``, one row per epoch.
        """
        best = ModelCheckpoint(
            dirpath=folder,
            filename="best",
            monitor=SELECT_LOSS,
            save_weights_only=True,
            enable_version_counter=False,
        )
        curves = CurveRecorder()
        stopping = EarlyStopping(monitor=SELECT_LOSS, patience=self.patience)
        with quiet():
            trainer = self.trainer([best, curves, stopping], folder=folder, validate=True)
            trainer.fit(module, datamodule=data)
        checkpoint = torch.load(best.best_model_path, map_location="cpu", weights_only=True)
        module.load_state_dict(checkpoint["state_dict"])
        (folder / "best.ckpt").unlink()
        write_rows(folder / "curves.csv", ("epoch", TRAIN_LOSS, SELECT_LOSS), curves.rows)


def seed_with(*words: int) -> None:
    """Seed every generator from a few numbers; other numbers give unrelated streams."""
    # The count keeps (1,) and (1, 0) apart: numpy pads with zeros.
    seed = int(np.random.SeedSequence((len(words), *words)).generate_state(1)[0])
    pl.seed_everything(seed, verbose=False)


@contextmanager
def quiet() -> Iterator[None]:
    """Silence what Lightning says about choices that are made on purpose.

    Warning filters belong to the process: enter this once, around all the threads of a simulation.
    """
    with warnings.catch_warnings():
        # Bags are in memory, so workers would only copy them.
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        warnings.filterwarnings("ignore", message=".*exists and is not empty.*")
        warnings.filterwarnings("ignore", message="GPU available but not used.*")
        # Lightning asks torch in an old way.
        warnings.filterwarnings("ignore", message=".*treespec, LeafSpec.*")
        yield
