"""From clinical values to numbers that a model takes, learned from sums and counts alone.

So hospitals can add theirs up (`ColumnSums`), and no patient's cell leaves.

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

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

FAR = 10
"""Standard deviations from the training patients' mean beyond which a number is in doubt: an age in
days, or 9999 for "not known"."""

Value = float | str | None
"""Number or word of a patient; None where it is not known."""


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
        """Whether the training patients have nothing of the kind; numbers are all of one."""
        return False

    def is_far(self, value: Value) -> bool:
        """Whether it is beyond all that the training patients let expect."""
        return bool(value is not None and self.std and abs(self.encode(value)[0]) > FAR)


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

    def is_far(self, value: Value) -> bool:
        """Words are not far from one another."""
        return False

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
        return self._said(values_of, lambda code, value: code.is_new(value))

    def far_numbers(self, values_of: Mapping[str, Sequence[Value]]) -> list[str]:
        """Return, for people, numbers of some patients that are far from all in training."""
        return self._said(values_of, lambda code, value: code.is_far(value))

    def _said(
        self,
        values_of: Mapping[str, Sequence[Value]],
        odd: Callable[[NumberCode | WordCode, Value], bool],
    ) -> list[str]:
        found: dict[str, list[str]] = {}
        for patient, values in values_of.items():
            for code, value in zip(self.codes, values, strict=True):
                if odd(code, value):
                    found.setdefault(f"{code.name} {value!r}", []).append(patient)
        return [f"{said} ({some(patients)})" for said, patients in sorted(found.items())]

    def record(self) -> list[dict[str, Any]]:
        """Return it as plain data; `encoding_of` reads it."""
        return [{name: getattr(code, name) for name in type(code).__slots__} for code in self.codes]


def encoding_of(record: Sequence[Mapping[str, Any]]) -> Encoding:
    """Return what `Encoding.record` wrote."""
    return Encoding(
        tuple((WordCode if "shares" in each else NumberCode)(**each) for each in record)
    )
