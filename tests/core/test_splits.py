from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histofed.core.cohort import Cohort
from histofed.core.splits import (
    Fold,
    NestedFold,
    deal,
    external,
    nested,
    rotate,
    select_inside,
)
from histofed.core.types import Slide
from histofed.errors import CohortError


def slide(patient: str, site: str = "A", number: int = 1) -> Slide:
    return Slide(slide_id=f"{patient}-{number}", patient_id=patient, site=site)


def class_of(cohort: Cohort) -> dict[str, int]:
    return {patient: int(label[0]) for patient, label in cohort.labels.items()}


def stratified_folds(cohort: Cohort, n_folds: int, *, seed: int, by_site: bool = True):
    site_of = cohort.site_of if by_site else None
    return deal(class_of(cohort), n_folds, seed=seed, site_of=site_of, cohort=cohort.name)


def cohort_of(groups: list[tuple[str, int, int]]) -> Cohort:
    """A cohort of (site, label, how many patients) groups; every third patient has two slides."""
    slides, labels = [], {}
    for site, label, count in groups:
        for _ in range(count):
            patient = f"P{len(labels):03d}"
            labels[patient] = (float(label),)
            slides += [slide(patient, site, n) for n in range(1, 3 if len(labels) % 3 else 2)]
    return Cohort(name="test", slides=tuple(slides), labels=labels)


@st.composite
def dealt(draw: st.DrawFn) -> tuple[Cohort, int]:
    """A cohort of uneven hospitals, and a number of folds that both classes can fill."""
    n_folds = draw(st.integers(3, 7))
    counts = draw(
        st.lists(
            st.tuples(st.integers(0, 2 * n_folds), st.integers(0, n_folds)), min_size=1, max_size=6
        ).filter(lambda pairs: all(sum(pair[i] for pair in pairs) >= n_folds for i in (0, 1)))
    )
    return cohort_of(
        [(f"site-{k}", label, pair[label]) for k, pair in enumerate(counts) for label in (0, 1)]
    ), n_folds


@given(dealt(), st.integers(0, 2**32 - 1))
def test_every_patient_is_in_exactly_one_fold(case, seed) -> None:
    cohort, n_folds = case
    fold_of = stratified_folds(cohort, n_folds, seed=seed)
    assert fold_of.keys() == set(cohort.patients)
    assert set(fold_of.values()) == set(range(n_folds))


@given(dealt(), st.integers(0, 99))
def test_site_and_label_are_balanced_between_folds(case, seed) -> None:
    cohort, n_folds = case
    fold_of = stratified_folds(cohort, n_folds, seed=seed)
    for site in cohort.sites:
        for label in (0, 1):
            counts = Counter(
                fold_of[patient]
                for patient in cohort.patients
                if (cohort.site_of[patient], class_of(cohort)[patient]) == (site, label)
            )
            per_fold = [counts[fold] for fold in range(n_folds)]
            assert max(per_fold) - min(per_fold) <= 1


@given(dealt(), st.integers(0, 99))
@settings(max_examples=300)
def test_every_fold_has_both_classes(case, seed) -> None:
    cohort, n_folds = case
    fold_of = stratified_folds(cohort, n_folds, seed=seed)
    found = {(fold, class_of(cohort)[patient]) for patient, fold in fold_of.items()}
    assert found == {(fold, label) for fold in range(n_folds) for label in (0, 1)}


@given(dealt(), st.integers(0, 99), st.randoms(use_true_random=False))
def test_folds_follow_from_the_seed_not_from_the_order_of_the_table(case, seed, shuffler) -> None:
    cohort, n_folds = case
    slides, labels = list(cohort.slides), list(cohort.labels.items())
    shuffler.shuffle(slides)
    shuffler.shuffle(labels)
    other = Cohort(name="test", slides=tuple(slides), labels=dict(labels))
    fold_of = stratified_folds(cohort, n_folds, seed=seed)
    assert fold_of == stratified_folds(cohort, n_folds, seed=seed)
    assert fold_of == stratified_folds(other, n_folds, seed=seed)


def test_another_seed_deals_otherwise() -> None:
    cohort = cohort_of([("A", 0, 12), ("A", 1, 12)])
    hands = [sorted(stratified_folds(cohort, 3, seed=seed).items()) for seed in range(5)]
    assert len({tuple(hand) for hand in hands}) == 5


def test_folds_are_of_even_size_when_hospitals_are_small() -> None:
    # Six hospitals of one patient per class: dealing each from fold 0 would fill fold 0 only.
    cohort = cohort_of([(f"S{k}", label, 1) for k in range(6) for label in (0, 1)])
    for seed in range(10):
        sizes = Counter(stratified_folds(cohort, 3, seed=seed).values())
        assert sorted(sizes.values()) == [4, 4, 4]


@given(dealt(), st.integers(0, 99))
def test_roles_are_disjoint_cover_all_and_every_patient_is_tested_once(case, seed) -> None:
    cohort, n_folds = case
    fold_of = stratified_folds(cohort, n_folds, seed=seed)
    folds = rotate(fold_of)
    assert [fold.number for fold in folds] == list(range(n_folds))
    for fold in folds:
        everyone = (*fold.train, *fold.select, *fold.test)
        assert len(everyone) == len(set(everyone))
        assert set(everyone) == set(cohort.patients)
        assert all((fold.train, fold.select, fold.test))
        assert {fold_of[patient] for patient in fold.test} == {fold.number}
    for role in ("select", "test"):
        assert sorted(p for fold in folds for p in getattr(fold, role)) == sorted(fold_of)


