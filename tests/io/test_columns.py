"""One value per patient of a table with a row per slide."""

from __future__ import annotations

import pytest

from histofed.errors import CohortError
from histofed.io.columns import NOT_KNOWN, read_columns

TABLE = """patient_id,slide_id,scanner,sex
p1,s1,Aperio,f
p1,s2,Hamamatsu,f
p2,s3,Aperio,
p3,s4,,
p3,s5,Aperio,m
"""


def test_a_patient_has_the_values_of_all_slides(tmp_path):
    path = tmp_path / "cohort.csv"
    path.write_text(TABLE)
    assert read_columns(path, ["scanner", "sex"]) == {
        "scanner": {"p1": "Aperio + Hamamatsu", "p2": "Aperio", "p3": "Aperio"},
        "sex": {"p1": "f", "p2": NOT_KNOWN, "p3": "m"},
    }


def test_a_missing_column_and_a_torn_row_are_named(tmp_path):
    path = tmp_path / "cohort.csv"
    path.write_text(TABLE)
    with pytest.raises(CohortError, match="without column shoe"):
        read_columns(path, ["shoe"])
    path.write_text(TABLE + "p4,s6\n")
    with pytest.raises(CohortError, match="line 7, patient p4"):
        read_columns(path, ["sex"])
