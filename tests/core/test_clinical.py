from __future__ import annotations

import pytest

from histofed.core.clinical import covariates
from histofed.errors import CohortError


def test_columns_that_say_nothing_in_training_are_refused():
    known = covariates(("sex",), {"a": ("f",), "b": ("f",), "t": ("m",)})
    with pytest.raises(CohortError, match=r"\[sex\] tells no two training patients"):
        known.encoding(known.sums(["a", "b"]))


def test_a_column_of_numbers_and_words_is_refused_unless_its_numbers_are_names():
    rows = {"a": ("1",), "b": ("2",), "c": ("3A",)}
    with pytest.raises(CohortError, match=r"'grade'.*c '3a'.*2 patients.*clinical\.words"):
        covariates(("grade",), rows)
    assert covariates(("grade",), rows, words=["grade"]).values_of["a"] == ("1",)
    assert covariates(("grade",), rows, missing=["3a"]).values_of["c"] == (None,)


def test_numbers_that_are_names_are_one_as_a_spreadsheet_writes_them():
    known = covariates(("grade",), {"a": ("1",), "b": ("1.0",), "c": ("2",)}, words=["grade"])
    assert known.values_of["a"] == known.values_of["b"] != known.values_of["c"]


def test_a_column_known_of_nobody_is_refused():
    with pytest.raises(CohortError, match="'age' is not known of any patient"):
        covariates(("age",), {"a": ("",), "b": ("unknown",)})


@pytest.mark.parametrize("cell", ["inf", "-1e300"])
def test_what_cannot_be_computed_with_is_no_number(cell):
    with pytest.raises(CohortError, match=f"b '{cell}'"):
        covariates(("age",), {"a": ("3",), "b": (cell,)})


def test_other_patients_are_read_as_those_trained_on_were():
    trained = covariates(("age", "grade"), {"a": ("1", "2"), "b": ("3", "4")}, words=["grade"])
    encoding = trained.encoding(trained.sums(["a", "b"]))
    others = covariates(("age", "grade"), {"t": ("", "2.0"), "u": ("NA", "7")}, like=encoding)
    assert others.values_of == {"t": (None, "2"), "u": (None, "7")}
    with pytest.raises(CohortError, match=r"'age' holds words \(t 'old'\), and held numbers"):
        covariates(("age", "grade"), {"t": ("old", "2")}, like=encoding)
