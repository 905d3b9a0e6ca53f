"""One way of training: its numbers at each site and in each group, and against another way.

Suffix: P patients.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from histofed.core.evaluation.base import Result, attempt
from histofed.core.metrics.comparison import PermutationTest, permuted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from histofed.core.evaluation.base import Compared, Measures, Resampling
    from histofed.core.evaluation.rows import Rows
    from histofed.core.evaluation.trust import Trust
    from histofed.core.metrics.groups import StratifiedAuroc


@dataclass(frozen=True, slots=True, kw_only=True)
class Against:
    """An arm less another on the same patients.

    Attributes
    ----------
    reference
        The other arm.
    numbers
        Metric -> difference; None, with the reason, where there is none.
    """

    reference: str
    numbers: dict[str, Compared | None]
    reasons: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmEvaluation:
    """Everything that is told of one arm.

    Attributes
    ----------
    rows
        Its predictions of held-out patients.
    result, details
        Of all of them.
    sites
        Site -> numbers of its patients.
    groups
        Column of the cohort table -> value -> numbers of its patients.
    trust
        How far to trust it.
    against
        The first arm; None for that one itself.
    confounder
        AUROC within the values of a named column; None where it was not asked or, with the reason,
        cannot be told.
    permutation
        The first metric beside labels that mean nothing; None in the same way.
    """

    arm: str
    rows: Rows
    result: Result
    details: Any
    sites: dict[str, Result]
    groups: dict[str, dict[str, Result]] = field(default_factory=dict)
    trust: Trust
    against: Against | None = None
    confounder: StratifiedAuroc | None = None
    confounder_reason: str = ""
    permutation: PermutationTest | None = None
    permutation_reason: str = ""


def by_value(
    measures: Measures, rows: Rows, values_P: NDArray[np.str_], how: Resampling
) -> dict[str, Result]:
    """Return the numbers of the patients of each value, by its name."""
    return {
        str(value): measures.result(rows.take(values_P == value), how)
        for value in np.unique(values_P)
    }


def against(
    measures: Measures, rows: Rows, reference: Rows, how: Resampling, *, name: str
) -> Against:
    """Return every metric of an arm less that of the reference arm on the same patients."""
    numbers: dict[str, Compared | None] = {}
    reasons = {}
    for metric in measures.metrics:
        numbers[metric.name], reason = attempt(
            lambda metric=metric: measures.compared(metric, rows, reference, how)  # type: ignore[misc]
        )
        if reason:
            reasons[metric.name] = reason
    return Against(reference=name, numbers=numbers, reasons=reasons)


def against_chance(
    measures: Measures, rows: Rows, *, n_permutations: int, seed: int
) -> tuple[PermutationTest | None, str]:
    """Return the first metric beside labels shuffled within each site, or why it cannot be told.

    Within the site: a model that only tells sites apart is then no better than chance.
    """
    metric = measures.metrics[0]

    def of(order: NDArray[np.int64]) -> float:
        return metric.of(replace(rows, labels_PK=rows.labels_PK[order]))

    return attempt(lambda: permuted(of, rows.sites_P, n_permutations=n_permutations, seed=seed))
