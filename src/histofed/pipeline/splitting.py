"""Options of a study's folds -> folds, checked: nobody is on two sides."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from histofed.core.cohort import some
from histofed.core.leakage import Fingerprint, check_no_leakage, find_twins
from histofed.core.site_splits import site_preserved_folds
from histofed.core.split_checks import check_classes, check_covered
from histofed.core.splits import deal, rotate, select_inside
from histofed.core.words import counted
from histofed.errors import CohortError, ConfigError
from histofed.io.splits import read_splits

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from histofed.core.cohort import Cohort
    from histofed.core.splits import Fold
    from histofed.core.tasks import Task
    from histofed.pipeline.schema_parts import SplitsConfig
    from histofed.pipeline.study import Study


def folds_of(
    config: SplitsConfig, cohort: Cohort, task: Task, *, federated: bool = False
) -> list[Fold]:
    """Return who trains, who picks the checkpoint and who is tested, fold by fold.

    Parameters
    ----------
    federated
        Whether hospitals train together: with whole sites tested, the others then all train and
        pick the round on patients of their own. Otherwise one of them picks, and does not train.

    Raises
    ------
    ConfigError
        A file was named and is not asked for, or the other way round.
    CohortError
        Too few patients, sites or classes for the folds, or a file that is not of this cohort.
    """
    if (config.scheme == "file") != (config.file is not None):
        msg = f"splits.scheme={config.scheme} with splits.file={config.file}: a file is read where "
        msg += "splits.scheme=file, and only there"
        raise ConfigError(msg)
    check_learnable(f"cohort {cohort.name}", cohort.patients, cohort, task)
    strata = task.strata(cohort.labels)
    if config.scheme == "file":
        folds = read_splits(Path(str(config.file)))
        check_covered(folds, cohort.patients)
    elif config.scheme == "sites":
        folds = rotate(
            site_preserved_folds(
                strata, cohort.site_of, config.n_folds, cohort=cohort.name, needed=task.needed
            )
        )
        if federated:
            folds = [
                select_inside(
                    fold,
                    strata,
                    cohort.site_of,
                    n_folds=config.n_folds,
                    seed=config.seed,
                    cohort=cohort.name,
                    needed=task.needed,
                )
                for fold in folds
            ]
    else:
        fold_of = deal(
            strata,
            config.n_folds,
            seed=config.seed,
            site_of=cohort.site_of,
            cohort=cohort.name,
            needed=task.needed,
        )
        folds = rotate(fold_of)
    for fold in folds:
        check_classes(fold, strata, needed=task.needed)
        check_learnable(f"fold {fold.number}, training", fold.train, cohort, task)
    return folds


def deal_again(config: SplitsConfig, study: Study, patients: Sequence[str]) -> list[Fold]:
    """Return inner folds of some of the patients, dealt as the folds were; a file's by label.

    Raises
    ------
    CohortError
        Too few of these patients, sites or classes for ``splits.inner_folds``.
    """
    scheme = "patients" if config.scheme == "file" else config.scheme
    inner = replace(config, scheme=scheme, file=None, n_folds=config.inner_folds)
    return folds_of(inner, study.cohort.subset(patients), study.task)


def check_learnable(who: str, patients: Sequence[str], cohort: Cohort, task: Task) -> None:
    """Stop, by name, if patients cannot teach all that a task asks.

    Raises
    ------
    CohortError
        A class or event that nobody has, a question that all answer alike, a number without two
        values, or times that all lie beside those asked.
    """
    if lacking := task.lacking([cohort.labels[patient] for patient in patients]):
        msg = (
            f"{who}: {counted(len(patients), 'patient')} ({some(patients)}) lack "
            f"{', '.join(lacking)}, which task {task.name} asks for; use fewer folds "
            "(splits.n_folds=...), more patients, or a task without it"
        )
        raise CohortError(msg)


def check_twins(folds: Iterable[Fold], slides: Iterable[Fingerprint]) -> None:
    """Stop, by name, if two patients on two sides of a fold have one glass.

    Raises
    ------
    CohortError
        Slides of different patients, of which one trains and one tests, are the same or nearly so.
    """
    check_no_leakage(folds, find_twins(list(slides)))
