"""Statistics of a binary task, one row per patient, and their bootstrap intervals.

The patient is the unit: resampling draws patients, so a patient's slides are never torn apart.

Array suffixes: P patients, R resamples, G groups of tied probabilities, T thresholds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from histofed.core.resampling import (
    auprc_R,
    auroc_R,
    both_classes,
    brier_R,
    by_descending_group,
    called_positive,
    check,
    check_probabilities,
    resamples,
)
from histofed.errors import CohortError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike

    from histofed.core.resampling import Floats, Labels


@dataclass(frozen=True, slots=True)
class Interval:
    """A value and the interval around it; ``str`` gives ``0.912 (0.843-0.968)``."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f}-{self.high:.3f})"


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """Patients of similar predicted probability, and how many of them were positive.

    Attributes
    ----------
    predicted
        Mean predicted probability of the bin's patients.
    observed
        Fraction of them that is positive, with its Wilson interval.
    n
        Number of patients.
    """

    predicted: float
    observed: Interval
    n: int


@dataclass(frozen=True, slots=True)
class Curve:
    """A ROC or precision-recall curve, one point per distinct probability.

    Attributes
    ----------
    x_T, y_T
        False and true positive rate (ROC), or recall and precision (precision-recall).
    thresholds_T
        A patient is called positive at this probability or above; the first point is at
        infinity, where nobody is.
    """

    x_T: Floats
    y_T: Floats
    thresholds_T: Floats


def auroc(labels_P: ArrayLike, probabilities_P: ArrayLike) -> float:
    """Return the area under the ROC curve: P(positive scores higher), a tie counting one half.

    The exact Mann-Whitney statistic (Mann & Whitney 1947; Hanley & McNeil 1982); any finite
    scores are allowed, only their order matters.

    Raises
    ------
    CohortError
        One class only, labels other than 0 and 1, values not finite, or lengths that differ.
    """
    labels, scores = both_classes(labels_P, probabilities_P)
    return float(auroc_R(labels, scores, np.ones((1, len(labels))))[0])


def auprc(labels_P: ArrayLike, probabilities_P: ArrayLike) -> float:
    """Return the average precision: the step-wise area under the precision-recall curve.

    No linear interpolation, which is too optimistic (Davis & Goadrich 2006; Boyd et al. 2013);
    tied probabilities are one threshold. The value of chance is the prevalence.

    Raises
    ------
    CohortError
        As `auroc`.
    """
    labels, scores = both_classes(labels_P, probabilities_P)
    return float(auprc_R(labels, scores, np.ones((1, len(labels))))[0])


def brier(labels_P: ArrayLike, probabilities_P: ArrayLike) -> float:
    """Return the mean squared distance of probability and label (Brier 1950); 0 is perfect.

    Raises
    ------
    CohortError
        Labels other than 0 and 1, or probabilities outside [0, 1].
    """
    labels, probabilities = check_probabilities(labels_P, probabilities_P)
    return float(np.mean((probabilities - labels) ** 2))


def ece(labels_P: ArrayLike, probabilities_P: ArrayLike, *, n_bins: int = 5) -> float:
    """Return the expected calibration error over bins of equal mass, weighted by patients.

    Naeini et al. 2015, with equal-mass bins, which are less biased than equal-width ones (Roelofs
    et al. 2022). In a small cohort it is above 0 even for a perfectly calibrated model.

    Raises
    ------
    CohortError
        As `brier`.
    """
    bins = calibration_bins(labels_P, probabilities_P, n_bins=n_bins)
    total = sum(each.n for each in bins)
    return sum(each.n * abs(each.observed.value - each.predicted) for each in bins) / total


def calibration_bins(
    labels_P: ArrayLike, probabilities_P: ArrayLike, *, n_bins: int = 5, level: float = 0.95
) -> list[CalibrationBin]:
    """Return up to ``n_bins`` bins of about equally many patients, by rising probability.

    Patients of equal probability share a bin, so their order in the table changes nothing; many
    ties leave fewer bins. The interval of the observed fraction is Wilson's (1927).

    Raises
    ------
    CohortError
        As `brier`.
    """
    labels, probabilities = check_probabilities(labels_P, probabilities_P)
    _, group_P, size_G = np.unique(probabilities, return_inverse=True, return_counts=True)
    middle_rank_G = np.cumsum(size_G) - size_G / 2
    bin_P = np.floor(n_bins * middle_rank_G / len(labels)).astype(np.int64)[group_P]
    return [
        CalibrationBin(
            predicted=float(probabilities[members].mean()),
            observed=wilson(int(labels[members].sum()), int(members.sum()), level=level),
            n=int(members.sum()),
        )
        for members in (bin_P == each for each in np.unique(bin_P))
    ]


