"""One or many numbers: predictions -> how near they come.

Array suffixes: P patients, R resamples.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import pearsonr

from histofed.core.evaluation.base import Measures, Metric, Resampling, attempt, interval
from histofed.core.metrics.comparison import benjamini_hochberg
from histofed.core.metrics.ranks import midranks
from histofed.core.metrics.regression import mean_absolute_error, pearson, r_squared, spearman
from histofed.errors import CohortError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from histofed.core.evaluation.picked import Picked
    from histofed.core.evaluation.rows import Rows
    from histofed.core.metrics.inputs import Floats, Mask
    from histofed.core.metrics.intervals import Interval

MANY = 20
"""Quantities above which resamples keep the ranks that patients have among all: to rank each one
anew takes ten times as long, and moves the ends of the interval by little."""

LEAST_VARIANCE = 1e-12
"""Of a resample, beside that of all patients: below it they are all alike but for rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """How well one number is predicted.

    Attributes
    ----------
    n_patients
        Those of whom it is known.
    pearson
        With bootstrap interval.
    p_value, adjusted
        One-sided, of no correlation (Student's t); and adjusted for the number of quantities
        (Benjamini & Hochberg 1995).
    reason
        Why numbers are missing.
    """

    name: str
    n_patients: int
    pearson: Interval | None
    spearman: float | None
    r2: float | None
    mae: float | None
    p_value: float | None
    adjusted: float | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RegressionDetails:
    """What else is told of an arm: every quantity, in the order of the task."""

    quantities: tuple[Quantity, ...]


@dataclass(frozen=True)
class RegressionMeasures(Measures):
    """Correlation, variance explained and error; the mean over quantities, and each of them."""

    quantities: tuple[str, ...]

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Two correlations, the variance explained, and the error in the task's unit."""
        return METRICS

    def counts(self, rows: Rows) -> dict[str, int]:
        """Return patients, and how many numbers are known of them."""
        return {"n_patients": len(rows), "n_known": int((~np.isnan(rows.labels_PK)).sum())}

    def in_words(self, counts: dict[str, int]) -> str:
        """Return how many numbers are known, where there are several a patient."""
        return "" if len(self.quantities) == 1 else f"{counts['n_known']} numbers known"

    def details(
        self, rows: Rows, picked: Picked | None, how: Resampling, *, sensitivity: float | None
    ) -> RegressionDetails:
        """Return every quantity."""
        tests = [_p_value(truth, predicted) for truth, predicted, _ in _known(rows)]
        p_values = [p_value for p_value in tests if p_value is not None]
        adjusted = iter(benjamini_hochberg(p_values).tolist() if p_values else [])
        found = []
        for number, (name, p_value) in enumerate(zip(self.quantities, tests, strict=True)):
            one = _column(rows, number)
            with_interval, reason = attempt(
                lambda one=one: interval(METRICS[0], [one], np.zeros(len(one)), how)  # type: ignore[misc]
            )
            values = {metric.name: attempt(lambda m=metric, o=one: m.of(o)) for metric in METRICS}  # type: ignore[misc]
            found.append(
                Quantity(
                    name=name,
                    n_patients=len(one),
                    pearson=with_interval,
                    spearman=values["spearman"][0],
                    r2=values["r2"][0],
                    mae=values["mae"][0],
                    p_value=p_value,
                    adjusted=None if p_value is None else next(adjusted),
                    reason=reason or values["r2"][1],
                )
            )
        return RegressionDetails(quantities=tuple(found))


def over_quantities(of: Callable[[Floats, Floats], float]) -> Callable[[Rows], float]:
    """Return the mean of a metric over the quantities that it is defined for.

    Raises
    ------
    CohortError
        Of the function returned: for none; the reason is the first one's.
    """

    def mean(rows: Rows) -> float:
        found = [
            attempt(lambda t=truth, p=predicted: of(t, p))  # type: ignore[misc]
            for truth, predicted, _ in _known(rows)
        ]
        values = [value for value, _ in found if value is not None]
        if not values:
            raise CohortError(found[0][1])
        return float(np.mean(values))

    return mean


def over_quantities_R(
    of_R: Callable[[Floats, Floats, Floats], Floats], *, least: int = 2
) -> Callable[[Rows, Floats], Floats]:
    """Return the same of each resample; one that cannot tell a quantity leaves it out.

    Parameters
    ----------
    least
        Patients that the metric needs of a quantity.
    """

    def mean_R(rows: Rows, counts_RP: Floats) -> Floats:
        total, n_defined = np.zeros(len(counts_RP)), np.zeros(len(counts_RP))
        for truth, predicted, known in _known(rows):
            if len(truth) < least:
                continue
            with np.errstate(divide="ignore", invalid="ignore"):
                found = of_R(truth, predicted, counts_RP[:, known])
            defined = np.isfinite(found)
            total[defined] += found[defined]
            n_defined += defined
        return np.divide(total, n_defined, out=np.full_like(total, np.nan), where=n_defined > 0)

    return mean_R


def pearson_R(truth_P: Floats, predicted_P: Floats, counts_RP: Floats) -> Floats:
    """Return `pearson` of each resample; NaN where all its patients are alike."""
    return _correlation_R(_scaled(truth_P), _scaled(predicted_P), counts_RP)


