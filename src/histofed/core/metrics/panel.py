"""Many binary questions of the same patients, e.g. a mutation panel, with answers missing.

Array suffixes: P patients, Q questions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from histofed.core.metrics.comparison import benjamini_hochberg, rank_sum_p
from histofed.core.metrics.inputs import check, check_groups
from histofed.core.metrics.resampling import bootstrap_auroc
from histofed.errors import CohortError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from histofed.core.metrics.intervals import Interval


@dataclass(frozen=True, slots=True)
class Question:
    """One question's AUROC over the patients whose answer is known.

    Attributes
    ----------
    n_patients, n_positive
        Of those with an answer.
    auroc, p_value, adjusted
        With bootstrap interval; one-sided of 0.5 (Mann & Whitney 1947); and adjusted for the
        number of questions (Benjamini & Hochberg 1995). None where nobody can be compared.
    reason
        Why there is none.
    """

    name: str
    n_patients: int
    n_positive: int
    auroc: Interval | None
    p_value: float | None
    adjusted: float | None
    reason: str = ""


def panel_auroc(
    labels_PQ: ArrayLike,
    probabilities_PQ: ArrayLike,
    names: Sequence[str],
    *,
    within_P: ArrayLike | None = None,
    n_resamples: int = 2000,
    seed: int = 0,
) -> list[Question]:
    """Return every question's AUROC, in the order of ``names``.

    Parameters
    ----------
    labels_PQ
        0, 1, or NaN where not known: such a patient is left out of this question only, for a gene
        that was not sequenced is not a gene without mutation.
    within_P
        As of `auroc`.

    Raises
    ------
    CohortError
        Shapes that do not fit, labels other than 0, 1 and NaN, a question that nobody answers, or
        values not finite: the question is named.
    """
    labels = np.asarray(labels_PQ, dtype=np.float64)
    probabilities = np.asarray(probabilities_PQ, dtype=np.float64)
    if labels.ndim != 2 or labels.shape != probabilities.shape or labels.shape[1] != len(names):
        msg = f"panel: labels {labels.shape}, probabilities {probabilities.shape} and {len(names)} "
        msg += "names; give a row per patient and a column per question"
        raise CohortError(msg)
    folds = check_groups(np.zeros(len(labels)) if within_P is None else within_P, len(labels))
    found = []
    for name, label_P, probability_P in zip(names, labels.T, probabilities.T, strict=True):
        known = ~np.isnan(label_P)
        try:
            answers, scores = check(label_P[known], probability_P[known])
        except CohortError as error:
            msg = f"{name}: {error}"
            raise CohortError(msg) from error
        here = folds[known]
        interval = p_value = None
        try:
            p_value = rank_sum_p(answers, scores, within_P=here)
            interval = bootstrap_auroc(
                answers, scores, within_P=here, n_resamples=n_resamples, seed=seed
            )
            reason = ""
        except CohortError as error:
            reason = str(error)
        found.append((name, len(answers), int(answers.sum()), interval, p_value, reason))
    p_values = [p_value for *_, p_value, _ in found if p_value is not None]
    adjusted = iter(benjamini_hochberg(p_values).tolist() if p_values else [])
    return [
        Question(name, n, n_positive, interval, p, None if p is None else next(adjusted), reason)
        for name, n, n_positive, interval, p, reason in found
    ]
