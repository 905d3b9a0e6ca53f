from __future__ import annotations

import gzip
import re
import zipfile

import pytest

from histofed.errors import CohortError
from histofed.io.sources import read_table
from histofed.io.sources.table import Part

CSV = 'patient_id,OS,"a, b"\np1,1,"x, y"\n\np2,[Not Available], z \n'


def test_rows_know_their_lines_and_placeholders_are_empty(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("\ufeff" + CSV, encoding="utf-8")
    table = read_table(path)
    assert table.columns == ("patient_id", "OS", "a, b")
    assert [(row.line, dict(row.cells)) for row in table.rows] == [
        (2, {"patient_id": "p1", "OS": "1", "a, b": "x, y"}),
        (4, {"patient_id": "p2", "OS": "", "a, b": "z"}),
    ]
    assert table.where(table.rows[1]) == f"{path}, line 4"


def test_tabs_comments_and_packing(tmp_path):
    path = tmp_path / "t.tsv.gz"
    path.write_bytes(gzip.compress(b'#one\n#two\na\tb\n"5\t6\n'))
    table = read_table(path)
    assert table.n_comments == 2
    assert dict(table.rows[0].cells) == {"a": '"5', "b": "6"}  # a quote between tabs is itself


def test_only_what_is_asked_for_is_kept_and_every_row_is_checked(tmp_path):
    path = tmp_path / "t.tsv"
    path.write_text("Gene\ts1\nEGFR\t1\nKRAS\t2\n")
    part = Part(columns=frozenset({"s1"}), key=("gene",), values=frozenset({"KRAS"}))
    table = read_table(path, part)
    assert [dict(row.cells) for row in table.rows] == [{"s1": "2"}]
    path.write_text("Gene\ts1\nEGFR\t1\t9\nKRAS\t2\n")
    with pytest.raises(CohortError, match="line 2: the row has 3 cells"):
        read_table(path, part)


def test_columns_are_found_whatever_their_capitals(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("PATIENT,x\np,1\n")
    table = read_table(path)
    assert table.find(["patient_id", "patient"]) == "PATIENT"
    with pytest.raises(CohortError, match=r"no column of slides; it is called slide_id"):
        table.need(["slide_id"], "slides")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("t.csv", b"", "there is no header"),
        ("t.csv", b"#only\n#comments\n", "there is no header"),
        ("t.csv", b"a,b\n", "no row below the header"),
        ("t.csv", b"a,,c\n1,2,3\n", "column 2 has no name"),
        ("t.csv", b"a,A\n1,2\n", "columns A, a have one name"),
        ("t.csv", b"a,b\n1,2,3\n", "line 2: the row has 3 cells, the header 2"),
        ("t.csv", b"a;b\n1;2\n", "the header is one cell"),
        ("t.tsv", b"a,b\n1,2\n", "cells are separated by tabs"),
        ("t.csv", b"a,b\n\xff,2\n", "not UTF-8"),
        ("t.csv.gz", b"a,b\n1,2\n", "cannot be unpacked"),
        ("t.csv", b"Lung 2020\na,b\n1,2\n", "'Lung 2020' stands alone above the header"),
        ("t.csv", b"Lung 2020,,\n,,\na,b,c\n1,2,3\n", "'Lung 2020' stands alone"),
        ("t.xml", b"<a/>", "tables end in .csv"),
        ("t.csv", b'a,b\n"1,2\n', "the row has 1 cell|quote"),
    ],
)
def test_malformed_tables_are_refused_by_name(tmp_path, name, content, said):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(CohortError, match=said) as caught:
        read_table(path)
    assert str(path) in str(caught.value)


def test_a_table_that_is_not_there(tmp_path):
    with pytest.raises(CohortError, match=r"nothing\.csv is not there"):
        read_table(tmp_path / "nothing.csv")
    with pytest.raises(CohortError, match="is a folder"):
        read_table(tmp_path)


@pytest.mark.parametrize(("name", "package"), [("t.xlsx", "openpyxl"), ("t.parquet", "pyarrow")])
def test_a_format_without_its_package_says_what_to_install(tmp_path, monkeypatch, name, package):
    def absent(wanted: str):
        raise ImportError(wanted)

    monkeypatch.setattr("histofed.io.sources.table.importlib.import_module", absent)
    (tmp_path / name).write_bytes(b"PK")
    with pytest.raises(CohortError, match=rf"needs {package}.*histofed\[tables\]"):
        read_table(tmp_path / name)


