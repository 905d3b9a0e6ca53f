"""Conformal sets, unlikeness, and features that know the site."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestNeighbors

from histofed.core.metrics.conformal import calibrate_sets, coverage_by_group
from histofed.core.metrics.shift import site_known, trained_on
from histofed.errors import CohortError


def softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits)
    return weights / weights.sum(axis=1, keepdims=True)


def predicted(n: int, seed: int, signal: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Return labels of three classes, the last rare, and an overconfident model's probabilities."""
    generator = np.random.default_rng(seed)
    labels = generator.choice(3, n, p=[0.6, 0.3, 0.1])
    return labels, softmax(3 * (generator.normal(size=(n, 3)) + signal * np.eye(3)[labels]))


@pytest.mark.parametrize("by_class", [True, False])
def test_sets_miss_as_rarely_as_promised(by_class):
    missed = []
    for seed in range(200):
        labels, probabilities = predicted(150, seed)
        sets = calibrate_sets(labels, probabilities, miss=0.2, by_class=by_class)
        labels, probabilities = predicted(150, seed + 1000)
        missed.append(1 - sets.of(probabilities)[np.arange(150), labels].mean())
    # On average over calibrations at most 0.2, and not much less.
    assert 0.16 < np.mean(missed) < 0.205


def test_by_class_the_rare_class_is_missed_no_more_often():
    labels, probabilities = predicted(20_000, 0)
    fresh, fresh_probabilities = predicted(20_000, 1)
    rare = fresh == 2

    def missed(*, by_class: bool) -> float:
        sets = calibrate_sets(labels, probabilities, miss=0.2, by_class=by_class)
        return 1 - sets.of(fresh_probabilities)[rare, 2].mean()

    assert missed(by_class=True) == pytest.approx(0.2, abs=0.03)
    labels[labels == 2] = 0  # calibrated on a world where the rare class looks like another
    assert missed(by_class=False) > 0.1


def test_sets_by_hand():
    # Nine patients, miss 0.2: the second smallest probability of the true class may be missed.
    of_label = np.array([0.15, 0.2, 0.5, 0.6, 0.6, 0.7, 0.8, 0.9, 0.95])
    probabilities = np.stack([of_label, 1 - of_label], axis=1)
    sets = calibrate_sets(np.zeros(9, int), probabilities, miss=0.2, by_class=False)
    assert sets.least_C.tolist() == [0.2, 0.2]
    assert sets.of([[0.9, 0.1], [0.5, 0.5], [0.8, 0.2]]).tolist() == [
        [True, False],
        [True, True],
        [True, True],
    ]


@given(st.integers(1, 400), st.sampled_from([0.05, 0.1, 0.2, 0.3]))
def test_the_rank_is_the_conformal_one(n, miss):
    of_label = (np.arange(n) + 1) / (n + 1)
    probabilities = np.stack([of_label, 1 - of_label], axis=1)
    least = calibrate_sets(np.zeros(n, int), probabilities, miss=miss, by_class=False).least_C[0]
    k = round(least * (n + 1))  # the k-th smallest, 0: nothing can be ruled out
    assert k / (n + 1) <= miss + 1e-9 < (k + 1) / (n + 1) + 2e-9


def test_floating_point_does_not_cost_a_rank():
    of_label = (np.arange(99) + 1) / 100
    probabilities = np.stack([of_label, 1 - of_label], axis=1)
    sets = calibrate_sets(np.zeros(99, int), probabilities, miss=0.29, by_class=False)
    assert sets.least_C[0] == 0.29


def test_too_few_patients_rule_nothing_out():
    labels, probabilities = predicted(40, 3)
    few = np.concatenate([np.flatnonzero(labels != 2), np.flatnonzero(labels == 2)[:2]])
    sets = calibrate_sets(labels[few], probabilities[few], miss=0.1)
    assert sets.least_C[2] == 0
    assert sets.of(probabilities)[:, 2].all()


def test_coverage_is_reported_per_site():
    sets = [[True, False], [True, True], [False, True], [False, False]]
    found = coverage_by_group(sets, [0, 1, 0, 1], ["east", "east", "west", "west"])
    assert [
        (each.group, each.n_patients, each.covered.value, each.mean_size) for each in found
    ] == [
        ("east", 2, 1.0, 1.5),
        ("west", 2, 0.0, 0.5),
    ]
    assert found[0].covered.low < 0.5


