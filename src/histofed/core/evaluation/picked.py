"""What is fixed on a fold's selection patients before its tested ones are looked at."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from histofed.errors import CohortError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from histofed.core.evaluation.rows import Rows


@dataclass(frozen=True, slots=True)
class Picked:
    """Predictions of the patients that checkpoints were picked on.

    Attributes
    ----------
    rows
        Each by the model of the fold that the patient picked.
    means_of
        Fold that a tested patient's prediction bears -> folds whose models it is the mean of, as
        for an external cohort; a fold that is not here speaks for itself alone.
    """

    rows: Rows
    means_of: Mapping[int, Sequence[int]] = field(default_factory=dict)


def by_fold(
    rows: Rows,
    picked: Picked | None,
    fix: Callable[[Rows], Sequence[float]],
    *,
    what: str,
) -> dict[int, tuple[float, ...]]:
    """Return fold -> what the patients that picked its checkpoint fix; every tested fold has one.

    For a mean of several models it is the mean of what each one's patients fix.

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
        means_of = picked.means_of.get(number, (number,))
        found = [_one(picked.rows, fold, fix, what) for fold in means_of]
        fixed[number] = tuple(np.mean(found, axis=0).tolist())
    return fixed


def _one(
    rows: Rows, fold: int, fix: Callable[[Rows], Sequence[float]], what: str
) -> Sequence[float]:
    here = rows.take(rows.folds_P == fold)
    where = f"{what}: selection patients of fold {fold}"
    if not len(here):
        msg = f"{where}: there are none; evaluate a run whose folds pick a checkpoint"
        raise CohortError(msg)
    try:
        return fix(here)
    except CohortError as error:
        msg = f"{where}: {error}"
        raise CohortError(msg) from error
