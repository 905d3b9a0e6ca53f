"""A cohort: patients, their slides and labels; and who may be trained on and who is tested.

The unit of every split is the patient. Fold k is tested by models that were trained without it and
whose checkpoint was picked on another fold, so no reported number was used to choose anything.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from histofed.errors import CohortError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from histofed.core.types import Slide

MIN_FOLDS = 3
"""One fold to test, one to pick the checkpoint, at least one to train."""


@dataclass(frozen=True)
class Cohort:
    """Patients with at least one slide and a known label.

    Attributes
    ----------
    slides
        In the order of the table.
    labels
        ``patient_id`` -> 0 or 1.
    """

    name: str
    slides: tuple[Slide, ...]
    labels: Mapping[str, int]

    def __post_init__(self) -> None:
        """Refuse a cohort that contradicts itself."""
        sites: dict[str, str] = {}
        seen: set[str] = set()
        for slide in self.slides:
            if slide.slide_id in seen:
                msg = f"slide {slide.slide_id} appears twice; give every slide its own slide_id"
                raise CohortError(msg)
            seen.add(slide.slide_id)
            if sites.setdefault(slide.patient_id, slide.site) != slide.site:
                msg = (
                    f"patient {slide.patient_id} belongs to sites {sites[slide.patient_id]} and "
                    f"{slide.site}; a patient has one site"
                )
                raise CohortError(msg)
        if strange := sorted(p for p, label in self.labels.items() if label not in (0, 1)):
            msg = f"patients with a label other than 0 and 1: {_some(strange)}; correct the task"
            raise CohortError(msg)
        if unlabelled := sorted(sites.keys() - self.labels.keys()):
            msg = f"patients without a label: {_some(unlabelled)}; leave them out or label them"
            raise CohortError(msg)
        if slideless := sorted(self.labels.keys() - sites.keys()):
            msg = f"patients without a slide: {_some(slideless)}; leave them out or add a slide"
            raise CohortError(msg)

    @property
    def patients(self) -> tuple[str, ...]:
        """Patients in the order of their first slide."""
        return tuple(dict.fromkeys(slide.patient_id for slide in self.slides))

    @property
    def site_of(self) -> dict[str, str]:
        """``patient_id`` -> site."""
        return {slide.patient_id: slide.site for slide in self.slides}

    @property
    def sites(self) -> tuple[str, ...]:
        """Sites, sorted."""
        return tuple(sorted({slide.site for slide in self.slides}))

    def slides_of(self, patient_id: str) -> tuple[Slide, ...]:
        """Return the slides of one patient, in the order of the table."""
        return tuple(slide for slide in self.slides if slide.patient_id == patient_id)

    def subset(self, patients: Iterable[str]) -> Cohort:
        """Return the cohort of some of the patients."""
        keep = set(patients)
        return Cohort(
            name=self.name,
            slides=tuple(slide for slide in self.slides if slide.patient_id in keep),
            labels={patient: label for patient, label in self.labels.items() if patient in keep},
        )


@dataclass(frozen=True)
class Fold:
    """Who does what when fold ``number`` is tested; three disjoint sets of patients."""

    number: int
    train: tuple[str, ...]
    select: tuple[str, ...]
    test: tuple[str, ...]


def stratified_folds(cohort: Cohort, n_folds: int, *, seed: int) -> dict[str, int]:
    """Deal the patients into folds, balanced by site and label.

    Patients are shuffled within their site and label and dealt one by one, each to the fold that
    has fewest of the same site and label; of equals, to the one with fewest of the same label or
    site; of equals, to the smallest.

    Returns
    -------
    fold_of
        ``patient_id`` -> fold, from 0.

    Raises
    ------
    CohortError
        Fewer than 3 folds, or a class with fewer patients than folds.
    """
    if n_folds < MIN_FOLDS:
        msg = (
            f"splits.n_folds is {n_folds}; at least {MIN_FOLDS} are needed: one fold to test, one "
            "to pick the checkpoint, one to train"
        )
        raise CohortError(msg)
    groups: dict[tuple[int, str], list[str]] = defaultdict(list)
    for patient in sorted(cohort.labels):
        groups[cohort.labels[patient], cohort.site_of[patient]].append(patient)
    for label in (0, 1):
        members = [patient for key, group in groups.items() if key[0] == label for patient in group]
        if len(members) < n_folds:
            msg = (
                f"cohort {cohort.name}: class {label} has {len(members)} patient(s) "
                f"({_some(members)}) for {n_folds} folds; every fold needs one: use fewer folds "
                "(splits.n_folds=...) or more patients"
            )
            raise CohortError(msg)
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


def check_no_leakage(fold: Fold) -> None:
    """Stop, by name, if a patient has two roles in one fold.

    Raises
    ------
    CohortError
        The same patient is on two sides.
    """
    roles = {"train": set(fold.train), "select": set(fold.select), "test": set(fold.test)}
    for one, other in (("train", "select"), ("train", "test"), ("select", "test")):
        if both := sorted(roles[one] & roles[other]):
            msg = (
                f"fold {fold.number}: {_some(both)} are in both {one} and {other}; "
                "a patient has one role"
            )
            raise CohortError(msg)


def _members(fold_of: Mapping[str, int], folds: set[int]) -> tuple[str, ...]:
    return tuple(sorted(patient for patient, fold in fold_of.items() if fold in folds))


def _some(names: list[str], most: int = 5) -> str:
    """Name the first few."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
