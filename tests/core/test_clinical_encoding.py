from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from histofed.core.clinical import covariates
from histofed.core.clinical_encoding import add_sums, encoding_of

CELLS = {
    "a": ("60", "Female", "II"),
    "b": ("70", "male", "III"),
    "c": ("", "female", "II"),
    "d": ("80", "female", "NA"),
}
NAMES = ("age", "sex", "stage")

cells = st.tuples(
    st.one_of(st.just(""), st.floats(-1e3, 1e3).map(str)),
    st.sampled_from(["", "x", "y", "z"]),
)


def encoded(known, trained, tested=None):
    encoding = known.encoding(known.sums(trained))
    return np.array([encoding.encode(known.values_of[p]) for p in tested or trained])


def test_numbers_are_standardised_and_words_are_one_hot():
    known = covariates(NAMES, CELLS)
    assert known.words == {"sex", "stage"}
    encoding = known.encoding(known.sums(CELLS))
    assert encoding.names == (
        *("age", "age missing", "sex=female", "sex=male"),
        *("stage=ii", "stage=iii", "stage missing"),
    )
    found = encoded(known, list(CELLS))
    deviation = np.std([60, 70, 80])
    assert found[:, 0] == pytest.approx([-10 / deviation, 0, 0, 10 / deviation])
    assert found[:, 1] == pytest.approx([-0.25, -0.25, 0.75, -0.25])
    assert found[:, 2] == pytest.approx([0.25, -0.75, 0.25, 0.25])
    assert found[:, 6] == pytest.approx([-0.25, -0.25, -0.25, 0.75])


def test_numbers_far_from_all_in_training_are_named():
    known = covariates(("age", "sex"), {"a": ("60", "f"), "b": ("70", "m"), "c": ("", "f")})
    encoding = known.encoding(known.sums("abc"))
    new = {"x": (25550.0, "f"), "y": (114.0, "m"), "z": (None, "new"), "w": (15.1, None)}
    assert encoding.far_numbers(new) == ["age 25550.0 (x)"]
    assert encoding.far_numbers({"v": (14.9, "f"), "u": (116.0, "f")}) == [
        "age 116.0 (u)",
        "age 14.9 (v)",
    ]


@given(rows=st.lists(cells, min_size=1, max_size=30), cut=st.integers(0, 29), order=st.randoms())
def test_sums_of_hospitals_encode_as_the_pooled_patients_do(rows, cut, order):
    of = {f"p{number}": row for number, row in enumerate(rows)}
    of |= {"one": ("1", "x"), "two": ("2", "y")}  # so that something is known, and varies
    known = covariates(("age", "kind"), of)
    patients = list(of)
    order.shuffle(patients)
    pooled = known.encoding(known.sums(of))
    parts = [known.sums(part) for part in (patients[:cut], patients[cut:]) if part]
    added = known.encoding(add_sums(parts))
    assert added.names == pooled.names
    for values in known.values_of.values():
        assert added.encode(values) == pytest.approx(pooled.encode(values), abs=1e-6)
    # Trained on, every number has the mean 0 and is finite.
    assert np.mean(encoded(known, list(of)), axis=0) == pytest.approx(0, abs=1e-6)


@given(test=cells)
def test_who_is_not_trained_on_changes_nothing(test):
    trained = {f"p{number}": (str(number), "xy"[number % 2]) for number in range(6)}
    codes = []
    for row in (test, ("3", "x")):
        known = covariates(("age", "kind"), trained | {"t": row})
        codes.append(known.encoding(known.sums(trained)))
    assert codes[0] == codes[1]


def test_what_training_patients_never_lacked_is_the_mean_patient_when_missing():
    known = covariates(("age", "sex"), {"a": ("1", "f"), "b": ("3", "m"), "t": ("", "")})
    encoding = known.encoding(known.sums(["a", "b"]))
    assert encoding.names == ("age", "sex=f", "sex=m")
    assert encoding.encode(known.values_of["t"]) == (0, 0, 0)


def test_a_word_that_nobody_trained_has_is_the_mean_patient_and_is_said():
    known = covariates(("sex",), {"a": ("f",), "b": ("m",), "c": ("",), "t": ("other",)})
    encoding = known.encoding(known.sums(["a", "b", "c"]))
    assert encoding.encode(known.values_of["t"]) == (0, 0, 0)
    assert encoding.new_words(known.values_of) == ["sex 'other' (t)"]


@pytest.mark.parametrize("values", [("5", "5"), ("0.1", "0.1"), ("", "")])
def test_a_column_that_never_changes_in_training_is_left_out(values):
    rows = {"a": (values[0], "f"), "b": (values[1], "m"), "t": ("7", "f")}
    known = covariates(("age", "sex"), rows)
    encoding = known.encoding(known.sums(["a", "b"]))
    assert encoding.names == ("sex=f", "sex=m")
    assert encoding.encode(known.values_of["t"]) == (0.5, -0.5)


def test_an_encoding_survives_being_written():
    known = covariates(NAMES, CELLS)
    encoding = known.encoding(known.sums(CELLS))
    again = encoding_of(json.loads(json.dumps(encoding.record())))
    assert again == encoding
    assert again.encode((math.pi, "other", None)) == encoding.encode((math.pi, "other", None))
