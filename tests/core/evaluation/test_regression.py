"""Numbers, against SciPy and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import false_discovery_control, pearsonr, spearmanr
from sklearn.metrics import mean_absolute_error, r2_score

from histofed.core.evaluation.base import Resampling
from histofed.core.evaluation.correlation import spearman_kept_R, spearman_R
from histofed.core.evaluation.regression import (
    ERROR,
    MANY,
    METRICS,
    RegressionMeasures,
    spearman_draws,
)

HOW = Resampling(200, 0)


@pytest.fixture
def genes(rows_of):
    generator = np.random.default_rng(4)
    labels = generator.normal(1e3, 50, (50, 3))
    outputs = labels + generator.normal(0, [20, 60, 500], (50, 3))
    labels[generator.random(labels.shape) < 0.2] = np.nan
    return rows_of(labels, outputs)


def test_numbers_are_those_of_other_libraries(genes):
    names = ("A", "B", "C")
    measures = RegressionMeasures(names, unit="TPM")
    quantities = measures.details(genes, None, HOW, sensitivity=None).quantities
    p_values, found = [], {"pearson": [], "spearman": [], "r2": [], "mae": []}
    for q, each in enumerate(quantities):
        known = ~np.isnan(genes.labels_PK[:, q])
        truth, predicted = genes.labels_PK[known, q], genes.outputs_PV[known, q]
        assert (each.name, each.n_patients) == (names[q], known.sum())
        found["pearson"].append(pearsonr(truth, predicted)[0])
        found["spearman"].append(spearmanr(truth, predicted)[0])
        found["r2"].append(r2_score(truth, predicted))
        found["mae"].append(mean_absolute_error(truth, predicted))
        assert each.pearson.value == pytest.approx(found["pearson"][-1])
        assert each.pearson.low < each.pearson.value < each.pearson.high
        assert each.spearman == pytest.approx(found["spearman"][-1])
        assert each.r2 == pytest.approx(found["r2"][-1])
        assert each.mae == pytest.approx(found["mae"][-1])
        p_values.append(pearsonr(truth, predicted, alternative="greater")[1])
        assert each.p_value == pytest.approx(p_values[-1])
    adjusted = [each.adjusted for each in quantities]
    assert adjusted == pytest.approx(false_discovery_control(p_values).tolist())
    numbers = measures.result(genes, HOW).numbers
    for name, values in found.items():
        assert numbers[name].value == pytest.approx(np.mean(values))


def test_what_never_changes_has_no_correlation_and_says_so(rows_of):
    labels = np.column_stack([np.full(6, 2.0), np.arange(6.0)])
    rows = rows_of(labels, np.column_stack([np.arange(6.0), np.arange(6.0)]))
    measures = RegressionMeasures(("same", "rising"))
    same, rising = measures.details(rows, None, HOW, sensitivity=None).quantities
    assert (same.pearson, same.r2, same.p_value, same.adjusted) == (None, None, None, None)
    assert "truth of all 6 patients is 2" in same.reason
    assert same.mae == pytest.approx(np.abs(np.arange(6) - 2).mean())
    assert rising.pearson.value == 1
    assert measures.result(rows, HOW).numbers["pearson"].value == 1  # of the one that varies
    alone = RegressionMeasures(("same",)).result(rows_of(labels[:, 0], np.arange(6.0)), HOW)
    assert alone.numbers["pearson"] is None
    assert alone.numbers["mae"] is not None


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), far=st.sampled_from([0.0, 1e6]))
def test_resamples_at_once_are_the_definition(rows_of, each_draw, seed, far):
    generator = np.random.default_rng(seed)
    labels = far + generator.integers(0, 5, (9, 2)).astype(float)
    labels[:2] = [[far, far], [far + 4, far + 4]]
    labels[generator.integers(2, 9), 1] = np.nan
    outputs = far + generator.integers(0, 5, (9, 2))
    outputs[:2] = [[far + 1, far], [far + 2, far + 3]]
    counts = generator.integers(0, 3, (3, 9))
    counts[:, :2] = 1  # neither column is constant
    for metric in (*METRICS, ERROR):
        each_draw(metric, rows_of(labels, outputs), counts)


def test_ranks_kept_among_all_patients_give_nearly_the_same_interval(rows_of):
    generator = np.random.default_rng(6)
    truth = generator.normal(size=80)
    predicted = truth + generator.normal(size=80)
    counts = generator.multinomial(80, np.full(80, 1 / 80), size=500).astype(float)
    one_fold = np.zeros(80, dtype=np.int64)
    anew, kept = (of(truth, predicted, counts, one_fold) for of in (spearman_R, spearman_kept_R))
    ends = [np.quantile(draws, [0.025, 0.975]) for draws in (anew, kept)]
    np.testing.assert_allclose(*ends, atol=0.02)
    all_once = spearman_kept_R(truth, predicted, np.ones((1, 80)), one_fold)
    assert all_once == pytest.approx(spearmanr(truth, predicted)[0])
    one, many = (
        rows_of(np.tile(truth[:, None], n), np.tile(predicted[:, None], n)) for n in (1, MANY + 1)
    )
    np.testing.assert_allclose(spearman_draws(one, counts), anew)
    np.testing.assert_allclose(spearman_draws(many, counts), kept)


def test_a_resample_of_one_patient_alone_cannot_tell(rows_of):
    rows = rows_of([1.0, 2.0, 3.0], [1.1, 1.9, 3.2])
    counts = np.array([[3.0, 0.0, 0.0]])
    found = {metric.name: metric.draws(rows, counts)[0] for metric in (*METRICS, ERROR)}
    assert np.isnan([found["pearson"], found["spearman"], found["r2"]]).all()
    assert found["mae"] == pytest.approx(0.1)


def test_errors_in_several_units_are_not_averaged(genes):
    names = ("age", "CD8A", "PD-L1")
    numbers = RegressionMeasures(names).result(genes, HOW).numbers
    assert "mae" not in numbers
    assert "mae" in RegressionMeasures(names, unit="TPM").result(genes, HOW).numbers
    alone = RegressionMeasures(names[:1])
    assert [metric.name for metric in alone.metrics][-1] == "mae"
    each = RegressionMeasures(names).details(genes, None, HOW, sensitivity=None).quantities
    assert all(quantity.mae > 0 for quantity in each)
