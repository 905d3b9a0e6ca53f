"""Whether probabilities hold, before and after a temperature fitted on the selection patients.

Suffixes: P patients.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from histofed.core.evaluation.base import attempt
from histofed.core.evaluation.picked import by_fold
from histofed.core.metrics.calibration import brier, ece
from histofed.core.metrics.recalibration import CLOSEST_TO_CERTAIN, recalibration, temperature

if TYPE_CHECKING:
    from histofed.core.evaluation.picked import Picked
    from histofed.core.evaluation.rows import Rows
    from histofed.core.metrics.inputs import Floats, Labels
    from histofed.core.metrics.intervals import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """How far probabilities can be taken at their word.

    Attributes
    ----------
    brier, ece
        Mean squared error; mean distance of predicted and observed fraction in bins of equal mass.
    slope, intercept
        1 and 0 are right (`histofed.core.metrics.recalibration`); None where no fit exists.
    reason
        Why there is none.
    """

    brier: float
    ece: float
    slope: Interval | None
    intercept: Interval | None
    reason: str


def calibration(labels_P: Labels, probabilities_P: Floats) -> Calibration:
    """Return how well probabilities are calibrated."""
    found, reason = attempt(lambda: recalibration(labels_P, probabilities_P))
    return Calibration(
        brier=brier(labels_P, probabilities_P),
        ece=ece(labels_P, probabilities_P),
        slope=found.slope if found else None,
        intercept=found.intercept if found else None,
        reason=reason,
    )


def tempered(rows: Rows, picked: Picked | None) -> tuple[Floats, dict[int, float]]:
    """Return probabilities at the temperature of each patient's fold, and fold -> temperature.

    The logit is divided by the temperature (Guo et al. 2017); no patient of a fold passes another.

    Raises
    ------
    CohortError
        As `by_fold`: in some fold no temperature is best.
    """

    def fix(here: Rows) -> tuple[float]:
        logits = _logit(here.output_P)
        return (temperature(here.label_P, np.stack([np.zeros_like(logits), logits], axis=1)),)

    fixed = by_fold(rows, picked, fix, what="temperature")
    temperatures = {fold: value for fold, (value,) in fixed.items()}
    of_patient = np.array([temperatures[fold] for fold in rows.folds_P.tolist()])
    return 1 / (1 + np.exp(-_logit(rows.output_P) / of_patient)), temperatures


def _logit(probabilities_P: Floats) -> Floats:
    uncertain = np.clip(probabilities_P, CLOSEST_TO_CERTAIN, 1 - CLOSEST_TO_CERTAIN)
    return np.asarray(np.log(uncertain) - np.log1p(-uncertain))
