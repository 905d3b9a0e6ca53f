from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from histofed.report.contact_sheet import COLUMNS, MARKS, ROWS, Thumb, contact_sheets
from histofed.report.panels import picture_jpeg
from histofed.report.tile_picture import Backdrop, Outline, problem_picture

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

NOWHERE = "no such picture.jpg"
REASON = "OffStain: slide D: not white light through a stain: it glows; leave the slide out"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Pictures of a slide with tiles, of one whose region was drawn, and of one that failed."""
    folder = tmp_path_factory.mktemp("tiles")
    backdrop = Backdrop(pixels_HW3=np.full((300, 500, 3), 200, np.uint8), mpp=8.0)
    for name, method, problem in (
        ("good", "otsu_saturation", ""),
        ("drawn", "user_regions", ""),
        ("bad", "otsu_saturation", "it glows"),
    ):
        outline = Outline(mask_HW=np.ones((300, 500), bool), mpp=8.0, method=method)
        figure = problem_picture(backdrop, slide_id=name, reason=problem, outline=outline)
        picture = picture_jpeg(figure, outline=outline, problem=problem)
        (folder / f"{name}.jpg").write_bytes(picture)
    Image.fromarray(np.zeros((30, 50, 3), np.uint8)).save(folder / "old.jpg")
    return folder


def words(axes: Axes) -> list[str]:
    """Name and words below a slide, line breaks undone."""
    return [
        text.get_text().replace("\n", " ") for text in axes.texts if text.get_text() != "no picture"
    ]


def frame(axes: Axes) -> tuple[object, str]:
    side = axes.spines["top"]
    return side.get_edgecolor(), side.get_linestyle()


def keys(page) -> list[str]:
    return [text.get_text() for text in page.legends[0].get_texts()]


def test_every_slide_is_on_one_page_with_what_became_of_it(folder) -> None:
    good, bad = folder / "good.jpg", folder / "bad.jpg"
    thumbs = [
        Thumb(slide_id="A", picture=good, status="done", n_kept=1200, n_dropped={"pen": 7}),
        Thumb(slide_id="B", picture=good, status="kept", n_kept=1),
        Thumb(slide_id="C", picture=good, status="done", n_kept=89, n_dropped={"blur": 11}),
        Thumb(slide_id="D", picture=bad, status="failed", reason=REASON),
        Thumb(
            slide_id="E", picture=folder / NOWHERE, status="empty", reason="NoTissue: slide E: 0%"
        ),
    ]
    (page,) = contact_sheets("Five", thumbs)
    assert [words(axes) for axes in page.axes] == [
        ["A", "1,200 tiles kept, 7 dropped (0.6%)"],
        ["B", "1 tile kept"],
        ["C", "89 tiles kept, 11 dropped (11.0%)"],
        ["D", "failed: not white light through a stain: it glows"],
        ["E", "empty: 0%"],
    ]
    assert [len(axes.images) for axes in page.axes] == [1, 1, 1, 1, 0]
    assert len({frame(axes) for axes in page.axes[1:]}) == 4  # each kind has a frame of its own
    assert frame(page.axes[0]) == frame(page.axes[1])
    assert page.texts[0].get_text() == "Five"
    assert keys(page) == [
        "kept (1,290)",
        "dropped: pen (7)",
        "dropped: out of focus (11)",
        "border of the tissue",
        "failed (1 slide)",
        "empty: no tile left (1 slide)",
        "more than 10% dropped (1 slide)",
    ]


def test_a_tenth_dropped_is_not_yet_many(folder) -> None:
    thumb = Thumb(slide_id="A", picture=folder, status="done", n_kept=90, n_dropped={"pen": 10})
    assert thumb.mark == ""


@pytest.mark.parametrize(
    ("status", "picture"),
    [("failed", "good.jpg"), ("done", "bad.jpg"), ("done", "old.jpg"), ("failed", NOWHERE)],
)
def test_a_picture_of_something_else_is_not_shown(folder, status, picture) -> None:
    assert Thumb(slide_id="A", picture=folder / picture, status=status).panel() is None


def test_the_slide_is_shown_without_the_legend_and_words_of_its_picture(folder) -> None:
    panel = Thumb(slide_id="A", picture=folder / "good.jpg", status="done").panel()
    assert panel is not None
    height, width, _ = panel.pixels_HW3.shape
    assert width / height == pytest.approx(500 / 300, rel=0.01)
    assert np.median(panel.pixels_HW3[5:-5, 5:-5]) == 200
    assert panel.pixels_HW3[5:-5, 5:-5].max() <= 210  # no white of the page


def test_both_kinds_of_border_are_named_where_both_occur(folder) -> None:
    thumbs = [
        Thumb(slide_id=name, picture=folder / f"{name}.jpg", status="done", n_kept=1)
        for name in ("good", "drawn")
    ]
    (page,) = contact_sheets("Two", thumbs)
    assert keys(page) == ["kept (2)", "border of the tissue or region drawn by hand"]


def test_a_large_cohort_has_pages_and_no_slide_is_lost(folder) -> None:
    per_page = COLUMNS * ROWS
    thumbs = [
        Thumb(slide_id=f"S{i}", picture=folder / NOWHERE, status="left")
        for i in range(2 * per_page + 1)
    ]
    pages = list(contact_sheets("Many", thumbs))
    names = [words(axes)[0] for page in pages for axes in page.axes]
    assert names == [thumb.slide_id for thumb in thumbs]
    assert [page.texts[0].get_text() for page in pages] == [
        f"Many, page {number} of 3" for number in (1, 2, 3)
    ]
    assert keys(pages[0]) == [f"{MARKS['left'][2]} (30 slides)"]


def test_long_names_and_reasons_stay_in_their_place(folder) -> None:
    name = "TCGA-CR-7395-01A-01-TS1." + "0" * 20 + "-end"
    thumb = Thumb(slide_id=name, picture=folder / NOWHERE, status="failed", reason="word " * 99)
    (page,) = contact_sheets("One", [thumb])
    shown, told = words(page.axes[0])
    assert shown.startswith("TCGA-CR-7395")
    assert shown.endswith("-end")
    assert len(shown) < len(name)
    assert told.endswith("…")
    page.draw_without_rendering()
    renderer = page.canvas.get_renderer()
    for text in page.axes[0].texts:
        assert text.get_window_extent(renderer).y0 >= 0
