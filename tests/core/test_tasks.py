from __future__ import annotations

import pytest

from histofed.core.tasks import Task
from histofed.errors import CohortError, ConfigError

EGFR = Task(
    name="egfr",
    column="EGFR",
    classes=("wild type", "mutated"),
    positive=("Mutated", "1"),
    negative=("WT", "0"),
)


@pytest.mark.parametrize(
    ("value", "label"),
    [("mutated", 1), (" MUTATED ", 1), ("1", 1), ("wt", 0), ("0", 0)],
)
def test_values_mean_classes_without_regard_to_case_and_margin(value, label) -> None:
    assert EGFR.label(value, "row 2") == label


@pytest.mark.parametrize("value", ["", "  ", "NA", "nan", "Unknown"])
def test_not_known_is_not_negative(value) -> None:
    assert EGFR.label(value, "row 2") is None


@pytest.mark.parametrize("value", ["2", "mut", "-", "1.5", "true"])
def test_another_value_is_refused_with_row_column_value_and_remedy(value) -> None:
    with pytest.raises(CohortError) as refused:
        EGFR.label(value, "table.csv, line 7, patient P1")
    for said in (
        "table.csv, line 7, patient P1",
        "'EGFR'",
        repr(value),
        "Mutated/1 (mutated)",
        "WT/0 (wild type)",
        "positive/negative/missing",
    ):
        assert said in str(refused.value)


def test_a_value_has_one_meaning() -> None:
    with pytest.raises(ConfigError, match=r"task t: \['x'\] mean both classes"):
        Task(name="t", column="c", positive=("X",), negative=("x", "y"))


def test_an_unknown_kind_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"task os: kind 'survival' is not one of binary"):
        Task(name="os", column="c", kind="survival")


def test_what_spreadsheets_make_of_0_and_1_is_understood() -> None:
    task = Task(name="egfr", column="egfr")
    assert [task.label(value, "row 2") for value in ("1.0", "0.0", " 1.0 ")] == [1, 0, 1]
