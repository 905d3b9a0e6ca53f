"""``histofed train``: cross-validated training on all hospitals' patients together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from histofed.mil.baseline import linear_outputs, mean_pool_outputs
from histofed.mil.data import BagDataModule
from histofed.mil.module import predict
from histofed.pipeline import evaluate, terminal
from histofed.pipeline.arms import Arm
from histofed.pipeline.clinical import encoded_rows, learned, with_covariates
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
FUSED, CLINICAL = "fused", "clinical"

CLINICAL_SHRINK = 0.01
"""Times the penalty of the mean-pooled model: there are few covariates."""


def run(config: TrainConfig) -> int:
    """Train and evaluate; return the exit code."""
    study = open_study(config)
    study.start()
    n_arms = 4 if study.covariates else 2
    with terminal.stage("Training", n_arms * len(study.folds), unit="models") as step:
        fit_pooled(study, step)
        if study.covariates:
            fit_pooled(study, step, fused=True)
            fit_clinical(study, step)
        fit_baseline(study, step)
    summary = evaluate.evaluate(study.run)
    evaluate.show(summary, study.run, following=study.following)
    return 0


def fit_pooled(study: Study, step: Callable[..., None], *, fused: bool = False) -> None:
    """Fit one model a fold on all training patients; write the arm.

    Parameters
    ----------
    fused
        Take clinical covariates in beside the image.
    """
    name = FUSED if fused else POOLED
    arm = Arm(study, name)
    for fold in study.folds:
        seen = with_covariates(study, fold) if fused else study
        module = fit_alone(seen, fold, bags=seen.bags, folder=study.run.fold(name, fold.number))
        add_fold(seen, arm, fold, module)
        step(note=f"{name}, fold {fold.number + 1}")
    arm.write()


def add_fold(
    study: Study, arm: Arm, fold: Fold, module: MILModule, *, site: str | None = None
) -> None:
    """Add what a model says of the fold's tested patients, and of those it was picked on.

    Parameters
    ----------
    site
        The hospital whose patients alone the model knows; None for all.
    """
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


def fit_clinical(study: Study, step: Callable[..., None]) -> None:
    """Fit the linear model of clinical covariates alone on the same folds; write the arm.

    Nothing is selected, so training and selection patients are fitted together.
    """
    arm = Arm(study, CLINICAL)
    for fold in study.folds:
        fitted = (*fold.train, *fold.select)
        encoding = learned(study, fitted)
        outputs_PV = linear_outputs(
            study.task,
            encoded_rows(study, encoding, fitted),
            np.array([study.cohort.labels[patient] for patient in fitted]),
            encoded_rows(study, encoding, fold.test),
            shrink=CLINICAL_SHRINK,
        )
        found = dict(zip(fold.test, map(tuple, outputs_PV.tolist()), strict=True))
        arm.add(fold.number, tested=found, selected={}, trained=fitted)
        step(note=f"{CLINICAL}, fold {fold.number + 1}")
    arm.write()
