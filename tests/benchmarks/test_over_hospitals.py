"""The benchmarks over hospitals read what they say they read, and their figures add up."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from histofed.core.metrics.groups import stratified_auroc
from histofed.io.store import FeatureStore
from histofed.mil.objectives.cox import Cox


def test_the_split_of_fed_tcga_brca_is_the_published_one(load, test_data):
    benchmark = load("flamby_brca")
    folder = test_data / "federated" / "fed_tcga_brca"
    trained, tested = benchmark.read(folder, "train"), benchmark.read(folder, "test")
    assert [len(each) for each in trained.values()] == [248, 156, 164, 129, 129, 40]
    assert [len(each) for each in tested.values()] == [63, 40, 42, 33, 33, 11]
    assert [each.target_PK[:, 1].sum() for each in trained.values()] == [45, 35, 14, 16, 7, 2]
    assert benchmark.together(tested).features_PD.shape == (222, 39)
    assert benchmark.together(tested).target_PK[:, 1].sum() == 32


def test_every_chosen_plan_takes_the_steps_of_the_published_one(load):
    benchmark = load("flamby_brca")
    assert set(benchmark.PUBLISHED) == {*benchmark.CANDIDATES, *benchmark.LOCAL}
    for plans in benchmark.CANDIDATES.values():
        assert {plan.rounds * plan.updates for plan in plans} == {benchmark.STEPS}


def test_a_linear_cox_model_over_sites_finds_what_decides_survival(load):
    tools = load("linear_sites")
    random = np.random.default_rng(0)
    sites = {}
    for name in "ab":
        features_PD = random.normal(size=(30, 2))
        times_P = np.exp(-features_PD[:, 0])
        sites[name] = tools.Patients(features_PD, np.column_stack([times_P, np.ones(30)]))
    plan = tools.Plan(rounds=3, updates=5, batch_size=None, learning_rate=0.5, weight_decay=0.01)
    risk = tools.train(sites, Cox(n_times=0), plan, seed=0)
    found = risk(np.array([[2.0, 0.0], [0.0, 0.0], [-2.0, 0.0]]))
    assert found[0] > found[1] > found[2]


def test_heart_patients_and_what_is_missing(load, test_data):
    benchmark = load("heart_disease")
    cohort = benchmark.read(test_data / "federated" / "heart_disease")
    counts = [int((cohort.hospitals_P == name).sum()) for name in benchmark.HOSPITALS.values()]
    assert counts == [303, 294, 123, 200]
    assert cohort.labels_P.sum() == 509
    cholesterol = benchmark.COLUMNS.index("cholesterol")
    zurich = [cohort.known.values_of[name] for name in cohort.names if name.startswith("Zurich")]
    assert {values[cholesterol] for values in zurich} == {None}
    assert "sex" in cohort.known.words
    assert "age" not in cohort.known.words


def test_auroc_within_hospitals_is_that_of_the_statistics(load):
    benchmark = load("heart_disease")
    random = np.random.default_rng(1)
    labels, hospitals = random.integers(0, 2, 60), random.choice(["x", "y", "z"], 60)
    scores = random.normal(size=60) + labels
    expected = stratified_auroc(labels, scores, hospitals, n_resamples=10).within.value
    assert benchmark.within(labels, hospitals, scores) == pytest.approx(expected)
    other = -scores
    mean = (expected + benchmark.within(labels, hospitals, other)) / 2
    assert benchmark.within(labels, hospitals, scores, other) == pytest.approx(mean)


def test_the_synthetic_cohort_is_as_it_says(load, tmp_path):
    benchmark = load("federated_mil")
    benchmark.write_synthetic(tmp_path, seed=0, scale=0.2)
    with (tmp_path / "cohort.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["site"] for row in rows} == set(benchmark.PATIENTS_OF)
    assert {row["mutated"] for row in rows} == {"0", "1"}
    features = FeatureStore(tmp_path / "features").read(rows[0]["patient_id"]).features_ND
    assert 30 <= len(features) <= 70
    assert features.shape[1] == benchmark.DIM


def test_differences_count_every_cohort_alike(load):
    benchmark = load("federated_mil")
    rows = [
        {"cohort": "a", "federated": 0.8, "pooled": 0.9, "local_mean": 0.7},
        {"cohort": "a", "federated": 0.9, "pooled": 0.9, "local_mean": 0.7},
        {"cohort": "b", "federated": 0.7, "pooled": 0.6, "local_mean": 0.7},
    ]
    found = benchmark.figures_of(rows)
    assert found["federated_minus_pooled_a"] == pytest.approx(-0.05)
    assert found["federated_minus_pooled"] == pytest.approx((-0.05 + 0.1) / 2)
    assert found["federated_minus_local_mean"] == pytest.approx((0.15 + 0.0) / 2)


def test_a_round_carries_two_models_and_half_precision_halves_the_answer(load):
    found = load("federation").sizes()
    assert 2 <= found["bytes_per_model"] <= 2.1
    assert found["update_per_model_fp16"] <= 0.55
