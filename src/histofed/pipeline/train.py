"""``histofed train``: cross-validated training on all hospitals' patients together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histofed.mil.baseline import mean_pool_outputs
from histofed.mil.data import BagDataModule
from histofed.mil.module import predict
from histofed.pipeline import evaluate, terminal
from histofed.pipeline.arms import Arm
from histofed.pipeline.fit import fit_alone
from histofed.pipeline.study import open_study

if TYPE_CHECKING:
    from collections.abc import Callable

    from histofed.core.splits import Fold
    from histofed.mil.module import MILModule
    from histofed.pipeline.schema import TrainConfig
    from histofed.pipeline.study import Study

POOLED = "pooled"
BASELINE = "baseline"


def run(config: TrainConfig) -> int:
    """Train and evaluate; return the exit code."""
    study = open_study(config)
    study.start()
    with terminal.stage("Training", 2 * len(study.folds), unit="models") as step:
        fit_pooled(study, step)
        fit_baseline(study, step)
    summary = evaluate.evaluate(study.run)
    evaluate.show(summary, study.run, following=study.following)
    return 0


def fit_pooled(study: Study, step: Callable[..., None]) -> None:
    """Fit one model a fold on all training patients; write the arm."""
    arm = Arm(study, POOLED)
    for fold in study.folds:
        module = fit_alone(study, fold, bags=study.bags, folder=study.run.fold(POOLED, fold.number))
        add_fold(arm, fold, module)
        step(note=f"{POOLED}, fold {fold.number + 1}")
    arm.write()


def add_fold(arm: Arm, fold: Fold, module: MILModule, *, site: str | None = None) -> None:
    """Add what a model says of the fold's tested patients, and of those it was picked on.

    Parameters
    ----------
    site
        The hospital whose patients alone the model knows; None for all.
    """
    study = arm.study
    known = {p: bag for p, bag in study.bags.items() if site is None or bag.site == site}
    batch_size = study.config.trainer.batch_size
    data = BagDataModule(study.bags, fold, batch_size=batch_size)
    picked = BagDataModule(known, fold, batch_size=batch_size)
    arm.add(
        fold.number,
        tested=predict(module, data.predict_dataloader()),
        selected=predict(module, picked.val_dataloader()),
        trained=[patient for patient in fold.train if patient in known],
    )


def fit_baseline(study: Study, step: Callable[..., None]) -> None:
    """Fit the linear model of mean-pooled features on the same folds; write the arm."""
    arm = Arm(study, BASELINE)
    for fold in study.folds:
        found = mean_pool_outputs(study.bags, fold, study.task)
        arm.add(fold.number, tested=found, selected={}, trained=(*fold.train, *fold.select))
        step(note=f"{BASELINE}, fold {fold.number + 1}")
    arm.write()
