"""A panel: each question over those of whom the answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import false_discovery_control, mannwhitneyu
from sklearn.metrics import average_precision_score, roc_auc_score

from histofed.core.evaluation.base import Resampling
from histofed.core.evaluation.multilabel import METRICS, MultilabelMeasures

NAMES = ("TP53", "KRAS", "EGFR")
MEASURES = MultilabelMeasures(NAMES)
HOW = Resampling(200, 0)


@pytest.fixture
def panel(rows_of):
    generator = np.random.default_rng(3)
    labels = generator.integers(0, 2, (60, 3)).astype(float)
    outputs = 1 / (1 + np.exp(-generator.normal(labels * [2, 1, 0], 1.0)))
    labels[generator.random(labels.shape) < 0.25] = np.nan
    return rows_of(labels, outputs)


def test_numbers_are_means_over_questions_of_those_who_answered(panel):
    known = ~np.isnan(panel.labels_PK)
    areas, precisions = (
        [of(panel.labels_PK[known[:, q], q], panel.outputs_PV[known[:, q], q]) for q in range(3)]
        for of in (roc_auc_score, average_precision_score)
    )
    result = MEASURES.result(panel, HOW)
    assert result.numbers["mean_auroc"].value == pytest.approx(np.mean(areas))
    assert result.numbers["mean_auprc"].value == pytest.approx(np.mean(precisions))
    assert result.counts["n_answers"] == known.sum()
    questions = MEASURES.details(panel, None, HOW, sensitivity=None).questions
    p_values = []
    for q, each in enumerate(questions):
        answers, scores = panel.labels_PK[known[:, q], q], panel.outputs_PV[known[:, q], q]
        assert (each.name, each.n_patients) == (NAMES[q], known[:, q].sum())
        assert each.auroc.value == pytest.approx(areas[q])
        p_values.append(
            mannwhitneyu(scores[answers == 1], scores[answers == 0], alternative="greater").pvalue
        )
    assert [each.adjusted for each in questions] == pytest.approx(
        false_discovery_control(p_values).tolist()
    )


def test_a_question_nobody_answered_keeps_its_row(panel, rows_of):
    labels = panel.labels_PK.copy()
    labels[:, 1] = np.nan
    labels[:, 2] = np.where(np.isnan(labels[:, 2]), np.nan, 0.0)
    rows = rows_of(labels, panel.outputs_PV)
    questions = MEASURES.details(rows, None, HOW, sensitivity=None).questions
    assert [each.n_patients > 0 for each in questions] == [True, False, True]
    assert [each.auroc is None for each in questions] == [False, True, True]
    known = ~np.isnan(labels[:, 0])
    expected = roc_auc_score(labels[known, 0], panel.outputs_PV[known, 0])
    assert MEASURES.result(rows, HOW).numbers["mean_auroc"].value == pytest.approx(expected)
    none = rows_of(np.where(np.isnan(labels), np.nan, 0.0), panel.outputs_PV)
    assert "none of its 3 questions" in MEASURES.result(none, HOW).reasons["mean_auroc"]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_resamples_at_once_are_the_definition(rows_of, each_draw, seed):
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 2, (12, 2)).astype(float)
    labels[:2, 0] = 0, 1
    labels[generator.random(12) < 0.3, 1] = np.nan
    rows = rows_of(labels, generator.integers(0, 4, (12, 2)) / 4)
    counts = generator.integers(0, 3, (3, 12))
    counts[:, :2] = 1  # the first question keeps both answers
    for metric in METRICS:
        each_draw(metric, rows, counts)
