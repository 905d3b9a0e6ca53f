"""Comparison with another model, with chance, and over many questions at once.

Array suffixes: P patients, M models, Q questions, R permutations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import false_discovery_control

from histofed.core.metrics.discrimination import auroc
from histofed.core.metrics.inputs import both_classes, check, check_groups
from histofed.core.metrics.intervals import Interval, two_sided_p, wald
from histofed.core.metrics.ranks import midranks
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


def delong(labels_P: ArrayLike, probabilities_P: ArrayLike, *, level: float = 0.95) -> Interval:
    """Return the AUROC with its normal interval, cut at 0 and 1 (DeLong et al. 1988).

    Where the scores separate the classes the variance is 0 and the interval a point, which does
    not mean certainty; so it is with the bootstrap.

    Raises
    ------
    CohortError
        As `auroc`, or a class with one patient.
    """
    values, covariance = _delong(labels_P, probabilities_P)
    found = wald(float(values[0]), math.sqrt(covariance[0, 0]), level=level)
    return Interval(found.value, max(found.low, 0.0), min(found.high, 1.0))


def delong_paired(
    labels_P: ArrayLike,
    probabilities_P: ArrayLike,
    reference_P: ArrayLike,
    *,
    level: float = 0.95,
) -> Difference:
    """Return the difference of two AUROC on the same patients (DeLong et al. 1988).

    Not for nested models fitted on these very patients, whose difference is not normal (Demler et
    al. 2012).

    Raises
    ------
    CohortError
        As `delong`; or both models separate the classes, in opposite directions.
    """
    values, covariance = _delong(labels_P, probabilities_P, reference_P)
    difference = float(values[0] - values[1])
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    error = math.sqrt(max(float(variance), 0.0))
    if error < 1e-12 and difference:
        msg = f"AUROC {values[0]:.3f} and {values[1]:.3f}: neither model's varies, so their "
        msg += "difference has no normal test; one of them probably has its classes swapped"
        raise CohortError(msg)
    p_value = two_sided_p(difference / error) if difference else 1.0
    return Difference(wald(difference, error, level=level), p_value)


def _delong(labels_P: ArrayLike, *models: ArrayLike) -> tuple[Floats, Floats]:
    """Return AUROC ``(M,)`` and their covariance ``(M, M)`` (Sun & Xu 2014).

    A patient's placement is the fraction of the other class that it is on the right side of. It is
    the difference of its rank among all and among its own class, so no pair is looked at.
    """
    placed_positive, placed_negative = [], []
    for model in models:
        labels, scores = both_classes(labels_P, model)
        positive, negative = scores[labels == 1], scores[labels == 0]
        if min(len(positive), len(negative)) < 2:
            msg = f"DeLong: {len(positive)} positive and {len(negative)} negative patients; the "
            msg += "variance needs two of each"
            raise CohortError(msg)
        ranks = midranks(scores)
        placed_positive.append((ranks[labels == 1] - midranks(positive)) / len(negative))
        placed_negative.append(1 - (ranks[labels == 0] - midranks(negative)) / len(positive))
    values_M = np.mean(placed_positive, axis=1)
    covariance_MM = np.atleast_2d(np.cov(placed_positive)) / len(positive)
    return values_M, covariance_MM + np.atleast_2d(np.cov(placed_negative)) / len(negative)


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
