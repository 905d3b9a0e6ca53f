"""Clinical covariates (age, sex, stage): from cells of a table to numbers that a model takes.

What numbers a cell becomes is learned from the training patients of a fold alone, and from sums and
counts alone (`column_sums`), so that hospitals can add theirs up and no patient's cell leaves.

Every number is centred on the training patients, and what is not known becomes 0: a patient of
whom nothing is known is the mean training patient. Missing numbers are therefore replaced by the
mean, not by the median, which hospitals cannot add up. That a value is missing is a number of its
own, wherever it was missing among the training patients too.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from histofed.core.cohort import some
from histofed.core.tasks.base import MISSING, plain
from histofed.errors import CohortError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

Value = float | str | None
"""Number or word of a patient; None where it is not known."""


@dataclass(frozen=True)
class Covariates:
    """What the table says of every patient.

    Attributes
    ----------
    names
        Of the columns.
    words
        Those of them that hold words; the others hold numbers.
    values_of
        ``patient_id`` -> a value per column.
    """

    names: tuple[str, ...]
    words: frozenset[str]
    values_of: Mapping[str, tuple[Value, ...]]

    def sums(self, patients: Collection[str]) -> tuple[ColumnSums, ...]:
        """Return what some patients add up to, column by column."""
        rows = [self.values_of[patient] for patient in patients]
        return tuple(column_sums([row[i] for row in rows]) for i in range(len(self.names)))

    def encoding(self, sums: Sequence[ColumnSums]) -> Encoding:
        """Return how values become numbers, learned from those sums.

        Raises
        ------
        CohortError
            No column tells any two of these patients apart.
        """
        found = Encoding(
            tuple(
                WordCode.of(name, each) if name in self.words else NumberCode.of(name, each)
                for name, each in zip(self.names, sums, strict=True)
            )
        )
        if not found.names:
            msg = f"clinical column(s) {', '.join(self.names)} say the same of every training "
            msg += "patient of a fold; name others (clinical.columns=[...])"
            raise CohortError(msg)
        return found


def covariates(
    names: Sequence[str],
    cells_of: Mapping[str, Sequence[str]],
    *,
    words: Collection[str] = (),
    missing: Collection[str] = MISSING,
    like: Encoding | None = None,
) -> Covariates:
    """Read cells: a column of numbers holds numbers, any other words.

    Parameters
    ----------
    names
        Of the columns, in the order of the cells.
    cells_of
        ``patient_id`` -> a cell per column.
    words
        Columns whose numbers are names (grade 1, 2, 3).
    missing
        Cells that mean "not known", compared without regard to case.
    like
        Of a trained model: columns hold what they held then, and one may be known of nobody.

    Raises
    ------
    CohortError
        A column holds numbers and words, or nothing that is known.
    """
    unknown = {word.lower() for word in missing}
    found_words, columns = set(like.words if like else words), []
    for index, name in enumerate(names):
        cells = {patient: plain(row[index]) for patient, row in cells_of.items()}
        known = {patient: cell for patient, cell in cells.items() if cell not in unknown}
        if not known and not like:
            msg = f"clinical column {name!r} is not known of any patient; leave it out"
            raise CohortError(msg)
        if name not in found_words and not _all_numbers(name, known, may_be_words=not like):
            found_words.add(name)
        columns.append(
            {p: cell if name in found_words else float(cell) for p, cell in known.items()}
        )
    values_of = {patient: tuple(c.get(patient) for c in columns) for patient in cells_of}
    return Covariates(tuple(names), frozenset(found_words), values_of)


def _all_numbers(name: str, cell_of: Mapping[str, str], *, may_be_words: bool) -> bool:
    """Return whether a column holds numbers rather than words; a mixture is refused by name."""
    odd = [patient for patient, cell in cell_of.items() if not _is_number(cell)]
    if odd and not (may_be_words and len(odd) == len(cell_of)):
        said = ", ".join(f"{patient} {cell_of[patient]!r}" for patient in odd[:3])
        more = f" and {len(odd) - 3} more" if len(odd) > 3 else ""
        msg = (
            f"clinical column {name!r} holds numbers of {len(cell_of) - len(odd)} patient(s) and "
            f"words of others ({said}{more}); correct them, name a word that means 'not known' in "
            f"clinical.missing, or name {name} in clinical.words if its numbers are names"
        )
        raise CohortError(msg)
    return not odd


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class ColumnSums:
    """What some patients add up to in one column: numbers or words, and how many lack either.

    Attributes
    ----------
    total, square_total
        Sum of the numbers, and of their squares.
    counts
        Word -> patients.
    """

    n_known: int = 0
    n_missing: int = 0
    total: float = 0.0
    square_total: float = 0.0
    counts: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: ColumnSums) -> ColumnSums:
        return ColumnSums(
            n_known=self.n_known + other.n_known,
            n_missing=self.n_missing + other.n_missing,
            total=self.total + other.total,
            square_total=self.square_total + other.square_total,
            counts=Counter(self.counts) + Counter(other.counts),
        )

    @property
    def missing_share(self) -> float:
        """Part of the patients of whom nothing is known here."""
        return self.n_missing / max(1, self.n_missing + self.n_known)


def column_sums(values: Sequence[Value]) -> ColumnSums:
    """Return what the values of one column add up to."""
    known = [value for value in values if value is not None]
    numbers = [value for value in known if isinstance(value, float)]
    return ColumnSums(
        n_known=len(known),
        n_missing=len(values) - len(known),
        total=math.fsum(numbers),
        square_total=math.fsum(number * number for number in numbers),
        counts=Counter(value for value in known if isinstance(value, str)),
    )


def add_sums(parts: Sequence[Sequence[ColumnSums]]) -> tuple[ColumnSums, ...]:
    """Add up what hospitals say, column by column."""
    return tuple(sum(column, ColumnSums()) for column in zip(*parts, strict=True))


@dataclass(frozen=True, slots=True)
class NumberCode:
    """A number, in standard deviations from the mean.

    Attributes
    ----------
    std
        0 where the training patients' number never changes: nothing was learned from it, and it
        is left out.
    missing_share
        Part of the training patients who lack it; where it is 0 or 1, so is being missing.
    """

    name: str
    mean: float
    std: float
    missing_share: float

    @classmethod
    def of(cls, name: str, sums: ColumnSums) -> NumberCode:
        """Learn from sums."""
        n = max(1, sums.n_known)
        mean, square_mean = sums.total / n, sums.square_total / n
        variance = square_mean - mean * mean
        # What cancellation leaves of a constant is noise, not variation.
        std = math.sqrt(variance) if variance > 1e-10 * square_mean else 0.0
        return cls(name, mean, std, sums.missing_share)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the numbers made."""
        return ((self.name,) if self.std else ()) + _missing_name(self)

    def encode(self, value: Value) -> tuple[float, ...]:
        """Return the numbers of one patient."""
        number = 0.0 if value is None else (float(value) - self.mean) / (self.std or 1)
        return ((number,) if self.std else ()) + _missing(self, value)

    def is_new(self, value: Value) -> bool:
        """Whether the training patients said nothing of the kind; a number always is."""
        return False


