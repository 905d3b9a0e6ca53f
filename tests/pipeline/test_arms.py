"""What stands beside a prediction comes from the patients of its fold, and from them alone."""

from __future__ import annotations

import math

import numpy as np
import pytest

from histofed.core.cohort import Cohort
from histofed.core.metrics.conformal import calibrate_sets
from histofed.core.metrics.shift import N_NEIGHBOURS, trained_on
from histofed.core.tasks import BinaryTask, MulticlassTask, RegressionTask, SurvivalTask
from histofed.core.types import Prediction, Slide
from histofed.errors import WeightsError
from histofed.io.predictions import read_predictions
from histofed.io.runs import RunFolder, read_json
from histofed.pipeline.arms import (
    MISS,
    Arm,
    class_probabilities,
    ood,
    possible_classes,
    predictions_of,
)

BINARY = BinaryTask(name="b", column="b")
TYPE = MulticlassTask(name="t", column="t", classes=("x", "y", "z"))
OS = SurvivalTask(name="os", column="t", event_column="e", times=(12,))


def predicted(patient: str, label: float, *outputs: float) -> Prediction:
    return Prediction(patient_id=patient, site="north", fold=0, label=(label,), outputs=outputs)


def picked(n: int = 40) -> list[Prediction]:
    random = np.random.default_rng(0)
    return [predicted(f"s{i}", i % 2, float(random.beta(1 + i % 2, 2 - i % 2))) for i in range(n)]


def test_one_probability_is_two_columns_and_several_are_themselves():
    assert class_probabilities([predicted("a", 1, 0.75)]).tolist() == [[0.25, 0.75]]
    assert class_probabilities([predicted("a", 1, 0.1, 0.2, 0.7)]).tolist() == [[0.1, 0.2, 0.7]]


def test_sets_are_calibrated_on_those_who_picked_the_model():
    calibrating, found = picked(), [predicted("a", 0, 0.03), predicted("b", 1, 0.5)]
    probabilities = [[1 - each.outputs[0], each.outputs[0]] for each in calibrating]
    sets = calibrate_sets([int(each.label[0]) for each in calibrating], probabilities, miss=MISS)
    expected = [
        tuple(number for number in (0, 1) if row[number])
        for row in sets.of([[0.97, 0.03], [0.5, 0.5]])
    ]
    assert possible_classes(BINARY, calibrating, found) == expected
    assert expected == [(0,), (0, 1)]


def test_too_few_to_calibrate_rule_out_nothing():
    assert possible_classes(BINARY, picked(6), [predicted("a", 0, 0.001)]) == [(0, 1)]
    few = [predicted("s", 2, 0.1, 0.2, 0.7)]
    assert possible_classes(TYPE, few, [predicted("a", 0, 0.9, 0.1, 0.0)]) == [(0, 1, 2)]


@pytest.mark.parametrize("task", [OS, RegressionTask(name="r", quantities=("g",))])
def test_without_classes_there_is_no_set(task):
    assert possible_classes(task, picked(), [predicted("a", 0, 0.5)]) == [None]


def test_without_selection_there_is_no_set():
    assert possible_classes(BINARY, [], [predicted("a", 0, 0.5)]) == [None]


def test_how_unlike_a_patient_is_is_measured_against_those_trained_on():
    random = np.random.default_rng(1)
    trained = {f"p{i}": random.normal(size=3) for i in range(30)}
    asked = {"usual": np.zeros(3), "unlike": np.full(3, 40.0)}
    found = ood(trained, asked)
    expected = trained_on(np.stack(list(trained.values()))).percentile(
        np.stack(list(asked.values()))
    )
    assert list(found) == ["usual", "unlike"]
    assert list(found.values()) == expected.tolist()
    assert found["unlike"] == 100
    assert found["usual"] < 50


def test_too_few_trained_on_tell_nothing():
    features = {f"p{i}": np.full(2, float(i)) for i in range(N_NEIGHBOURS + 1)}
    few = dict(list(features.items())[:-1])
    asked = {"a": np.zeros(2), "b": np.ones(2)}
    assert ood(few, asked) == {"a": None, "b": None}
    assert None not in ood(features, asked).values()
    assert ood(features, {}) == {}


