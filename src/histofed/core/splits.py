"""Who is trained on, who picks the checkpoint and who is tested. The unit is the patient.

Fold k is tested by models that were trained without it and whose checkpoint was picked on another
fold, so no reported number was used to choose anything. `Fold` cannot be made otherwise.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from histofed.core.cohort import some
from histofed.core.words import counted
from histofed.errors import CohortError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence


MIN_FOLDS = 3
"""One fold to test, one to pick the checkpoint, at least one to train."""

ROLES = ("train", "select", "test")


@dataclass(frozen=True)
class Fold:
    """Who does what when fold ``number`` is tested; three disjoint sets of patients.

    Raises
    ------
    CohortError
        A patient has two roles; the patient and both roles are named.
    """

    number: int
    train: tuple[str, ...]
    select: tuple[str, ...]
    test: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse a patient on two sides."""
        for one, other in combinations(ROLES, 2):
            if both := sorted(set(getattr(self, one)) & set(getattr(self, other))):
                msg = (
                    f"fold {self.number}: {some(both)} are in both {one} and {other}; "
                    "a patient has one role"
                )
                raise CohortError(msg)

    @property
    def role_of(self) -> dict[str, str]:
        """``patient_id`` -> train, select or test."""
        return {patient: role for role in ROLES for patient in getattr(self, role)}


@dataclass(frozen=True)
class NestedFold:
    """Options are chosen by the inner folds' tests; the outer fold tests the choice.

    Raises
    ------
    CohortError
        A patient whom the outer fold tests has a role in an inner one.
    """

    outer: Fold
    inner: tuple[Fold, ...]

    def __post_init__(self) -> None:
        """Refuse options chosen on those who are reported."""
        for fold in self.inner:
            if both := sorted(fold.role_of.keys() & set(self.outer.test)):
                msg = f"fold {self.outer.number}: {some(both)} are tested and also in inner fold "
                msg += f"{fold.number}, which chooses options; nobody chosen on is reported"
                raise CohortError(msg)


def deal(
    label_of: Mapping[str, int],
    n_folds: int,
    *,
    seed: int,
    site_of: Mapping[str, str] | None = None,
    cohort: str = "(unnamed)",
    needed: Collection[int] | None = None,
) -> dict[str, int]:
    """Deal the patients into folds, balanced by label and, if given, by site.

    Patients are shuffled within their site and label and dealt one by one, each to the fold that
    has fewest of the same site and label; of equals, to the one with fewest of the same label or
    site; of equals, to the smallest.

    Parameters
    ----------
    label_of
        ``patient_id`` -> class from 0; of a survival task, whether there was an event; of a number,
        e.g. its quarter.
    cohort
        Name for the error.
    needed
        Classes of which every fold needs somebody; None for 0, 1 and all that there are.

    Returns
    -------
    fold_of
        ``patient_id`` -> fold, from 0.

    Raises
    ------
    CohortError
        Fewer than 3 folds, or a class with fewer patients than folds.
    """
    check_enough(label_of, n_folds, cohort=cohort, needed=needed)
    groups: dict[tuple[int, str], list[str]] = defaultdict(list)
    for patient in sorted(label_of):
        groups[label_of[patient], site_of[patient] if site_of else ""].append(patient)
    random = np.random.default_rng(seed)
    fold_of: dict[str, int] = {}
    dealt: Counter[tuple[object, ...]] = Counter()
    for label, site in sorted(groups):

        def crowding(k: int, label: int = label, site: str = site) -> tuple[int, int, int]:
            return dealt[label, site, k], dealt[label, k] + dealt[site, k], dealt[k,]

        for patient in random.permutation(sorted(groups[label, site])):
            fold = min(range(n_folds), key=crowding)
            fold_of[str(patient)] = fold
            dealt.update([(label, site, fold), (label, fold), (site, fold), (fold,)])
    return fold_of


