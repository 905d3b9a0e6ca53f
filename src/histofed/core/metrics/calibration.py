"""Whether a probability means what it says.

Array suffixes: P patients, G groups of tied probabilities.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from histofed.core.metrics.inputs import check_probabilities
from histofed.core.metrics.intervals import Interval, wilson

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


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
