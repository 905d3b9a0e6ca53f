"""Patients of one fold are compared with one another; and who should have the event first.

Every fold has its own model. The risks of two Cox models have no common scale, and those of two
discrete-time models share one only as far as both are calibrated. Probabilities have one, but not
one intercept: a model has seen less of what the fold that it is tested on has more of, so its
answers there are lower, and where folds differ in what they hold, all patients in one list are
ranked worse than each model ranks its own: below chance where there is nothing to find (Parker,
Günter & Bedo 2007, BMC Bioinformatics 8:326; Forman & Scholz 2010, SIGKDD Explorations 12(1):49-57,
who advise the mean over folds for the AUC). So whatever ranks patients, of any kind of task,
compares those of one fold only, and each fold counts by its number of comparable pairs. With one
fold these are the usual statistics.

For survival this is done here, for all resamples at once; for classes and numbers by the
``within_P`` of `histofed.core.metrics.discrimination` and `histofed.core.metrics.regression`.

Array suffixes: P patients, R resamples, F patients of one fold, T times.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from histofed.core.cohort import some
from histofed.core.survival.times import check_risks, check_times
from histofed.errors import CohortError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from histofed.core.evaluation.rows import Rows
    from histofed.core.metrics.inputs import Floats, Labels, Mask


@dataclass(frozen=True, slots=True, eq=False)
class Followed:
    """Checked times, events and risks of some patients.

    Attributes
    ----------
    times_P, events_P, risks_P, folds_P
        A row per patient.
    """

    times_P: Floats
    events_P: Mask
    risks_P: Floats
    folds_P: Labels

    @classmethod
    def of(cls, rows: Rows) -> Followed:
        """Return the rows of a survival task.

        Raises
        ------
        CohortError
            As `check_times` and `check_risks`; the patients are named.
        """
        try:
            times, events = check_times(rows.labels_PK[:, 0], rows.labels_PK[:, 1])
            risks = check_risks(rows.output_P, len(rows))
        except CohortError as error:
            msg = f"patients {some(rows.patients_P.tolist())}: {error}"
            raise CohortError(msg) from error
        return cls(times, events, risks, rows.folds_P)

    def pairs(self) -> Iterator[tuple[Labels, Mask, Floats]]:
        """Yield of each fold its rows; who outlived whose event; and whether the risks agree.

        In the row of a patient with an event are those who outlived it: 1 where their risk was
        lower, one half where it was equal. Of equal times, only a censoring outlives an event.
        """
        for fold in np.unique(self.folds_P):
            rows: Labels = np.flatnonzero(self.folds_P == fold)
            time, event, risk = self.times_P[rows], self.events_P[rows], self.risks_P[rows]
            later_FF = (time[:, None] < time) | ((time[:, None] == time) & ~event)
            yield rows, event[:, None] & later_FF, _agree(risk)

    def until(self, time: float) -> Iterator[tuple[Labels, Mask, Floats]]:
        """Yield the same of patients with the event by a time, and those still without."""
        for fold in np.unique(self.folds_P):
            rows: Labels = np.flatnonzero(self.folds_P == fold)
            had = self.events_P[rows] & (self.times_P[rows] <= time)
            beyond = self.times_P[rows] > time
            yield rows, had[:, None] & beyond, _agree(self.risks_P[rows])

    def censoring_R(self, counts_RP: Floats) -> Floats:
        """Return `censoring_curve` of each resample, of all folds together, ``(R, 1 + T)``.

        Censoring knows no model. The first column is before anything happened, the others are from
        each distinct time on; `before` and `at` read them.
        """
        order = np.lexsort((~self.events_P, self.times_P))  # events leave the risk set first
        ordered = counts_RP[:, order]
        left_RP = ordered[:, ::-1].cumsum(axis=1)[:, ::-1]
        times = self.times_P[order]
        starts = np.flatnonzero(np.diff(times, prepend=-1.0))
        events = self.events_P[order]
        at_risk_RT = left_RP[:, starts] - np.add.reduceat(ordered * events, starts, axis=1)
        censored_RT = np.add.reduceat(ordered * ~events, starts, axis=1)
        stayed_RT = 1 - np.divide(
            censored_RT, at_risk_RT, out=np.zeros_like(at_risk_RT), where=censored_RT > 0
        )
        curve_RT = np.cumprod(stayed_RT, axis=1)
        return np.concatenate([np.ones((len(curve_RT), 1)), curve_RT], axis=1)

    def before(self, curve_R: Floats) -> Floats:
        """Return a censoring curve just before each patient's time, ``(R, P)``."""
        return np.asarray(curve_R[:, np.searchsorted(np.unique(self.times_P), self.times_P)])

    def at(self, curve_R: Floats, time: float) -> Floats:
        """Return a censoring curve at a time, ``(R, 1)``."""
        after = np.searchsorted(np.unique(self.times_P), [time], side="right")
        return np.asarray(curve_R[:, after])


def agreement(
    pairs: Iterator[tuple[Labels, Mask, Floats]], counts_RP: Floats, weights_RP: Floats
) -> tuple[Floats, Floats]:
    """Return weighted pairs in the right order and all weighted pairs of each resample, ``(R,)``.

    Parameters
    ----------
    weights_RP
        Of a patient's event.
    """
    right_R, all_R = np.zeros(len(counts_RP)), np.zeros(len(counts_RP))
    for rows, compared_FF, agree_FF in pairs:
        counts = counts_RP[:, rows]
        weighted = counts * weights_RP[:, rows]
        right_R += ((weighted @ (compared_FF * agree_FF)) * counts).sum(axis=1)
        all_R += ((weighted @ compared_FF.astype(np.float64)) * counts).sum(axis=1)
    return right_R, all_R


def inverse_R(in_sight_R: Floats) -> Floats:
    """Return one over the probability of being in sight; NaN where that is 0."""
    return np.divide(1.0, in_sight_R, out=np.full_like(in_sight_R, np.nan), where=in_sight_R > 0)


def _agree(risks_F: Floats) -> Floats:
    """Return in the row of a patient whose risk is lower: 1, one half for equal, else 0."""
    return np.asarray((1 + np.sign(risks_F[:, None] - risks_F)) / 2)
