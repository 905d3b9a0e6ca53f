"""Several classes, against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, roc_auc_score

from histofed.core.evaluation.base import Resampling
from histofed.core.evaluation.multiclass import METRICS, MulticlassMeasures

CLASSES = ("one", "two", "three")
MEASURES = MulticlassMeasures(CLASSES)
HOW = Resampling(200, 0)


def soft(labels, seed):
    weights = np.exp(np.random.default_rng(seed).normal(np.eye(3)[labels], 1.0))
    return weights / weights.sum(axis=1, keepdims=True)


def test_numbers_are_those_of_scikit_learn(rows_of):
    labels = np.arange(90) ** 2 % 7 % 3
    outputs = soft(labels, 0)
    rows = rows_of(labels, outputs)
    numbers = MEASURES.result(rows, HOW).numbers
    ovr = roc_auc_score(labels, outputs, multi_class="ovr", average="macro")
    ovo = roc_auc_score(labels, outputs, multi_class="ovo", average="macro")
    called = outputs.argmax(axis=1)
    assert numbers["macro_auroc"].value == pytest.approx(ovr)
    assert numbers["hand_till"].value == pytest.approx(ovo)
    assert numbers["balanced_accuracy"].value == pytest.approx(
        balanced_accuracy_score(labels, called)
    )
    squared = ((outputs - np.eye(3)[labels]) ** 2).sum(axis=1).mean()
    assert numbers["brier"].value == pytest.approx(squared)
    for found in numbers.values():
        assert found.low < found.value < found.high
    details = MEASURES.details(rows, None, HOW, sensitivity=None)
    np.testing.assert_array_equal(details.confusion_CC, confusion_matrix(labels, called))
    for number, each in enumerate(details.by_class):
        assert each.n_patients == (labels == number).sum()
        assert each.auroc.value == pytest.approx(
            roc_auc_score(labels == number, outputs[:, number])
        )


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_resamples_at_once_are_the_definition(rows_of, each_draw, seed):
    generator = np.random.default_rng(seed)
    labels = np.repeat([0, 1, 2], 8)
    rows = rows_of(labels, np.round(soft(labels, seed), 1))
    outputs = rows.outputs_PV / rows.outputs_PV.sum(axis=1, keepdims=True)
    rows = rows_of(labels, outputs)
    # Within each class as many are drawn as it has.
    counts = np.hstack([generator.multinomial(8, np.full(8, 1 / 8), size=3) for _ in range(3)])
    for metric in METRICS:
        each_draw(metric, rows, counts)


def test_a_site_without_a_class_says_so(rows_of):
    labels = np.array([0, 0, 1, 1])
    result = MEASURES.result(rows_of(labels, soft(labels, 1)), HOW)
    assert result.counts == {"n_patients": 4, "n_one": 2, "n_two": 2, "n_three": 0}
    assert MEASURES.in_words(result.counts) == "2 one, 2 two, 0 three"
    assert result.numbers["macro_auroc"] is None
    assert "none is of class 2" in result.reasons["macro_auroc"]
    assert result.numbers["brier"] is not None