def test_sets_that_do_not_fit_are_refused():
    labels, probabilities = predicted(30, 0)
    with pytest.raises(CohortError, match=r"misses lies in \(0, 1\), found 10"):
        calibrate_sets(labels, probabilities, miss=10)
    sets = calibrate_sets(labels, probabilities)
    with pytest.raises(CohortError, match="calibrated for 3 classes"):
        sets.of(probabilities[:, :2])
    with pytest.raises(CohortError, match="row 0: probability nan"):
        sets.of(np.full((1, 3), np.nan))
    with pytest.raises(CohortError, match="one set and one label"):
        coverage_by_group(probabilities > 0.5, labels[:2], ["a", "a"])


def features(n: int, seed: int, dim: int = 200) -> np.ndarray:
    generator = np.random.default_rng(seed)
    scales = np.geomspace(0.01, 100, dim)
    return 5 + scales * (generator.normal(size=(n, dim)) + generator.normal(size=(n, 1)))


def test_percentiles_are_uniform_for_patients_like_those_trained_on_even_in_many_dimensions():
    found = np.concatenate(
        [trained_on(features(80, s)).percentile(features(80, s + 500)) for s in range(20)]
    )
    assert found.mean() == pytest.approx(50, abs=4)
    assert np.mean(found > 90) == pytest.approx(0.1, abs=0.04)


def test_another_stain_is_unusual():
    usual = trained_on(features(80, 0))
    signs = np.where(np.arange(200) % 2, 1, -1)
    shifted = features(40, 1) + 2 * signs * features(80, 0).std(axis=0)
    assert (usual.percentile(shifted) == 100).mean() > 0.9


def test_the_score_is_the_distance_to_the_kth_neighbour():
    training, fresh = features(60, 2), features(10, 3)
    usual = trained_on(training, n_neighbours=3)
    scaled = (training - training.mean(axis=0)) / training.std(axis=0)
    neighbours = NearestNeighbors(n_neighbors=3).fit(scaled)
    distances, _ = neighbours.kneighbors((fresh - training.mean(axis=0)) / training.std(axis=0))
    assert usual.score(fresh) == pytest.approx(distances[:, 2])


def test_a_feature_that_never_varied_still_shows_a_patient_who_differs():
    training = np.concatenate([features(30, 0, dim=5), np.ones((30, 1))], axis=1)
    fresh = training[:1].copy()
    fresh[0, -1] = 50
    assert trained_on(training).percentile(fresh) == 100


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(CohortError, match="5 patients trained on, at least 6"):
        trained_on(features(5, 0))
    usual = trained_on(features(20, 0))
    with pytest.raises(CohortError, match="7 features, trained on 200"):
        usual.score(np.zeros((2, 7)))
    with pytest.raises(CohortError, match="row 1: feature nan"):
        usual.score(np.concatenate([features(1, 0), np.full((1, 200), np.nan)]))
    with pytest.raises(CohortError, match=r"found shape \(3,\)"):
        usual.score(np.zeros(3))


def regression(training, sites, fresh):
    return LogisticRegression(C=0.1, max_iter=500).fit(training, sites).predict_proba(fresh)


def test_features_that_know_the_site_and_those_that_do_not():
    generator = np.random.default_rng(0)
    sites = np.repeat(["west", "east", "north"], 30)
    values = generator.normal(size=(90, 8))
    nothing = site_known(values, sites, regression)
    assert nothing.mean == pytest.approx(0.5, abs=0.12)
    values[sites == "east", 0] += 4
    found = site_known(values, sites, regression)
    assert list(found.by_site) == ["east", "north", "west"]
    assert found.by_site["east"] > 0.95
    assert found.mean == pytest.approx(np.mean(list(found.by_site.values())))
    assert found == site_known(values, sites, regression)


def test_a_classifier_never_sees_whom_it_scores():
    values = np.arange(20.0)[:, None]

    def watched(training, sites, fresh):
        assert not set(training.ravel()) & set(fresh.ravel())
        assert set(sites) == {0, 1}
        return np.zeros((len(fresh), 2))

    assert site_known(values, np.arange(20) % 2, watched).mean == 0.5


def test_sites_that_cannot_be_told_apart_are_refused_by_name():
    values = np.zeros((9, 2))
    with pytest.raises(CohortError, match="all 9 patients are of site a"):
        site_known(values, ["a"] * 9, regression)
    with pytest.raises(CohortError, match=r"site b has 2 patients for 5 folds"):
        site_known(values, ["a"] * 7 + ["b"] * 2, regression)
    with pytest.raises(CohortError, match=r"shape \(3, 1\) for 3 patients and 2 sites"):
        site_known(values, ["a"] * 5 + ["b"] * 4, lambda *arrays: arrays[2][:, :1], n_folds=3)
