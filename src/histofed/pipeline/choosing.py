"""Choosing options by inner folds: nested cross-validation (Varma & Simon 2006).

For each fold, every combination of the options in ``choose`` is trained on inner folds of the
patients whom the fold does not test. The one with the lowest mean loss per patient on the inner
tests trains the fold's model; nobody chosen on is reported.
"""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from histofed.core.splits import NestedFold
from histofed.core.words import counted
from histofed.errors import CohortError, ConfigError, WeightsError
from histofed.io.runs import write_json
from histofed.io.tables import write_rows
from histofed.mil.data import BagDataModule
from histofed.mil.module import SELECT_LOSS, select_loss
from histofed.pipeline.clinical import with_covariates
from histofed.pipeline.config import with_options
from histofed.pipeline.fit import fit_alone
from histofed.pipeline.splitting import deal_again

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from histofed.core.splits import Fold
    from histofed.pipeline.schema import TrainConfig
    from histofed.pipeline.study import Study

CHOSEN = "chosen.json"
"""Beside a fold's model: the options that it was trained with, where they were chosen."""

MAY_BE_CHOSEN = ("aggregator.", "trainer.")

CHANGE_THE_LOSS = ("trainer.balance", "trainer.survival_loss")
"""Options of which each value has a loss of its own: the lowest of them says nothing."""


@dataclass(frozen=True)
class Candidate:
    """One combination of options, and all the options that follow from it."""

    options: Mapping[str, Any]
    config: TrainConfig


def candidates(config: TrainConfig) -> list[Candidate]:
    """Return every combination of the values in ``choose``, checked; none where nothing is chosen.

    Raises
    ------
    ConfigError
        An option that does not exist, cannot be chosen, or has a value out of its limits.
    """
    for name, values in (config.choose or {}).items():
        if not name.startswith(MAY_BE_CHOSEN):
            msg = f"choose: {name} is not chosen by folds; only options of the aggregator and the "
            msg += "trainer are"
            raise ConfigError(msg)
        if name in CHANGE_THE_LOSS:
            msg = f"choose: {name} changes the loss itself, and options are chosen by their loss; "
            msg += f"run once with each value ({name}=...) and compare the reports"
            raise ConfigError(msg)
        if not values:
            msg = f"choose: {name} has no values; give some, as in choose={{{name}:[...]}}"
            raise ConfigError(msg)
    return [
        Candidate(options, with_options("train", asdict(config), options))
        for options in _combinations(config)
    ]


def _combinations(config: TrainConfig) -> Iterator[dict[str, Any]]:
    """Yield name -> value of each combination; none where nothing is chosen."""
    if config.choose:
        for values in product(*config.choose.values()):
            yield dict(zip(config.choose, values, strict=True))


def n_fits(config: TrainConfig, n_folds: int) -> int:
    """Return how many inner models a study will train."""
    several = len(list(_combinations(config)))
    return several * config.splits.inner_folds * n_folds


def inner_folds(study: Study, fold: Fold) -> tuple[Fold, ...]:
    """Return the folds that choose the options of one fold, of those whom it does not test.

    Raises
    ------
    CohortError
        Too few of them, or of their sites or classes, for ``splits.inner_folds``.
    """
    patients = sorted((*fold.train, *fold.select))
    try:
        inner = deal_again(study.config.splits, study, patients)
    except CohortError as error:
        msg = (
            f"choose: splits.inner_folds={study.config.splits.inner_folds} among the "
            f"{len(patients)} patients whom fold {fold.number} does not test: {error} (the folds "
            "meant are splits.inner_folds)"
        )
        raise CohortError(msg) from error
    return NestedFold(fold, tuple(inner)).inner


def check_inner_folds(study: Study) -> None:
    """Stop before any work where options are chosen and the inner folds cannot be made.

    Raises
    ------
    CohortError
        As `inner_folds`.
    """
    for fold in study.folds if study.config.choose else ():
        inner_folds(study, fold)


def choose(
    study: Study, fold: Fold, *, folder: Path, step: Callable[..., None], fused: bool = False
) -> Study:
    """Return the study with the options that the inner folds of one fold prefer.

    With clinical covariates beside the image where ``fused``, encoded anew in each inner fold.

    Writes ``choices.csv`` and ``chosen.json`` into the fold's folder.

    Raises
    ------
    CohortError
        As `inner_folds`.
    WeightsError
        Whatever the options, an inner model diverged.
    """
    if not study.config.choose:
        return study
    inner = inner_folds(study, fold)
    tried = candidates(study.config)
    losses = [
        _mean_loss(replace(study, config=each.config), inner, folder=folder, step=step, fused=fused)
        for each in tried
    ]
    if not np.isfinite(losses).any():
        msg = f"choose: fold {fold.number}: with each of {counted(len(tried), 'combination')} of "
        msg += "options an inner model diverged; give lower values of trainer.learning_rate"
        raise WeightsError(msg)
    best = tried[int(np.nanargmin(losses))]  # no loss is worse than any
    names = list(study.config.choose)
    rows = [
        [*each.options.values(), loss, int(each is best)]
        for each, loss in zip(tried, losses, strict=True)
    ]
    write_rows(folder / "choices.csv", (*names, "loss", "chosen"), rows)
    write_json(folder / CHOSEN, dict(best.options))
    return replace(study, config=best.config)


def _mean_loss(
    study: Study,
    inner: tuple[Fold, ...],
    *,
    folder: Path,
    step: Callable[..., None],
    fused: bool,
) -> float:
    """Return the mean loss per patient over the inner tests."""
    scratch = folder / "inner"
    total, n_patients = 0.0, 0
    for fold in inner:
        seen = with_covariates(study, fold) if fused else study
        module = fit_alone(seen, fold, bags=seen.bags, folder=scratch)
        module.eval()
        data = BagDataModule(seen.bags, fold, batch_size=study.config.trainer.batch_size)
        total += select_loss(module, data.predict_dataloader())[SELECT_LOSS] * len(fold.test)
        n_patients += len(fold.test)
        shutil.rmtree(scratch)
        step(note="choosing options")
    return total / n_patients
