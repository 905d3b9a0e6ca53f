"""Metrics of the patients of one site, scanner or subgroup, and within a confounder.

Array suffix: P patients.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from histofed.core.metrics.inputs import both_classes, check, check_groups
from histofed.core.metrics.ranks import parts
from histofed.core.metrics.resampling import bootstrap, bootstrap_auroc
from histofed.errors import CohortError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    from histofed.core.metrics.inputs import Floats, Labels, Mask
    from histofed.core.metrics.intervals import Interval


@dataclass(frozen=True, slots=True)
class GroupResult:
    """A metric of one group; ``interval`` is None where the group has one class only."""

    group: str
    n_patients: int
    n_positive: int
    interval: Interval | None


@dataclass(frozen=True, slots=True)
class StratifiedAuroc:
    """How well patients are ordered among those with the same value of a confounder.

    Attributes
    ----------
    crude
        All patients together, the confounder's share included.
    within
        Pairs of the same stratum only. Well below ``crude``: the model knows the confounder.
    strata
        AUROC of each stratum; those of one class have no pair and count in ``crude`` only.
    """

    crude: Interval
    within: Interval
    strata: tuple[GroupResult, ...]


def by_group(
    metric: Callable[[Labels, Floats], float],
    labels_P: ArrayLike,
    probabilities_P: ArrayLike,
    groups_P: ArrayLike,
    *,
    n_resamples: int = 2000,
    seed: int = 0,
) -> list[GroupResult]:
    """Return the metric of each group with its bootstrap interval, by the group's name.

    Raises
    ------
    CohortError
        As `check`, or another number of groups than patients.
    """
    labels, scores = check(labels_P, probabilities_P)
    groups = check_groups(groups_P, len(labels))
    results = []
    for group in np.unique(groups):
        here = groups == group
        n_positive = int(labels[here].sum())
        interval = None
        if 0 < n_positive < here.sum():
            interval = bootstrap(
                metric, labels[here], scores[here], n_resamples=n_resamples, seed=seed
            )
        results.append(GroupResult(str(group), int(here.sum()), n_positive, interval))
    return results


def stratified_auroc(
    labels_P: ArrayLike,
    probabilities_P: ArrayLike,
    confounder_P: ArrayLike,
    *,
    within_P: ArrayLike | None = None,
    n_resamples: int = 2000,
    seed: int = 0,
) -> StratifiedAuroc:
    """Return the AUROC over pairs of patients that share the confounder (Janes & Pepe 2009).

    Strata count by their number of pairs. Patients are resampled within stratum and class.

    Parameters
    ----------
    within_P
        As of `auroc`: of all these, only pairs of the same value count, e.g. of one fold.

    Raises
    ------
    CohortError
        As `auroc`, or no stratum has both classes.
    """
    labels, scores = both_classes(labels_P, probabilities_P)
    groups = check_groups(confounder_P, len(labels))
    folds = check_groups(np.zeros(len(labels)) if within_P is None else within_P, len(labels))

    def area(rows: Mask, **how: Any) -> Interval:
        return bootstrap_auroc(
            labels[rows], scores[rows], n_resamples=n_resamples, seed=seed, **how
        )

    strata = []
    for group in np.unique(groups):
        here = groups == group
        n_positive = int(labels[here].sum())
        found = area(here, within_P=folds[here]) if _has_pair(labels[here], folds[here]) else None
        strata.append(GroupResult(str(group), int(here.sum()), n_positive, found))
    if all(each.interval is None for each in strata):
        names = ", ".join(each.group for each in strata[:5])
        msg = f"the confounder decides the label: each of its {len(strata)} values ({names}) has "
        msg += "one class only, so nothing can be compared within it"
        raise CohortError(msg)
    everybody = np.ones(len(labels), dtype=np.bool_)
    within = area(
        everybody,
        within_P=_together(groups, folds),
        strata_P=_together(groups, labels.astype(np.str_)),
    )
    return StratifiedAuroc(area(everybody, within_P=folds), within, tuple(strata))


def _has_pair(labels: Labels, folds_P: NDArray[np.str_]) -> bool:
    return any(0 < labels[rows].sum() < len(rows) for rows in parts(folds_P, len(labels)))


def _together(one_P: NDArray[np.str_], other_P: NDArray[np.str_]) -> NDArray[np.int64]:
    """Return a number for each pair of values."""
    return np.unique(np.stack([one_P, other_P]), axis=1, return_inverse=True)[1].ravel()
