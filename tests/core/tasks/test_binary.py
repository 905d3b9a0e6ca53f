from __future__ import annotations

import pytest

from histofed.core.tasks import BinaryTask
from histofed.errors import CohortError, ConfigError

EGFR = BinaryTask(
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
    assert EGFR.label({"EGFR": value}, "row 2") == (label,)


@pytest.mark.parametrize("value", ["", "  ", "NA", "nan", "Unknown"])
def test_not_known_is_not_negative(value) -> None:
    assert EGFR.label({"EGFR": value}, "row 2") is None


@pytest.mark.parametrize("value", ["2", "mut", "-", "1.5", "true"])
def test_another_value_is_refused_with_row_column_value_and_remedy(value) -> None:
    with pytest.raises(CohortError) as refused:
        EGFR.label({"EGFR": value}, "table.csv, line 7, patient P1")
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
        BinaryTask(name="t", column="c", positive=("X",), negative=("x", "y"))


def test_what_spreadsheets_make_of_0_and_1_is_understood() -> None:
    task = BinaryTask(name="egfr", column="egfr")
    assert [task.label({"egfr": cell}, "row 2") for cell in ("1.0", "0.0", " 1.0 ")] == [
        (1,),
        (0,),
        (1,),
    ]


def test_folds_need_both_classes() -> None:
    assert EGFR.needed == (0, 1)
    assert EGFR.strata({"P1": (1.0,), "P2": (0.0,)}) == {"P1": 1, "P2": 0}
    assert [EGFR.in_words((label,)) for label in (0.0, 1.0)] == ["wild type", "mutated"]


def test_what_labels_cannot_teach_is_named() -> None:
    assert EGFR.lacking([(1,), (0,)]) == ()
    assert EGFR.lacking([(0,), (0,)]) == (EGFR.classes[1],)
    assert EGFR.lacking([]) == EGFR.classes


def test_two_classes_and_no_more() -> None:
    with pytest.raises(ConfigError, match="names the negative and the positive one"):
        BinaryTask(name="b", column="b", classes=("x", "y", "z"))
