"""Many binary questions, some not answered: predictions -> numbers.

The AUROC of a question compares patients of one fold only, and here it matters most: folds are
balanced in one label, so not in each question (`histofed.core.evaluation.within_folds`).

Array suffixes: P patients, R resamples, Q questions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from histofed.core.evaluation.base import Measures, Metric, Resampling, attempt, pooled
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

    @property
    def beside(self) -> tuple[Metric, ...]:
        """The mean AUROC of all pairs, whichever folds the two are of."""
        return BESIDE

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
                within_P=rows.folds_P,
                n_resamples=how.n_resamples,
                seed=how.seed,
            )
        }
        nobody = Question(
            name="", n_patients=0, n_positive=0, auroc=None, p_value=None, adjusted=None,
            reason="nobody has an answer",
        )  # fmt: skip
        return MultilabelDetails(
            questions=tuple(
                found.get(name) or replace(nobody, name=name) for name in self.questions
            )
        )


def over_questions(of: Callable[[Labels, Floats, Labels], float]) -> Callable[[Rows], float]:
    """Return the mean over questions of a metric of answers, scores and folds.

    Questions that cannot be told are left out.

    Raises
    ------
    CohortError
        Of the function returned: no question can be told; the reason is that of the first.
    """

    def mean(rows: Rows) -> float:
        answered = list(_answered(rows))
        if not answered:
            msg = f"panel: none of its {rows.labels_PK.shape[1]} questions has both answers among "
            msg += f"{counted(len(rows), 'patient')}; join the group with another"
            raise CohortError(msg)
        found = [
            attempt(lambda each=each: of(each.labels, each.scores, each.folds))  # type: ignore[misc]
            for each in answered
        ]
        values = [value for value, _ in found if value is not None]
        if not values:
            raise CohortError(found[0][1])
        return float(np.mean(values))

    return mean


def over_questions_R(
    of_R: Callable[[Labels, Floats, Floats, Labels], Floats],
) -> Callable[[Rows, Floats], Floats]:
    """Return the same of each resample; one that cannot tell a question leaves it out."""

    def mean_R(rows: Rows, counts_RP: Floats) -> Floats:
        total, n_defined = np.zeros(len(counts_RP)), np.zeros(len(counts_RP))
        for each in _answered(rows):
            counts = counts_RP[:, each.known]
            n_positive, n_known = counts @ each.labels, counts.sum(axis=1)
            both = (n_positive > 0) & (n_positive < n_known)
            found = np.full(len(counts), np.nan)
            found[both] = of_R(each.labels, each.scores, counts[both], each.folds)
            told = np.isfinite(found)
            total[told] += found[told]
            n_defined += told
        return np.divide(total, n_defined, out=np.full_like(total, np.nan), where=n_defined > 0)

    return mean_R


class _Answers(NamedTuple):
    """One question: answers, scores and folds of those who answered, and who they are."""

    labels: Labels
    scores: Floats
    folds: Labels
    known: Mask


def _answered(rows: Rows) -> Iterator[_Answers]:
    """Yield each question with both answers."""
    for label_P, score_P in zip(rows.labels_PK.T, rows.outputs_PV.T, strict=True):
        known = ~np.isnan(label_P)
        labels = label_P[known].astype(np.int64)
        if 0 < labels.sum() < len(labels):
            yield _Answers(labels, score_P[known], rows.folds_P[known], known)


METRICS = (
    Metric(
        "mean_auroc",
        "mean AUROC",
        "mean over questions of the probability that a positive patient is ranked above a negative "
        "one of the same fold; 0.5 is chance",
        over_questions(lambda labels, scores, folds: auroc(labels, scores, within_P=folds)),
        over_questions_R(auroc_R),
        chance=0.5,
    ),
    Metric(
        "mean_auprc",
        "mean AUPRC",
        "mean over questions of the average precision, of the patients of all folds in one list; "
        "chance is the mean share of positives",
        over_questions(lambda labels, scores, _: auprc(labels, scores)),
        over_questions_R(lambda labels, scores, counts_RP, _: auprc_R(labels, scores, counts_RP)),
    ),
)

BESIDE = (pooled(METRICS[0]),)
