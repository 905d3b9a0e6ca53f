"""Survival from tables: a time with its unit, and whether it ended in the event.

Days and months are never guessed from the numbers: the unit is stated with the column, and a month
is a twelfth of 365.25 days.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from histofed.core.labels.base import Available, Case, Unknown
from histofed.errors import CohortError, ConfigError

if TYPE_CHECKING:
    from histofed.core.tasks import SurvivalTask

DAYS_IN = {"days": 1.0, "weeks": 7.0, "months": 365.25 / 12, "years": 365.25}
"""Unit -> days."""

LONGEST_YEARS = 100
"""Nobody is followed for longer: such a time is in a smaller unit than was stated."""

ALIVE, DEAD = ("alive", "living", "0", "0:living"), ("dead", "deceased", "1", "1:deceased")


def converted(time: float, unit: str, to: str) -> float:
    """Return a time in another unit; the same number where the units are the same."""
    return time if unit == to else time * DAYS_IN[unit] / DAYS_IN[to]


@dataclass(frozen=True, kw_only=True)
class TimeRule(ABC):
    """A rule that answers a task of survival.

    Attributes
    ----------
    unit
        Of the table's times; it must be stated.
    """

    task: SurvivalTask
    unit: str | None

    def __post_init__(self) -> None:
        """Refuse a unit that is not stated, or is none."""
        for unit, whose in ((self.unit, f"of {self._column}"), (self.task.unit, "task.unit")):
            if unit not in DAYS_IN:
                found = f"is {unit!r}" if unit else "is not stated"
                msg = f"task {self.task.name}: the unit of time {whose} {found}; state one of "
                msg += f"{', '.join(DAYS_IN)}: days are never told from months by their size"
                raise ConfigError(msg)

    @property
    @abstractmethod
    def _column(self) -> str: ...

    @property
    def genes(self) -> tuple[str, ...]:
        """None."""
        return ()

    @property
    def conversion(self) -> str:
        """What was done to the times, in words; empty for nothing."""
        if self.unit == self.task.unit:
            return ""
        assert self.unit is not None
        factor = converted(1.0, self.unit, self.task.unit)
        return f"{self.unit} became {self.task.unit} (x {factor:.6g})"

    def _cells(self, time: float, case: Case, *, event: bool) -> dict[str, str] | Unknown:
        """Return the cells of a time in the table's unit; one longer than a life is refused."""
        assert self.unit is not None
        if (years := converted(time, self.unit, "years")) > LONGEST_YEARS:
            msg = f"{case.where}: {self._column} is {time:g} {self.unit}, that is {years:.0f} "
            msg += "years; correct the cell, or state the unit that the column is in (the rule's "
            msg += "unit under task.label)"
            raise CohortError(msg)
        if time <= 0:
            return Unknown(f"{self._column} is {time:g} {self.unit}: no time under observation")
        found = converted(time, self.unit, self.task.unit)
        return {self.task.column: f"{found:.6g}", self.task.event_column: str(int(event))}

    def _number(self, case: Case, column: str) -> float | Unknown:
        _, cell = case.cell((column,)) or ("", "")
        if self.task.is_missing(cell):
            return Unknown(f"{column} is not known")
        return self.task.number(column, cell, case.where)


@dataclass(frozen=True, kw_only=True)
class EventTimeRule(TimeRule):
    """A column of times and one that says whether each ended in the event."""

    time: str
    event: str

    @property
    def _column(self) -> str:
        return self.time

    @property
    def reads(self) -> tuple[str, ...]:
        """Both columns."""
        return (self.time, self.event)

    @property
    def in_words(self) -> str:
        """Columns and unit."""
        return f"{self.time} in {self.unit}, {self.event}"

    def lacking(self, available: Available) -> str:
        """Return the columns that are not there."""
        return available.lacking(self.time, self.event)

    def answer(self, case: Case) -> dict[str, str] | Unknown:
        """Return the cells of the task.

        Raises
        ------
        CohortError
            A cell is neither number nor event nor missing.
        """
        time = self._number(case, self.time)
        _, cell = case.cell((self.event,)) or ("", "")
        # Asked as the task asks it: its words for event, censored and missing, and its refusal.
        ended = self.task.label(
            {self.task.column: "1", self.task.event_column: cell}, f"{case.where} ({self.event})"
        )
        if ended is None:
            return Unknown(f"{self.event} is not known")
        return time if isinstance(time, Unknown) else self._cells(time, case, event=ended[1] == 1)


@dataclass(frozen=True, kw_only=True)
class FollowUpRule(TimeRule):
    """Death at one column's time, or life until another's: the clinical tables of the GDC."""

    status: str
    death: str
    follow_up: str

    @property
    def _column(self) -> str:
        return f"{self.death}/{self.follow_up}"

    @property
    def reads(self) -> tuple[str, ...]:
        """The three columns."""
        return (self.status, self.death, self.follow_up)

    @property
    def in_words(self) -> str:
        """Columns and unit."""
        return f"{self.death} or {self.follow_up} in {self.unit}, {self.status}"

    def lacking(self, available: Available) -> str:
        """Return the columns that are not there."""
        return available.lacking(self.status, self.death, self.follow_up)

    def answer(self, case: Case) -> dict[str, str] | Unknown:
        """Return the cells of the task; unknown where somebody alive has a time of death.

        Raises
        ------
        CohortError
            The status is neither of death nor of life, or a time is no number.
        """
        _, status = case.cell((self.status,)) or ("", "")
        word = status.lower()
        if self.task.is_missing(status) or word in ("not reported", "unspecified"):
            return Unknown(f"{self.status} is not known")
        if word not in ALIVE + DEAD:
            msg = f"{case.where}: column {self.status!r} holds {status!r}, which is neither "
            msg += "Alive nor Dead; correct the table"
            raise CohortError(msg)
        dead = word in DEAD
        _, died = case.cell((self.death,)) or ("", "")
        if not dead and not self.task.is_missing(died):
            return Unknown(f"{self.status} is {status}, and {self.death} is {died}: one is wrong")
        time = self._number(case, self.death if dead else self.follow_up)
        return time if isinstance(time, Unknown) else self._cells(time, case, event=dead)