@dataclass(frozen=True, slots=True)
class WordCode:
    """One number per word: 1 for the patient's, 0 for others, less the word's frequency.

    Attributes
    ----------
    shares
        Word -> part of the training patients; sorted by word. A word that they do not have is as
        if all words were possible by their frequency.
    missing_share
        As of `NumberCode`.
    """

    name: str
    shares: Mapping[str, float]
    missing_share: float

    @classmethod
    def of(cls, name: str, sums: ColumnSums) -> WordCode:
        """Learn from counts."""
        n = max(1, sums.n_known + sums.n_missing)
        shares = {word: sums.counts[word] / n for word in sorted(sums.counts)}
        return cls(name, shares, sums.missing_share)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the numbers made; none where every training patient has the one word."""
        return tuple(f"{self.name}={word}" for word in self._used) + _missing_name(self)

    def encode(self, value: Value) -> tuple[float, ...]:
        """Return the numbers of one patient."""
        unknown = self.is_new(value) or (value is None and not self.missing_share)
        words = tuple(
            0.0 if unknown else (value == word) - self.shares[word] for word in self._used
        )
        return words + ((0.0,) * len(_missing_name(self)) if unknown else _missing(self, value))

    def is_new(self, value: Value) -> bool:
        """Whether no training patient has this word."""
        return value is not None and value not in self.shares

    @property
    def _used(self) -> tuple[str, ...]:
        return tuple(word for word, share in self.shares.items() if share < 1)


def _missing_name(code: NumberCode | WordCode) -> tuple[str, ...]:
    return (f"{code.name} missing",) if 0 < code.missing_share < 1 else ()


def _missing(code: NumberCode | WordCode, value: Value) -> tuple[float, ...]:
    return ((value is None) - code.missing_share,) if _missing_name(code) else ()


@dataclass(frozen=True)
class Encoding:
    """How a patient's values become numbers, ``(F,)``."""

    codes: tuple[NumberCode | WordCode, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the numbers."""
        return tuple(name for code in self.codes for name in code.names)

    @property
    def words(self) -> frozenset[str]:
        """Columns that hold words."""
        return frozenset(code.name for code in self.codes if isinstance(code, WordCode))

    def encode(self, values: Sequence[Value]) -> tuple[float, ...]:
        """Return the numbers of one patient."""
        pairs = zip(self.codes, values, strict=True)
        return tuple(number for code, value in pairs for number in code.encode(value))

    def new_words(self, values_of: Mapping[str, Sequence[Value]]) -> list[str]:
        """Return, for people, the words of some patients that no training patient has."""
        new: dict[str, list[str]] = {}
        for patient, values in values_of.items():
            for code, value in zip(self.codes, values, strict=True):
                if code.is_new(value):
                    new.setdefault(f"{code.name} {value!r}", []).append(patient)
        return [f"{said} ({some(patients)})" for said, patients in sorted(new.items())]

    def record(self) -> list[dict[str, Any]]:
        """Return it as plain data; `encoding_of` reads it."""
        return [{name: getattr(code, name) for name in type(code).__slots__} for code in self.codes]


def encoding_of(record: Sequence[Mapping[str, Any]]) -> Encoding:
    """Return what `Encoding.record` wrote."""
    return Encoding(
        tuple((WordCode if "shares" in each else NumberCode)(**each) for each in record)
    )
