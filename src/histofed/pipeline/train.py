"""``histofed train``: cross-validated training on all hospitals' patients together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histofed.mil.baseline import mean_pool_probabilities
from histofed.mil.data import BagDataModule
from histofed.mil.module import MILModule, predict
from histofed.pipeline import evaluate, terminal
from histofed.pipeline.fit import fit_alone
from histofed.pipeline.study import open_study

if TYPE_CHECKING:
    from collections.abc import Callable

    from histofed.core.splits import Fold
    from histofed.pipeline.schema import TrainConfig
    from histofed.pipeline.study import Study

POOLED = "pooled"
BASELINE = "baseline"

HeldOut = dict[str, tuple[int, float]]
"""Patient -> (fold in which the patient was held out, probability)."""


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
    probabilities: HeldOut = {}
    for fold in study.folds:
        module = fit_alone(study, fold, bags=study.bags, folder=study.run.fold(POOLED, fold.number))
        probabilities |= predict_held_out(study, fold, module)
        step(note=f"{POOLED}, fold {fold.number + 1}")
    study.write_arm(POOLED, probabilities)


def predict_held_out(study: Study, fold: Fold, module: MILModule) -> HeldOut:
    """Return patient -> (fold, probability) of the patients whom the fold tests."""
    held_out = BagDataModule(study.bags, fold, batch_size=study.config.trainer.batch_size)
    found = predict(module, held_out.predict_dataloader())
    return {patient: (fold.number, value) for patient, value in found.items()}


def fit_baseline(study: Study, step: Callable[..., None]) -> None:
    """Fit the mean-pooled regression on the same folds; write the arm."""
    probabilities: HeldOut = {}
    for fold in study.folds:
        found = mean_pool_probabilities(study.bags, fold)
        probabilities |= {patient: (fold.number, value) for patient, value in found.items()}
        step(note=f"{BASELINE}, fold {fold.number + 1}")
    study.write_arm(BASELINE, probabilities)
