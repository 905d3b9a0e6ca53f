"""Groups, panels, classes and numbers: against scikit-learn and hand-worked values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import balanced_accuracy_score, r2_score, roc_auc_score

from histofed.core.metrics import auroc, brier, multiclass, regression
from histofed.core.metrics.comparison import benjamini_hochberg
from histofed.core.metrics.groups import by_group, stratified_auroc
from histofed.core.metrics.panel import panel_auroc
from histofed.core.metrics.resampling import bootstrap, bootstrap_rows
from histofed.errors import CohortError


def three_classes(seed: int, n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    labels = np.concatenate([[0, 1, 2], generator.choice(3, n - 3, p=[0.6, 0.3, 0.1])])
    logits = np.round(generator.normal(size=(n, 3)) + 1.2 * np.eye(3)[labels], 1)
    weights = np.exp(logits)
    return labels, weights / weights.sum(axis=1, keepdims=True)


@given(st.integers(0, 1000))
@settings(max_examples=40)
def test_several_classes_equal_scikit_learn(seed):
    labels, probabilities = three_classes(seed)
    ovr = roc_auc_score(labels, probabilities, multi_class="ovr", average="macro")
    assert multiclass.macro_auroc(labels, probabilities) == pytest.approx(ovr)
    ovo = roc_auc_score(labels, probabilities, multi_class="ovo", average="macro")
    assert multiclass.hand_till(labels, probabilities) == pytest.approx(ovo)
    balanced = balanced_accuracy_score(labels, probabilities.argmax(axis=1))
    assert multiclass.class_accuracy(labels, probabilities) == pytest.approx(balanced)


@given(st.integers(0, 1000))
def test_two_classes_are_the_binary_task(seed):
    generator = np.random.default_rng(seed)
    labels, p = np.arange(30) % 2, generator.random(30)
    two = np.stack([1 - p, p], axis=1)
    assert multiclass.hand_till(labels, two) == pytest.approx(auroc(labels, p))
    assert multiclass.macro_auroc(labels, two) == pytest.approx(auroc(labels, p))
    assert multiclass.class_brier(labels, two) == pytest.approx(2 * brier(labels, p))


def test_hand_till_does_not_depend_on_the_frequency_of_classes():
    labels, probabilities = three_classes(5)
    often = np.flatnonzero(labels == 0)
    rows = np.concatenate([np.arange(60), often, often])
    assert multiclass.hand_till(labels[rows], probabilities[rows]) == pytest.approx(
        multiclass.hand_till(labels, probabilities)
    )
    assert multiclass.macro_auprc(labels[rows], probabilities[rows]) != pytest.approx(
        multiclass.macro_auprc(labels, probabilities)
    )


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        ([0, 1], [[0.5, 0.3, 0.2], [0.2, 0.5, 0.3]], r"of 2 patients none is of class 2"),
        ([0, 1], [[0.5, 0.3], [0.5, 0.5]], "row 0: the probabilities of the classes sum to 0.8"),
        ([0, 1], [[1.5, -0.5], [0.5, 0.5]], "found 1.5"),
        ([0, 3], [[0.5, 0.5], [0.5, 0.5]], "row 1: label 3 is none of the 2 classes"),
        ([0, 1], [0.5, 0.5], "C >= 2 scores per patient"),
        ([0, 1], [[0.5, 0.5], [np.nan, 0.5]], "row 1: score nan"),
    ],
)
def test_bad_classes_are_refused_by_name(labels, probabilities, message):
    with pytest.raises(CohortError, match=message):
        multiclass.macro_auroc(labels, probabilities)


numbers = st.lists(
    st.tuples(st.integers(-50, 50), st.integers(-50, 50)), min_size=3, max_size=30
).filter(lambda rows: all(len({row[i] for row in rows}) > 1 for i in (0, 1)))


@given(numbers, st.sampled_from([1e-200, 1.0, 1e150]))
def test_correlations_equal_scipy_at_any_scale(rows, scale):
    truth, predicted = np.array(rows, dtype=float).T
    assert regression.pearson(scale * truth, predicted) == pytest.approx(
        pearsonr(truth, predicted).statistic, abs=1e-9
    )
    assert regression.spearman(scale * truth, predicted) == pytest.approx(
        spearmanr(truth, predicted).statistic, abs=1e-9
    )
    assert regression.r_squared(truth, predicted) == pytest.approx(r2_score(truth, predicted))


def test_regression_by_hand():
    assert regression.mean_absolute_error([1, 2, 4], [2, 2, 2]) == 1
    # A shift leaves the correlation and costs R2: 1 - 3 * 1 / 2.
    assert regression.pearson([1, 2, 3], [2, 3, 4]) == pytest.approx(1)
    assert regression.r_squared([1, 2, 3], [2, 3, 4]) == pytest.approx(-0.5)


def test_constants_and_damage_are_refused_by_name():
    with pytest.raises(CohortError, match="prediction of all 3 patients is 2"):
        regression.pearson([1, 2, 3], [2, 2, 2])
    with pytest.raises(CohortError, match="truth of all 3 patients is 2"):
        regression.r_squared([2, 2, 2], [1, 2, 3])
    with pytest.raises(CohortError, match="row 1: predicted value nan"):
        regression.spearman([1, 2, 3], [1, np.nan, 3])
    with pytest.raises(CohortError, match="at least 2"):
        regression.mean_absolute_error([1], [1])


def test_rows_of_any_metric_can_be_resampled():
    labels, p = three_classes(2)[0] % 2, np.random.default_rng(0).random(60)
    rows = bootstrap_rows(auroc, labels, p, strata_P=labels, n_resamples=100)
    at_once = bootstrap(auroc, labels, p, n_resamples=100)
    assert (rows.low, rows.high) == pytest.approx((at_once.low, at_once.high))
    truth = np.arange(40.0)
    found = bootstrap_rows(regression.pearson, truth, truth + 9 * np.sin(truth), n_resamples=200)
    assert 0 < found.low < found.value < found.high < 1
    with pytest.raises(CohortError, match="lengths 3, 2, 3"):
        bootstrap_rows(regression.pearson, [1, 2, 3], [1, 2])


def test_every_group_has_its_number_and_one_class_has_none():
    labels = np.array([0, 1, 0, 1, 1, 1])
    scores = np.array([0.1, 0.9, 0.8, 0.7, 0.5, 0.6])
    found = by_group(auroc, labels, scores, ["b", "b", "a", "a", "c", "c"], n_resamples=20)
    assert [(each.group, each.n_patients, each.n_positive) for each in found] == [
        ("a", 2, 1),
        ("b", 2, 1),
        ("c", 2, 2),
    ]
    assert [each.interval and each.interval.value for each in found] == [0, 1, None]
    with pytest.raises(CohortError, match="one group per patient: 6 patients"):
        by_group(auroc, labels, scores, ["a"])


def test_a_confounder_explains_what_it_explains():
    generator = np.random.default_rng(0)
    site = np.repeat(["north", "south"], 100)
    labels = np.concatenate([np.arange(100) % 10 == 0, np.arange(100) % 10 != 0]).astype(int)
    knows_site = (site == "south") + 0.1 * generator.random(200)
    found = stratified_auroc(labels, knows_site, site, n_resamples=200)
    assert found.crude.low > 0.8
    assert found.within.low < 0.5 < found.within.high
    knows_label = labels + generator.normal(size=200)
    found = stratified_auroc(labels, knows_label, site, n_resamples=200)
    assert found.within.low > 0.6


@given(st.integers(0, 1000))
@settings(max_examples=40)
def test_the_stratified_auroc_counts_the_pairs_within(seed):
    generator = np.random.default_rng(seed)
    labels = np.array([0, 1, *generator.integers(0, 2, 28)])
    scores = generator.integers(0, 5, 30) / 5
    strata = np.array([0, 0, *generator.integers(0, 4, 28)])
    right = pairs = 0.0
    for i in np.flatnonzero(labels == 1):
        for j in np.flatnonzero((labels == 0) & (strata == strata[i])):
            right += (scores[i] > scores[j]) + 0.5 * (scores[i] == scores[j])
            pairs += 1
    found = stratified_auroc(labels, scores, strata, n_resamples=5)
    assert found.within.value == pytest.approx(right / pairs)


def test_one_stratum_is_no_confounder_and_a_deciding_one_is_refused():
    labels, scores = np.arange(30) % 2, np.random.default_rng(0).random(30)
    found = stratified_auroc(labels, scores, np.zeros(30), n_resamples=200)
    assert found.within == found.crude
    with pytest.raises(CohortError, match="the confounder decides the label"):
        stratified_auroc(labels, scores, labels)


def panel(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels of three genes, a third of them not known, and a model that knows the first gene."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 2, (90, 3)).astype(float)
    probabilities = generator.random((90, 3))
    probabilities[:, 0] = 0.5 * probabilities[:, 0] + 0.3 * labels[:, 0]
    labels[generator.random(labels.shape) < 1 / 3] = np.nan
    return labels, probabilities


def test_a_gene_not_sequenced_is_left_out_of_its_own_question_only():
    labels, probabilities = panel()
    found = panel_auroc(labels, probabilities, ["TP53", "EGFR", "KRAS"], n_resamples=50)
    for gene, label, probability in zip(found, labels.T, probabilities.T, strict=True):
        known = ~np.isnan(label)
        assert gene.n_patients == known.sum() < 90
        assert gene.n_positive == np.nansum(label)
        assert gene.auroc == bootstrap(auroc, label[known], probability[known], n_resamples=50)
    assert [gene.adjusted for gene in found] == pytest.approx(
        benjamini_hochberg([gene.p_value for gene in found])
    )
    assert found[0].adjusted < 0.001
    assert min(found[1].adjusted, found[2].adjusted) > 0.01


def test_a_gene_of_one_class_has_no_auroc_and_does_not_count_in_the_panel():
    labels, probabilities = panel()
    labels[:, 1] = 0
    found = panel_auroc(labels, probabilities, ["TP53", "EGFR", "KRAS"], n_resamples=5)
    assert (found[1].auroc, found[1].p_value, found[1].adjusted) == (None, None, None)
    assert [found[0].adjusted, found[2].adjusted] == pytest.approx(
        benjamini_hochberg([found[0].p_value, found[2].p_value])
    )


def test_a_bad_gene_is_named():
    labels, probabilities = panel()
    with pytest.raises(CohortError, match=r"panel: labels .90, 3.* and 2 names"):
        panel_auroc(labels, probabilities, ["TP53", "EGFR"])
    genes = ["TP53", "EGFR", "KRAS"]
    labels[:, 2] = np.nan
    with pytest.raises(CohortError, match=r"KRAS: .* at least 1"):
        panel_auroc(labels, probabilities, genes, n_resamples=5)
    labels[0, 1] = 2
    with pytest.raises(CohortError, match="EGFR: labels of a binary task are 0 and 1, found 2"):
        panel_auroc(labels, probabilities, genes, n_resamples=5)
