from __future__ import annotations

import pytest

from histofed.core.types import Slide
from histofed.errors import CohortError
from histofed.io.mpp_table import with_mpp_table


def slides_named(*names: str, mpp: float | None = None) -> list[Slide]:
    return [Slide(slide_id=name, patient_id=name, site="north", mpp=mpp) for name in names]


def test_a_resolution_table_overrides_the_slides_it_names(tmp_path) -> None:
    path = tmp_path / "mpp.csv"
    path.write_text("slide,mpp,scanner\nB,0.2527,x\nA, 0.5 ,\n")
    found = with_mpp_table(slides_named("A", "B", "C"), path)
    assert [(slide.slide_id, slide.mpp) for slide in found] == [
        ("A", 0.5),
        ("B", 0.2527),
        ("C", None),
    ]
    path.write_text("slide,mpp\nA,0.5\n")
    assert with_mpp_table(slides_named("A", mpp=0.5), path) == slides_named("A", mpp=0.5)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "slide,mpp\nA,0.5\nX,0.5\n",
            r"mpp\.csv, line 3, slide X: none of 3 slides here is called so; correct the name, or",
        ),
        ("slide,mpp\nA.svs,0.5\n", r"line 2, slide A\.svs: .*; write A if that is meant, or"),
        (
            "slide,mpp\nA,0.5\nB,0.25\nA,0.3\n",
            r"line 4, slide A: mpp is 0\.3 here and 0\.5 in line 2; .*: keep one",
        ),
        ("slide,mpp\nA,fine\n", r"line 2, slide A: mpp is 'fine', not a number .*; write .* 0\.25"),
        ('slide,mpp\nA,"0,25"\n', r"mpp is '0,25', not a number .*; write .* a point: 0\.25"),
        ("slide,mpp\nA,0.25 um\n", r"mpp is '0\.25 um', .* alone and with a point: 0\.25"),
        ("slide,mpp\nA,0.25 x 0.5\n", r"mpp is '0\.25 x 0\.5', .* a pixel is square, so one num"),
        ("slide,mpp\nA,0.25/0.5\n", r"mpp is '0\.25/0\.5', .* a pixel is square, so one number"),
        ("slide,mpp\nA,-1\n", r"slide A: mpp is -1; it must be 0.05 to 5"),
        ("slide,mpp\nA,\n", r"slide A: mpp is empty"),
        ("slide,mpp\nA,250\n", r"slide A: mpp is 250; it must be 0\.05 to 5: .* not microns"),
        ("slide,mpp\nA,0.0005\n", r"slide A: mpp is 0\.0005; it must be 0\.05 to 5"),
        ("slide,mpp\nA,0.5,2\n", r"slide A: the row has 3 cells, the header 2"),
        ("slide,mpp\nA,0,5\n", r"slide A: the row has 3 cells, the header 2; quote cells"),
        ("slide,mpp\nA\n", r"slide A: the row has 1 cell, the header 2"),
        ("slide,resolution\nA,1\n", r"without column mpp"),
        ("slide,mpp\nC,0.5\n", r"slide C: mpp is 0\.5 here and 0\.25 in the cohort"),
    ],
)
def test_a_resolution_table_is_refused_by_row(tmp_path, text, said) -> None:
    path = tmp_path / "mpp.csv"
    path.write_text(text)
    slides = [*slides_named("A", "B"), *slides_named("C", mpp=0.25)]
    with pytest.raises(CohortError, match=said):
        with_mpp_table(slides, path)
    with pytest.raises(CohortError, match=r"mpp_table=.*slide,mpp"):
        with_mpp_table(slides, tmp_path / "nowhere.csv")