def check_enough(
    label_of: Mapping[str, int],
    n_folds: int,
    *,
    cohort: str,
    needed: Collection[int] | None = None,
) -> None:
    """Refuse too few folds, and a class with fewer patients than folds, by their names."""
    if n_folds < MIN_FOLDS:
        msg = (
            f"splits.n_folds is {n_folds}; at least {MIN_FOLDS} are needed: one fold to test, one "
            "to pick the checkpoint, one to train"
        )
        raise CohortError(msg)
    if len(label_of) < n_folds:
        msg = (
            f"cohort {cohort}: {counted(len(label_of), 'patient')} "
            f"({some(sorted(label_of)) or 'nobody'}) for {n_folds} folds; use fewer folds "
            "(splits.n_folds=...) or more patients"
        )
        raise CohortError(msg)
    for label in sorted({0, 1, *label_of.values()} if needed is None else needed):
        members = sorted(patient for patient, found in label_of.items() if found == label)
        if len(members) < n_folds:
            msg = (
                f"cohort {cohort}: class {label} has {counted(len(members), 'patient')} "
                f"({some(members) or 'nobody'}) for {n_folds} folds; every fold needs one: use "
                "fewer folds (splits.n_folds=...) or more patients"
            )
            raise CohortError(msg)


def rotate(fold_of: Mapping[str, int]) -> list[Fold]:
    """Return the roles of every patient as each fold in turn is tested.

    The fold after the tested one picks the checkpoint; the others train.
    """
    n_folds = max(fold_of.values()) + 1
    folds = []
    for number in range(n_folds):
        selecting = (number + 1) % n_folds
        folds.append(
            Fold(
                number=number,
                train=_members(fold_of, set(range(n_folds)) - {number, selecting}),
                select=_members(fold_of, {selecting}),
                test=_members(fold_of, {number}),
            )
        )
    return folds


def select_inside(
    fold: Fold,
    label_of: Mapping[str, int],
    site_of: Mapping[str, str],
    *,
    n_folds: int,
    seed: int,
    cohort: str = "(unnamed)",
    needed: Collection[int] | None = None,
) -> Fold:
    """Return the fold with its checkpoint picked by patients of every site that trains.

    Where sites are tested whole, so is the one that would pick the checkpoint: hospitals that train
    together then have nobody to pick a round on. Training and selection patients are dealt anew, by
    label and site, into one group fewer than there are folds (but 3 at least), the first of which
    picks.

    Raises
    ------
    CohortError
        As `deal`.
    """
    rest = {patient: label_of[patient] for patient in (*fold.train, *fold.select)}
    group_of = deal(
        rest,
        max(MIN_FOLDS, n_folds - 1),
        seed=seed,
        site_of=site_of,
        cohort=f"{cohort}, fold {fold.number} without those it tests",
        needed=needed,
    )
    select = _members(group_of, {0})
    return replace(fold, train=tuple(sorted(rest.keys() - set(select))), select=select)


def nested(
    fold_of: Mapping[str, int], deal_again: Callable[[Sequence[str]], Mapping[str, int]]
) -> list[NestedFold]:
    """Return every fold of `rotate` with inner folds over the patients that it does not test.

    Parameters
    ----------
    deal_again
        Deals those patients into inner folds; ``deal`` or `site_preserved_folds` with the options
        filled in.
    """
    outers = rotate(fold_of)
    return [
        NestedFold(outer, tuple(rotate(deal_again(sorted((*outer.train, *outer.select))))))
        for outer in outers
    ]


def external(fold_of: Mapping[str, int], tested: Iterable[str]) -> list[Fold]:
    """Return folds that all test the same external patients, whose predictions are then averaged.

    Fold k picks the checkpoint of model k; the others train it.
    """
    test = tuple(sorted(tested))
    return [
        Fold(
            number=number,
            train=_members(fold_of, set(fold_of.values()) - {number}),
            select=_members(fold_of, {number}),
            test=test,
        )
        for number in sorted(set(fold_of.values()))
    ]


def _members(fold_of: Mapping[str, int], folds: set[int]) -> tuple[str, ...]:
    return tuple(sorted(patient for patient, fold in fold_of.items() if fold in folds))
