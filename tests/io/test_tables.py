from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from histofed.core.tasks import BinaryTask
from histofed.core.types import Slide
from histofed.errors import CohortError
from histofed.io.tables import (
    read_cohort,
    read_slides,
    write_rows,
)

if TYPE_CHECKING:
    from pathlib import Path

TASK = BinaryTask(name="egfr", column="EGFR", positive=("mut",), negative=("wt",))
HEADER = "patient_id,slide_id,site,path,EGFR,mpp"
GOOD = ("P1,S1,A,slides/S1.svs,mut,", "P1,S2,A,slides/S2.svs,mut,0.5", "P2,S3,B,,wt,")


def table(folder: Path, *rows: str, header: str = HEADER, encoding: str = "utf-8") -> Path:
    path = folder / "study" / "cohort.csv"
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join((header, *rows)) + "\n", encoding=encoding)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(CohortError) as refused:
        read_cohort(path, TASK)
    return str(refused.value)


def test_a_cohort_is_read(tmp_path) -> None:
    path = table(tmp_path, *GOOD)
    cohort = read_cohort(path, TASK)
    folder = path.parent
    assert cohort.name == "study"
    assert cohort.labels == {"P1": (1.0,), "P2": (0.0,)}
    assert cohort.slides == (
        Slide(slide_id="S1", patient_id="P1", site="A", path=folder / "slides/S1.svs"),
        Slide(slide_id="S2", patient_id="P1", site="A", path=folder / "slides/S2.svs", mpp=0.5),
        Slide(slide_id="S3", patient_id="P2", site="B"),
    )
    assert read_slides(path) == list(cohort.slides)


def test_what_spreadsheets_write_is_read(tmp_path) -> None:
    path = table(tmp_path, *GOOD, encoding="utf-8-sig")  # a byte order mark
    assert read_cohort(path, TASK).labels == {"P1": (1.0,), "P2": (0.0,)}
    path.write_bytes("\r\n".join((HEADER, *GOOD)).encode())  # Windows lines, none at the end
    assert read_cohort(path, TASK).labels == {"P1": (1.0,), "P2": (0.0,)}
    quoted = table(tmp_path, '"P,1","S1"," A ","a, b.svs","mut",', header=HEADER)
    (slide,) = read_cohort(quoted, TASK).slides
    assert (slide.patient_id, slide.site, slide.path.name) == ("P,1", "A", "a, b.svs")


def test_an_absolute_path_is_kept(tmp_path) -> None:
    path = table(tmp_path, f"P1,S1,A,{tmp_path}/far/S1.svs,mut,", "P2,S2,A,,wt,")
    assert read_cohort(path, TASK).slides[0].path == tmp_path / "far" / "S1.svs"


@pytest.mark.parametrize("cell", ["", "NA", "unknown", "nan"])
def test_patients_without_a_known_label_are_left_out(tmp_path, cell) -> None:
    path = table(tmp_path, *GOOD, f"P3,S4,B,,{cell},", f"P3,S5,B,,{cell},")
    cohort = read_cohort(path, TASK)
    assert cohort.patients == ("P1", "P2")
    assert [slide.slide_id for slide in cohort.slides] == ["S1", "S2", "S3"]
    assert len(read_slides(path)) == 5  # tiling needs no label


def test_no_label_at_all_is_refused(tmp_path) -> None:
    said = refusal(table(tmp_path, "P1,S1,A,,,", "P2,S2,A,,NA,"))
    assert "no row has a known value in column 'EGFR'" in said


def test_a_missing_table_is_refused_with_what_it_should_hold(tmp_path) -> None:
    said = refusal(tmp_path / "no.csv")
    for word in ("no.csv", "patient_id, slide_id, site, path, EGFR", "mpp", "cohort=PATH"):
        assert word in said


@pytest.mark.parametrize(
    ("header", "missing"),
    [
        ("patient_id,slide_id,site,path", "without column EGFR; the table has"),
        ("patient,slide_id,path,EGFR", "without columns patient_id, site; the table has"),
        ("patient_id;slide_id;site;path;EGFR", "patient_id;slide_id;site;path;EGFR"),
        ("", "no header"),
    ],
)
def test_a_malformed_header_is_refused_with_what_was_found(tmp_path, header, missing) -> None:
    said = refusal(table(tmp_path, header=header))
    assert missing in said
    assert "cohort.csv" in said


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (",S9,B,,wt,", "patient_id is empty"),
        ("P9,,B,,wt,", "slide_id is empty"),
        ("P9,S9,  ,,wt,", "site is empty"),
        ("P9,a/b,B,,wt,", "slide_id 'a/b' names files"),
        (r"P9,a\b,B,,wt,", "names files"),
        ("P9,.hidden,B,,wt,", "slide_id '.hidden' names files"),
        ("P9,S9,B,,maybe,", "column 'EGFR' holds 'maybe'"),
        ("P9,S9,B,,wt,0.5um", "mpp is '0.5um', not a number"),
        ("P9,S9,B,,wt,0", "mpp is 0; it must be 0.05 to 5"),
        ("P9,S9,B,,wt,-0.25", "mpp is -0.25; it must be 0.05 to 5"),
        ("P9,S9,B,,wt,nan", "mpp is nan; it must be 0.05 to 5"),
        ("P9,S9,B,,wt,inf", "mpp is inf; it must be 0.05 to 5"),
        ("P1,S9,A,,wt,", "an earlier slide of the patient says otherwise"),
    ],
)
def test_a_bad_row_is_named_by_line(tmp_path, row, said) -> None:
    message = refusal(table(tmp_path, *GOOD, row))
    assert said in message
    assert "cohort.csv, line 5" in message
    patient = row.split(",")[0] or "?"
    assert f"patient {patient}" in message


@pytest.mark.parametrize("row", ["P9,S9,B", "P9,S9,B,,wt,,,", "P9,S9,B,x,y.svs,wt,0.5"])
def test_a_row_of_another_length_is_named_by_line(tmp_path, row) -> None:
    """A comma in an unquoted path moves every later cell; a short row is not a missing label."""
    path = table(tmp_path, *GOOD, row, header=HEADER)
    with pytest.raises(CohortError, match=r"line 5.*cells"):
        read_cohort(path, TASK)


def test_another_encoding_is_refused_by_name(tmp_path) -> None:
    assert "cohort.csv" in refusal(table(tmp_path, "P1,S1,Köln,,mut,", encoding="latin-1"))


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (("P1,S9,B,,mut,",), "patient P1 belongs to sites A and B"),
        (("P4,S1,A,,wt,",), "slide S1 appears twice"),
        (("P1,S9,A,,,",), "empty on some slides of P1 and filled on others"),
    ],
)
def test_a_contradiction_is_refused_by_name(tmp_path, rows, said) -> None:
    assert said in refusal(table(tmp_path, *GOOD, *rows))


def test_a_table_appears_whole_or_not_at_all(tmp_path) -> None:
    def rows():
        yield (1, 2)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_rows(tmp_path / "t.csv", ("a", "b"), rows())
    assert list(tmp_path.iterdir()) == []
