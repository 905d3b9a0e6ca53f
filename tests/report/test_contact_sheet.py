from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from histofed.report.contact_sheet import COLUMNS, ROWS, Thumb, contact_sheets

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def overlay(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("tiles") / "s.png"
    Image.fromarray(np.full((300, 500, 3), 200, np.uint8)).save(path)
    return path


def test_every_slide_is_on_one_page_with_its_counts(overlay) -> None:
    thumbs = [
        Thumb(slide_id="A", picture=overlay, n_kept=1200, n_dropped=7),
        Thumb(slide_id="B", picture=overlay, n_kept=3),
        Thumb(slide_id="C", picture=None),
    ]
    (page,) = contact_sheets("Three", thumbs)
    assert [axes.get_title() for axes in page.axes] == [
        "A\n1,200 kept, 7 dropped",
        "B\n3 kept",
        "C\nfailed",
    ]
    assert [len(axes.images) for axes in page.axes] == [1, 1, 0]
    assert page._suptitle.get_text() == "Three"
    assert "dropped: out of focus" in [text.get_text() for text in page.legends[0].get_texts()]


def test_a_large_cohort_has_pages_and_no_slide_is_lost(overlay) -> None:
    per_page = COLUMNS * ROWS
    thumbs = [Thumb(slide_id=f"S{i}", picture=None) for i in range(2 * per_page + 1)]
    pages = list(contact_sheets("Many", thumbs))
    titles = [axes.get_title().split("\n")[0] for page in pages for axes in page.axes]
    assert [title for title in titles if title] == [thumb.slide_id for thumb in thumbs]
    assert [page._suptitle.get_text() for page in pages] == [
        f"Many, page {number} of 3" for number in (1, 2, 3)
    ]


def test_a_long_name_keeps_both_ends() -> None:
    name = "TCGA-CR-7395-01A-01-TS1." + "0" * 20 + "-end"
    (page,) = contact_sheets("One", [Thumb(slide_id=name, picture=None)])
    shown = page.axes[0].get_title().split("\n")[0]
    assert shown.startswith("TCGA-CR-7395")
    assert shown.endswith("-end")
    assert len(shown) < len(name)