def wilson(positives: int, n: int, *, level: float = 0.95) -> Interval:
    """Return a fraction with its score interval (Wilson 1927), sound for few patients."""
    z = NormalDist().inv_cdf((1 + level) / 2)
    fraction = positives / n
    centre = (fraction + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(fraction * (1 - fraction) / n + (z / n) ** 2 / 4)
    # At 0 of n and n of n the end is exactly 0 or 1; floating point may fall a hair inside.
    low, high = min(centre - half, fraction), max(centre + half, fraction)
    return Interval(fraction, max(low, 0.0), min(high, 1.0))


def roc_curve(labels_P: ArrayLike, probabilities_P: ArrayLike) -> Curve:
    """Return false and true positive rates from (0, 0) to (1, 1) (Fawcett 2006).

    Raises
    ------
    CohortError
        As `auroc`.
    """
    labels, scores = both_classes(labels_P, probabilities_P)
    true_T, false_T, thresholds_T = called_positive(labels, scores)
    return Curve(false_T / false_T[-1], true_T / true_T[-1], thresholds_T)


def pr_curve(labels_P: ArrayLike, probabilities_P: ArrayLike) -> Curve:
    """Return recall and precision; `auprc` is the area under its steps (Davis & Goadrich 2006).

    The first point is (0, 1) by convention: nobody called, nobody called wrongly.

    Raises
    ------
    CohortError
        As `auroc`.
    """
    labels, scores = both_classes(labels_P, probabilities_P)
    true_T, false_T, thresholds_T = called_positive(labels, scores)
    precision_T = np.ones_like(true_T)
    precision_T[1:] = true_T[1:] / (true_T[1:] + false_T[1:])
    return Curve(true_T / true_T[-1], precision_T, thresholds_T)


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
    if not arms:
        msg = "the mean of a metric over no model is not defined; give at least one"
        raise CohortError(msg)
    checked = [check(labels_P, each) for each in arms]
    labels = checked[0][0]
    value = float(np.mean([metric(labels, each) for _, each in checked]))
    draws = [
        np.mean([_on_resamples(metric, labels, each, counts_RP) for _, each in checked], axis=0)
        for counts_RP in resamples(labels, n_resamples, seed)
    ]
    low, high = np.quantile(np.concatenate(draws), [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, min(float(low), value), max(float(high), value))


def roc_band(
    labels_P: ArrayLike,
    probabilities_P: ArrayLike,
    *,
    n_resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
    n_points: int = 101,
) -> tuple[Floats, Floats, Floats]:
    """Return ``(fpr_T, low_T, high_T)``: a pointwise bootstrap band of the true positive rate.

    Vertical, at fixed false positive rates (Fawcett 2006): it holds at each point, not for the
    whole curve at once.

    Raises
    ------
    CohortError
        As `auroc`.
    """
    labels, scores = both_classes(labels_P, probabilities_P)
    grid_T = np.linspace(0.0, 1.0, n_points)
    tpr_RT = []
    for counts_RP in resamples(labels, n_resamples, seed):
        positive_RG, negative_RG = by_descending_group(labels, scores, counts_RP)
        for positive_G, negative_G in zip(positive_RG, negative_RG, strict=True):
            true_T = np.concatenate([[0.0], np.cumsum(positive_G)]) / positive_G.sum()
            false_T = np.concatenate([[0.0], np.cumsum(negative_G)]) / negative_G.sum()
            # On a vertical piece of the curve interp takes the last point, which is the top.
            tpr_RT.append(np.interp(grid_T, false_T, true_T))
    low_T, high_T = np.quantile(np.stack(tpr_RT), [(1 - level) / 2, (1 + level) / 2], axis=0)
    return grid_T, low_T, high_T


def _on_resamples(
    metric: Callable[[Labels, Floats], float], labels: Labels, scores: Floats, counts_RP: Floats
) -> Floats:
    """Return the metric of every resample, all at once where its formula allows."""
    at_once = _AT_ONCE.get(metric)
    if at_once is not None:
        return at_once(labels, scores, counts_RP)
    drawn = (np.repeat(np.arange(len(labels)), row.astype(np.int64)) for row in counts_RP)
    return np.array([metric(labels[rows], scores[rows]) for rows in drawn])


_AT_ONCE: dict[Callable[..., float], Callable[[Labels, Floats, Floats], Floats]] = {
    auroc: auroc_R,
    auprc: auprc_R,
    brier: brier_R,
}