def spearman_R(truth_P: Floats, predicted_P: Floats, counts_RP: Floats) -> Floats:
    """Return `spearman` of each resample, which has ranks of its own."""
    truth_RP, predicted_RP = (_ranks_R(each, counts_RP) for each in (truth_P, predicted_P))
    return _correlation_R(truth_RP, predicted_RP, counts_RP)


def spearman_kept_R(truth_P: Floats, predicted_P: Floats, counts_RP: Floats) -> Floats:
    """Return the correlation within each resample of the ranks that patients have among all."""
    truth, predicted = (_scaled(midranks(each)) for each in (truth_P, predicted_P))
    return _correlation_R(truth, predicted, counts_RP)


def spearman_draws(rows: Rows, counts_RP: Floats) -> Floats:
    """Return the mean of `spearman_R` over quantities; of more than `MANY`, `spearman_kept_R`."""
    few = rows.labels_PK.shape[1] <= MANY
    return over_quantities_R(spearman_R if few else spearman_kept_R)(rows, counts_RP)


def r_squared_R(truth_P: Floats, predicted_P: Floats, counts_RP: Floats) -> Floats:
    """Return `r_squared` of each resample; NaN where all its patients are alike."""
    around = truth_P - truth_P.mean()
    n_R = counts_RP.sum(axis=1)
    variance_R = counts_RP @ around**2 / n_R - (counts_RP @ around / n_R) ** 2
    variance_R[variance_R <= LEAST_VARIANCE * around.var()] = np.nan
    return np.asarray(1 - counts_RP @ (truth_P - predicted_P) ** 2 / n_R / variance_R)


def mean_absolute_error_R(truth_P: Floats, predicted_P: Floats, counts_RP: Floats) -> Floats:
    """Return `mean_absolute_error` of each resample."""
    return np.asarray(counts_RP @ np.abs(truth_P - predicted_P) / counts_RP.sum(axis=1))


def _correlation_R(x: Floats, y: Floats, counts_RP: Floats) -> Floats:
    """Return the correlation of columns ``(P,)``, or of columns of each resample ``(R, P)``."""
    n_R = counts_RP.sum(axis=1)

    def mean(values: Floats) -> Floats:
        total_R = counts_RP @ values if values.ndim == 1 else (counts_RP * values).sum(axis=1)
        return np.asarray(total_R / n_R)

    covariance_R = mean(x * y) - mean(x) * mean(y)
    x_R, y_R = mean(x * x) - mean(x) ** 2, mean(y * y) - mean(y) ** 2
    for spread_R, values in ((x_R, x), (y_R, y)):
        spread_R[spread_R <= LEAST_VARIANCE * mean(values * values)] = np.nan
    return np.asarray(np.clip(covariance_R / np.sqrt(x_R * y_R), -1, 1))


def _ranks_R(values_P: Floats, counts_RP: Floats) -> Floats:
    """Return `midranks` of each patient within each resample, around their middle, ``(R, P)``."""
    _, group_P = np.unique(values_P, return_inverse=True)
    order = np.argsort(group_P, kind="stable")
    starts = np.flatnonzero(np.diff(group_P[order], prepend=-1))
    size_RG = np.add.reduceat(counts_RP[:, order], starts, axis=1)
    ranks_RG = np.cumsum(size_RG, axis=1) - size_RG / 2
    return np.asarray(ranks_RG[:, group_P] - counts_RP.sum(axis=1, keepdims=True) / 2)


def _scaled(values_P: Floats) -> Floats:
    """Return values around 0 and of a size whose squares neither vanish nor overflow."""
    around = values_P - values_P.mean()
    return np.asarray(around / (np.abs(around).max() or 1.0))


def _known(rows: Rows) -> Iterator[tuple[Floats, Floats, Mask]]:
    """Yield truth and prediction of each quantity, and of whom it is known."""
    for label_P, output_P in zip(rows.labels_PK.T, rows.outputs_PV.T, strict=True):
        known = ~np.isnan(label_P)
        yield label_P[known], output_P[known], known


def _column(rows: Rows, number: int) -> Rows:
    """Return the patients of whom one quantity is known, with nothing else."""
    known = rows.take(~np.isnan(rows.labels_PK[:, number]))
    one = slice(number, number + 1)
    return replace(known, labels_PK=known.labels_PK[:, one], outputs_PV=known.outputs_PV[:, one])


def _p_value(truth_P: Floats, predicted_P: Floats) -> float | None:
    """Return the one-sided p-value of no correlation; None where it cannot be tested."""
    if len(truth_P) < 3 or not np.ptp(truth_P) or not np.ptp(predicted_P):
        return None
    return float(pearsonr(_scaled(truth_P), _scaled(predicted_P), alternative="greater").pvalue)


METRICS = (
    Metric(
        "pearson",
        "Pearson r",
        "linear correlation of predicted and true number; 0 is chance",
        over_quantities(pearson),
        over_quantities_R(pearson_R),
        chance=0.0,
    ),
    Metric(
        "spearman",
        "Spearman rho",
        "correlation of the ranks; 0 is chance",
        over_quantities(spearman),
        spearman_draws,
        chance=0.0,
    ),
    Metric(
        "r2",
        "R2",
        "fraction of the variance explained; below 0 the mean would have done better",
        over_quantities(r_squared),
        over_quantities_R(r_squared_R),
    ),
    Metric(
        "mae",
        "mean error",
        "mean distance of predicted and true number, in the unit of the table; lower is better",
        over_quantities(mean_absolute_error),
        over_quantities_R(mean_absolute_error_R),
    ),
)
