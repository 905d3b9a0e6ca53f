"""Many binary questions, some not answered: predictions -> numbers.

Array suffixes: P patients, R resamples, Q questions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from histofed.core.evaluation.base import Measures, Metric, Resampling
from histofed.core.metrics.discrimination import auprc, auroc
from histofed.core.metrics.panel import Question, panel_auroc
from histofed.core.metrics.ranks import auprc_R, auroc_R
from histofed.core.words import counted
from histofed.errors import CohortError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from histofed.core.evaluation.picked import Picked
    from histofed.core.evaluation.rows import Rows
    from histofed.core.metrics.inputs import Floats, Labels, Mask


@dataclass(frozen=True, slots=True, kw_only=True)
class MultilabelDetails:
    """What else is told of an arm: every question, in the order of the task."""

    questions: tuple[Question, ...]


@dataclass(frozen=True)
class MultilabelMeasures(Measures):
    """The mean over questions; each question with its p-value adjusted for their number."""

    questions: tuple[str, ...]

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The mean over questions of two areas."""
        return METRICS

    def counts(self, rows: Rows) -> dict[str, int]:
        """Return patients, and how many answers they have between them."""
        known = ~np.isnan(rows.labels_PK)
        return {
            "n_patients": len(rows),
            "n_answers": int(known.sum()),
            "n_positive_answers": int((rows.labels_PK == 1).sum()),
        }

    def in_words(self, counts: dict[str, int]) -> str:
        """Return how many answers are known, and how many of them are yes."""
        return f"{counts['n_answers']} answers, {counts['n_positive_answers']} positive"

    def details(
        self, rows: Rows, picked: Picked | None, how: Resampling, *, sensitivity: float | None
    ) -> MultilabelDetails:
        """Return every question; one that nobody answers counts nobody."""
        asked: Mask = np.asarray(~np.isnan(rows.labels_PK).all(axis=0))
        names = [name for name, has in zip(self.questions, asked, strict=True) if has]
        found = {
            each.name: each
            for each in panel_auroc(
                rows.labels_PK[:, asked],
                rows.outputs_PV[:, asked],
                names,
                n_resamples=how.n_resamples,
                seed=how.seed,
            )
        }
        nobody = (0, 0, None, None, None)
        return MultilabelDetails(
            questions=tuple(found.get(name) or Question(name, *nobody) for name in self.questions)
        )


def over_questions(of: Callable[[Labels, Floats], float]) -> Callable[[Rows], float]:
    """Return the mean of a metric over the questions that have both answers.

    Raises
    ------
    CohortError
        Of the function returned: no question has both answers.
    """

    def mean(rows: Rows) -> float:
        values = [of(labels, scores) for labels, scores, _ in _answered(rows)]
        if not values:
            msg = f"panel: none of its {rows.labels_PK.shape[1]} questions has both answers among "
            msg += f"{counted(len(rows), 'patient')}; join the group with another"
            raise CohortError(msg)
        return float(np.mean(values))

    return mean


def over_questions_R(
    of_R: Callable[[Labels, Floats, Floats], Floats],
) -> Callable[[Rows, Floats], Floats]:
    """Return the same of each resample; one that lost an answer of a question leaves it out."""

    def mean_R(rows: Rows, counts_RP: Floats) -> Floats:
        total, n_defined = np.zeros(len(counts_RP)), np.zeros(len(counts_RP))
        for labels, scores, known in _answered(rows):
            counts = counts_RP[:, known]
            n_positive, n_known = counts @ labels, counts.sum(axis=1)
            both = (n_positive > 0) & (n_positive < n_known)
            total[both] += of_R(labels, scores, counts[both])
            n_defined += both
        return np.divide(total, n_defined, out=np.full_like(total, np.nan), where=n_defined > 0)

    return mean_R


def _answered(rows: Rows) -> Iterator[tuple[Labels, Floats, Mask]]:
    """Yield answers and scores of each question with both answers, and who answered it."""
    for label_P, score_P in zip(rows.labels_PK.T, rows.outputs_PV.T, strict=True):
        known = ~np.isnan(label_P)
        labels = label_P[known].astype(np.int64)
        if 0 < labels.sum() < len(labels):
            yield labels, score_P[known], known


METRICS = (
    Metric(
        "mean_auroc",
        "mean AUROC",
        "mean over questions of the probability that a positive patient is ranked above a negative "
        "one; 0.5 is chance",
        over_questions(auroc),
        over_questions_R(auroc_R),
        chance=0.5,
    ),
    Metric(
        "mean_auprc",
        "mean AUPRC",
        "mean over questions of the average precision; chance is the mean share of positives",
        over_questions(auprc),
        over_questions_R(auprc_R),
    ),
)