def test_excel(tmp_path):
    openpyxl = pytest.importorskip("openpyxl", reason="an optional package: histofed[tables]")
    import datetime

    path = tmp_path / "t.xlsx"
    book = openpyxl.Workbook()
    book.active.append(["patient_id", "age", "taken", "dead"])
    book.active.append(["p1", 63, datetime.datetime(2021, 5, 3), True])
    book.active.append([None, None, None, None])
    book.active.append(["p2", 61.5, None, False])
    book.save(path)
    assert [(row.line, tuple(row.cells.values())) for row in read_table(path).rows] == [
        (2, ("p1", "63", "2021-05-03", "true")),
        (4, ("p2", "61.5", "", "false")),
    ]
    book.active["F4"] = "beyond"
    book.save(path)
    with pytest.raises(CohortError, match="line 4: there is a cell beyond the header"):
        read_table(path)
    path.write_bytes(b"not a workbook")
    with pytest.raises(CohortError, match="is no Excel workbook"):
        read_table(path)


def test_merged_cells_of_excel_are_not_taken_for_empty_ones(tmp_path):
    openpyxl = pytest.importorskip("openpyxl", reason="an optional package: histofed[tables]")
    path = tmp_path / "t.xlsx"
    book = openpyxl.Workbook()
    for row in (["patient_id", "egfr"], ["p1", "mutated"], ["p2", None]):
        book.active.append(row)
    book.create_sheet("notes").merge_cells("A1:B1")  # another sheet
    book.save(path)
    assert len(read_table(path).rows) == 2
    book.active.merge_cells("B2:B3")
    book.save(path)
    with pytest.raises(CohortError, match="cells B2:B3 are merged"):
        read_table(path)


def test_a_title_above_the_header_of_a_sheet_is_named(tmp_path):
    openpyxl = pytest.importorskip("openpyxl", reason="an optional package: histofed[tables]")
    path = tmp_path / "t.xlsx"
    book = openpyxl.Workbook()
    for row in (["Lung 2020"], [None], ["patient_id", "egfr"], ["p1", 1]):
        book.active.append(row)
    book.save(path)
    with pytest.raises(CohortError, match="'Lung 2020' stands alone above the header"):
        read_table(path)


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        (b'<c r="B2"><f>A2</f><v /></c>', r"formula in cell B2 \(=A2\) was never"),
        (b'<c r="B2"><f>A2</f></c>', "never calculated"),
        (b'<c r="B2" t="str"><f>A2</f><v></v></c>', ""),  # what it gave is an empty text
        (b'<c r="B2" t="str"><f>A2</f><v>p1</v></c>', "p1"),
    ],
)
def test_a_formula_without_its_value_is_no_empty_cell(tmp_path, cell, said):
    openpyxl = pytest.importorskip("openpyxl", reason="an optional package: histofed[tables]")
    written, path = tmp_path / "written.xlsx", tmp_path / "t.xlsx"
    book = openpyxl.Workbook()
    for row in (["patient_id", "egfr"], ["p1", "=A2"]):
        book.active.append(row)
    book.save(written)
    with zipfile.ZipFile(written) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            text = re.sub(rb'<c r="B2".*?</c>', cell, old.read(name))
            new.writestr(name, text)
    if len(said) > len("p1"):
        with pytest.raises(CohortError, match=said):
            read_table(path)
    else:
        assert read_table(path).rows[0].cells["egfr"] == said


def test_parquet(tmp_path):
    pyarrow = pytest.importorskip("pyarrow", reason="an optional package: histofed[tables]")
    from pyarrow import parquet

    path = tmp_path / "t.parquet"
    table = pyarrow.table({"patient_id": ["p1", "p2"], "age": [63, None], "dead": [True, False]})
    parquet.write_table(table, path)
    assert [(row.line, tuple(row.cells.values())) for row in read_table(path).rows] == [
        (1, ("p1", "63", "true")),
        (2, ("p2", "", "false")),
    ]
    path.write_bytes(b"PAR1 nothing")
    with pytest.raises(CohortError, match="cannot be read as Parquet"):
        read_table(path)
