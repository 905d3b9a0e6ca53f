"""Whether probabilities mean what they say, over hospitals: from sums, without a patient's row.

Two things add up: what lies in each bin of the predicted probability (reliability, expected
calibration error), and what a Newton step of the calibration slope and intercept needs. The latter
takes a few questions to every hospital (`recalibrate`), whose result is that of
`histofed.core.metrics.recalibration` on all rows together, to rounding.

Array suffixes: P patients, B bins, K coefficients.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from histofed.core.metrics.calibration import CalibrationBin
from histofed.core.metrics.inputs import check_probabilities
from histofed.core.metrics.intervals import wald, wilson
from histofed.core.metrics.recalibration import (
    LogisticSums,
    Recalibration,
    log_odds,
    logistic_sums,
    newton,
)
from histofed.errors import CohortError
from histofed.federation.score_histograms import bin_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike

    from histofed.core.metrics.inputs import Floats, Labels
    from histofed.federation.score_histograms import ScoreHistogram

N_BINS = 10
"""Of reliability: a point of the curve each."""

SEPARATED = 1e-6
"""A mean log likelihood this close to 0 says that every patient is fitted: classes separate."""


@dataclass(frozen=True, eq=False)
class Reliability:
    """What the patients of some hospitals add up to in each bin of the predicted probability.

    Bins have equal width, since bins of equal mass would need everybody's scores.

    Attributes
    ----------
    n_B, positive_B
        Patients, and positive ones.
    predicted_B
        Sum of their probabilities.
    """

    n_B: Labels
    positive_B: Labels
    predicted_B: Floats

    @classmethod
    def of(cls, histograms: Sequence[ScoreHistogram], *, n_bins: int = N_BINS) -> Reliability:
        """Add up groups of patients, each in the bin of its mean probability.

        Parameters
        ----------
        histograms
            At least one; their bins are the groups.
        """
        n_G, positive_G, predicted_G = (
            np.concatenate([getattr(each, name) for each in histograms])
            for name in ("n_B", "positive_B", "predicted_B")
        )
        bins_G = bin_of(predicted_G / n_G, n_bins)
        return cls(
            n_B=np.bincount(bins_G, n_G, n_bins).astype(np.int64),
            positive_B=np.bincount(bins_G, positive_G, n_bins).astype(np.int64),
            predicted_B=np.bincount(bins_G, predicted_G, n_bins).astype(np.float64),
        )

    def ece(self) -> float:
        """Return the expected calibration error over these bins (Naeini et al. 2015)."""
        return float(np.abs(self.positive_B - self.predicted_B).sum() / self.n_B.sum())

    def bins(self, *, level: float = 0.95) -> list[CalibrationBin]:
        """Return the bins that have patients, by rising probability."""
        return [
            CalibrationBin(
                predicted=float(predicted / n),
                observed=wilson(int(k), int(n), level=level),
                n=int(n),
            )
            for n, k, predicted in zip(self.n_B, self.positive_B, self.predicted_B, strict=True)
            if n
        ]


@dataclass(frozen=True, slots=True)
class LogOddsSums:
    """How many patients, and what their predicted log odds add up to."""

    n: int
    n_positive: int
    total: float
    square_total: float

    def __add__(self, other: LogOddsSums) -> LogOddsSums:
        return LogOddsSums(
            self.n + other.n,
            self.n_positive + other.n_positive,
            self.total + other.total,
            self.square_total + other.square_total,
        )


@dataclass(frozen=True, eq=False)
class Question:
    """One step of the fit: what patients say at these coefficients is asked.

    Attributes
    ----------
    beta_K
        Slope of the centred log odds and intercept; or the intercept alone, with the slope at 1.
    centre
        Mean log odds of all patients.
    """

    beta_K: Floats
    centre: float


class CalibrationSite:
    """One hospital's side; its rows stay in here.

    Raises
    ------
    CohortError
        Labels other than 0 and 1, probabilities outside 0..1, or lengths that differ.
    """

    def __init__(self, labels_P: ArrayLike, probabilities_P: ArrayLike) -> None:
        self._labels, probabilities = check_probabilities(labels_P, probabilities_P)
        self._log_odds = log_odds(probabilities)

    def sums(self) -> LogOddsSums:
        """Return what is asked first."""
        return LogOddsSums(
            n=len(self._labels),
            n_positive=int(self._labels.sum()),
            total=float(self._log_odds.sum()),
            square_total=float((self._log_odds**2).sum()),
        )

    def answer(self, question: Question) -> LogisticSums:
        """Return log likelihood, slope and curvature of this hospital's patients."""
        design_PK, offset_P = self._design(question)
        return logistic_sums(design_PK, self._labels, offset_P, question.beta_K)

    def tells_few(self, question: Question, *, fewest: int) -> bool:
        """Whether so few patients make the answer that it would show them.

        A steep question weighs only those whose log odds are next to where it asks; of one patient,
        the curvature *is* the log odds. Weights w count as many patients as
        ``sum(w)**2 / sum(w**2)`` (Kish 1965, Survey Sampling); half of ``fewest`` is asked for,
        since the weights of an honest fit differ as well.
        """
        design_PK, offset_P = self._design(question)
        eta_P = np.abs(offset_P + design_PK @ question.beta_K)
        # Those of the curvature, p (1 - p), times a constant that keeps the largest from vanishing.
        weights_P = np.exp(eta_P.min() - eta_P) / (1 + np.exp(-eta_P)) ** 2
        return bool(weights_P.sum() ** 2 / (weights_P**2).sum() < fewest / 2)

    def _design(self, question: Question) -> tuple[Floats, Floats]:
        """Return columns and offset of the regression: ``(P, K)``, ``(P,)``."""
        ones_P = np.ones_like(self._log_odds)
        if len(question.beta_K) == 1:
            return ones_P[:, None], self._log_odds
        return np.column_stack([self._log_odds - question.centre, ones_P]), 0 * ones_P


