"""Prediction sets that hold the true class as often as promised.

Split conformal prediction: on patients that neither trained nor are reported (the selection fold),
see how improbable the true class can look; a class that looks no worse is in the set. The promise
holds for new patients like those calibrated on, whatever the model; not for another site's, whose
coverage is therefore reported apart.

Array suffixes: P patients, C classes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from histofed.core.metrics.inputs import (
    check_class_probabilities,
    check_finite,
    check_groups,
    check_within_one,
)
from histofed.core.metrics.intervals import Interval, wilson
from histofed.errors import CohortError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from histofed.core.metrics.inputs import Floats, Mask


@dataclass(frozen=True, slots=True)
class ConformalSets:
    """Which classes cannot be ruled out.

    Attributes
    ----------
    miss
        The promised fraction of patients whose set lacks their class, e.g. 0.1.
    least_C
        A class is in the set at this probability or above; 0 where too few patients were
        calibrated on to rule the class out.
    """

    miss: float
    least_C: Floats

    def of(self, probabilities_PC: ArrayLike) -> Mask:
        """Return ``(P, C)``, True where the class is in the patient's set; a set may be empty.

        Raises
        ------
        CohortError
            Another number of classes, or values that are no probabilities.
        """
        probabilities = np.asarray(probabilities_PC, dtype=np.float64)
        if probabilities.ndim != 2 or probabilities.shape[1] != len(self.least_C):
            msg = f"prediction sets were calibrated for {len(self.least_C)} classes, found "
            msg += f"probabilities of shape {probabilities.shape}"
            raise CohortError(msg)
        check_finite("probability", probabilities)
        check_within_one(probabilities)
        return np.asarray(probabilities >= self.least_C)


@dataclass(frozen=True, slots=True)
class Coverage:
    """How often the sets of a group hold the true class, and how much they say.

    Attributes
    ----------
    covered
        Fraction of the patients, with its Wilson interval.
    mean_size
        Classes per set; 1 says most, the number of classes says nothing.
    """

    group: str
    n_patients: int
    covered: Interval
    mean_size: float


def calibrate_sets(
    labels_P: ArrayLike, probabilities_PC: ArrayLike, *, miss: float = 0.1, by_class: bool = True
) -> ConformalSets:
    """Return sets that miss the true class in at most a fraction ``miss`` of new patients.

    Vovk et al. 2005; the score is one minus the probability of the class (Sadinle et al. 2019).

    Parameters
    ----------
    by_class
        Keep the promise within every class (class-conditional, "Mondrian"), so that a rare class
        is not the one that is always missed; needs more than ``1 / miss - 1`` patients of a class
        to ever rule it out. Otherwise only over all patients.

    Raises
    ------
    CohortError
        As `check_class_probabilities`, or ``miss`` outside (0, 1).
    """
    labels, probabilities = check_class_probabilities(labels_P, probabilities_PC)
    _check_miss("sets", miss)
    of_label = probabilities[np.arange(len(labels)), labels]
    n_classes = probabilities.shape[1]
    if by_class:
        least = [_least(of_label[labels == each], miss) for each in range(n_classes)]
    else:
        least = [_least(of_label, miss)] * n_classes
    return ConformalSets(miss, np.array(least))


def coverage_by_group(
    sets_PC: ArrayLike, labels_P: ArrayLike, groups_P: ArrayLike
) -> list[Coverage]:
    """Return the coverage of each group (site, scanner, class), by the group's name.

    Raises
    ------
    CohortError
        Shapes that do not fit.
    """
    sets, labels = np.asarray(sets_PC, dtype=np.bool_), np.asarray(labels_P)
    if sets.ndim != 2 or labels.shape != sets.shape[:1]:
        msg = f"one set and one label per patient, found shapes {sets.shape} and {labels.shape}"
        raise CohortError(msg)
    groups = check_groups(groups_P, len(labels))
    holds = sets[np.arange(len(labels)), labels]
    return [
        Coverage(
            group=str(group),
            n_patients=int(here.sum()),
            covered=wilson(int(holds[here].sum()), int(here.sum())),
            mean_size=float(sets[here].sum(axis=1).mean()),
        )
        for group, here in ((group, groups == group) for group in np.unique(groups))
    ]


def _least(of_label: Floats, miss: float) -> float:
    """Return the probability that the true class falls below in at most ``miss`` of patients.

    A new patient is equally likely to come anywhere among the n calibrated ones: below the k-th
    smallest with probability at most k / (n + 1).
    """
    # Rounded first: 0.29 * 100 is 28.999999999999996 in floating point.
    k = math.floor(round(miss * (len(of_label) + 1), 9))
    return float(np.sort(of_label)[k - 1]) if k else 0.0


def half_width(labels_P: ArrayLike, predicted_P: ArrayLike, *, miss: float = 0.1) -> float:
    """Return how far a number may lie from its prediction in all but ``miss`` of new patients.

    Split conformal regression with the absolute error (Lei et al. 2018). Infinite where fewer than
    ``1 / miss - 1`` patients were calibrated on: nothing can be promised then.

    Raises
    ------
    CohortError
        Shapes that do not fit, values not finite, or ``miss`` outside (0, 1).
    """
    labels, predicted = (np.asarray(each, dtype=np.float64) for each in (labels_P, predicted_P))
    if labels.ndim != 1 or labels.shape != predicted.shape:
        msg = "conformal interval: one number and one prediction per patient, found shapes "
        msg += f"{labels.shape} and {predicted.shape}"
        raise CohortError(msg)
    _check_miss("interval", miss)
    errors = np.abs(labels - predicted)
    check_finite("error", errors)
    # As in `_least`: a new patient may come anywhere among those calibrated on.
    k = math.ceil(round((1 - miss) * (len(errors) + 1), 9))
    return float(np.sort(errors)[k - 1]) if k <= len(errors) else math.inf


def _check_miss(what: str, miss: float) -> None:
    if not 0 < miss < 1:
        msg = f"conformal {what}: the fraction of misses lies in (0, 1), found {miss:g}"
        raise CohortError(msg)
