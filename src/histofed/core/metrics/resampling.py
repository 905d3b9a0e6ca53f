"""Bootstrap intervals: patients are drawn again, never tiles or slides.

Array suffixes: P patients, R resamples, A arms (models).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from histofed.core.metrics.calibration import brier
from histofed.core.metrics.discrimination import auprc, auroc
from histofed.core.metrics.inputs import both_classes, check, check_within
from histofed.core.metrics.intervals import Interval
from histofed.core.metrics.ranks import auprc_R, auroc_R, brier_R
from histofed.errors import CohortError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import ArrayLike, NDArray

    from histofed.core.metrics.inputs import Floats, Labels

CELLS_AT_ONCE = 2_000_000
"""Resamples x patients held in memory at a time; a large cohort is resampled in blocks."""

LEAST_DEFINED = 0.5
"""A metric that more resamples than this part leave undefined gets no interval."""


def bootstrap(
    metric: Callable[[Labels, Floats], float],
    labels_P: ArrayLike,
    probabilities_P: ArrayLike,
    *,
    n_resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """Return a metric with its percentile interval over resampled patients (Efron 1979).

    Patients are drawn with replacement within each class, so no resample lacks a class
    (Carpenter & Bithell 2000). Where the metric is biased under resampling (`ece`) the interval
    is widened to hold the value. Where positives and negatives are perfectly separated every
    resample is perfect too: the interval is then a point, which does not mean certainty.

    Parameters
    ----------
    metric
        `auroc`, `auprc` and `brier` run on all resamples at once; any other function of labels
        and probabilities is called once per resample.

    Raises
    ------
    CohortError
        As the metric.
    """
    return bootstrap_mean(
        metric, labels_P, [probabilities_P], n_resamples=n_resamples, seed=seed, level=level
    )


def bootstrap_mean(
    metric: Callable[[Labels, Floats], float],
    labels_P: ArrayLike,
    arms: Sequence[ArrayLike],
    *,
    n_resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """Return the mean of a metric over several models with its interval, as `bootstrap`.

    Parameters
    ----------
    arms
        Each model's probabilities of the same patients. One draw of patients serves all models:
        their errors are correlated, and independent draws would make the interval too narrow.
    """
    draws_AR, values_A = _on_arms(metric, labels_P, arms, n_resamples=n_resamples, seed=seed)
    return percentile(float(np.mean(values_A)), np.mean(draws_AR, axis=0), level=level)


def bootstrap_difference(
    metric: Callable[[Labels, Floats], float],
    labels_P: ArrayLike,
    probabilities_P: ArrayLike,
    reference_P: ArrayLike,
    *,
    n_resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """Return a model's metric minus the reference model's on the same patients, as `bootstrap`.

    Paired: one draw of patients serves both models, so what they have in common cancels.
    """
    arms = [probabilities_P, reference_P]
    draws_AR, values_A = _on_arms(metric, labels_P, arms, n_resamples=n_resamples, seed=seed)
    return percentile(values_A[0] - values_A[1], draws_AR[0] - draws_AR[1], level=level)


def bootstrap_rows(
    metric: Callable[..., float],
    *columns_P: ArrayLike,
    strata_P: ArrayLike | None = None,
    n_resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """Return any metric of per-patient columns with its percentile interval (Efron 1979).

    For survival, several classes and numbers; `bootstrap` is for binary tasks.

    Parameters
    ----------
    metric
        Called as ``metric(*columns)`` on the drawn rows, once per resample.
    columns_P
        Arrays whose rows are patients, e.g. times, events and risks.
    strata_P
        Patients are drawn within each value, e.g. the classes, or whether there was an event.
    """
    columns = [np.asarray(column) for column in columns_P]
    n_patients = len(columns[0])
    strata = np.zeros(n_patients) if strata_P is None else np.asarray(strata_P)
    if {len(column) for column in (*columns, strata)} != {n_patients}:
        lengths = ", ".join(str(len(column)) for column in (*columns, strata))
        msg = f"columns and strata have a row per patient each, found lengths {lengths}"
        raise CohortError(msg)
    value = float(metric(*columns))
    draws = [
        metric(*(column[rows] for column in columns))
        for counts_RP in resamples(strata, n_resamples, seed)
        for rows in _rows(counts_RP)
    ]
    return percentile(value, np.array(draws), level=level)


def bootstrap_auroc(
    labels_P: ArrayLike,
    probabilities_P: ArrayLike,
    *,
    within_P: ArrayLike | None = None,
    strata_P: NDArray[Any] | None = None,
    n_resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """Return the AUROC over pairs of patients that share a value with its interval.

    Parameters
    ----------
    within_P
        As of `auroc`. Patients are drawn from all folds together: drawn from a fold and class,
        where there are a handful, they would vary too little (a part of 1 / n is lost; with three
        the interval would be a fifth too narrow).
    strata_P
        Patients are drawn within each value; the classes if None.

    Raises
    ------
    CohortError
        As `auroc`, or as `defined`.
    """
    labels, scores = both_classes(labels_P, probabilities_P)
    within = check_within(within_P, len(labels))
    value = auroc(labels, scores, within_P=within)
    draws_R = np.concatenate(
        [
            auroc_R(labels, scores, counts_RP, within)
            for counts_RP in resamples(labels if strata_P is None else strata_P, n_resamples, seed)
        ]
    )
    return percentile(value, defined(draws_R, "AUROC"), level=level)


def defined(draws_R: Floats, what: str) -> Floats:
    """Return the resamples that can tell a metric.

    Raises
    ------
    CohortError
        They are less than `LEAST_DEFINED` of all.
    """
    defined_R = draws_R[np.isfinite(draws_R)]
    if len(defined_R) < LEAST_DEFINED * len(draws_R):
        msg = f"{what}: only {len(defined_R)} of {len(draws_R)} resamples of these patients "
        msg += "can tell it, so it has no interval; take more patients"
        raise CohortError(msg)
    return defined_R


def percentile(value: float, draws_R: Floats, *, level: float = 0.95) -> Interval:
    """Return a value with the percentile interval of its resamples, widened to hold the value."""
    low, high = np.quantile(draws_R, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, min(float(low), value), max(float(high), value))


def _on_arms(
    metric: Callable[[Labels, Floats], float],
    labels_P: ArrayLike,
    arms: Sequence[ArrayLike],
    *,
    n_resamples: int,
    seed: int,
) -> tuple[Floats, list[float]]:
    """Return every arm's metric on the same resamples ``(A, R)``, and on the patients as they are.

    Raises
    ------
    CohortError
        No arm, or as the metric.
    """
    if not arms:
        msg = "the mean of a metric over no model is not defined; give at least one"
        raise CohortError(msg)
    checked = [check(labels_P, each) for each in arms]
    labels = checked[0][0]
    values = [metric(labels, each) for _, each in checked]  # refuses what it cannot tell
    draws = [
        np.stack([_on_resamples(metric, labels, each, counts_RP) for _, each in checked])
        for counts_RP in resamples(labels, n_resamples, seed)
    ]
    return np.concatenate(draws, axis=1), values


def _on_resamples(
    metric: Callable[[Labels, Floats], float], labels: Labels, scores: Floats, counts_RP: Floats
) -> Floats:
    """Return the metric of every resample, all at once where its formula allows."""
    at_once = _AT_ONCE.get(metric)
    if at_once is not None:
        return at_once(labels, scores, counts_RP)
    return np.array([metric(labels[rows], scores[rows]) for rows in _rows(counts_RP)])


def _rows(counts_RP: Floats) -> Iterator[Labels]:
    """Yield the drawn rows of each resample."""
    for counts_P in counts_RP:
        yield np.repeat(np.arange(len(counts_P)), counts_P.astype(np.int64))


_AT_ONCE: dict[Callable[..., float], Callable[[Labels, Floats, Floats], Floats]] = {
    auroc: auroc_R,
    auprc: auprc_R,
    brier: brier_R,
}


def resamples(strata_P: NDArray[Any], n_resamples: int, seed: int) -> Iterator[Floats]:
    """Yield blocks of counts ``(R, P)``; within a stratum they sum to its number of patients."""
    generator = np.random.default_rng(seed)
    block = max(1, CELLS_AT_ONCE // len(strata_P))
    for start in range(0, n_resamples, block):
        counts_RP = np.zeros((min(block, n_resamples - start), len(strata_P)))
        for each in np.unique(strata_P):
            members = np.flatnonzero(strata_P == each)
            even = np.full(len(members), 1 / len(members))
            counts_RP[:, members] = generator.multinomial(len(members), even, len(counts_RP))
        yield counts_RP
