"""Patients of one fold are compared with one another, whatever the task."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histofed.core.evaluation.base import Resampling
from histofed.core.evaluation.binary import BinaryMeasures
from histofed.core.evaluation.multiclass import MulticlassMeasures
from histofed.core.evaluation.multilabel import MultilabelMeasures
from histofed.core.evaluation.regression import RegressionMeasures
from histofed.errors import CohortError

N_FOLDS = 5
HOW = Resampling(200, 0)

MEASURES = {
    "binary": BinaryMeasures(),
    "multiclass": MulticlassMeasures(("one", "two", "three")),
    "multilabel": MultilabelMeasures(("TP53", "KRAS")),
    "regression": RegressionMeasures(("CD274", "CD8A")),
}


def unbalanced_folds(generator, n_patients):
    return generator.permutation(np.arange(n_patients) % N_FOLDS)


def one_hot(kind, generator, n_patients):
    """Return labels that nothing can tell, as tables have them and as models average them."""
    if kind == "multiclass":
        classes = generator.permutation(np.arange(n_patients) % 3)
        return classes[:, None], np.eye(3)[classes]
    if kind == "regression":
        labels = generator.normal(size=(n_patients, 2))
    else:
        labels = generator.integers(0, 2, (n_patients, 1 if kind == "binary" else 2))
    return labels, labels


def knows_nothing(kind, generator, n_patients=40):
    """Return labels, folds, and what models say that have learned their training mean and noise."""
    labels, learned = one_hot(kind, generator, n_patients)
    folds = unbalanced_folds(generator, n_patients)
    means = np.array([learned[folds != fold].mean(axis=0) for fold in folds])
    outputs = means + 0.02 * generator.normal(size=means.shape)
    if kind != "regression":
        outputs = np.clip(outputs, 0.01, 1)
    if kind == "multiclass":
        outputs /= outputs.sum(axis=1, keepdims=True)
    return labels, outputs, folds


@pytest.mark.parametrize("kind", MEASURES)
def test_pooled_folds_lie_below_chance_where_there_is_nothing_to_find(rows_of, kind):
    generator = np.random.default_rng(0)
    studies = [knows_nothing(kind, generator) for _ in range(150)]
    rows = [rows_of(labels, outputs, folds=folds) for labels, outputs, folds in studies]
    measures = MEASURES[kind]
    within = {metric.name: metric for metric in measures.metrics}
    for pooled in measures.beside:
        metric = within[pooled.name.removesuffix("_pooled")]
        of_folds, of_all = (np.array([of(each) for each in rows]) for of in (metric.of, pooled.of))
        error = of_folds.std() / np.sqrt(len(rows))
        assert of_folds.mean() == pytest.approx(metric.chance, abs=3 * error)
        assert of_all.mean() < metric.chance - 0.1


@pytest.mark.parametrize("kind", MEASURES)
def test_one_fold_is_compared_as_ever(rows_of, kind):
    labels, outputs, _ = knows_nothing(kind, np.random.default_rng(1))
    numbers = MEASURES[kind].result(rows_of(labels, outputs), HOW).numbers
    assert any(name.endswith("_pooled") for name in numbers)
    for name, found in numbers.items():
        if name.endswith("_pooled"):
            assert found == numbers[name.removesuffix("_pooled")]


@pytest.mark.parametrize("kind", MEASURES)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_no_fold_has_a_scale_that_others_must_share(rows_of, kind, seed):
    generator = np.random.default_rng(seed)
    labels, outputs, folds = knows_nothing(kind, generator)
    moved = outputs + 3.0 * generator.permutation(N_FOLDS)[folds][:, None]
    before, after = (rows_of(labels, each, folds=folds) for each in (outputs, moved))
    if kind == "multiclass":  # its probabilities sum to one, which moving them would not keep
        counts = np.ones((1, len(folds)))
        numbers = [
            [metric.draws(rows, counts)[0] for metric in MEASURES[kind].metrics[:2]]
            for rows in (before, after)
        ]
    else:
        names = [metric.name for metric in MEASURES[kind].beside]
        ranking = [m for m in MEASURES[kind].metrics if f"{m.name}_pooled" in names]
        numbers = [[metric.of(rows) for metric in ranking] for rows in (before, after)]
    assert numbers[0] == pytest.approx(numbers[1], abs=1e-9)


@pytest.mark.parametrize("kind", MEASURES)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_resamples_at_once_are_the_definition_within_folds(rows_of, each_draw, kind, seed):
    generator = np.random.default_rng(seed)
    labels, outputs, folds = knows_nothing(kind, generator, n_patients=30)
    if kind != "multiclass":
        outputs = np.round(outputs, 2)  # ties
    rows = rows_of(labels, outputs, folds=folds)
    strata = np.zeros(30) if kind == "regression" else labels[:, 0]
    counts = np.zeros((3, 30), dtype=int)
    for each in np.unique(strata):
        members = np.flatnonzero(strata == each)
        even = np.full(len(members), 1 / len(members))
        counts[:, members] = generator.multinomial(len(members), even, 3)
    counts[0] = 1
    for metric in MEASURES[kind].metrics:
        told = np.isfinite(metric.draws(rows, counts.astype(float)))
        each_draw(metric, rows, counts[told])
        for untold in counts[~told]:
            with pytest.raises(CohortError):
                metric.of(rows.take(np.repeat(np.arange(30), untold)))


@pytest.mark.slow
def test_the_interval_holds_the_truth_though_folds_have_a_handful_of_each_class(rows_of):
    generator = np.random.default_rng(3)
    labels, folds = (np.arange(40) < 8).astype(float), np.arange(40) % N_FOLDS
    truth, held = 0.7602, []  # P(N(1, 1) > N(0, 1))
    for _ in range(300):
        outputs = generator.normal(labels) + 0.5 * generator.normal(size=N_FOLDS)[folds]
        found = BinaryMeasures().result(
            rows_of(labels, 1 / (1 + np.exp(-outputs)), folds=folds), HOW
        )
        interval = found.numbers["auroc"]
        held.append(interval.low <= truth <= interval.high)
    assert np.mean(held) > 0.92


def test_folds_without_a_pair_are_told(rows_of):
    labels, folds = np.array([1, 1, 0, 0]), np.array([0, 1, 2, 3])
    result = BinaryMeasures().result(rows_of(labels, [0.9, 0.8, 0.2, 0.1], folds=folds), HOW)
    assert result.numbers["auroc"] is None
    assert "only patients of one fold are compared; use fewer folds" in result.reasons["auroc"]
    assert result.numbers["auroc_pooled"].value == 1
    rows = rows_of([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0], folds=folds)
    result = RegressionMeasures(("age",)).result(rows, HOW)
    assert result.numbers["pearson"] is None
    assert "in each of 4 folds" in result.reasons["pearson"]
