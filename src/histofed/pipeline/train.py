"""``histofed train``: cross-validated training on all hospitals' patients together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from histofed.mil.baseline import linear_outputs, mean_pool_outputs
from histofed.mil.data import BagDataModule
from histofed.mil.module import predict
from histofed.pipeline import evaluate, terminal
from histofed.pipeline.arms import Arm, ood, predictions_of
from histofed.pipeline.choosing import candidates, check_inner_folds, choose, n_fits
from histofed.pipeline.clinical import (
    encoded_rows,
    learned,
    say_new_words,
    with_covariates,
)
from histofed.pipeline.fit import fit_alone
from histofed.pipeline.study import open_study

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

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
    candidates(config)  # refused before anything is read
    study = open_study(config)
    check_inner_folds(study)
    inner = n_fits(config, len(study.folds))
    study.start()
    # An arm of the image alone and one of both choose for themselves.
    n_models = (4 if study.covariates else 2) * len(study.folds)
    n_models += (2 if study.covariates else 1) * inner
    with terminal.stage("Training", n_models, unit="models") as step:
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
    arm = Arm.of(study, name)
    for fold in study.folds:
        folder = study.run.fold(name, fold.number)
        chosen = choose(study, fold, folder=folder, step=step, fused=fused)
        seen = with_covariates(chosen, fold) if fused else chosen
        say_new_words(seen, fold)
        module = fit_alone(seen, fold, bags=seen.bags, folder=folder)
        add_fold(seen, arm, fold, module)
        step(note=f"{name}, fold {fold.number}")
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
    picked = predict(module, BagDataModule(known, fold, batch_size=batch_size).val_dataloader())
    arm.add(
        fold.number,
        tested=predict(module, data.predict_dataloader()),
        picked=predictions_of(study.cohort, fold.number, picked),
        unlike=unlike(study, fold, trained=[p for p in fold.train if p in known]),
    )


def unlike(study: Study, fold: Fold, *, trained: Collection[str]) -> dict[str, float | None]:
    """Return how unlike the patients trained on each one tested is."""
    means = study.mean_features
    return ood({p: means[p] for p in trained}, {p: means[p] for p in fold.test})


def fit_baseline(study: Study, step: Callable[..., None]) -> None:
    """Fit the linear model of mean-pooled features on the same folds; write the arm."""
    arm = Arm.of(study, BASELINE)
    for fold in study.folds:
        found = mean_pool_outputs(study.mean_features, study.cohort.labels, fold, study.task)
        fitted = (*fold.train, *fold.select)
        strangeness = unlike(study, fold, trained=fitted)
        arm.add(fold.number, tested=found, picked=(), unlike=strangeness)
        step(note=f"{BASELINE}, fold {fold.number}")
    arm.write()


def fit_clinical(study: Study, step: Callable[..., None]) -> None:
    """Fit the linear model of clinical covariates alone on the same folds; write the arm.

    Nothing is selected, so training and selection patients are fitted together.
    """
    arm = Arm.of(study, CLINICAL)
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
        strangeness = unlike(study, fold, trained=fitted)
        arm.add(fold.number, tested=found, picked=(), unlike=strangeness)
        step(note=f"{CLINICAL}, fold {fold.number}")
    arm.write()
