"""What every task can say of itself, and how cells of a table are read."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from histofed.errors import CohortError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

Label: TypeAlias = tuple[float, ...]
"""What the table says of a patient: one number per name in ``Task.label_names``.

NaN where an answer of several is not known; a patient of whom nothing is known has no label.
"""

MISSING = ("", "na", "nan", "unknown")

LARGEST = 1e18
"""Models compute in float32, in which the square of a larger number is infinite."""


@dataclass(frozen=True, kw_only=True)
class Task(ABC):
    """A question asked of every patient.

    Attributes
    ----------
    name
        Short name, as on the command line.
    missing
        Values that mean "not known", compared without regard to case.
    """

    kind: ClassVar[str]

    name: str
    missing: tuple[str, ...] = MISSING

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """Columns of the cohort table that answer it."""

    @property
    @abstractmethod
    def label_names(self) -> tuple[str, ...]:
        """Names of the numbers of a label, as in ``predictions.csv``."""

    @property
    @abstractmethod
    def output_names(self) -> tuple[str, ...]:
        """Names of the numbers of a prediction, as in ``predictions.csv``."""

    @property
    def needed(self) -> tuple[int, ...]:
        """Strata of which every fold needs somebody."""
        return ()

    @abstractmethod
    def label(self, cells: Mapping[str, str], where: str) -> Label | None:
        """Return what a row of the table says, or None for "not known".

        Parameters
        ----------
        cells
            Column -> cell, of `columns`.
        where
            Row and patient, for the error.

        Raises
        ------
        CohortError
            A value has no meaning for this task.
        """

    @abstractmethod
    def strata(self, labels: Mapping[str, Label]) -> dict[str, int]:
        """Return ``patient_id`` -> the group that folds are balanced by."""

    @abstractmethod
    def lacking(self, labels: Collection[Label]) -> tuple[str, ...]:
        """Return, in words, what a model cannot learn from these labels; nothing if all of it."""

    @abstractmethod
    def in_words(self, label: Label) -> str:
        """Return a label for people."""

    def is_missing(self, cell: str) -> bool:
        """Whether a cell means "not known"."""
        return cell.strip().lower() in {word.lower() for word in self.missing}

    def number(self, column: str, cell: str, where: str) -> float:
        """Return a cell's number; NaN where it is not known.

        Raises
        ------
        CohortError
            It is no number, or too large to compute with.
        """
        if self.is_missing(cell):
            return math.nan
        if not is_number(cell):
            msg = f"{where}: column {column!r} holds {cell!r}, which is not a number (of at most "
            msg += f"{LARGEST:g}); correct the table, or add the word to the task's missing list"
            raise CohortError(msg)
        return float(cell)


def is_number(cell: str) -> bool:
    """Whether a cell holds a number that can be computed with, as people write one."""
    try:
        return "_" not in cell and abs(float(cell)) <= LARGEST  # 1_0 is 10 to Python; NaN is not
    except ValueError:
        return False


@dataclass(frozen=True, kw_only=True)
class ClassTask(Task):
    """A question of which exactly one answer is right. A label is the number of a class, from 0.

    Attributes
    ----------
    column
        Column of the cohort table that answers it.
    classes
        Names of the classes, in the order of their numbers.
    """

    column: str
    classes: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The one column."""
        return (self.column,)

    @property
    def label_names(self) -> tuple[str, ...]:
        """``label``: the number of the class."""
        return ("label",)

    @property
    def needed(self) -> tuple[int, ...]:
        """Every class."""
        return tuple(range(len(self.classes)))

    def strata(self, labels: Mapping[str, Label]) -> dict[str, int]:
        """Return each patient's class."""
        return {patient: int(label[0]) for patient, label in labels.items()}

    def lacking(self, labels: Collection[Label]) -> tuple[str, ...]:
        """Return the classes of nobody."""
        found = {int(label[0]) for label in labels}
        return tuple(name for number, name in enumerate(self.classes) if number not in found)

    def in_words(self, label: Label) -> str:
        """Return the class's name."""
        return self.classes[int(label[0])]


@dataclass(frozen=True, kw_only=True)
class YesNo:
    """Cells with two meanings, compared without regard to case."""

    positive: tuple[str, ...] = ("1",)
    negative: tuple[str, ...] = ("0",)

    @property
    def both(self) -> list[str]:
        """Values that mean both, which none may."""
        return sorted(_lower(self.positive) & _lower(self.negative))

    def read(self, cell: str) -> int | None:
        """Return 1 or 0, or None for a value that means neither."""
        text = plain(cell)
        if text in _lower(self.positive):
            return 1
        return 0 if text in _lower(self.negative) else None


def plain(cell: str) -> str:
    """Return a cell in lower case; whole numbers as they were before a spreadsheet had them."""
    text = cell.strip().lower()
    return text[:-2] if text.endswith(".0") and text[:-2].isdecimal() else text


def _lower(words: tuple[str, ...]) -> set[str]:
    return {word.lower() for word in words}
