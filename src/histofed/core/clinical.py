"""Clinical covariates (age, sex, stage): what a table says of every patient.

What numbers a cell becomes is learned from the training patients of a fold alone
(`histofed.core.clinical_encoding`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from histofed.core.clinical_encoding import (
    ColumnSums,
    Encoding,
    NumberCode,
    Value,
    WordCode,
    column_sums,
)
from histofed.core.cohort import some
from histofed.core.tasks.base import MISSING, is_number, plain
from histofed.core.words import counted
from histofed.errors import CohortError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence


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
            msg = f"clinical.columns=[{','.join(self.names)}] tells no two training patients of a "
            msg += "fold apart; name others"
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
    odd = [patient for patient, cell in cell_of.items() if not is_number(cell)]
    if odd and len(odd) == len(cell_of) and not may_be_words:
        msg = f"clinical column {name!r} holds words ({_said(odd, cell_of)}), and held numbers "
        msg += "when the model was trained; correct the table"
        raise CohortError(msg)
    if odd and len(odd) < len(cell_of):
        msg = (
            f"clinical column {name!r} holds words ({_said(odd, cell_of)}) and, of "
            f"{counted(len(cell_of) - len(odd), 'patient')}, numbers; correct the words, name one "
            f"that means 'not known' in clinical.missing, or name {name} in clinical.words if its "
            "numbers are names"
        )
        raise CohortError(msg)
    return not odd


def _said(patients: Sequence[str], cell_of: Mapping[str, str]) -> str:
    return some([f"{patient} {cell_of[patient]!r}" for patient in patients], most=3)
