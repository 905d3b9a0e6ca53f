"""What a hospital says of the models on its own patients, and what all hospitals say together.

A hospital sends its metrics with intervals, computed by itself, and counts and sums that add up; no
patient's row, and nothing of fewer patients than it allows. Together they give, for every question
that is answered with a probability, the AUROC with bounds on the error of binning, reliability,
Brier score, calibration slope and intercept of all patients. Of survival and of numbers nothing is
added up yet; each hospital's own metrics are there.

Array suffixes: P patients.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import TYPE_CHECKING

import numpy as np

from histofed.core.evaluation import measures_of
from histofed.core.evaluation.base import attempt
from histofed.core.tasks import BinaryTask, MulticlassTask, MultilabelTask
from histofed.errors import CohortError, FederationError
from histofed.federation.calibration import (
    CalibrationSite,
    LogOddsSums,
    Reliability,
    recalibrate,
)
from histofed.federation.score_histograms import SiteScores, auroc_within, binned_auroc

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from histofed.core.evaluation.base import Resampling
    from histofed.core.evaluation.rows import Rows
    from histofed.core.metrics.calibration import CalibrationBin
    from histofed.core.metrics.inputs import Floats, Labels
    from histofed.core.metrics.intervals import Interval
    from histofed.core.metrics.recalibration import LogisticSums, Recalibration
    from histofed.core.tasks import Task
    from histofed.federation.calibration import Question
    from histofed.federation.score_histograms import BinnedAuroc, ScoreHistogram

    Ask = Callable[[str, Question], LogisticSums]
    """Puts a calibration question about an output to every hospital, and adds up the answers."""


MOST_QUESTIONS = 60
"""About the calibration of one output. A fit takes about ten; a hospital answers no more, since
enough of them would tell single patients.
"""


@dataclass(frozen=True, eq=False)
class OutputSums:
    """What one hospital's patients add up to of one probability that the models give.

    Attributes
    ----------
    scores
        How they are ordered.
    squares
        Sum of squared distances of probability and label.
    log_odds
        What calibration starts from.
    """

    scores: SiteScores
    squares: float
    log_odds: LogOddsSums

    @classmethod
    def of(
        cls, labels_P: Labels, probabilities_P: Floats, folds_P: Labels, *, fewest: int
    ) -> OutputSums:
        """Add up the patients of one hospital."""
        return cls(
            scores=SiteScores.of(labels_P, probabilities_P, folds_P, fewest=fewest),
            squares=float(((probabilities_P - labels_P) ** 2).sum()),
            log_odds=CalibrationSite(labels_P, probabilities_P).sums(),
        )


@dataclass(frozen=True, eq=False)
class SiteMetrics:
    """What leaves one hospital.

    Attributes
    ----------
    counts, numbers
        As of `histofed.core.evaluation.base.Result`: of its patients, with bootstrap intervals.
    outputs
        Name of a probability -> what adds up.
    """

    counts: Mapping[str, int]
    numbers: Mapping[str, Interval | None]
    outputs: Mapping[str, OutputSums]

    @classmethod
    def of(cls, task: Task, rows: Rows, how: Resampling, *, fewest: int) -> SiteMetrics:
        """Compute them at the hospital.

        Parameters
        ----------
        rows
            Its tested patients.
        fewest
            Patients below which nothing leaves, of a count as of the whole.

        Raises
        ------
        FederationError
            They are fewer; the number is not in the message.
        """
        if len(rows) < fewest:
            msg = f"fewer than {fewest} tested patients (min_patients), so its numbers stay there"
            raise FederationError(msg)
        result = measures_of(task).result(rows, how)
        return cls(result.counts, result.numbers, sums_of(task, rows, fewest=fewest))


@dataclass(frozen=True, kw_only=True)
class Together:
    """What all hospitals say of one probability.

    Attributes
    ----------
    n_patients, n_positive, n_binned
        All of them, and how many are in the bins; hospitals keep counts of few patients.
    auroc
        Of pairs of patients of one fold; what binning leaves open is between its two ends.
    auroc_within_sites
        Of such pairs of one hospital; exact.
    brier, ece
        Mean squared error; distance of predicted and observed fraction over ``bins``.
    slope, intercept
        As of `histofed.core.metrics.recalibration`.
    reasons
        Number -> why there is none.
    """

    n_patients: int
    n_positive: int
    n_binned: int
    auroc: BinnedAuroc | None
    auroc_within_sites: float | None
    brier: float
    ece: float | None
    slope: Interval | None
    intercept: Interval | None
    bins: Sequence[CalibrationBin]
    reasons: dict[str, str] = field(default_factory=dict)


def together(sites: Sequence[Mapping[str, OutputSums]], ask: Ask) -> dict[str, Together]:
    """Add up what the hospitals sent, output by output.

    Parameters
    ----------
    ask
        Asks the hospitals that sent something of the output.
    """
    names = sorted({name for site in sites for name in site})
    return {
        name: _together(name, [site[name] for site in sites if name in site], ask) for name in names
    }


def sums_of(task: Task, rows: Rows, *, fewest: int) -> dict[str, OutputSums]:
    """Return what one hospital's patients add up to; nothing of a question that few answer."""
    return {
        name: OutputSums.of(*each, fewest=fewest)
        for name, each in probabilities_in(task, rows).items()
        if len(each[0]) >= max(1, fewest)
    }


