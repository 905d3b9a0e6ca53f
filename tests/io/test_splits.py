from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histofed.core.splits import Fold, rotate
from histofed.errors import CohortError
from histofed.io.splits import read_splits, write_splits

if TYPE_CHECKING:
    from pathlib import Path


def test_splits_are_written_by_patient_and_fold(tmp_path) -> None:
    write_splits(
        tmp_path / "splits.csv",
        [
            Fold(number=0, train=("P2",), select=("P10",), test=("P,1",)),
            Fold(number=1, train=("P,1",), select=("P2",), test=("P10",)),
        ],
    )
    assert (tmp_path / "splits.csv").read_text() == (
        'patient_id,fold,role\n"P,1",0,test\n"P,1",1,train\nP10,0,select\nP10,1,test\n'
        "P2,0,train\nP2,1,select\n"
    )


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Z"]), min_size=1)


@settings(max_examples=50, deadline=None)
@given(st.sets(NAMES, min_size=3, max_size=12))
def test_what_is_written_is_read(tmp_path_factory, names) -> None:
    folds = rotate({name: number % 3 for number, name in enumerate(sorted(names))})
    path = tmp_path_factory.mktemp("splits") / "splits.csv"
    write_splits(path, folds)
    assert read_splits(path) == folds


def table(folder: Path, *rows: str, header: str = "patient_id,fold,role") -> Path:
    path = folder / "splits.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def test_a_table_made_elsewhere_is_read_in_any_order_of_rows_and_columns(tmp_path) -> None:
    rows = ["test,P3,0,", "train,P1,0,x", "select,P2,0,"]
    (fold,) = read_splits(table(tmp_path, *rows, header="role,patient_id,fold,remark"))
    assert fold == Fold(number=0, train=("P1",), select=("P2",), test=("P3",))


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["P1,0,train", "P1,0,test"], "line 3, patient P1: has a role in fold 0 already"),
        (["P1,0,valid"], "line 2, patient P1: role is 'valid', not one of train, select, test"),
        (["P1,one,train"], "patient P1: fold is 'one', not a number"),
        (["P1,-1,train"], "fold is '-1'"),
        ([",0,train"], "line 2, patient ?: patient_id is empty"),
        (["P1,1,train"], "folds are numbered [1]; number them 0, 1, 2"),
        ([], "folds are numbered []"),
        (["P1,0"], "line 2, patient P1: the row has 2 cells, the header 3"),
    ],
)
def test_a_bad_row_is_named(tmp_path, rows, said) -> None:
    with pytest.raises(CohortError) as refused:
        read_splits(table(tmp_path, *rows))
    assert said in str(refused.value)


def test_a_missing_file_or_column_is_named(tmp_path) -> None:
    with pytest.raises(CohortError, match=r"nothing\.csv: the table of folds is missing"):
        read_splits(tmp_path / "nothing.csv")
    with pytest.raises(CohortError, match=r"without column role"):
        read_splits(table(tmp_path, "P1,0", header="patient_id,fold"))
