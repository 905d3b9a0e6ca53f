"""One question with two answers: predictions -> numbers.

The AUROC compares patients of one fold only (`histofed.core.evaluation.within_folds` says why).
AUPRC, Brier score and calibration are of all patients in one list: they take each probability at
its word, and decisions are made at the threshold of the patient's own fold.

Suffix: P patients.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from histofed.core.evaluation.base import Compared, Measures, Metric, Resampling, attempt, pooled
from histofed.core.evaluation.decisions import Decision, decided
from histofed.core.evaluation.recalibrated import Calibration, calibration, tempered
from histofed.core.metrics.calibration import brier
from histofed.core.metrics.comparison import delong, delong_paired
from histofed.core.metrics.discrimination import auprc, auroc
from histofed.core.metrics.ranks import auprc_R, auroc_R, brier_R
from histofed.core.metrics.thresholds import decision_curve

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from histofed.core.evaluation.picked import Picked
    from histofed.core.evaluation.rows import Rows
    from histofed.core.metrics.intervals import Interval
    from histofed.core.metrics.thresholds import DecisionCurve

CURVE_AT = np.arange(1, 20) / 20
"""Threshold probabilities of the decision curve that is recorded; its figure has finer ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BinaryDetails:
    """What else is told of an arm.

    Attributes
    ----------
    prevalence
        Fraction of the patients that is positive: the AUPRC of chance.
    delong
        The AUROC with its normal interval, beside the bootstrap's.
    decision
        What is found and missed at a threshold fixed on the selection fold.
    before, after
        Calibration of the probabilities as they are, and cooled or warmed by a temperature fitted
        on the selection fold.
    temperatures
        Fold -> temperature; above 1 the model was too sure of itself.
    net_benefit
        Decision curve of the probabilities as they are.
    reasons
        Why there is none.
    """

    prevalence: float
    delong: Interval | None
    decision: Decision | None
    before: Calibration
    after: Calibration | None
    temperatures: dict[int, float]
    net_benefit: DecisionCurve
    reasons: dict[str, str] = field(default_factory=dict)


class BinaryMeasures(Measures):
    """AUROC, AUPRC, Brier; decisions, calibration, net benefit."""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Ranking by two areas, and the error of the probability."""
        return METRICS

    @property
    def beside(self) -> tuple[Metric, ...]:
        """The AUROC of all pairs, whichever folds the two are of."""
        return BESIDE

    def counts(self, rows: Rows) -> dict[str, int]:
        """Return patients and positive patients."""
        return {"n_patients": len(rows), "n_positive": int(rows.label_P.sum())}

    def in_words(self, counts: dict[str, int]) -> str:
        """Return how many are positive."""
        return f"{counts['n_positive']} positive"

    def rarest(self, counts: dict[str, int]) -> tuple[int, str]:
        """Return the rarer answer."""
        n_positive = counts["n_positive"]
        n_negative = counts["n_patients"] - n_positive
        return min((n_positive, "positive patient"), (n_negative, "negative patient"))

    def strata(self, rows: Rows) -> NDArray[Any]:
        """Return the classes."""
        return rows.label_P

    def compared(self, metric: Metric, rows: Rows, reference: Rows, how: Resampling) -> Compared:
        """Return the difference of two AUROC after DeLong, of other metrics from the bootstrap."""
        if metric.name != "auroc":
            return super().compared(metric, rows, reference, how)
        found = delong_paired(
            rows.label_P, rows.output_P, reference.output_P, within_P=rows.folds_P
        )
        return Compared(found.interval, found.p_value)

    def details(
        self, rows: Rows, picked: Picked | None, how: Resampling, *, sensitivity: float | None
    ) -> BinaryDetails:
        """Return decisions, calibration and net benefit."""
        labels, probabilities = rows.label_P, rows.output_P
        reasons = {}
        interval, reasons["delong"] = attempt(
            lambda: delong(labels, probabilities, within_P=rows.folds_P)
        )
        decision, reasons["decision"] = attempt(
            lambda: decided(rows, picked, how, sensitivity=sensitivity)
        )
        cooled, reasons["after"] = attempt(lambda: tempered(rows, picked))
        return BinaryDetails(
            prevalence=float(labels.mean()),
            delong=interval,
            decision=decision,
            before=calibration(labels, probabilities),
            after=calibration(labels, cooled[0]) if cooled else None,
            temperatures=cooled[1] if cooled else {},
            net_benefit=decision_curve(labels, probabilities, thresholds_T=CURVE_AT),
            reasons={name: reason for name, reason in reasons.items() if reason},
        )


METRICS = (
    Metric(
        "auroc",
        "AUROC",
        "probability that a positive patient is ranked above a negative one of the same fold; 0.5 "
        "is chance",
        lambda rows: auroc(rows.label_P, rows.output_P, within_P=rows.folds_P),
        lambda rows, counts_RP: auroc_R(rows.label_P, rows.output_P, counts_RP, rows.folds_P),
        chance=0.5,
    ),
    Metric(
        "auprc",
        "AUPRC",
        "average precision, of the patients of all folds in one list; chance is the share of "
        "positive patients",
        lambda rows: auprc(rows.label_P, rows.output_P),
        lambda rows, counts_RP: auprc_R(rows.label_P, rows.output_P, counts_RP),
    ),
    Metric(
        "brier",
        "Brier",
        "mean squared error of the probability; lower is better",
        lambda rows: brier(rows.label_P, rows.output_P),
        lambda rows, counts_RP: brier_R(rows.label_P, rows.output_P, counts_RP),
    ),
)

BESIDE = (pooled(METRICS[0]),)