@pytest.mark.parametrize(
    ("roles", "sides"),
    [
        ({"train": ("P1", "P2"), "select": ("P2",), "test": ("P3",)}, "train and select"),
        ({"train": ("P1", "P2"), "select": ("P3",), "test": ("P2",)}, "train and test"),
        ({"train": ("P1",), "select": ("P2",), "test": ("P3", "P2")}, "select and test"),
    ],
)
def test_leakage_names_the_patient_and_both_sides(roles, sides) -> None:
    with pytest.raises(CohortError, match=rf"fold 4: P2 are in both {sides}"):
        Fold(number=4, **roles)


def test_too_few_folds_are_refused() -> None:
    with pytest.raises(CohortError, match=r"splits\.n_folds is 2; at least 3"):
        stratified_folds(cohort_of([("A", 0, 9), ("A", 1, 9)]), 2, seed=0)


def test_a_class_too_small_is_refused_with_its_patients() -> None:
    cohort = cohort_of([("A", 0, 9), ("A", 1, 2), ("B", 1, 1)])
    with pytest.raises(CohortError) as refused:
        stratified_folds(cohort, 4, seed=0)
    for said in ("cohort test", "class 1 has 3 patient", "P009, P010, P011", "splits.n_folds"):
        assert said in str(refused.value)


def test_a_long_list_of_names_is_cut() -> None:
    with pytest.raises(CohortError, match=r"P000, P001, P002, P003, P004 and 2 more\b"):
        stratified_folds(cohort_of([("A", 0, 7), ("A", 1, 30)]), 8, seed=0)


@given(dealt(), st.integers(0, 99))
def test_without_sites_labels_alone_are_balanced(case, seed) -> None:
    cohort, n_folds = case
    fold_of = stratified_folds(cohort, n_folds, seed=seed, by_site=False)
    assert fold_of == deal(class_of(cohort), n_folds, seed=seed)
    for label in (0, 1):
        counts = Counter(fold for p, fold in fold_of.items() if class_of(cohort)[p] == label)
        per_fold = [counts[fold] for fold in range(n_folds)]
        assert max(per_fold) - min(per_fold) <= 1


def test_more_than_two_classes_are_dealt() -> None:
    label_of = {f"P{k}": k % 4 for k in range(20)}
    fold_of = deal(label_of, 5, seed=0)
    assert {(fold, label_of[p]) for p, fold in fold_of.items()} == {
        (fold, label) for fold in range(5) for label in range(4)
    }


def test_inner_folds_know_nobody_whom_the_outer_one_tests() -> None:
    cohort = cohort_of([("A", 0, 20), ("A", 1, 20)])

    def inner(patients) -> dict[str, int]:
        return deal({p: class_of(cohort)[p] for p in patients}, 3, seed=1)

    folds = nested(stratified_folds(cohort, 5, seed=0), inner)
    assert [fold.outer.number for fold in folds] == list(range(5))
    for fold in folds:
        others = set(cohort.patients) - set(fold.outer.test)
        assert [set(each.role_of) for each in fold.inner] == [others] * 3
        assert sorted(p for each in fold.inner for p in each.test) == sorted(others)


def test_an_inner_fold_that_knows_a_tested_patient_cannot_be_made() -> None:
    outer = Fold(number=2, train=("P1",), select=("P2",), test=("P3",))
    inner = Fold(number=1, train=("P1",), select=("P2", "P3"), test=())
    with pytest.raises(CohortError, match="fold 2: P3 are tested and also in inner fold 1"):
        NestedFold(outer, (inner,))


def test_an_external_cohort_is_tested_by_every_model_and_selects_none() -> None:
    cohort = cohort_of([("A", 0, 6), ("A", 1, 6)])
    fold_of = stratified_folds(cohort, 3, seed=0)
    folds = external(fold_of, ["X2", "X1"])
    assert [fold.test for fold in folds] == [("X1", "X2")] * 3
    assert sorted(p for fold in folds for p in fold.select) == sorted(cohort.patients)
    assert all(len(fold.train) == 8 for fold in folds)
    with pytest.raises(CohortError, match="P000 are in both train and test"):
        external(fold_of | {"P000": 1}, ["P000"])


@given(st.integers(3, 6), st.integers(2, 5), st.integers(0, 3))
def test_selection_inside_comes_from_every_site_that_trains(n_sites, n_each, seed):
    site_of = {f"{s}{p}": str(s) for s in range(n_sites) for p in range(2 * n_each)}
    label_of = {name: int(name[-1]) % 2 for name in site_of}
    for tested in range(n_sites):
        test = tuple(sorted(p for p in site_of if site_of[p] == str(tested)))
        rest = tuple(sorted(p for p in site_of if p not in test))
        fold = Fold(number=tested, train=rest[1:], select=rest[:1], test=test)
        found = select_inside(fold, label_of, site_of, n_folds=n_sites, seed=seed)
        assert (found.number, found.test) == (tested, test)
        assert sorted((*found.train, *found.select)) == list(rest)
        assert {site_of[p] for p in found.train} == {site_of[p] for p in rest}
        assert {label_of[p] for p in found.select} == {0, 1}
        if n_each >= max(3, n_sites - 1):
            assert {site_of[p] for p in found.select} == {site_of[p] for p in rest}
