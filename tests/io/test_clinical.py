from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from histofed.errors import CohortError
from histofed.io.clinical import read_cells

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def table(tmp_path) -> Path:
    path = tmp_path / "cohort.csv"
    path.write_text(
        "patient_id,slide_id,age,sex,note\n"
        "P1,s1, 61 ,F,x\nP1,s2,61.0,f,y\nP2,s3,,M,\nP3,s4,50,F,\nP3,s5,51,F,\n",
        encoding="utf-8",
    )
    return path


def test_one_answer_per_patient(table):
    found = read_cells(table, ("age", "sex"), {"P1", "P2"})
    assert found == {"P1": ("61", "F"), "P2": ("", "M")}


def test_slides_that_contradict_one_another_are_refused(table):
    with pytest.raises(CohortError, match=r"line 6, patient P3: age is '51' here and '50'"):
        read_cells(table, ("sex", "age"), {"P1", "P3"})


def test_a_column_that_is_missing_is_named(table):
    with pytest.raises(
        CohortError, match=r"without column stage; the table has patient_id, slide_id"
    ):
        read_cells(table, ("age", "stage"), {"P1"})


def test_a_patient_without_a_row_is_named(table):
    with pytest.raises(CohortError, match=r"no row says age of P8, P9"):
        read_cells(table, ("age",), {"P1", "P9", "P8"})
