"""Time to an event: predictions -> numbers.

Harrell's and Uno's C and the AUC over time compare patients within a fold only
(`histofed.core.evaluation.within_folds`); predicted survival is a probability, on one scale
everywhere, and its Brier score is over all patients. Censoring is estimated from all of them.

Array suffixes: P patients, R resamples, T times.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from histofed.core.evaluation.base import Measures, Metric, Resampling, attempt, interval
from histofed.core.evaluation.risk_groups import RiskGroups, risk_groups, standardised
from histofed.core.evaluation.within_folds import Followed, agreement, inverse_R
from histofed.core.survival.accuracy import brier_over_time
from histofed.core.survival.cox import HazardRatio, hazard_ratio
from histofed.core.survival.kaplan_meier import kaplan_meier
from histofed.core.words import counted
from histofed.errors import CohortError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from histofed.core.evaluation.picked import Picked
    from histofed.core.evaluation.rows import Rows
    from histofed.core.metrics.inputs import Floats
    from histofed.core.metrics.intervals import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class AtTime:
    """How good the prediction is at one time.

    Attributes
    ----------
    auc
        Cumulative/dynamic.
    brier
        None for a model that gives risks only.
    """

    time: float
    auc: Interval | None
    brier: Interval | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SurvivalDetails:
    """What else is told of an arm.

    Attributes
    ----------
    at_times
        The times of the task.
    hazard_ratio
        Per standard deviation of the risk, which is standardised within each fold.
    groups
        ``halves`` and ``thirds`` of the risk, split where the selection patients are.
    reasons
        Why there is none.
    """

    at_times: tuple[AtTime, ...]
    hazard_ratio: HazardRatio | None
    groups: dict[str, RiskGroups]
    reasons: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SurvivalMeasures(Measures):
    """Concordance, accuracy at the task's times, hazard ratio, risk groups.

    Attributes
    ----------
    times
        At which survival is asked; the last is the horizon of Uno's C.
    """

    times: tuple[float, ...]

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Two concordances, and what is over the times."""
        return (
            Metric(
                "harrell_c",
                "C (Harrell)",
                "of two patients of one fold, how often the one with the earlier event had the "
                "higher risk; 0.5 is chance",
                lambda rows: self._certain(rows, harrell_R, "concordance"),
                harrell_R,
                chance=0.5,
            ),
            Metric(
                "uno_c",
                "C (Uno)",
                f"the same until {self.times[-1]:g}, had nobody been lost from sight; 0.5 is "
                "chance",
                lambda rows: self._certain(rows, self._uno_R, "Uno's C"),
                self._uno_R,
                chance=0.5,
            ),
            Metric(
                "mean_auc",
                "AUC over time",
                "of a patient with the event by a time and one still without, how often the first "
                "had the higher risk; mean, by events between them, over those of the task's times "
                "at which patients can be compared; 0.5 is chance",
                self._mean_auc,
                self._mean_auc_R,
                chance=0.5,
            ),
            Metric(
                "integrated_brier",
                "Brier over time",
                "mean squared error of predicted survival over the same times; lower is better",
                self._integrated_brier,
                self._integrated_brier_R,
            ),
        )

    def counts(self, rows: Rows) -> dict[str, int]:
        """Return patients and events."""
        return {"n_patients": len(rows), "n_events": int(rows.labels_PK[:, 1].sum())}

    def in_words(self, counts: dict[str, int]) -> str:
        """Return how many had the event."""
        return f"{counts['n_events']} with the event"

    def rarest(self, counts: dict[str, int]) -> tuple[int, str]:
        """Return the events: times without one tell little."""
        return counts["n_events"], "event"

    def strata(self, rows: Rows) -> NDArray[Any]:
        """Return whether each patient had the event."""
        return rows.labels_PK[:, 1]

    def details(
        self, rows: Rows, picked: Picked | None, how: Resampling, *, sensitivity: float | None
    ) -> SurvivalDetails:
        """Return accuracy at each time, hazard ratio and risk groups."""
        groups, reasons = {}, {}
        for name, n_groups in (("halves", 2), ("thirds", 3)):
            found, reason = attempt(lambda n=n_groups: risk_groups(rows, picked, n_groups=n))  # type: ignore[misc]
            if found is not None:
                groups[name] = found
            reasons[name] = reason
        ratio, reasons["hazard_ratio"] = attempt(
            lambda: hazard_ratio(rows.labels_PK[:, 0], rows.labels_PK[:, 1], standardised(rows))
        )
        return SurvivalDetails(
            at_times=tuple(self._at(rows, time, how) for time in self.times),
            hazard_ratio=ratio,
            groups=groups,
            reasons={name: reason for name, reason in reasons.items() if reason},
        )

    def _at(self, rows: Rows, time: float, how: Resampling) -> AtTime:
        one = SurvivalMeasures(times=(time,))
        column = self.times.index(time)
        here = replace(rows, outputs_PV=rows.outputs_PV[:, [0, 1 + column]])
        of = {metric.name: metric for metric in one.metrics}
        strata = self.strata(rows)
        auc, no_auc = attempt(lambda: interval(of["mean_auc"], [here], strata, how))
        brier, no_brier = attempt(lambda: interval(of["integrated_brier"], [here], strata, how))
        return AtTime(time=time, auc=auc, brier=brier, reason=no_auc or no_brier)

    @staticmethod
    def _certain(rows: Rows, of_R: Any, what: str) -> float:
        """Return a concordance of the patients as they are."""
        Followed.of(rows)
        found = float(of_R(rows, np.ones((1, len(rows))))[0])
        if np.isnan(found):
            msg = f"{what}: of {counted(len(rows), 'patient')} none was seen to outlive an event "
            msg += "of another of the same fold, so no pair can be compared; follow up longer or "
            msg += "take more patients"
            raise CohortError(msg)
        return found

    def _uno_R(self, rows: Rows, counts_RP: Floats) -> Floats:
        """Return Uno's C until the horizon of each resample (Uno et al. 2011)."""
        followed = Followed.of(rows)
        counted = followed.events_P & (followed.times_P < self.times[-1])
        weights_RP = inverse_R(followed.before(followed.censoring_R(counts_RP))) ** 2
        weights_RP = np.where(counted & (counts_RP > 0), weights_RP, 0.0)
        return _part(*agreement(followed.pairs(), counts_RP, weights_RP))

    def _usable(self, rows: Rows) -> tuple[float, ...]:
        """Return the times at which these patients can be compared.

        Raises
        ------
        CohortError
            None is: before all of them somebody had the event, or everybody was lost from sight.
        """
        followed = Followed.of(rows)
        first, last = followed.times_P[followed.events_P].min(), followed.times_P.max()
        usable = tuple(time for time in self.times if first <= time < last)
        if not usable:
            asked = ", ".join(f"{time:g}" for time in self.times)
            msg = f"accuracy over time: the task asks at {asked}, and of "
            msg += f"{counted(len(rows), 'patient')} the first event is at {first:g} and the last "
            msg += f"is lost from sight at {last:g}"
            raise CohortError(msg)
        return usable

    def _mean_auc(self, rows: Rows) -> float:
        self._usable(rows)
        return self._certain(rows, self._mean_auc_R, "AUC over time")

    def _mean_auc_R(self, rows: Rows, counts_RP: Floats) -> Floats:
        """Return the cumulative/dynamic AUC of each resample (Uno et al. 2007).

        The mean over times is by the events between them (Lambert & Chevret 2016), as Kaplan-Meier
        has them for the patients as they are.
        """
        followed, times = Followed.of(rows), self._usable(rows)
        in_sight_RP = followed.before(followed.censoring_R(counts_RP))
        weights_RP = np.where(counts_RP > 0, inverse_R(in_sight_RP), 0.0)
        values_TR = [
            _part(*agreement(followed.until(time), counts_RP, _events(weights_RP, followed, time)))
            for time in times
        ]
        survived_T = kaplan_meier(followed.times_P, followed.events_P).at(times)
        between_T = -np.diff(survived_T, prepend=1.0)
        return np.asarray(np.average(values_TR, axis=0, weights=between_T))

    def _survival(self, rows: Rows, times: tuple[float, ...]) -> Floats:
        """Return predicted survival at the times, ``(P, T)``.

        Raises
        ------
        CohortError
            The model gives risks only.
        """
        columns = [1 + self.times.index(time) for time in times]
        survival_PT = rows.outputs_PV[:, columns]
        if np.isnan(survival_PT).any():
            msg = "Brier score over time: this model gives risks and no probability of survival "
            msg += "(a Cox or linear model); trainer.survival_loss=hazard gives both"
            raise CohortError(msg)
        return survival_PT

    def _integrated_brier(self, rows: Rows) -> float:
        times = self._usable(rows)
        survival_PT = self._survival(rows, times)
        time_P, event_P = rows.labels_PK.T
        return brier_over_time(time_P, event_P, survival_PT, at_T=times).mean

    def _integrated_brier_R(self, rows: Rows, counts_RP: Floats) -> Floats:
        """Return the integrated Brier score of each resample (Graf et al. 1999)."""
        followed, times = Followed.of(rows), self._usable(rows)
        survival_PT = self._survival(rows, times)
        curve_R = followed.censoring_R(counts_RP)
        at_event_RP = np.where(counts_RP > 0, inverse_R(followed.before(curve_R)), 0.0)
        values_TR = []
        for column, time in enumerate(times):
            beyond = followed.times_P > time
            at_time_R1 = inverse_R(followed.at(curve_R, time))
            weights_RP = _events(at_event_RP, followed, time) + at_time_R1 * beyond
            squared_P = (survival_PT[:, column] - beyond) ** 2
            values_TR.append((counts_RP * weights_RP) @ squared_P / counts_RP.sum(axis=1))
        span = times[-1] - times[0]
        if not span:
            return np.asarray(values_TR[0])
        return np.asarray(np.trapezoid(values_TR, times, axis=0) / span)


def harrell_R(rows: Rows, counts_RP: Floats) -> Floats:
    """Return Harrell's C of each resample (Harrell et al. 1982), within folds."""
    return _part(*agreement(Followed.of(rows).pairs(), counts_RP, np.ones_like(counts_RP)))


def _events(weights_RP: Floats, followed: Followed, time: float) -> Floats:
    """Return the weights of those who had the event by a time; 0 of all others."""
    return np.where(followed.events_P & (followed.times_P <= time), weights_RP, 0.0)


def _part(right_R: Floats, all_R: Floats) -> Floats:
    return np.divide(right_R, all_R, out=np.full_like(right_R, np.nan), where=all_R > 0)
