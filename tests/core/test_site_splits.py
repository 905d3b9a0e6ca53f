from __future__ import annotations

import time
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histofed.core.site_splits import site_preserved_folds
from histofed.core.splits import rotate
from histofed.errors import CohortError


def tables(counts_SC: list[list[int]]) -> tuple[dict[str, int], dict[str, str]]:
    """Return labels and sites of a cohort with so many patients per site and class."""
    label_of, site_of = {}, {}
    for site, row in enumerate(counts_SC):
        for label, count in enumerate(row):
            for number in range(count):
                patient = f"S{site:02d}-{label}-{number:02d}"
                label_of[patient], site_of[patient] = label, f"S{site:02d}"
    return label_of, site_of


def imbalance(counts_SC: np.ndarray, fold_S: tuple[int, ...], n_folds: int) -> float:
    """Return the fraction of each class that folds miss of its even share; inf if one is empty."""
    held_KC = np.array([counts_SC[np.array(fold_S) == k].sum(axis=0) for k in range(n_folds)])
    if (held_KC == 0).any():
        return np.inf
    total_C = counts_SC.sum(axis=0)
    over = np.maximum(held_KC - -(-total_C // n_folds), 0)
    under = np.maximum(total_C // n_folds - held_KC, 0)
    return float(((over + under) / total_C).sum())


counts = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3)), min_size=3, max_size=6)


@given(counts)
@settings(max_examples=40, deadline=None)
def test_no_folds_of_whole_sites_are_better_balanced(rows):
    counts_SC = np.array([row for row in rows if sum(row)] or [[1, 1]])
    label_of, site_of = tables(counts_SC.tolist())
    every = (imbalance(counts_SC, f, 3) for f in product(range(3), repeat=len(counts_SC)))
    best = min(every)
    if np.isinf(best):
        with pytest.raises(CohortError):
            site_preserved_folds(label_of, site_of, 3)
        return
    fold_of = site_preserved_folds(label_of, site_of, 3)
    fold_S = []
    for site in range(len(counts_SC)):
        (fold,) = {fold_of[p] for p in label_of if site_of[p] == f"S{site:02d}"}
        fold_S.append(fold)
    assert imbalance(counts_SC, tuple(fold_S), 3) == pytest.approx(best)


def test_no_site_is_on_both_sides_of_any_fold():
    generator = np.random.default_rng(0)
    label_of, site_of = tables(generator.integers(1, 12, (10, 2)).tolist())
    for fold in rotate(site_preserved_folds(label_of, site_of, 3)):
        sites = [{site_of[p] for p in part} for part in (fold.train, fold.select, fold.test)]
        assert sum(map(len, sites)) == len(set.union(*sites)) == 10


def test_the_order_of_the_table_changes_nothing():
    generator = np.random.default_rng(1)
    label_of, site_of = tables(generator.integers(0, 9, (12, 2)).tolist())
    found = site_preserved_folds(label_of, site_of, 4)
    backwards = dict(reversed(label_of.items()))
    assert site_preserved_folds(backwards, site_of, 4) == found


def test_a_consortium_of_forty_sites_is_solved_soon_and_well():
    generator = np.random.default_rng(2)
    sizes = generator.geometric(0.08, 40)
    counts_SC = np.stack([sizes, generator.binomial(sizes, 0.2)], axis=1)
    label_of, site_of = tables(counts_SC.tolist())
    start = time.process_time()
    fold_of = site_preserved_folds(label_of, site_of, 5)
    assert time.process_time() - start < 10
    fold_S = tuple(
        fold_of[next(p for p in label_of if site_of[p] == f"S{site:02d}")] for site in range(40)
    )
    assert imbalance(counts_SC, fold_S, 5) < 0.02


@pytest.mark.parametrize(
    ("counts_SC", "said"),
    [
        ([[5, 5], [5, 0], [5, 0]], r"class 1 are at 1 site \(S00\), too few for 3 folds"),
        ([[5, 0], [5, 0]], "class 1 has 0 patient"),
        ([[1, 0], [1, 0], [1, 0], [0, 1], [0, 1], [0, 1]], None),
        ([[1, 1], [1, 1]], "class 0 has 2 patient"),
        ([[9, 1], [9, 1], [1, 0], [0, 1]], None),
        ([[1, 0], [1, 0], [1, 1], [0, 1], [0, 9]], None),
        ([[5, 0], [5, 5], [0, 5], [5, 5]], None),
    ],
)
def test_sites_that_cannot_be_put_together_are_refused_by_name(counts_SC, said):
    label_of, site_of = tables(counts_SC)
    if said is None:
        assert set(site_preserved_folds(label_of, site_of, 3).values()) == {0, 1, 2}
        return
    with pytest.raises(CohortError, match=said):
        site_preserved_folds(label_of, site_of, 3, cohort="lung")