def make_arm(folder, task, labels: dict[str, tuple[float, ...]]) -> Arm:
    cohort = Cohort(
        name="toy",
        slides=tuple(Slide(slide_id=p, patient_id=p, site="north") for p in labels),
        labels=labels,
    )
    return Arm("pooled", task, cohort, RunFolder(folder))


def add(arm: Arm, fold: int, tested, selected, unlike: float | None = None) -> None:
    picked = predictions_of(arm.cohort, fold, selected)
    arm.add(fold, tested=tested, picked=picked, unlike=dict.fromkeys(tested, unlike))


def test_predictions_and_selection_are_written_in_the_order_of_the_cohort(tmp_path):
    labels = {f"p{i}": (float(i % 2),) for i in range(4)}
    arm = make_arm(tmp_path, BINARY, labels)
    add(arm, 0, {"p3": (0.3,), "p1": (0.1,)}, {"p0": (0.5,)}, 12.5)
    add(arm, 1, {"p0": (0.6,), "p2": (0.2,)}, {"p1": (0.9,)})
    arm.write()
    tested = read_predictions(arm.run.predictions("pooled"), task=BINARY)
    assert [(each.patient_id, each.fold, each.outputs, each.ood) for each in tested] == [
        ("p0", 1, (0.6,), None),
        ("p1", 0, (0.1,), 12.5),
        ("p2", 1, (0.2,), None),
        ("p3", 0, (0.3,), 12.5),
    ]
    assert [each.label for each in tested] == list(labels.values())
    assert {each.possible for each in tested} == {(0, 1)}
    selected = read_predictions(arm.run.selection("pooled"), task=BINARY)
    assert [(each.patient_id, each.fold, each.outputs) for each in selected] == [
        ("p0", 0, (0.5,)),
        ("p1", 1, (0.9,)),
    ]
    assert read_json(tmp_path / "pooled" / "models.json") == {}


def test_who_is_tested_by_every_fold_gets_their_mean(tmp_path):
    labels = {f"p{i}": (float(i % 2),) for i in range(42)}
    arm = make_arm(tmp_path, BINARY, labels)
    sure = {f"p{i}": (0.99 if i % 2 else 0.01,) for i in range(2, 42)}
    add(arm, 0, {"p0": (0.2,)}, sure, 10.0)
    add(arm, 1, {"p0": (0.6,), "p1": (0.7,)}, dict.fromkeys(sure, (0.5,)), 40.0)
    apart = {(each.patient_id, each.fold): each for each in arm.tested}
    assert apart["p0", 0].possible != apart["p0", 1].possible
    arm.write()
    mean, alone = read_predictions(arm.run.predictions("pooled"), task=BINARY)
    assert mean.outputs == pytest.approx((0.4,))
    assert mean.possible == tuple(sorted({*apart["p0", 0].possible, *apart["p0", 1].possible}))
    assert mean.ood == 25
    assert alone == apart["p1", 1]


def test_what_a_model_does_not_say_stays_unsaid(tmp_path):
    arm = make_arm(tmp_path, OS, {"a": (5.0, 1.0), "b": (7.0, 0.0)})
    for fold in range(2):
        add(arm, fold, {"a": (fold + 0.5, math.nan)}, {})
    arm.write()
    [found] = read_predictions(arm.run.predictions("pooled"), task=OS)
    assert found.outputs[0] == 1
    assert math.isnan(found.outputs[1])
    assert found.possible is None
    assert not arm.run.selection("pooled").exists()


def test_a_model_that_diverged_is_named_before_anything_is_written(tmp_path):
    labels = {"a": (0.0,), "b": (1.0,)}
    arm = make_arm(tmp_path, BINARY, labels)
    with pytest.raises(
        WeightsError, match=r"pooled, fold 2: .* answers nan for 1 patient of 2 .b.;"
    ):
        add(arm, 2, {"a": (0.5,), "b": (math.nan,)}, {})
    with pytest.raises(WeightsError, match=r"answers inf .* lower trainer\.learning_rate"):
        add(arm, 0, {"a": (0.5,)}, {"b": (math.inf,)})
    arm = make_arm(tmp_path, OS, {"a": (3.0, 1.0), "b": (4.0, 0.0)})
    add(arm, 0, {"a": (0.5, math.nan)}, {})  # a Cox model says no survival
    with pytest.raises(WeightsError, match="answers nan"):
        add(arm, 0, {"b": (math.nan, 0.5)}, {})
