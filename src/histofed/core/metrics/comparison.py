"""Comparison with another model, with chance, and over many questions at once.

Array suffixes: P patients, M models, Q questions, R permutations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import false_discovery_control, mannwhitneyu, norm

from histofed.core.metrics.discrimination import auroc, no_pair
from histofed.core.metrics.inputs import both_classes, check, check_groups, check_within
from histofed.core.metrics.intervals import Interval, two_sided_p, wald
from histofed.core.metrics.ranks import midranks, parts
from histofed.errors import CohortError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    from histofed.core.metrics.inputs import Floats, Labels


@dataclass(frozen=True, slots=True)
class Difference:
    """A model's value minus the reference's, with the two-sided p-value of "no difference"."""

    interval: Interval
    p_value: float


@dataclass(frozen=True, slots=True)
class PermutationTest:
    """A value beside what it would be if labels had nothing to do with predictions.

    Attributes
    ----------
    chance
        Mean over the permutations.
    p_value
        One-sided: how often chance does at least as well.
    """

    value: float
    chance: float
    p_value: float


def delong(
    labels_P: ArrayLike,
    probabilities_P: ArrayLike,
    *,
    within_P: ArrayLike | None = None,
    level: float = 0.95,
) -> Interval:
    """Return the AUROC with its normal interval, cut at 0 and 1 (DeLong et al. 1988).

    Where the scores separate the classes the variance is 0 and the interval a point, which does
    not mean certainty; so it is with the bootstrap.

    Parameters
    ----------
    within_P
        As of `auroc`.

    Raises
    ------
    CohortError
        As `auroc`, or a class with one patient.
    """
    values, covariance = _delong(labels_P, probabilities_P, within_P=within_P)
    found = wald(float(values[0]), math.sqrt(covariance[0, 0]), level=level)
    return Interval(found.value, max(found.low, 0.0), min(found.high, 1.0))


def delong_paired(
    labels_P: ArrayLike,
    probabilities_P: ArrayLike,
    reference_P: ArrayLike,
    *,
    within_P: ArrayLike | None = None,
    level: float = 0.95,
) -> Difference:
    """Return the difference of two AUROC on the same patients (DeLong et al. 1988).

    Not for nested models fitted on these very patients, whose difference is not normal (Demler et
    al. 2012).

    Parameters
    ----------
    within_P
        As of `auroc`.

    Raises
    ------
    CohortError
        As `delong`; or both models separate the classes, in opposite directions.
    """
    values, covariance = _delong(labels_P, probabilities_P, reference_P, within_P=within_P)
    difference = float(values[0] - values[1])
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    error = math.sqrt(max(float(variance), 0.0))
    if error < 1e-12 and difference:
        msg = f"AUROC {values[0]:.3f} and {values[1]:.3f}: neither model's varies, so their "
        msg += "difference has no normal test; one of them probably has its classes swapped"
        raise CohortError(msg)
    p_value = two_sided_p(difference / error) if difference else 1.0
    return Difference(wald(difference, error, level=level), p_value)


def _delong(
    labels_P: ArrayLike, *models: ArrayLike, within_P: ArrayLike | None = None
) -> tuple[Floats, Floats]:
    """Return AUROC ``(M,)`` and their covariance ``(M, M)`` (Sun & Xu 2014).

    A patient adds the pairs that it is on the right side of: the difference of its rank among all
    and among its own class, so no pair is looked at. What that is more than its share of all pairs
    moves the AUROC, and the covariance is the sum of these squared, over each class. Among pairs
    of one fold, this lets the number of patients that a fold has of a class vary too, as it does
    from cohort to cohort; a sum of the folds' own variances would not, and knows nothing of a
    class with one patient in a fold.
    """
    moved_MP = []
    for model in models:
        labels, scores = both_classes(labels_P, model)
        right_P, pairs_P = _pairs_of(labels, scores, check_within(within_P, len(labels)))
        n_pairs = pairs_P[labels == 1].sum()
        if not n_pairs:
            raise no_pair(labels)
        value = right_P[labels == 1].sum() / n_pairs
        moved_MP.append((value, (right_P - value * pairs_P) / n_pairs))
    values_M = np.array([value for value, _ in moved_MP])
    covariance_MM = np.zeros((len(models), len(models)))
    counts = [int(((labels == each) & (pairs_P > 0)).sum()) for each in (1, 0)]
    if min(counts) < 2:
        msg = f"DeLong: {counts[0]} positive and {counts[1]} negative patients; the variance needs "
        msg += "two of each"
        raise CohortError(msg)
    for each, n_patients in zip((1, 0), counts, strict=True):
        ours_MP = np.stack([moved[labels == each] for _, moved in moved_MP])
        covariance_MM += ours_MP @ ours_MP.T * n_patients / (n_patients - 1)
    return values_M, covariance_MM


def _pairs_of(
    labels: Labels, scores: Floats, within_P: NDArray[np.str_] | None
) -> tuple[Floats, Floats]:
    """Return of each patient the pairs that it is on the right side of, and all its pairs."""
    right_P, pairs_P = np.zeros(len(labels)), np.zeros(len(labels))
    for rows in parts(within_P, len(labels)):
        ranks = midranks(scores[rows])
        for each in (1, 0):
            own = labels[rows] == each
            below = ranks[own] - midranks(scores[rows][own])
            pairs_P[rows[own]] = (~own).sum()
            right_P[rows[own]] = below if each else (~own).sum() - below
    return right_P, pairs_P


def rank_sum_p(
    labels_P: ArrayLike, scores_P: ArrayLike, *, within_P: ArrayLike | None = None
) -> float:
    """Return the one-sided p-value of an AUROC of 0.5 (Mann & Whitney 1947).

    Of several parts, statistics and variances add up (van Elteren 1960, every pair counting the
    same) and the sum is taken for normal; of one it is exact where a class is small.

    Parameters
    ----------
    within_P
        As of `auroc`.

    Raises
    ------
    CohortError
        As `auroc`.
    """
    labels, scores = both_classes(labels_P, scores_P)
    compared = [
        (scores[rows][labels[rows] == 1], scores[rows][labels[rows] == 0])
        for rows in parts(check_within(within_P, len(labels)), len(labels))
        if 0 < labels[rows].sum() < len(rows)
    ]
    if not compared:
        raise no_pair(labels)
    if len(compared) == 1:
        return float(mannwhitneyu(*compared[0], alternative="greater").pvalue)
    above, variance = -0.5, 0.0  # a continuity correction, as of one part
    for positive, negative in compared:
        both = np.concatenate([positive, negative])
        n_pairs, n = len(positive) * len(negative), len(both)
        above += (midranks(both)[: len(positive)] - midranks(positive)).sum() - n_pairs / 2
        variance += n_pairs * float(np.var(midranks(both), ddof=1)) / n
    return float(norm.sf(above / math.sqrt(variance))) if variance else 1.0


def benjamini_hochberg(p_values_Q: ArrayLike) -> Floats:
    """Return p-values adjusted for the number of questions (Benjamini & Hochberg 1995).

    Calling those below q a finding keeps the expected fraction of false findings at q.

    Raises
    ------
    CohortError
        A p-value outside 0..1, or none.
    """
    p_values = np.asarray(p_values_Q, dtype=np.float64)
    if not p_values.size or not ((p_values >= 0) & (p_values <= 1)).all():
        msg = f"p-values lie in 0..1 and there is at least one, found {p_values.tolist()}; leave "
        msg += "out questions that could not be tested"
        raise CohortError(msg)
    return np.asarray(false_discovery_control(p_values, method="bh"))


def permutation_test(
    labels_P: ArrayLike,
    probabilities_P: ArrayLike,
    *,
    metric: Callable[[Labels, Floats], float] = auroc,
    within_P: ArrayLike | None = None,
    n_permutations: int = 2000,
    seed: int = 0,
) -> PermutationTest:
    """Return how often permuted labels do as well; the p-value is never 0 (Phipson & Smyth 2010).

    Parameters
    ----------
    metric
        Higher is better.
    within_P
        Labels are permuted within each value, e.g. the site: a model that only tells sites apart
        is then no better than chance.

    Raises
    ------
    CohortError
        As the metric.
    """
    labels, scores = check(labels_P, probabilities_P)
    groups = check_groups(np.zeros(len(labels)) if within_P is None else within_P, len(labels))
    return permuted(
        lambda rows: metric(labels[rows], scores), groups, n_permutations=n_permutations, seed=seed
    )


def permuted(
    metric: Callable[[Labels], float],
    within_P: NDArray[np.str_],
    *,
    n_permutations: int = 2000,
    seed: int = 0,
) -> PermutationTest:
    """Return how often permuted patients do as well, for any kind of label.

    Parameters
    ----------
    metric
        Of the predictions as they are, with the labels of these rows; higher is better.
    within_P
        Rows are permuted within each value.

    Raises
    ------
    CohortError
        As the metric.
    """
    members = [np.flatnonzero(within_P == each) for each in np.unique(within_P)]
    generator = np.random.default_rng(seed)
    rows = np.arange(len(within_P))
    value = metric(rows)
    chance_R = np.empty(n_permutations)
    for number in range(n_permutations):
        for each in members:
            rows[each] = generator.permutation(each)
        chance_R[number] = metric(rows)
    as_good = int((chance_R >= value - 1e-12).sum())
    return PermutationTest(value, float(chance_R.mean()), (1 + as_good) / (1 + n_permutations))
