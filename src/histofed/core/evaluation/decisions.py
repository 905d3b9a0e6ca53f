"""Who is called positive at a threshold that was fixed before: per fold, on its selection patients.

Suffix: P patients.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from histofed.core.evaluation.base import Metric, Resampling, interval
from histofed.core.evaluation.picked import by_fold
from histofed.core.metrics.inputs import both_classes
from histofed.core.metrics.thresholds import (
    balanced_accuracy,
    operating_point,
    threshold_at_sensitivity,
    threshold_of_best_balance,
)

if TYPE_CHECKING:
    from histofed.core.evaluation.picked import Picked
    from histofed.core.evaluation.rows import Rows
    from histofed.core.metrics.inputs import Floats, Labels, Mask
    from histofed.core.metrics.intervals import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What calling patients positive finds and misses; a fraction of nobody is None.

    Attributes
    ----------
    rule
        How the threshold was chosen.
    thresholds
        Fold -> threshold; a patient is called by that of the fold that held the patient out.
    true_positive, false_positive, true_negative, false_negative
        Patients, over all folds.
    balanced_accuracy
        Mean of sensitivity and specificity, with its bootstrap interval; the other intervals are
        Wilson's.
    tests_saved
        Fraction of the patients that a pre-screening spares the confirmatory test.
    """

    rule: str
    thresholds: dict[int, float]
    true_positive: int
    false_positive: int
    true_negative: int
    false_negative: int
    sensitivity: Interval | None
    specificity: Interval | None
    ppv: Interval | None
    npv: Interval | None
    balanced_accuracy: Interval
    tests_saved: float


def decided(
    rows: Rows, picked: Picked | None, how: Resampling, *, sensitivity: float | None
) -> Decision:
    """Call every patient at the threshold of its fold.

    Parameters
    ----------
    sensitivity
        That the threshold reaches among the selection patients, for a pre-screening; None takes
        the threshold of best balanced accuracy there.

    Raises
    ------
    CohortError
        As `by_fold`; or the tested patients are of one class.
    """

    def fix(here: Rows) -> tuple[float]:
        labels, scores = here.label_P, here.output_P
        if sensitivity is None:
            return (threshold_of_best_balance(labels, scores),)
        return (threshold_at_sensitivity(labels, scores, sensitivity=sensitivity),)

    both_classes(rows.label_P, rows.output_P)
    fixed = by_fold(rows, picked, fix, what="threshold")
    thresholds = {fold: value for fold, (value,) in fixed.items()}
    # The difference of two floating-point numbers has the right sign: called is called.
    above_P = rows.output_P - np.array([thresholds[fold] for fold in rows.folds_P.tolist()])

    metric = Metric(
        "balanced_accuracy",
        "balanced accuracy",
        "mean of sensitivity and specificity",
        lambda _: balanced_accuracy(rows.label_P, above_P, threshold=0.0),
        lambda _, counts_RP: _balanced_R(rows.label_P, above_P >= 0, counts_RP),
    )
    point = operating_point(rows.label_P, above_P, threshold=0.0)
    rule = "best balance of sensitivity and specificity"
    if sensitivity is not None:
        rule = f"sensitivity of at least {sensitivity:g}"
    return Decision(
        rule=f"{rule} among the selection patients of each fold",
        thresholds=thresholds,
        true_positive=point.true_positive,
        false_positive=point.false_positive,
        true_negative=point.true_negative,
        false_negative=point.false_negative,
        sensitivity=point.sensitivity,
        specificity=point.specificity,
        ppv=point.ppv,
        npv=point.npv,
        balanced_accuracy=interval(metric, [rows], rows.label_P, how),
        tests_saved=point.tests_saved,
    )


def _balanced_R(labels: Labels, called_P: Mask, counts_RP: Floats) -> Floats:
    """Return the balanced accuracy of each resample."""
    right_P = called_P == (labels == 1)
    rates_2R = [
        counts_RP[:, members] @ right_P[members] / counts_RP[:, members].sum(axis=1)
        for members in (labels == 0, labels == 1)
    ]
    return np.asarray(np.mean(rates_2R, axis=0))
