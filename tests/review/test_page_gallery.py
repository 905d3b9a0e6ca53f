"""The page in a real browser: tiles one by one, and the verdicts on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from histofed.review.data import ReviewData
    from histofed.review.store import ReviewStore

pytestmark = pytest.mark.slow


def test_tiles_are_judged_in_the_gallery(
    tab: Page, reviewer: Any, store: ReviewStore, site: ReviewData, me: str
) -> None:
    reviewer.open_patient("P-sure")
    tab.keyboard.press("g")
    reviewer.expect(tab.locator(".tile")).to_have_count(24)
    reviewer.keep("gallery")
    stored = site.scores.read("made-1")
    best = np.argsort(-stored.scores["attention"], kind="stable")
    reviewer.expect(tab.locator(".tile-picture").first).to_be_focused()
    tab.keyboard.press("1")
    reviewer.kept("relevant")
    reviewer.expect(tab.locator(".tile-picture").nth(1)).to_be_focused()
    tab.keyboard.press("3")
    reviewer.kept("artefact")
    reviewer.expect(tab.locator("#history")).to_contain_text("tiles: 1 relevant, 1 artefact")
    tab.locator("#gallery-which").select_option("blinded")
    reviewer.expect(tab.locator("#gallery-note")).to_contain_text("0 of 24 tiles judged")
    assert not any("score" in text for text in tab.locator(".tile").all_text_contents())
    reviewer.keep("blinded")
    tab.locator(".tile [data-tile-verdict='not relevant']").first.click()
    reviewer.kept("not relevant")
    rows = store.rows(reviewer=me)
    assert [row["verdict"] for row in rows] == ["relevant", "artefact", "not relevant"]
    assert [row["tile"] for row in rows[:2]] == best[:2].tolist()
    assert [row["blinded"] for row in rows] == [False, False, True]


def test_no_key_judges_a_tile_that_has_not_the_focus(
    tab: Page, reviewer: Any, store: ReviewStore, me: str
) -> None:
    reviewer.open_patient("P-sure")
    tab.keyboard.press("g")
    reviewer.expect(tab.locator(".tile-picture").first).to_be_focused()
    for _ in range(2):
        tab.keyboard.press("ArrowRight")
    tab.keyboard.press("m")
    tab.keyboard.press("Escape")
    reviewer.expect(tab.locator(".tile-picture").nth(2)).to_be_focused()
    tab.locator("#gallery-note").click()
    tab.keyboard.press("2")
    reviewer.expect(tab.locator(".tile-picture").nth(2)).to_be_focused()
    assert store.rows(reviewer=me) == []
    tab.keyboard.press("2")
    reviewer.kept("not relevant")
    reviewer.expect(tab.locator(".tile").nth(2)).to_contain_class("judged")


def test_blinded_tiles_are_not_judged_twice(
    tab: Page, reviewer: Any, store: ReviewStore, me: str
) -> None:
    """Who comes back goes on where they were: their own verdicts give nothing away."""
    reviewer.open_patient("P-sure")
    tab.keyboard.press("g")
    tab.locator("#gallery-which").select_option("blinded")
    reviewer.expect(tab.locator(".tile-picture").first).to_be_focused()
    for verdict in ("not relevant", "unsure"):
        tab.keyboard.press({"not relevant": "2", "unsure": "4"}[verdict])
        reviewer.kept(verdict)
    for way in ("to the slide and back", "loaded again"):
        if way == "loaded again":
            reviewer.wait_until("location.hash.includes('view=gallery')")
            tab.reload()
            tab.locator("#gallery-which").select_option("blinded")
        else:
            tab.keyboard.press("g")
            tab.keyboard.press("g")
        reviewer.expect(tab.locator("#gallery-note")).to_contain_text("2 of 24 tiles judged")
        pressed = tab.locator(".tile").nth(1).locator("[aria-pressed=true]")
        reviewer.expect(pressed).to_have_attribute("data-tile-verdict", "unsure")
        reviewer.expect(tab.locator(".tile-picture").nth(2)).to_be_focused()
    assert len(store.rows(reviewer=me)) == 2


def test_a_click_in_the_gallery_flies_to_the_tile(
    tab: Page, reviewer: Any, site: ReviewData
) -> None:
    reviewer.open_patient("P-sure")
    tab.keyboard.press("g")
    tab.locator(".tile-picture").first.click()
    reviewer.expect(tab.locator("#gallery")).not_to_be_visible()
    tab.wait_for_timeout(800)
    reviewer.settle()
    stored = site.scores.read("made-1")
    corner = stored.coords_N2[int(np.argmax(stored.scores["attention"]))]
    place = tab.evaluate("histofed.view.place()")
    assert (place["x"], place["y"]) == pytest.approx(tuple(corner + stored.side_px0 / 2), abs=0.5)
    points = tab.locator("#viewer .marked").get_attribute("points") or ""
    outline = np.asarray([[float(part) for part in point.split(",")] for point in points.split()])
    assert np.ptp(outline, axis=0) == pytest.approx([stored.side_px0 * place["z"]] * 2, abs=0.5)
    reviewer.keep("tile")


def test_the_highest_tiles_end_at_both_ends(tab: Page, reviewer: Any) -> None:
    reviewer.open_patient("P-sure")
    tab.keyboard.press("n")
    reviewer.expect(tab.locator("#status")).to_have_text("Tile 1 of the 50 highest.")
    tab.keyboard.press("p")
    reviewer.expect(tab.locator("#status")).to_have_text("Tile 1 of the 50 highest, the first.")
    for _ in range(51):
        tab.keyboard.press("n")
    reviewer.expect(tab.locator("#status")).to_have_text("Tile 50 of the 50 highest, the last.")
