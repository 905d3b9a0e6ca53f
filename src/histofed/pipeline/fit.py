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
from histofed.federation.guard import SitePolicy
from histofed.federation.history import rows
from histofed.federation.limits import Limits
from histofed.federation.run_plan import Selection
from histofed.federation.state import trainable_names
from histofed.federation.transports.in_process import run_sites
from histofed.io.tables import write_rows
from histofed.mil.data import BagDataModule
from histofed.mil.fitting import Fitting, quiet, seed_with
from histofed.mil.module import SELECT_LOSS, select_loss
from histofed.mil.objectives.base import without_classes
from histofed.mil.weights import save_weights
from histofed.pipeline import build
from histofed.pipeline.clinical import CLINICAL
from histofed.pipeline.local_training import (
    epochs_in_all,
    local_rules,
    round_length,
    update_dtype_of,
)
from histofed.pipeline.sums import add_up, labels_in, moments_in, sums_by_site

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from histofed.core.splits import Fold
    from histofed.core.tasks import Task
    from histofed.federation.exchange import Exchange
    from histofed.federation.history import FederatedResult, RoundRecord
    from histofed.mil.bags import Bag
    from histofed.mil.module import MILModule
    from histofed.mil.objectives import Objective
    from histofed.mil.objectives.base import Sums
    from histofed.pipeline.schema import FederateConfig, TrainConfig
    from histofed.pipeline.study import Study

SELECTION = Selection(SELECT_LOSS, "min")
"""What picks the round that is kept."""


def fit_alone(study: Study, fold: Fold, *, bags: Mapping[str, Bag], folder: Path) -> MILModule:
    """Fit on the fold's patients among ``bags``; keep the epoch with the best selection loss."""
    module = _module_of(study, fold, bags)
    _fitting(study).fit_best(module, _data(study, fold, bags), folder=folder)
    save(study, module, folder)
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

    def make() -> MILModule:
        return _module_of(study, fold, study.bags)

    sites = sorted({study.cohort.site_of[patient] for patient in fold.train})
    module = make()
    with quiet():
        result = run_sites(
            {site: site_body(study, fold, site, make, folder=folder) for site in sites},
            build.strategy(config.strategy),
            initial_state=module.state_dict(),
            rounds=config.federation.rounds,
            selection=SELECTION,
            quorum=config.federation.min_sites,
            limits=limits_of(config),
            trainable=trainable_names(module),
            update_dtype=update_dtype_of(config.federation),
            on_round=on_round,
        )
    module.load_state_dict(result.best_state)
    write_rounds(folder, result)
    save(study, module, folder)
    return module


def limits_of(config: FederateConfig, *, declared: Mapping[str, int] | None = None) -> Limits:
    """Return what no update may exceed.

    Parameters
    ----------
    declared
        Hospital -> patients that it trains on, where it has said so.
    """
    return Limits(max_change=config.federation.max_change, declared=dict(declared or {}))


def write_rounds(folder: Path, result: FederatedResult) -> None:
    """Write ``rounds.csv``: a row per round and hospital."""
    kept = [{**row, "kept": int(row["model"] == result.best_round)} for row in rows(result.history)]
    write_rows(folder / "rounds.csv", list(kept[0]), [list(row.values()) for row in kept])


def new_module(
    config: TrainConfig, task: Task, number: int, sums: Sums, *, n_covariates: int = 0
) -> MILModule:
    """Return an untrained module: the same weights in every arm of a fold.

    Parameters
    ----------
    number
        Of the fold.
    sums
        Over the training patients (`histofed.pipeline.sums`); it standardises and weighs with them.
    """
    seed_with(config.seed, number)
    moments, labels = moments_in(sums), labels_in(sums)
    dim = len(moments.sum_D)
    module = build.module(config, task, dim=dim, n_covariates=n_covariates)
    module.aggregator.standardise_with(moments.mean_D, moments.std_D)
    module.objective.prepare(labels)
    if config.trainer.balance == "weights":
        module.objective.balance(labels)
    return module


def site_body(
    study: Study,
    fold: Fold,
    site: str,
    make: Callable[[], MILModule],
    *,
    folder: Path,
    memory: Path | None = None,
) -> Callable[[Exchange], None]:
    """Return what a hospital does in a fold, whatever carries the rounds.

    Parameters
    ----------
    make
        Returns an untrained module.
    memory
        Where the hospital commits what a restart needs; None: it starts anew.
    """
    config: FederateConfig = study.config  # type: ignore[assignment]
    rules = config.federation
    fitting = replace(_fitting(study), max_epochs=epochs_in_all(rules))
    every, unit = round_length(rules)
    bags = {patient: bag for patient, bag in study.bags.items() if bag.site == site}
    data = _data(study, fold, bags)

    def train(exchange: Exchange) -> None:
        module = make()
        seed_with(config.seed, fold.number, zlib.crc32(site.encode()))
        callback = FederatedCallback(
            exchange,
            site=site,
            n_patients=len(data.train),
            every=every,
            unit=unit,
            keep_optimizer=rules.keep_optimizer,
            evaluate=lambda model: select_loss(model, data.val_dataloader()),
            policy=SitePolicy(min_patients=rules.min_patients, min_steps=rules.min_steps),
            memory=memory,
        )
        # The callback validates: the global model, once a round.
        callbacks = [callback, *local_rules(config)]
        trainer = fitting.trainer(callbacks, folder=folder, validate=False)
        trainer.fit(module, datamodule=data)

    return train


def _module_of(study: Study, fold: Fold, bags: Mapping[str, Bag]) -> MILModule:
    """Return an untrained module that standardises with the training patients of ``bags``."""
    sums = add_up(sums_by_site(study, fold, bags))
    n_covariates = len(study.encoding.names) if study.encoding else 0
    return new_module(study.config, study.task, fold.number, sums, n_covariates=n_covariates)


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


def save(study: Study, module: MILModule, folder: Path) -> None:
    """Write the weights of a fold, with what they are weights of."""
    about = {
        "task": study.task.name,
        "encoder": study.recipe.encoder,
        "aggregator": str(study.config.aggregator["_target_"]),
    }
    if study.encoding:
        about[CLINICAL] = json.dumps(study.encoding.record())
    save_weights(folder / "model.safetensors", module, about=about)
