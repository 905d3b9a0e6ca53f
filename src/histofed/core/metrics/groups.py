"""Metrics of the patients of one site, scanner or subgroup, and within a confounder.

Array suffixes: P patients, R resamples, S strata.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from histofed.core.metrics.discrimination import auroc
from histofed.core.metrics.inputs import both_classes, check, check_groups
from histofed.core.metrics.ranks import auroc_R
from histofed.core.metrics.resampling import bootstrap, percentile, resamples
from histofed.errors import CohortError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike

    from histofed.core.metrics.inputs import Floats, Labels
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
    pooled
        All patients together, the confounder's share included.
    within
        Pairs of the same stratum only. Well below ``pooled``: the model knows the confounder.
    strata
        AUROC of each stratum; those of one class have no pair and count in ``pooled`` only.
    """

    pooled: Interval
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
    n_resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> StratifiedAuroc:
    """Return the AUROC over pairs of patients that share the confounder (Janes & Pepe 2009).

    Strata count by their number of pairs. Patients are resampled within stratum and class.

    Raises
    ------
    CohortError
        As `auroc`, or no stratum has both classes.
    """
    labels, scores = both_classes(labels_P, probabilities_P)
    groups = check_groups(confounder_P, len(labels))
    strata = by_group(auroc, labels, scores, groups, n_resamples=n_resamples, seed=seed)
    paired = [each for each in strata if each.interval is not None]
    if not paired:
        names = ", ".join(each.group for each in strata[:5])
        msg = f"the confounder decides the label: each of its {len(strata)} values ({names}) has "
        msg += "one class only, so nothing can be compared within it"
        raise CohortError(msg)
    weights_S = np.array([each.n_positive * (each.n_patients - each.n_positive) for each in paired])
    rows_S = [np.flatnonzero(groups == each.group) for each in paired]

    def within(counts_RP: Floats) -> Floats:
        values_SR = [auroc_R(labels[rows], scores[rows], counts_RP[:, rows]) for rows in rows_S]
        return np.asarray(np.average(values_SR, axis=0, weights=weights_S))

    both = np.unique(np.stack([groups, labels.astype(np.str_)]), axis=1, return_inverse=True)[1]
    draws_R = np.concatenate([within(counts) for counts in resamples(both, n_resamples, seed)])
    value = float(within(np.ones((1, len(labels))))[0])
    pooled = bootstrap(auroc, labels, scores, n_resamples=n_resamples, seed=seed, level=level)
    return StratifiedAuroc(pooled, percentile(value, draws_R, level=level), tuple(strata))
