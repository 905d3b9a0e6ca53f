"""What is fixed on a fold's selection patients before its tested ones are looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

from histofed.errors import CohortError

if TYPE_CHECKING:
    from collections.abc import Callable

    from histofed.core.evaluation.rows import Rows

T = TypeVar("T")


def by_fold(
    rows: Rows, picked: Rows | None, fix: Callable[[Rows], T], *, what: str
) -> dict[int, T]:
    """Return fold -> what the patients that picked its checkpoint fix; every tested fold has one.

    Raises
    ------
    CohortError
        The arm picks no checkpoint, a fold has nobody, or as ``fix``: the fold is named.
    """
    if picked is None:
        msg = f"{what}: this way of training picks no checkpoint, so it has no selection patients "
        msg += "to fix it on; read that of another arm"
        raise CohortError(msg)
    fixed = {}
    for number in np.unique(rows.folds_P).tolist():
        here = picked.take(picked.folds_P == number)
        where = f"{what}: selection patients of fold {number + 1}"
        if not len(here):
            msg = f"{where}: there are none; evaluate a run whose folds pick a checkpoint"
            raise CohortError(msg)
        try:
            fixed[number] = fix(here)
        except CohortError as error:
            msg = f"{where}: {error}"
            raise CohortError(msg) from error
    return fixed