def calibration_site(task: Task, rows: Rows, output: str) -> CalibrationSite:
    """Return the side of a hospital that answers calibration questions about an output.

    Raises
    ------
    FederationError
        The task has no such probability.
    """
    found = probabilities_in(task, rows)
    if output not in found:
        msg = f"task {task.name} has no probability {output!r}; it has {', '.join(found) or 'none'}"
        raise FederationError(msg)
    labels_P, probabilities_P, _ = found[output]
    return CalibrationSite(labels_P, probabilities_P)


def probabilities_in(task: Task, rows: Rows) -> dict[str, tuple[Labels, Floats, Labels]]:
    """Return of every probability that a task's models give: label, probability and fold, ``(P,)``.

    A class is asked for against all others; a question of a panel of those whose answer is known.
    """
    if not isinstance(task, BinaryTask | MulticlassTask | MultilabelTask):
        return {}
    found = {}
    for number, name in enumerate(task.output_names):
        if isinstance(task, MultilabelTask):
            labels_P = rows.labels_PK[:, number]
        elif isinstance(task, MulticlassTask):
            labels_P = (rows.label_P == number).astype(np.float64)
        else:
            labels_P = rows.labels_PK[:, 0]
        known_P = ~np.isnan(labels_P)
        found[name] = (
            labels_P[known_P].astype(np.int64),
            rows.outputs_PV[known_P, number],
            rows.folds_P[known_P],
        )
    return found


def _together(name: str, sums: Sequence[OutputSums], ask: Ask) -> Together:
    scores = [each.scores for each in sums]
    log_odds = reduce(add, (each.log_odds for each in sums))
    histograms = [found for each in scores for _, found in sorted(each.folds.items())]
    reasons = {}
    area, reasons["auroc"] = attempt(lambda: binned_auroc(scores))
    within, reasons["auroc_within_sites"] = attempt(lambda: auroc_within(scores))
    straight, reasons["slope"] = attempt(lambda: _recalibrate(log_odds, name, ask))
    reliability, reasons["ece"] = attempt(lambda: _reliability(histograms))
    return Together(
        n_patients=log_odds.n,
        n_positive=log_odds.n_positive,
        n_binned=sum(int(each.n_B.sum()) for each in histograms),
        auroc=area,
        auroc_within_sites=within,
        brier=sum(each.squares for each in sums) / log_odds.n,
        ece=reliability.ece() if reliability else None,
        slope=straight.slope if straight else None,
        intercept=straight.intercept if straight else None,
        bins=reliability.bins() if reliability else (),
        reasons={each: reason for each, reason in reasons.items() if reason},
    )


def _recalibrate(log_odds: LogOddsSums, name: str, ask: Ask) -> Recalibration:
    n_asked = 0

    def counted(question: Question) -> LogisticSums:
        nonlocal n_asked
        n_asked += 1
        if n_asked > MOST_QUESTIONS:
            msg = f"calibration slope: not found within {MOST_QUESTIONS} questions to the hospitals"
            raise CohortError(msg)
        return ask(name, question)

    try:
        return recalibrate(log_odds, counted)
    except np.linalg.LinAlgError as error:
        msg = "calibration slope: the answers of the hospitals fit no line"
        raise CohortError(msg) from error


def _reliability(histograms: Sequence[ScoreHistogram]) -> Reliability:
    if not histograms:
        msg = "in no fold has a hospital as many patients as it counts together; use fewer folds"
        raise CohortError(msg)
    return Reliability.of(histograms)
