"""One or many numbers: predictions -> how near they come.

Correlations are within folds (`histofed.core.evaluation.within_folds` says why); the variance
explained and the error are made of each patient's own error, and are of all patients together.

Array suffixes: P patients, R resamples.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from histofed.core.evaluation.base import Measures, Metric, Resampling, attempt, interval, pooled
from histofed.core.evaluation.correlation import (
    mean_absolute_error_R,
    pearson_R,
    r_squared_R,
    spearman_kept_R,
    spearman_R,
)
from histofed.core.metrics.comparison import benjamini_hochberg
from histofed.core.metrics.regression import (
    mean_absolute_error,
    no_correlation_p,
    pearson,
    r_squared,
    spearman,
)
from histofed.errors import CohortError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from histofed.core.evaluation.picked import Picked
    from histofed.core.evaluation.rows import Rows
    from histofed.core.metrics.inputs import Floats, Labels, Mask
    from histofed.core.metrics.intervals import Interval

MANY = 20
"""Quantities above which resamples keep the ranks that patients have among all: to rank each one
anew takes ten times as long, and moves the ends of the interval by little."""


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
    """Correlation, variance explained and error; the mean over quantities, and each of them.

    Attributes
    ----------
    unit
        Of all quantities; empty where none is told, as where they have several.
    """

    quantities: tuple[str, ...]
    unit: str = ""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Two correlations, the variance explained, and the error where it has one unit."""
        one_unit = len(self.quantities) == 1 or self.unit
        return (*METRICS, ERROR) if one_unit else METRICS

    @property
    def beside(self) -> tuple[Metric, ...]:
        """The correlations of the patients of all folds together."""
        return BESIDE

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
        tests = [_p_value(each) for each in _known(rows)]
        p_values = [p_value for p_value in tests if p_value is not None]
        adjusted = iter(benjamini_hochberg(p_values).tolist() if p_values else [])
        found = []
        for number, (name, p_value) in enumerate(zip(self.quantities, tests, strict=True)):
            one = _column(rows, number)
            with_interval, reason = attempt(
                lambda one=one: interval(METRICS[0], [one], np.zeros(len(one)), how)  # type: ignore[misc]
            )
            values = {
                metric.name: attempt(lambda m=metric, o=one: m.of(o))  # type: ignore[misc]
                for metric in (*METRICS, ERROR)
            }
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


def over_quantities(of: Callable[[Floats, Floats, Labels], float]) -> Callable[[Rows], float]:
    """Return the mean of a metric of truth, prediction and fold over the quantities it can tell.

    Raises
    ------
    CohortError
        Of the function returned: for none; the reason is the first one's.
    """

    def mean(rows: Rows) -> float:
        found = [
            attempt(lambda each=each: of(each.truth, each.predicted, each.folds))  # type: ignore[misc]
            for each in _known(rows)
        ]
        values = [value for value, _ in found if value is not None]
        if not values:
            raise CohortError(found[0][1])
        return float(np.mean(values))

    return mean


def over_quantities_R(
    of_R: Callable[[Floats, Floats, Floats, Labels], Floats], *, least: int = 2
) -> Callable[[Rows, Floats], Floats]:
    """Return the same of each resample; one that cannot tell a quantity leaves it out.

    Parameters
    ----------
    least
        Patients that the metric needs of a quantity.
    """

    def mean_R(rows: Rows, counts_RP: Floats) -> Floats:
        total, n_defined = np.zeros(len(counts_RP)), np.zeros(len(counts_RP))
        for each in _known(rows):
            if len(each.truth) < least:
                continue
            # A copy for every quantity would take longer than the metric.
            counts = counts_RP if each.known.all() else counts_RP[:, each.known]
            with np.errstate(divide="ignore", invalid="ignore"):
                found = of_R(each.truth, each.predicted, counts, each.folds)
            defined = np.isfinite(found)
            total[defined] += found[defined]
            n_defined += defined
        return np.divide(total, n_defined, out=np.full_like(total, np.nan), where=n_defined > 0)

    return mean_R


def spearman_draws(rows: Rows, counts_RP: Floats) -> Floats:
    """Return the mean of `spearman_R` over quantities; of more than `MANY`, `spearman_kept_R`."""
    few = rows.labels_PK.shape[1] <= MANY
    return over_quantities_R(spearman_R if few else spearman_kept_R)(rows, counts_RP)


class _Known(NamedTuple):
    """One quantity: truth, prediction and fold of those of whom it is known, and who they are."""

    truth: Floats
    predicted: Floats
    folds: Labels
    known: Mask


def _known(rows: Rows) -> Iterator[_Known]:
    """Yield each quantity."""
    for label_P, output_P in zip(rows.labels_PK.T, rows.outputs_PV.T, strict=True):
        known = ~np.isnan(label_P)
        yield _Known(label_P[known], output_P[known], rows.folds_P[known], known)


def _column(rows: Rows, number: int) -> Rows:
    """Return the patients of whom one quantity is known, with nothing else."""
    known = rows.take(~np.isnan(rows.labels_PK[:, number]))
    one = slice(number, number + 1)
    return replace(known, labels_PK=known.labels_PK[:, one], outputs_PV=known.outputs_PV[:, one])


def _p_value(found: _Known) -> float | None:
    """Return the p-value of no correlation; None where it cannot be tested."""
    if len(found.truth) < 3:
        return None
    return no_correlation_p(found.truth, found.predicted, within_P=found.folds)


METRICS = (
    Metric(
        "pearson",
        "Pearson r",
        "linear correlation of predicted and true number within folds; 0 is chance",
        over_quantities(lambda truth, found, folds: pearson(truth, found, within_P=folds)),
        over_quantities_R(pearson_R),
        chance=0.0,
    ),
    Metric(
        "spearman",
        "Spearman rho",
        "correlation of the ranks within folds; 0 is chance",
        over_quantities(lambda truth, found, folds: spearman(truth, found, within_P=folds)),
        spearman_draws,
        chance=0.0,
    ),
    Metric(
        "r2",
        "R2",
        "fraction of the variance explained; below 0 the mean would have done better",
        over_quantities(lambda truth, found, _: r_squared(truth, found)),
        over_quantities_R(lambda truth, found, counts_RP, _: r_squared_R(truth, found, counts_RP)),
    ),
)

ERROR = Metric(
    "mae",
    "mean error",
    "mean distance of predicted and true number, in the unit of the table; lower is better",
    over_quantities(lambda truth, found, _: mean_absolute_error(truth, found)),
    over_quantities_R(
        lambda truth, found, counts_RP, _: mean_absolute_error_R(truth, found, counts_RP)
    ),
)

BESIDE = tuple(pooled(metric) for metric in METRICS[:2])
