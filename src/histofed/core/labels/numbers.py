"""A number of a table against a cut-off: cells with a signal in FISH, a score.

The European Myeloma Network recommends calling fusions from 10% of plasma cells and gains and
losses from 20% (Ross et al. 2012, Haematologica 97:1272); laboratories have cut-offs of their own,
so they are an option.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from histofed.core.labels.base import Available, Case, Unknown, YesNoRule
from histofed.core.tasks.base import MISSING, is_number
from histofed.errors import CohortError, ConfigError

HIGHEST = {"percent": 100.0, "fraction": 1.0, "score": math.inf}
"""Unit -> its largest number; the smallest is 0."""


@dataclass(frozen=True, kw_only=True)
class NumberRule(YesNoRule):
    """Yes if a number is at least the cut-off.

    Attributes
    ----------
    columns
        Names that the column may have.
    at_least
        The cut-off, in the unit of the column.
    unit
        ``percent``, ``fraction`` or ``score``; what has another magnitude is refused.
    """

    columns: tuple[str, ...]
    at_least: float
    unit: str

    def __post_init__(self) -> None:
        """Refuse a unit that is none, and a cut-off beyond it."""
        if self.unit not in HIGHEST:
            msg = f"{'/'.join(self.columns)}: unit is {self.unit!r}, not one of "
            msg += ", ".join(HIGHEST)
            raise ConfigError(msg)
        if not 0 < self.at_least <= HIGHEST[self.unit]:
            msg = f"{'/'.join(self.columns)}: at_least is {self.at_least:g}; as {self.unit} it is "
            msg += f"above 0 and at most {HIGHEST[self.unit]:g}"
            raise ConfigError(msg)

    @property
    def in_words(self) -> str:
        """Column and cut-off."""
        return f"{self.columns[0]} at least {self.at_least:g} {self.unit}"

    @property
    def reads(self) -> tuple[str, ...]:
        """The column."""
        return self.columns

    def lacking(self, available: Available) -> str:
        """Return the column, if it is not there."""
        return "" if available.first(self.columns) else available.lacking(self.columns[0])

    def answer(self, case: Case) -> bool | Unknown:
        """Return whether the cut-off is reached.

        Raises
        ------
        CohortError
            The cell is no number of that unit.
        """
        found = case.cell(self.columns)
        name, cell = found or (self.columns[0], "")
        if cell.lower() in MISSING:
            return Unknown(f"{name} is not known")
        text = cell.removesuffix("%").strip() if self.unit == "percent" else cell
        number = float(text) if is_number(text) else math.nan
        if not 0 <= number <= HIGHEST[self.unit]:
            msg = (
                f"{case.where}: column {name!r} holds {cell!r}, which is no number of {self.unit} "
            )
            msg += f"(0 to {HIGHEST[self.unit]:g}); correct the table or the rule's unit"
            raise CohortError(msg)
        return number >= self.at_least


def looks_like_fractions(cells: list[str]) -> bool:
    """Whether numbers that should be percent are probably fractions: some, and none above 1."""
    numbers = [float(cell) for cell in cells if is_number(cell)]
    return any(0 < number < 1 for number in numbers) and max(numbers) <= 1
