"""Fitting one model: alone (pooled patients, or one hospital's), or federated over hospitals.

Both build the same module from the same random state and train it with the same Trainer; the
federated one has a callback more.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from histofed.federation.callbacks.federated import FederatedCallback
from histofed.federation.history import rows
from histofed.federation.server import Selection
from histofed.federation.transports.in_process import run_sites
from histofed.io.tables import write_rows
from histofed.mil.data import BagDataModule
from histofed.mil.fitting import Fitting, quiet, seed_with
from histofed.mil.module import SELECT_LOSS, select_loss
from histofed.mil.moments import total
from histofed.mil.objectives.base import without_classes
from histofed.mil.weights import save_weights
from histofed.pipeline import build
from histofed.pipeline.clinical import CLINICAL

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from histofed.core.splits import Fold
    from histofed.federation.exchange import Exchange
    from histofed.federation.history import RoundRecord
    from histofed.mil.bags import Bag
    from histofed.mil.module import MILModule
    from histofed.mil.objectives import Objective
    from histofed.pipeline.schema import FederateConfig
    from histofed.pipeline.study import Study


def fit_alone(study: Study, fold: Fold, *, bags: Mapping[str, Bag], folder: Path) -> MILModule:
    """Fit on the fold's patients among ``bags``; keep the epoch with the best selection loss."""
    module = _new_module(study, fold, bags)
    _fitting(study).fit_best(module, _data(study, fold, bags), folder=folder)
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
    own selection patients; only weights, these losses, and the sums that features (and clinical
    covariates) are standardised with are exchanged.
    """
    config: FederateConfig = study.config  # type: ignore[assignment]
    rules = config.federation
    fitting = replace(_fitting(study), max_epochs=rules.rounds * rules.epochs_per_round)

    def site_run(site: str) -> Callable[[Exchange], None]:
        bags = {patient: bag for patient, bag in study.bags.items() if bag.site == site}
        data = _data(study, fold, bags)

        def train(exchange: Exchange) -> None:
            module = _new_module(study, fold, study.bags)
            seed_with(config.seed, fold.number, zlib.crc32(site.encode()))
            callback = FederatedCallback(
                exchange,
                site=site,
                n_patients=len(data.train),
                every=rules.epochs_per_round,
                keep_optimizer=rules.keep_optimizer,
                evaluate=lambda model: select_loss(model, data.val_dataloader()),
            )
            # The callback validates: the global model, once a round.
            trainer = fitting.trainer([callback], folder=folder, validate=False)
            trainer.fit(module, datamodule=data)

        return train

    sites = sorted({study.cohort.site_of[patient] for patient in fold.train})
    module = _new_module(study, fold, study.bags)
    with quiet():
        result = run_sites(
            {site: site_run(site) for site in sites},
            build.strategy(config.strategy),
            initial_state=module.state_dict(),
            rounds=rules.rounds,
            selection=Selection(SELECT_LOSS, "min"),
            quorum=rules.min_sites,
            on_round=on_round,
        )
    module.load_state_dict(result.best_state)
    kept = [{**row, "kept": int(row["model"] == result.best_round)} for row in rows(result.history)]
    write_rows(folder / "rounds.csv", list(kept[0]), [list(row.values()) for row in kept])
    _save(study, module, folder)
    return module


def _new_module(study: Study, fold: Fold, bags: Mapping[str, Bag]) -> MILModule:
    """Return an untrained module: the same weights in every arm of a fold.

    It standardises with the training tiles and labels of ``bags``; over hospitals these are sums of
    each hospital's sums and counts.
    """
    config = study.config
    seed_with(config.seed, fold.number)
    n_covariates = len(study.encoding.names) if study.encoding else 0
    module = build.module(config, study.task, dim=study.dim, n_covariates=n_covariates)
    trained = [patient for patient in fold.train if patient in bags]
    moments = total(study.moments[patient] for patient in trained)
    module.aggregator.standardise_with(moments.mean_D, moments.std_D)
    target_PK = torch.tensor([bags[patient].label for patient in trained])
    module.objective.prepare(target_PK)
    if config.trainer.balance == "weights":
        module.objective.balance(target_PK)
    return module


def _data(study: Study, fold: Fold, bags: Mapping[str, Bag]) -> BagDataModule:
    trainer, objective = study.config.trainer, build.objective(study.task, study.config.trainer)
    return BagDataModule(
        bags,
        fold,
        batch_size=trainer.batch_size,
        tiles_per_bag=trainer.tiles_per_bag,
        whole_fold=objective.whole_fold,
        balanced_by=_class_of(objective) if trainer.balance == "sampling" else None,
    )


def _class_of(objective: Objective) -> Callable[[Bag], int]:
    """Return the rule that finds a patient's class.

    Raises
    ------
    ConfigError
        The task has no classes that exclude one another.
    """

    def class_of(bag: Bag) -> int:
        members_1G = objective.members(torch.tensor([bag.label]))
        if members_1G is None:
            raise without_classes()
        return int(members_1G.argmax())

    return class_of


def _fitting(study: Study) -> Fitting:
    config = study.config.trainer
    return Fitting(
        max_epochs=config.max_epochs,
        patience=config.patience,
        accelerator=config.accelerator,
        precision=config.precision,
    )


def _save(study: Study, module: MILModule, folder: Path) -> None:
    about = {
        "task": study.task.name,
        "encoder": study.recipe.encoder,
        "aggregator": str(study.config.aggregator["_target_"]),
    }
    if study.encoding:
        about[CLINICAL] = json.dumps(study.encoding.record())
    save_weights(folder / "model.safetensors", module, about=about)
