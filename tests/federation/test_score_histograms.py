"""Counts of hospitals give the AUROC of all rows, within the bound that they state."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from histofed.core.metrics import auroc
from histofed.errors import CohortError
from histofed.federation.score_histograms import (
    ScoreHistogram,
    SiteScores,
    auroc_within,
    binned_auroc,
)

patients = st.lists(
    st.tuples(st.integers(0, 1), st.floats(0, 1), st.integers(0, 2), st.integers(0, 1)),
    min_size=2,
    max_size=60,
).filter(lambda rows: len({(fold, label) for label, _, _, fold in rows if not fold}) == 2)
"""Label, probability, hospital, fold; fold 0 has both classes."""


def arrays(rows):
    return tuple(np.array(column) for column in zip(*rows, strict=True))


def counted(labels, probabilities, sites, folds, fewest):
    return [
        SiteScores.of(*(each[sites == site] for each in (labels, probabilities, folds)),
                      fewest=fewest)
        for site in np.unique(sites)
    ]  # fmt: skip


def n_binned(sites: list[SiteScores]) -> int:
    return sum(int(each.n_B.sum()) for site in sites for each in site.folds.values())


@given(patients, st.integers(1, 6))
def test_the_auroc_of_all_rows_is_within_the_bound(rows, fewest):
    labels, probabilities, sites, folds = arrays(rows)
    found = counted(labels, probabilities, sites, folds, fewest)
    if n_binned(found) < len(rows):
        return  # pairs of patients who are in no bin are not compared
    area = binned_auroc(found)
    exact = auroc(labels, probabilities, within_P=folds)
    assert area.at_least - 1e-12 <= exact <= area.at_most + 1e-12
    assert area.at_least - 1e-12 <= area.value <= area.at_most + 1e-12


@given(patients, st.integers(1, 6))
def test_no_bin_holds_fewer_patients_than_it_may(rows, fewest):
    labels, probabilities, sites, folds = arrays(rows)
    for site in counted(labels, probabilities, sites, folds, fewest):
        for each in site.folds.values():
            assert (each.n_B >= fewest).all()
            assert each.upper_B[-1] == 100
            assert (np.diff(each.upper_B) > 0).all()
            assert (each.predicted_B <= each.n_B + 1e-9).all()


@given(patients)
def test_whoever_is_not_counted_is_of_a_fold_with_too_few(rows):
    labels, probabilities, sites, folds = arrays(rows)
    found = counted(labels, probabilities, sites, folds, 4)
    sizes = [
        int(((sites == site) & (folds == fold)).sum())
        for site in np.unique(sites)
        for fold in (0, 1)
    ]
    assert n_binned(found) == sum(size for size in sizes if size >= 4)


@given(patients)
def test_pairs_of_one_hospital_are_exact_whatever_the_bins(rows):
    labels, probabilities, sites, folds = arrays(rows)
    within = np.array([f"{site} {fold}" for site, fold in zip(sites, folds, strict=True)])
    found = counted(labels, probabilities, sites, folds, 1000)
    if sum(each.pairs for each in found):
        assert auroc_within(found) == pytest.approx(auroc(labels, probabilities, within_P=within))
        assert binned_auroc(found) == pytest.approx((auroc_within(found),) * 3)


def test_the_bounds_are_reached():
    """Of two hospitals with all in one bin each the order is not known at all."""

    def of(*hospitals):
        sites = [ScoreHistogram.of(labels, scores, fewest=1) for labels, scores in hospitals]
        return binned_auroc([SiteScores(0, 0, {0: each}) for each in sites])

    assert of(([0], [0.31]), ([1], [0.315])) == (0.5, 0, 1)
    assert of(([0], [0.315]), ([1], [0.31])) == (0.5, 0, 1)
    # Bins end where the next cell begins, 0..30 and 30..100 here, 0..30 and 30..100 there.
    assert of(([0, 0], [0.296, 0.95]), ([1, 1], [0.295, 0.99])) == (0.5, 0.25, 0.75)


@given(st.integers(1, 90), st.integers(1, 90))
def test_evenly_spread_scores_are_ordered_as_their_bins_let_expect(end, other_end):
    """Against every pair of cells of two bins; those of the same cell are in order by half."""
    one = ScoreHistogram(*(np.array(each) for each in ([end, 100], [1, 0], [0, 1], [0.0, 0.0])))
    other = ScoreHistogram(
        *(np.array(each) for each in ([other_end, 100], [0, 1], [1, 0], [0.0, 0.0]))
    )
    cells, other_cells = np.arange(end)[:, None], np.arange(other_end)
    expected = ((cells > other_cells) + 0.5 * (cells == other_cells)).mean()
    assert one.above(other)[0] == pytest.approx(expected)


def test_bins_are_as_narrow_as_the_patients_allow():
    found = ScoreHistogram.of([0, 1, 0, 1, 1], [0.1, 0.2, 0.3, 0.4, 1.0], fewest=2)
    assert found.upper_B.tolist() == [21, 100]
    assert found.positive_B.tolist() == [1, 2]
    assert found.negative_B.tolist() == [1, 1]
    assert found.predicted_B == pytest.approx([0.3, 1.7])
    assert ScoreHistogram.of([1, 0], [0.1, 0.2], fewest=3) is None


def test_folds_are_not_compared_with_one_another():
    """The second fold's model is lower on the whole."""
    labels, probabilities = [0, 1, 0, 1], [0.5, 0.6, 0.1, 0.2]
    one = SiteScores.of(labels, probabilities, [0, 0, 1, 1], fewest=1)
    assert (one.right, one.pairs) == (2, 2)


def test_patients_of_one_class_are_refused_only_where_they_are_alone():
    alone = SiteScores.of([1, 1], [0.2, 1.0], [0, 0], fewest=1)
    for of in (binned_auroc, auroc_within):
        with pytest.raises(CohortError, match="no positive patient has a negative one"):
            of([alone])
    other = SiteScores.of([0], [0.1], [0], fewest=1)
    assert binned_auroc([alone, other]).at_most == 1.0
