"""Time to an event, some of them censored."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from histofed.core.tasks.base import Label, Task, YesNo
from histofed.errors import CohortError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


@dataclass(frozen=True, kw_only=True)
class SurvivalTask(Task):
    """Time to an event. A label is ``(time, event)``: event is 0 where the patient was censored.

    An output is a risk, higher the sooner the event is expected, and for a model of discrete times
    the probability of no event until each of ``times``.

    Attributes
    ----------
    column, event_column
        Of the cohort table: the time, above 0, and whether it ended in the event.
    times
        At which survival is asked, rising, in the unit of the column; the last is the horizon.
        They are stated, not learned from the cohort, so hospitals have them in common.
    event, censored
        Values of ``event_column`` that mean either.
    unit
        Of the time, for figures.
    """

    kind: ClassVar[str] = "survival"

    column: str
    event_column: str
    times: tuple[float, ...]
    event: tuple[str, ...] = ("1",)
    censored: tuple[str, ...] = ("0",)
    unit: str = "days"

    def __post_init__(self) -> None:
        """Refuse a task that cannot be asked."""
        rising = all(a < b for a, b in zip((0.0, *self.times), self.times, strict=False))
        if not self.times or not rising or not all(math.isfinite(time) for time in self.times):
            msg = f"task {self.name}: times are {list(self.times)}; give at least one, above 0 and "
            msg += f"rising, in {self.unit}: they are when survival is asked"
            raise ConfigError(msg)
        if both := self._values.both:
            msg = f"task {self.name}: {both} mean event and censored; a value has one meaning"
            raise ConfigError(msg)
        if self.column == self.event_column:
            msg = f"task {self.name}: column and event_column are both {self.column!r}"
            raise ConfigError(msg)

    @property
    def columns(self) -> tuple[str, ...]:
        """Time and event."""
        return (self.column, self.event_column)

    @property
    def label_names(self) -> tuple[str, ...]:
        """``time`` and ``event``."""
        return ("time", "event")

    @property
    def output_names(self) -> tuple[str, ...]:
        """``risk``, and ``survival_<time>`` of each time; the latter empty where unknown."""
        return ("risk", *(f"survival_{time:g}" for time in self.times))

    @property
    def needed(self) -> tuple[int, ...]:
        """Somebody with the event."""
        return (1,)

    def label(self, cells: Mapping[str, str], where: str) -> Label | None:
        """Return time and event; None where either is not known."""
        cell = cells[self.event_column]
        event = self._values.read(cell)
        if event is None and not self.is_missing(cell):
            msg = (
                f"{where}: column {self.event_column!r} holds {cell!r}, which is neither "
                f"{'/'.join(self.event)} (event) nor {'/'.join(self.censored)} (censored); correct "
                "the table or the task's event/censored/missing lists"
            )
            raise CohortError(msg)
        time = self.number(self.column, cells[self.column], where)
        if time <= 0:
            msg = f"{where}: column {self.column!r} is {time:g}; a time to an event is above 0: "
            msg += "leave the cell empty if it is not known"
            raise CohortError(msg)
        return None if event is None or math.isnan(time) else (time, float(event))

    def strata(self, labels: Mapping[str, Label]) -> dict[str, int]:
        """Return whether each patient had the event."""
        return {patient: int(label[1]) for patient, label in labels.items()}

    def lacking(self, labels: Collection[Label]) -> tuple[str, ...]:
        """Return the event where nobody had it, or where all times lie beside those asked.

        Times in another unit than ``times`` do: days taken for months all end after the last.
        """
        until, unit = self.times[-1], f"{self.unit} (are the times in {self.unit}?)"
        if not any(event for _, event in labels):
            return ("an event",)
        if not any(event and time <= until for time, event in labels):
            return (f"an event until the last of task.times, {until:g} {unit}",)
        if not any(time > self.times[0] for time, _ in labels):
            return (f"a time beyond the first of task.times, {self.times[0]:g} {unit}",)
        return ()

    def in_words(self, label: Label) -> str:
        """Return time and how it ended."""
        ended = "event" if label[1] else "censored"
        return f"{ended} after {label[0]:g} {self.unit}"

    @property
    def _values(self) -> YesNo:
        return YesNo(positive=self.event, negative=self.censored)
