"""Whether folds can be learned from, and are of this cohort; every fault by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histofed.core.cohort import some
from histofed.core.splits import ROLES, Fold
from histofed.errors import CohortError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping


def check_classes(
    fold: Fold, label_of: Mapping[str, int], *, needed: Collection[int] | None = None
) -> None:
    """Stop, by name, if a role lacks a class: it could not be learned, selected on or reported.

    Raises
    ------
    CohortError
        A role without patients, or whose patients lack a class.
    """
    for role in ROLES:
        patients: tuple[str, ...] = getattr(fold, role)
        wanted = set(label_of.values()) if needed is None else set(needed)
        if not patients:
            msg = f"fold {fold.number}: nobody has the role {role}; use fewer folds, or give some "
            msg += "patients that role in the split file"
            raise CohortError(msg)
        if lacking := sorted(wanted - {label_of[p] for p in patients}):
            msg = (
                f"fold {fold.number}: nobody in {role} ({some(patients)}) has "
                f"label {some([str(label) for label in lacking])}; use fewer folds, or move "
                "patients in the split file"
            )
            raise CohortError(msg)


def check_covered(folds: Iterable[Fold], patients: Iterable[str]) -> None:
    """Stop, by name, if folds made elsewhere are not of this cohort.

    Raises
    ------
    CohortError
        A patient of a fold is not in the cohort, one of the cohort has no role, or nobody is
        tested.
    """
    known, folds = set(patients), list(folds)
    named = {patient for fold in folds for patient in fold.role_of}
    if strange := sorted(named - known):
        msg = f"the split file names {some(strange)}, who are not in the cohort (or whose label is "
        msg += "not known); remove their rows or use the split file of this cohort"
        raise CohortError(msg)
    if absent := sorted(known - named):
        msg = f"the split file says nothing of {some(absent)}; give them a role or take them out "
        msg += "of the cohort"
        raise CohortError(msg)
    if not any(fold.test for fold in folds):
        msg = "the split file tests nobody; give some patients the role test"
        raise CohortError(msg)