def recalibrate(
    sums: LogOddsSums, ask: Callable[[Question], LogisticSums], *, level: float = 0.95
) -> Recalibration:
    """Return calibration slope and intercept of all patients (Cox 1958; Van Calster 2019).

    Parameters
    ----------
    sums
        Of all hospitals, added up.
    ask
        Puts a question to every hospital and adds up the answers.

    Raises
    ------
    CohortError
        The fit does not exist: one class only, one probability for everybody, or probabilities that
        separate the classes (Albert & Anderson 1984).
    """
    centre = sums.total / sums.n
    _check_can_tell(sums, centre)

    def fit(n_coefficients: int) -> tuple[Floats, Floats]:
        def asked(beta_K: Floats) -> LogisticSums:
            found = ask(Question(beta_K, centre))
            if found.log_likelihood > -SEPARATED * sums.n:
                msg = f"calibration slope: the probabilities of {sums.n} patients separate the "
                msg += "classes, so it is infinite; report the Brier score and the bins instead"
                raise CohortError(msg)
            return found

        return newton(asked, n_coefficients)

    (slope, _), slope_errors = fit(2)
    (intercept,), intercept_errors = fit(1)
    return Recalibration(
        slope=wald(float(slope), float(slope_errors[0]), level=level),
        intercept=wald(float(intercept), float(intercept_errors[0]), level=level),
    )


def _check_can_tell(sums: LogOddsSums, centre: float) -> None:
    if sums.n_positive in (0, sums.n):
        msg = f"calibration slope: {sums.n_positive} of {sums.n} patients are positive; it needs "
        msg += "both classes"
        raise CohortError(msg)
    # What cancellation leaves of a constant is noise, not variation.
    if sums.square_total / sums.n - centre**2 <= 1e-12 * sums.square_total / sums.n:
        msg = f"calibration slope: all {sums.n} patients have the log odds {centre:g}; there is no "
        msg += "slope through one point"
        raise CohortError(msg)
