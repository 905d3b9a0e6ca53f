"""Fitting one model: alone (pooled patients, or one hospital's), or federated over hospitals.

Both build the same module from the same random state and train it with the same Trainer; the
federated one has a callback more.
"""

from __future__ import annotations

import logging
import warnings
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, EarlyStopping, ModelCheckpoint

from histofed.federation.callbacks.federated import FederatedCallback
from histofed.federation.history import rows
from histofed.federation.server import Selection
from histofed.federation.transports.in_process import run_sites
from histofed.io.tables import write_rows
from histofed.mil.curves import CurveRecorder
from histofed.mil.data import BagDataModule
from histofed.mil.module import SELECT_LOSS, MILModule, select_loss
from histofed.mil.moments import total
from histofed.mil.weights import save_weights
from histofed.pipeline import build

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from histofed.core.cohort import Fold
    from histofed.federation.exchange import Exchange
    from histofed.federation.history import RoundRecord
    from histofed.mil.bags import Bag
    from histofed.pipeline.schema import FederateConfig
    from histofed.pipeline.study import Study

logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)


def fit_alone(study: Study, fold: Fold, *, bags: Mapping[str, Bag], folder: Path) -> MILModule:
    """Fit on the fold's patients among ``bags``; keep the epoch with the best selection loss."""
    config = study.config
    module = _new_module(study, fold, bags)
    data = _data(study, fold, bags)
    best = ModelCheckpoint(
        dirpath=folder,
        filename="best",
        monitor=SELECT_LOSS,
        save_weights_only=True,
        enable_version_counter=False,
    )
    curves = CurveRecorder()
    stopping = EarlyStopping(monitor=SELECT_LOSS, patience=config.trainer.patience)
    trainer = _trainer(study, folder, [best, curves, stopping], config.trainer.max_epochs)
    with _quiet():
        trainer.fit(module, datamodule=data)
    checkpoint = torch.load(best.best_model_path, map_location="cpu", weights_only=True)
    module.load_state_dict(checkpoint["state_dict"])
    (folder / "best.ckpt").unlink()
    write_rows(folder / "curves.csv", ("epoch", "train_loss", SELECT_LOSS), curves.rows)
    _save(study, module, folder)
    return module


def fit_federated(
    study: Study,
    fold: Fold,
    *,
    folder: Path,
    on_round: Callable[[RoundRecord], None] | None = None,
) -> MILModule:
    """Fit over the hospitals of the cohort; keep the round with the best selection loss.

    Every hospital trains on its own patients of the fold and evaluates each global model on its
    own selection patients; only weights and these losses are exchanged.
    """
    config: FederateConfig = study.config  # type: ignore[assignment]
    rules = config.federation

    def site_run(site: str) -> Callable[[Exchange], None]:
        bags = {patient: bag for patient, bag in study.bags.items() if bag.site == site}
        data = _data(study, fold, bags)

        def train(exchange: Exchange) -> None:
            module = _new_module(study, fold, study.bags)
            _seed(config.seed, fold.number, site)
            callback = FederatedCallback(
                exchange,
                site=site,
                n_patients=len(data.train),
                every=rules.epochs_per_round,
                keep_optimizer=rules.keep_optimizer,
                evaluate=lambda model: select_loss(model, data.val_dataloader()),
            )
            epochs = rules.rounds * rules.epochs_per_round
            _trainer(study, folder, [callback], epochs).fit(module, datamodule=data)

        return train

    training = {study.cohort.site_of[patient] for patient in fold.train}
    module = _new_module(study, fold, study.bags)
    with _quiet():
        result = run_sites(
            {site: site_run(site) for site in sorted(training)},
            build.strategy(config.strategy),
            initial_state=module.state_dict(),
            rounds=rules.rounds,
            selection=Selection(SELECT_LOSS, "min"),
            quorum=rules.min_sites,
            on_round=on_round,
        )
    module.load_state_dict(result.best_state)
    table = rows(result.history)
    kept = [{**row, "kept": int(row["model"] == result.best_round)} for row in table]
    write_rows(folder / "rounds.csv", list(kept[0]), [list(row.values()) for row in kept])
    _save(study, module, folder)
    return module


def _new_module(study: Study, fold: Fold, bags: Mapping[str, Bag]) -> MILModule:
    """Return an untrained module: the same weights in every arm of a fold.

    It standardises with the training tiles of ``bags``; over hospitals these are sums of each
    hospital's sums.
    """
    config = study.config
    _seed(config.seed, fold.number)
    aggregator = build.aggregator(config.aggregator, dim=study.dim)
    moments = total(study.moments[patient] for patient in fold.train if patient in bags)
    aggregator.standardise_with(moments.mean_D, moments.std_D)
    return MILModule(
        aggregator,
        learning_rate=config.trainer.learning_rate,
        weight_decay=config.trainer.weight_decay,
    )


def _seed(seed: int, fold: int, site: str = "") -> None:
    """Seed every generator; folds and sites draw different numbers."""
    words = [seed, fold, zlib.crc32(site.encode())]
    pl.seed_everything(int(np.random.SeedSequence(words).generate_state(1)[0]), verbose=False)


def _data(study: Study, fold: Fold, bags: Mapping[str, Bag]) -> BagDataModule:
    trainer = study.config.trainer
    return BagDataModule(
        bags, fold, batch_size=trainer.batch_size, tiles_per_bag=trainer.tiles_per_bag
    )


def _trainer(study: Study, folder: Path, callbacks: list[Callback], max_epochs: int) -> pl.Trainer:
    config = study.config.trainer
    alone = any(isinstance(callback, ModelCheckpoint) for callback in callbacks)
    return pl.Trainer(
        max_epochs=max_epochs,
        accelerator=config.accelerator,
        devices=1,
        precision=config.precision,  # type: ignore[arg-type]  # checked by Lightning
        callbacks=callbacks,
        default_root_dir=folder,
        logger=False,
        enable_checkpointing=alone,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        # Federated sites are validated by the callback: the global model, once a round.
        limit_val_batches=None if alone else 0,
    )


def _save(study: Study, module: MILModule, folder: Path) -> None:
    about = {
        "task": study.task.name,
        "encoder": str(study.config.encoder["name"]),
        "aggregator": str(study.config.aggregator["_target_"]),
    }
    save_weights(folder / "model.safetensors", module.aggregator, about=about)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what Lightning says about choices that are made on purpose."""
    with warnings.catch_warnings():
        # Bags are in memory, so workers would only copy them.
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        warnings.filterwarnings("ignore", message=".*exists and is not empty.*")
        warnings.filterwarnings("ignore", message="GPU available but not used.*")
        # Lightning asks torch in an old way.
        warnings.filterwarnings("ignore", message=".*treespec, LeafSpec.*")
        yield
