"""A column of many numbers as three groups of patients, which can be told apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from histofed.core.cohort import some
from histofed.core.tasks.base import is_number
from histofed.core.words import counted
from histofed.errors import CohortError

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_NUMBERS = 10
"""Of a column whose numbers are groups as they are: grades, stages."""

THIRDS = ("lower third", "middle third", "upper third")


def grouped(name: str, cell_of: Mapping[str, str], *, unknown: str) -> dict[str, str]:
    """Return patient -> group: the cell, or of a column of many numbers, the third it is in.

    Equal numbers are of one group, so thirds may differ in size.

    Parameters
    ----------
    name
        Of the column.
    cell_of
        Patient -> cell.
    unknown
        What a cell says where nothing is known; these patients are a group.

    Raises
    ------
    CohortError
        A column of many numbers also holds something else; the patients are named.
    """
    number_of = {patient: float(cell) for patient, cell in cell_of.items() if is_number(cell)}
    if len(set(number_of.values())) <= MOST_NUMBERS:
        return dict(cell_of)
    if odd := [p for p, cell in cell_of.items() if p not in number_of and cell != unknown]:
        shown = some([f"{patient} {cell_of[patient]!r}" for patient in odd], most=3)
        msg = (
            f"column {name!r} holds numbers of {counted(len(number_of), 'patient')}, and {shown}; "
        )
        msg += "correct these cells, empty them, or write groups into a column of their own"
        raise CohortError(msg)
    values = np.array(list(number_of.values()))
    cuts = np.quantile(values, [1 / 3, 2 / 3], method="inverted_cdf")
    third_P = np.searchsorted(cuts, values)
    names = {}
    for third in np.unique(third_P).tolist():
        here = values[third_P == third]
        names[third] = f"{THIRDS[third]} ({here.min():g} to {here.max():g})"
    third_of = dict(zip(number_of, third_P.tolist(), strict=True))
    return {p: names[third_of[p]] if p in third_of else unknown for p in cell_of}
