from __future__ import annotations

import math

import numpy as np
import pytest

from histofed.core.evaluation.picked import Picked
from histofed.core.evaluation.rows import Rows
from histofed.core.evaluation.triage import triage
from histofed.core.metrics.conformal import half_width
from histofed.core.metrics.venn_abers import venn_abers
from histofed.core.survival.concordance import harrell_c
from histofed.core.tasks import (
    BinaryTask,
    MulticlassTask,
    MultilabelTask,
    RegressionTask,
    SurvivalTask,
)
from histofed.core.types import Prediction

BINARY = BinaryTask(name="egfr", column="egfr")
CLASSES = MulticlassTask(name="type", column="type", classes=("a", "b", "c"))
PANEL = MultilabelTask(name="panel", questions=("egfr", "kras"))
NUMBER = RegressionTask(name="til", quantities=("til",))
TIMES = SurvivalTask(name="os", column="t", event_column="e", times=(1.0, 2.0))
NAN = math.nan


def said(label, outputs, *, fold=0, who="p") -> Prediction:
    return Prediction(patient_id=who, site="A", fold=fold, label=label, outputs=outputs)


def picked(labels, outputs, *, folds=None, means_of=None) -> Picked:
    folds = [0] * len(labels) if folds is None else folds
    rows = Rows.of(
        [
            said((label,), (output,), fold=fold)
            for label, output, fold in zip(labels, outputs, folds, strict=True)
        ]
    )
    return Picked(rows, means_of or {})


@pytest.mark.parametrize(
    ("task", "label", "outputs", "uncertainty", "discordant"),
    [
        (BINARY, (1,), (0.9,), 0.2, False),
        (BINARY, (1,), (0.4,), 0.8, True),
        (BINARY, (0,), (0.4,), 0.8, False),
        (BINARY, (NAN,), (0.5,), 1.0, None),
        (CLASSES, (2,), (0.5, 0.3, 0.2), 0.8, True),
        (CLASSES, (0,), (0.4, 0.3, 0.3), 0.9, False),  # under a half, and still the most probable
        (CLASSES, (NAN,), (1.0, 0.0, 0.0), 0.0, None),
        (PANEL, (1, 0), (0.9, 0.2), 0.3, False),
        (PANEL, (1, NAN), (0.1, 0.5), 0.6, True),
        (PANEL, (NAN, 0), (0.1, 0.2), 0.3, False),
        (NUMBER, (3.0,), (5.0,), None, None),  # nothing says how far off is far
        (TIMES, (1.0, 1.0), (0.3, 0.9, 0.75), 0.5, None),  # alone, nobody to be compared with
        (TIMES, (NAN, NAN), (0.3, NAN, NAN), None, None),
    ],
)
def test_uncertainty_and_discordance(task, label, outputs, uncertainty, discordant):
    (found,) = triage(task, [said(label, outputs)], None)
    assert found.uncertainty == (None if uncertainty is None else pytest.approx(uncertainty))
    assert found.discordant is discordant
    assert found.intervals == {}


def test_the_wrong_order_of_survivors_is_harrells():
    generator = np.random.default_rng(2)
    times, events = generator.integers(1, 12, 40).astype(float), generator.random(40) < 0.6
    risks = generator.integers(0, 9, 40).astype(float)
    found = triage(
        TIMES,
        [said((t, float(e)), (r, NAN, NAN)) for t, e, r in zip(times, events, risks, strict=True)],
        None,
    )
    wrong = np.array([NAN if each.against is None else each.against for each in found])
    pairs = np.zeros(40)
    for i in range(40):
        for j in range(40):
            first, later = (
                (i, j) if (times[i], not events[i]) < (times[j], not events[j]) else (j, i)
            )
            same = times[i] == times[j] and events[i] == events[j]
            pairs[i] += i != j and events[first] and not same and (first, later) != (later, first)
    known = np.isfinite(wrong)
    assert (known == (pairs > 0)).all()
    # Every pair is of two patients, so their shares add up to the fraction of all pairs.
    total = (wrong[known] * pairs[known]).sum() / pairs[known].sum()
    assert total == pytest.approx(1 - harrell_c(times, events, risks))
    assert all(
        each.discordant == (each.against > 0.5) for each in found if each.against is not None
    )


def test_risks_of_two_folds_are_not_compared():
    (first, second) = triage(
        TIMES, [said((1, 1), (0.1, NAN, NAN)), said((9, 1), (0.9, NAN, NAN), fold=1)], None
    )
    assert first.against is None
    assert second.against is None


def test_a_probability_has_the_interval_of_its_fold():
    labels, outputs = [0, 0, 1, 1, 0, 1], [0.1, 0.4, 0.35, 0.8, 0.2, 0.3]
    folds = [0, 0, 0, 0, 1, 1]
    found = triage(
        BINARY,
        [said((1,), (0.5,)), said((0,), (0.25,), fold=1)],
        picked(labels, outputs, folds=folds),
    )
    expected = venn_abers(labels[:4], outputs[:4], [0.5])[0]
    assert found[0].intervals["probability"] == pytest.approx(tuple(expected))
    expected = venn_abers(labels[4:], outputs[4:], [0.25])[0]
    assert found[1].intervals["probability"] == pytest.approx(tuple(expected))


def test_the_mean_of_two_models_has_what_both_intervals_hold():
    labels, outputs, folds = [0, 1, 0, 1, 1], [0.2, 0.7, 0.9, 0.1, 0.95], [0, 0, 1, 1, 1]
    known = picked(labels, outputs, folds=folds, means_of={0: (0, 1)})
    (found,) = triage(BINARY, [said((NAN,), (0.5,))], known)
    several = [
        venn_abers(labels[:2], outputs[:2], [0.5]),
        venn_abers(labels[2:], outputs[2:], [0.5]),
    ]
    low, high = found.intervals["probability"]
    assert low == pytest.approx(min(each[0, 0] for each in several))
    assert high == pytest.approx(max(each[0, 1] for each in several))


def test_one_class_alone_says_nothing():
    (found,) = triage(BINARY, [said((1,), (0.5,))], picked([0, 0, 0], [0.1, 0.2, 0.3]))
    assert found.intervals == {}


def test_a_number_outside_its_interval_is_discordant():
    labels, outputs = np.arange(19.0), np.arange(19.0) + np.linspace(-1, 1, 19)
    known = picked(labels, outputs)
    half = half_width(labels, outputs, miss=0.1)
    inside, outside, exact = triage(
        NUMBER, [said((5.0 + off,), (5.0,)) for off in (half * 0.99, half * 1.01, 0.0)], known
    )
    assert inside.intervals["predicted_til"] == pytest.approx((5 - half, 5 + half))
    assert [inside.discordant, outside.discordant, exact.discordant] == [False, True, False]
    assert exact.against == 0


def test_too_few_to_promise_a_number():
    (found,) = triage(NUMBER, [said((5.0,), (5.0,))], picked([1.0] * 8, [1.0] * 8))
    assert found.intervals == {}
    assert half_width([1.0] * 8, [1.0] * 8) == math.inf
    assert half_width([1.0] * 9, [2.0] * 9) == 1.0
