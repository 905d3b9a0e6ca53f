from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histofed.core.tasks import (
    BinaryTask,
    MulticlassTask,
    MultilabelTask,
    RegressionTask,
    SurvivalTask,
)
from histofed.core.types import Prediction
from histofed.errors import CohortError
from histofed.io.predictions import read_predictions, write_predictions

BINARY = BinaryTask(name="egfr", column="egfr")
TASKS = (
    BINARY,
    MulticlassTask(name="type", column="type", classes=("a", "b", "c")),
    MultilabelTask(name="panel", questions=("egfr", "kras")),
    RegressionTask(name="expression", quantities=("cd3e", "mki67")),
    SurvivalTask(name="os", column="days", event_column="dead", times=(365, 730)),
)
NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1)
NUMBERS = st.floats(allow_infinity=False) | st.integers(0, 3).map(float)
LABELS = NUMBERS.map(lambda number: number + 0.0)  # whole labels are written as integers: no -0


@st.composite
def tables(draw):
    task = draw(st.sampled_from(TASKS))
    n_classes = len(getattr(task, "classes", ()))
    sets = st.sets(st.integers(0, n_classes - 1)) if n_classes else st.just(())
    prediction = st.builds(
        Prediction,
        patient_id=NAMES,
        site=NAMES,
        fold=st.integers(0, 9),
        label=st.tuples(*[LABELS] * len(task.label_names)),
        outputs=st.tuples(*[NUMBERS] * len(task.output_names)),
        possible=st.none() | sets.map(lambda found: tuple(sorted(found))),
        ood=st.none() | st.floats(0, 100),
    )
    return task, draw(st.lists(prediction, max_size=20))


@settings(max_examples=50)
@given(tables())
def test_predictions_come_back_to_the_last_digit(tmp_path_factory, table) -> None:
    task, predictions = table
    path = tmp_path_factory.mktemp("run") / "predictions.csv"
    write_predictions(path, predictions, task=task)
    # NaN is not itself; its text is.
    assert str(read_predictions(path, task=task)) == str(predictions)


def test_the_columns_are_named_by_the_task(tmp_path) -> None:
    path = tmp_path / "predictions.csv"
    one = Prediction(
        patient_id="P1",
        site="A",
        fold=0,
        label=(1.0, math.nan),
        outputs=(0.75, 0.5),
    )
    write_predictions(path, [one], task=TASKS[2])
    assert path.read_text().splitlines() == [
        "patient_id,site,fold,label_egfr,label_kras,probability_egfr,probability_kras,set,ood",
        "P1,A,0,1,,0.75,0.5,,",
    ]


def test_an_empty_set_is_not_an_unknown_one(tmp_path) -> None:
    path = tmp_path / "predictions.csv"
    base = {"site": "A", "fold": 0, "label": (1.0,), "outputs": (0.5,)}
    sets = {"P1": (), "P2": None, "P3": (0, 1)}
    found = [Prediction(patient_id=p, possible=each, **base) for p, each in sets.items()]
    write_predictions(path, found, task=BINARY)
    assert {p.patient_id: p.possible for p in read_predictions(path, task=BINARY)} == sets


def test_missing_predictions_are_refused_with_the_remedy(tmp_path) -> None:
    with pytest.raises(CohortError, match=r"predictions\.csv: .*histofed train"):
        read_predictions(tmp_path / "predictions.csv", task=BINARY)


@pytest.mark.parametrize(
    "text",
    [
        "patient_id,site,fold\nP1,A,0\n",
        "patient_id,site,fold,label,probability,set,ood\nP1,A,0,1,high,,\n",
        "patient_id,site,fold,time,event,risk,set,ood\nP1,A,0,1,1,0.5,,\n",
        "patient_id,site,fold,label,probability,set,ood\nP1,A,0,1,0.5,0|2,\n",
    ],
)
def test_malformed_predictions_are_refused_by_name(tmp_path, text) -> None:
    path = tmp_path / "predictions.csv"
    path.write_text(text)
    with pytest.raises(CohortError, match=r"predictions\.csv.*task egfr"):
        read_predictions(path, task=BINARY)
