"""What is measured of a kind of task, and how a number gets its interval.

Every metric is written twice: once as its definition, which checks what it is given and refuses
what it cannot tell, and once for thousands of resamples at a time. Tests hold the two together.

Array suffixes: P patients, R resamples.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from histofed.core.metrics.resampling import defined, percentile, resamples
from histofed.core.words import counted
from histofed.errors import CohortError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from histofed.core.evaluation.picked import Picked
    from histofed.core.evaluation.rows import Rows
    from histofed.core.metrics.inputs import Floats
    from histofed.core.metrics.intervals import Interval

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Resampling:
    """How often patients are drawn again, and from which random state."""

    n_resamples: int = 2000
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Metric:
    """One number of some patients.

    Attributes
    ----------
    name
        Key in ``metrics.json``.
    title
        Heading of a column.
    meaning
        One sentence for people who do not know it.
    of
        The number; refuses with `CohortError` what it cannot tell.
    draws
        The number of every resample, from counts ``(R, P)`` how often each patient was drawn; NaN
        where a resample cannot tell.
    chance
        What a model that knows nothing gets; None where that depends on the patients.
    """

    name: str
    title: str
    meaning: str
    of: Callable[[Rows], float]
    draws: Callable[[Rows, Floats], Floats]
    chance: float | None = None


def pooled(metric: Metric) -> Metric:
    """Return a metric that compares patients within folds, of all folds together."""
    return replace(
        metric,
        name=f"{metric.name}_pooled",
        title=f"{metric.title}, folds pooled",
        meaning=f"{metric.meaning}; here whichever folds patients are of",
        of=lambda rows: metric.of(rows.together()),
        draws=lambda rows, counts_RP: metric.draws(rows.together(), counts_RP),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The numbers of some patients.

    Attributes
    ----------
    counts
        ``n_patients``, and of what kind they are (``n_positive``, ``n_events``).
    numbers
        Metric -> value with interval; None where these patients cannot tell.
    reasons
        Metric -> why there is none.
    """

    counts: dict[str, int]
    numbers: dict[str, Interval | None]
    reasons: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Compared:
    """An arm's number less another's; the p-value of "no difference" where a test gives one."""

    interval: Interval
    p_value: float | None = None


FEW = 10
"""Of fewer patients of a kind, those drawn again are too alike for an interval to hold."""


class Measures(ABC):
    """What is measured of one kind of task."""

    @property
    @abstractmethod
    def metrics(self) -> tuple[Metric, ...]:
        """The numbers of every table; the first is the one that arms and sites are compared by."""

    @property
    def beside(self) -> tuple[Metric, ...]:
        """Numbers that are recorded and shown in no table; none unless overridden."""
        return ()

    @abstractmethod
    def counts(self, rows: Rows) -> dict[str, int]:
        """Return how many patients there are, and of what kind."""

    @abstractmethod
    def in_words(self, counts: dict[str, int]) -> str:
        """Return the counts beside the number of patients, for people."""

    def rarest(self, counts: dict[str, int]) -> tuple[int, str]:
        """Return how many there are of what is rarest among the patients, and what that is."""
        return counts["n_patients"], "patient"

    def few(self, counts: dict[str, int]) -> str:
        """Return that the patients are too few for the intervals, in words; empty for enough."""
        number, what = self.rarest(counts)
        if number >= FEW:
            return ""
        return (
            f"{counted(number, what)}: of fewer than {FEW} the intervals are too narrow, and what "
            "looks perfect may be luck"
        )

    @abstractmethod
    def details(
        self, rows: Rows, picked: Picked | None, how: Resampling, *, sensitivity: float | None
    ) -> Any:
        """Return what else is told of an arm's predictions; a dataclass.

        Parameters
        ----------
        picked
            Predictions of the patients that each fold's checkpoint was picked on: thresholds and
            temperatures are fixed on them. None for an arm that picks nothing.
        sensitivity
            That a threshold must reach there; None for the best balance.
        """

    def strata(self, rows: Rows) -> NDArray[Any]:
        """Return groups ``(P,)`` within which patients are drawn; one for all unless overridden."""
        return np.zeros(len(rows))

    def compared(self, metric: Metric, rows: Rows, reference: Rows, how: Resampling) -> Compared:
        """Return an arm's metric less the reference arm's on the same patients.

        Raises
        ------
        CohortError
            As the metric.
        """
        return Compared(difference(metric, rows, reference, self.strata(rows), how))

    def result(self, rows: Rows, how: Resampling) -> Result:
        """Return every metric of some patients, with what cannot be told and why."""
        return self.mean_of([rows], how)

    def mean_of(self, arms: Sequence[Rows], how: Resampling) -> Result:
        """Return the mean over arms of every metric, on the same patients in the same order."""
        strata = self.strata(arms[0])
        numbers: dict[str, Interval | None] = {}
        reasons: dict[str, str] = {}
        for metric in (*self.metrics, *self.beside):
            numbers[metric.name], reason = attempt(
                lambda metric=metric: interval(metric, arms, strata, how)  # type: ignore[misc]
            )
            if reason:
                reasons[metric.name] = reason
        return Result(counts=self.counts(arms[0]), numbers=numbers, reasons=reasons)


def attempt(of: Callable[[], T]) -> tuple[T | None, str]:
    """Return a number, or None and the reason that these patients cannot tell."""
    try:
        return of(), ""
    except CohortError as error:
        return None, str(error)


def interval(
    metric: Metric, arms: Sequence[Rows], strata_P: NDArray[Any], how: Resampling
) -> Interval:
    """Return the mean of a metric over arms with its percentile interval (Efron 1979).

    Patients are drawn with replacement within each stratum (Carpenter & Bithell 2000), one draw
    for all arms: their errors are correlated. Resamples that cannot tell are left out.

    Parameters
    ----------
    arms
        One or several predictions of the same patients in the same order.

    Raises
    ------
    CohortError
        As the metric; or most resamples cannot tell.
    """
    value = float(np.mean([metric.of(rows) for rows in arms]))
    draws_R = np.mean(_draws(metric, arms, strata_P, how), axis=0)
    return percentile(value, defined(draws_R, metric.title))


def difference(
    metric: Metric, rows: Rows, reference: Rows, strata_P: NDArray[Any], how: Resampling
) -> Interval:
    """Return an arm's metric minus the reference arm's on the same patients, as `interval`.

    Paired: one draw of patients serves both, so what they have in common cancels.
    """
    value = metric.of(rows) - metric.of(reference)
    ours, theirs = _draws(metric, [rows, reference], strata_P, how)
    return percentile(value, defined(ours - theirs, metric.title))


def _draws(
    metric: Metric, arms: Sequence[Rows], strata_P: NDArray[Any], how: Resampling
) -> list[Floats]:
    """Return every arm's metric on the same resamples, ``(R,)`` each."""
    blocks = [
        [metric.draws(rows, counts_RP) for rows in arms]
        for counts_RP in resamples(strata_P, how.n_resamples, how.seed)
    ]
    return [np.concatenate(each) for each in zip(*blocks, strict=True)]
