"""The page in a real browser: what a pathologist would do."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.slow

# Where the viewer lies on the page, however far that is scrolled, and how large it is.
VIEWER_BOX = """
JSON.stringify((({ left, top, width, height }) => [left + scrollX, top + scrollY, width, height])(
    document.getElementById("viewer").getBoundingClientRect()))
"""
BOUNDS = "JSON.stringify(histofed.view.viewer.viewport.getBounds(true))"


def test_the_worklist_comes_first_most_uncertain_on_top(tab: Page, reviewer: Any) -> None:
    reviewer.expect(tab.locator(".case").first).to_be_focused()
    names = tab.locator(".case").all_text_contents()
    assert names == ["P-close", "P-two", "P-torn", "P-bare", "P-none", "P-sure"]
    assert tab.locator("#cases .value").first.text_content() == "52% chance of mutated"
    reviewer.expect(tab.locator("#count")).to_have_text("6 cases")
    assert tab.title() == "Demo run · review"
    tab.locator("#find").fill("north")
    reviewer.expect(tab.locator("#count")).to_have_text("2 of 6 cases")
    assert tab.locator(".case").all_text_contents() == ["P-two", "P-sure"]
    tab.locator("#find").fill("")
    tab.locator("#site").select_option("West")
    reviewer.expect(tab.locator("#count")).to_have_text("2 of 6 cases")
    tab.locator("#site").select_option("")
    tab.locator("#order").select_option("patient")
    reviewer.expect(tab.locator(".case").first).to_have_text("P-bare")


def test_the_worklist_by_keys(tab: Page, reviewer: Any) -> None:
    reviewer.expect(tab.locator(".case").first).to_be_focused()
    tab.keyboard.press("j")
    reviewer.expect(tab.locator(".case", has_text="P-two")).to_be_focused()
    tab.keyboard.press("k")
    reviewer.expect(tab.locator(".case", has_text="P-close")).to_be_focused()
    tab.keyboard.press("j")
    tab.keyboard.press("Enter")
    reviewer.expect(tab.locator("#patient")).to_have_text("P-two")
    reviewer.wait_for_slide()
    tab.keyboard.press("w")
    reviewer.expect(tab.locator(".case", has_text="P-two")).to_be_focused()
    tab.keyboard.press("s")
    reviewer.expect(tab.locator("#results-title")).to_be_visible()
    tab.locator("#to-worklist").click()
    tab.locator("#find").fill("ws")
    reviewer.expect(tab.locator("#count")).to_have_text(
        "0 of 6 cases: none fits all that is chosen above."
    )


@pytest.mark.parametrize("kept", ["xyz", "null", "[]", '{"order": 7, "site": {}, "find": null}'])
def test_nonsense_in_the_browsers_memory_is_passed_over(
    tab: Page, reviewer: Any, kept: str
) -> None:
    """Other pages of the same server may write there."""
    reviewer.expect(tab.locator(".case").first).to_be_visible()
    tab.evaluate("(kept) => sessionStorage.setItem('histofed-worklist', kept)", kept)
    tab.reload()
    reviewer.expect(tab.locator(".case")).to_have_count(6)
    reviewer.expect(tab.locator("#find")).to_have_value("")


def test_a_row_that_says_the_same_is_not_made_anew(tab: Page, reviewer: Any) -> None:
    """A click that has begun on it would be lost."""
    reviewer.expect(tab.locator(".case").first).to_be_focused()
    tab.evaluate("document.querySelectorAll('#cases tr').forEach((row) => { row.kept = true; })")
    tab.evaluate("histofed.worklist.load()")
    kept = "[...document.querySelectorAll('#cases tr')].map((row) => row.kept ?? false)"
    assert tab.evaluate(kept) == [True] * 6
    reviewer.expect(tab.locator(".case").first).to_be_focused()
    tab.locator("#hide").uncheck()
    reviewer.expect(tab.locator("#cases .label.quiet")).to_have_count(0)  # those that are hidden
    assert tab.evaluate(kept) == [False] * 6
    tab.locator("#order").select_option("patient")
    reviewer.expect(tab.locator(".case").first).to_have_text("P-bare")
    assert tab.locator(".case").all_text_contents() == sorted(
        tab.locator(".case").all_text_contents()
    )


def test_slides_and_cases_by_keys(tab: Page, reviewer: Any) -> None:
    reviewer.open_patient("P-close")
    reviewer.expect(tab.locator("#viewer [role=application]")).to_be_focused()
    tab.keyboard.press("j")
    reviewer.expect(tab.locator("#patient")).to_have_text("P-two")
    reviewer.wait_until("histofed.view.slide?.slide_id === 'made-1'")
    tab.keyboard.press("j")
    reviewer.wait_until("histofed.view.slide?.slide_id === 'made-2'")
    tab.keyboard.press("k")
    reviewer.wait_until("histofed.view.slide?.slide_id === 'made-1'")
    tab.keyboard.press("k")
    reviewer.expect(tab.locator("#patient")).to_have_text("P-close")
    reviewer.wait_for_slide()
    tab.keyboard.press("?")
    reviewer.expect(tab.locator("#keys")).to_be_visible()
    tab.keyboard.press("j")
    tab.keyboard.press("Escape")
    reviewer.expect(tab.locator("#keys")).not_to_be_visible()
    reviewer.expect(tab.locator("#patient")).to_have_text("P-close")
    tab.locator("#comment").fill("")
    tab.keyboard.type("jad")
    reviewer.expect(tab.locator("#patient")).to_have_text("P-close")
    assert tab.locator("#comment").input_value() == "jad"
    tab.keyboard.press("Escape")
    reviewer.expect(tab.locator("#viewer [role=application]")).to_be_focused()


def test_the_heat_map_by_keys(tab: Page, reviewer: Any) -> None:
    reviewer.open_patient("P-sure")
    opacity = tab.locator("#opacity-text")
    tab.keyboard.press("]")
    reviewer.expect(opacity).to_have_text("60%")
    tab.keyboard.press("[")
    tab.keyboard.press("[")
    reviewer.expect(opacity).to_have_text("40%")
    for colours in ("magma", "cividis", "coolwarm", "viridis"):
        tab.keyboard.press("c")
        reviewer.expect(tab.locator("#colours")).to_have_value(colours)
    tab.keyboard.press("l")
    reviewer.expect(tab.locator("#scale-choice")).to_have_value("percentile")
    tab.keyboard.press("l")
    tab.keyboard.press("l")
    reviewer.expect(tab.locator("#scale-choice")).to_have_value("raw")
    tab.keyboard.press(".")
    tab.keyboard.press(".")
    reviewer.expect(tab.locator("#threshold")).to_have_value("0.02")
    tab.keyboard.press(",")
    reviewer.expect(tab.locator("#threshold")).to_have_value("0.01")
    tab.locator("#threshold").focus()
    tab.keyboard.press("ArrowRight")
    reviewer.expect(tab.locator("#threshold")).to_have_value("0.015")
    tab.keyboard.press("h")
    reviewer.expect(tab.locator("#show")).not_to_be_checked()
    assert tab.evaluate("histofed.view.heatmap.canvas.style.opacity") == "0"


def test_magnification_and_ruler_are_right(tab: Page, reviewer: Any) -> None:
    reviewer.open_patient("P-sure")
    whole = tab.locator("#magnification").text_content() or ""
    for key, times in zip("123456", ("1.25", "2.5", "5", "10", "20", "40"), strict=True):
        tab.keyboard.press(key)
        reviewer.expect(tab.locator("#magnification")).to_have_text(f"about {times}×")
        reviewer.settle()
        assert tab.locator("#magnifications [aria-pressed=true]").text_content() == f"{times}×"
    tab.evaluate("histofed.view.goTo({ z: 0.99 * histofed.view.place().z })")
    reviewer.expect(tab.locator("#magnifications [aria-pressed=true]")).to_have_count(0)
    tab.keyboard.press("5")
    # One slide pixel is one screen pixel, 0.5 microns: what a 20x objective shows.
    reviewer.expect(tab.locator("#ruler-text")).to_have_text("50 µm")
    reviewer.settle()
    assert tab.evaluate("histofed.view.place().z") == pytest.approx(1, abs=1e-4)
    assert tab.evaluate("document.getElementById('ruler').offsetWidth") == 100
    tab.keyboard.press("0")
    reviewer.expect(tab.locator("#magnification")).to_have_text(whole)
    tab.keyboard.press("r")
    reviewer.expect(tab.locator("#degrees")).to_have_value("90")
    tab.keyboard.press("Shift+R")
    reviewer.expect(tab.locator("#degrees")).to_have_value("0")
    tab.locator("#degrees").fill("30")
    tab.keyboard.press("Tab")
    reviewer.settle()
    assert tab.evaluate("histofed.view.place().r") == pytest.approx(30)


def test_an_address_brings_back_the_exact_view(tab: Page, reviewer: Any) -> None:
    reviewer.open_patient("P-two")
    reviewer.open_slide("made-2")
    tab.locator("#head").select_option("evidence")
    tab.locator("#colours").select_option("magma")
    tab.locator("#scale-choice").select_option("percentile")
    tab.locator("#opacity").fill("80")
    for key in ("4", "r", "ArrowLeft", ".", ".", "."):
        tab.locator("#viewer [role=application]").focus()
        tab.keyboard.press(key)
        reviewer.settle()
    tab.wait_for_timeout(500)
    address, place = tab.url, tab.evaluate("histofed.view.place()")
    before = look_of(tab)
    tab.goto("about:blank")
    tab.goto(address)
    reviewer.expect(tab.locator("#patient")).to_have_text("P-two")
    reviewer.wait_for_slide()
    assert tab.evaluate("histofed.view.slide.slide_id") == "made-2"
    assert tab.evaluate("histofed.view.place()") == pytest.approx(place, rel=1e-6)
    settings = {"head": "evidence", "colours": "magma", "scale-choice": "percentile"}
    for name, value in settings.items() | {("opacity", "80"), ("threshold", "0.03")}:
        reviewer.expect(tab.locator(f"#{name}")).to_have_value(value)
    assert np.abs(look_of(tab) - before).max() <= 2


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("#case=P-two&s=made-1&z=abc&cm=jet", "z=abc, cm=jet"),
        ("#case=P-two&s=made-1&s2=made-2&h2=jet", "know: h2=jet."),
        ("#case=P-two&s=made-1&s2=ghost&h2=jet", "know: s2=ghost."),
        ("#case=P-two&s=nothing", "no slide “nothing”"),
        ("#case=nobody", "There is no patient nobody"),
        ("#case=2026%2F04%26a%3D%2350%25", "There is no patient 2026/04&a=#50%"),
    ],
)
def test_a_wrong_address_is_told(tab: Page, reviewer: Any, address: str, words: str) -> None:
    tab.evaluate("(hash) => { location.hash = hash; }", address)
    reviewer.expect(tab.locator("#status")).to_contain_text(words)


def test_what_cannot_be_shown_is_said(tab: Page, reviewer: Any) -> None:
    tab.locator(".case", has_text="P-torn").click()
    reviewer.expect(tab.locator("#status")).to_contain_text("Slide torn cannot be shown")
    tab.locator("#to-worklist").click()
    tab.locator(".case", has_text="P-none").click()
    reviewer.expect(tab.locator("#status")).to_contain_text("no slide to show")
    tab.locator("#to-worklist").click()
    tab.locator(".case", has_text="P-bare").click()
    reviewer.expect(tab.locator("#note")).to_contain_text("No heat map was made")
    reviewer.expect(tab.locator("#show")).to_be_disabled()
    reviewer.open_patient("P-sure")
    reviewer.expect(tab.locator("#show")).to_be_enabled()


@pytest.mark.parametrize(("width", "height"), [(1360, 840), (1024, 768), (820, 1180)])
def test_all_of_the_page_is_on_the_screen(
    tab: Page, reviewer: Any, width: int, height: int
) -> None:
    tab.set_viewport_size({"width": width, "height": height})
    reviewer.open_patient("P-close")
    assert_whole_slide_in_sight(tab)
    reviewer.keep(f"slide-{width}")
    tab.reload()
    reviewer.wait_for_slide()
    assert_whole_slide_in_sight(tab)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert tab.evaluate("document.documentElement.scrollHeight") <= height
    for part in ("#viewer", "#heat", "#ticks", "#opacity", "#help", "#scale", "#verdict .choices"):
        box = tab.locator(part).bounding_box()
        assert box is not None, part
        assert box["x"] >= 0, part
        assert box["x"] + box["width"] <= width + 0.5, part
        assert box["y"] + box["height"] <= height + 0.5, part
    view = tab.locator("#viewer").bounding_box()
    assert view is not None
    assert view["height"] > 200


@pytest.mark.parametrize("screen", ["", "#case=P-close", "#case=P-close&view=gallery"])
def test_text_twice_as_large_fits_across(tab: Page, reviewer: Any, screen: str) -> None:
    reviewer.expect(tab.locator(".case").first).to_be_visible()
    tab.evaluate("document.documentElement.style.fontSize = '187.5%'")
    tab.evaluate("(hash) => { location.hash = hash; }", screen)
    if screen:
        reviewer.wait_for_slide()
        view = tab.locator("#viewer").bounding_box()
        assert view is not None
        assert view["height"] > 150
    reviewer.keep(f"large-text-{'worklist' if not screen else screen.rpartition('=')[2]}")
    assert tab.evaluate("document.documentElement.scrollWidth") <= 1360


@pytest.mark.parametrize(("width", "height", "text"), [(1400, 900, 200), (700, 450, 100)])
def test_the_slide_has_room_with_large_text_and_on_a_zoomed_page(
    tab: Page, reviewer: Any, width: int, height: int, text: int
) -> None:
    """Text of twice its size, and what the browser's zoom of 200% leaves of 1400 x 900."""
    tab.set_viewport_size({"width": width, "height": height})
    tab.evaluate(f"document.documentElement.style.fontSize = '{0.9375 * text}%'")
    reviewer.expect(tab.locator(".case").first).to_be_visible()
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    frame = "document.querySelector('#worklist .table-frame')"
    assert tab.evaluate(f"{frame}.scrollWidth - {frame}.clientWidth") <= 0
    reviewer.keep(f"large-worklist-{width}")
    reviewer.open_patient("P-close")
    reviewer.keep(f"large-slide-{width}")
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    view = tab.locator("#viewer").bounding_box()
    assert view is not None
    assert min(view["y"] + view["height"], height) - view["y"] > 0.45 * height  # without scrolling
    covered = 0.0
    for part in (".scale", ".navigator"):
        if tab.locator(f"#view {part}").first.is_visible():
            box = tab.locator(f"#view {part}").first.bounding_box()
            assert box is not None
            covered += box["width"] * box["height"]
    assert covered < 0.1 * view["width"] * view["height"]
    panel = "document.querySelector('#case .panel')"
    scrolls = tab.evaluate(f"{panel}.scrollHeight - {panel}.clientHeight")
    assert scrolls <= 1  # all of the page scrolls as one
    reviewer.expect(tab.locator("#case-line")).to_be_in_viewport()
    reviewer.expect(tab.locator("#case-line")).to_have_text("P-close · 52% chance of mutated")
    tab.locator("#to-verdict").click()
    reviewer.expect(tab.locator("#verdict [data-verdict=agree]")).to_be_focused()
    reviewer.expect(tab.locator("#verdict [data-verdict=unsure]")).to_be_in_viewport()
    tab.keyboard.press("j")
    reviewer.expect(tab.locator("#patient")).to_have_text("P-two")
    reviewer.wait_for_slide()
    assert tab.evaluate("scrollY") == 0  # a new case begins with its slide
    tab.keyboard.press("t")
    reviewer.wait_until("histofed.screen.second.link?.anchors")
    reviewer.settle()
    reviewer.keep(f"large-beside-{width}")
    choice, beside = (tab.locator(part).bounding_box() for part in (".second-choice", "#viewer-2"))
    assert choice is not None
    assert beside is not None
    assert choice["y"] + choice["height"] <= beside["y"] + 0.5
    assert beside["height"] > 0.3 * height
    for shown in ("histofed.view", "histofed.screen.second.view"):
        assert_whole_slide_in_sight(tab, shown)


@pytest.mark.parametrize(("width", "height"), [(1400, 900), (1024, 768), (820, 1180), (700, 450)])
def test_nothing_moves_the_slide_but_the_reviewer(
    tab: Page, reviewer: Any, width: int, height: int
) -> None:
    tab.set_viewport_size({"width": width, "height": height})
    reviewer.open_patient("P-close")
    place, box = tab.evaluate(BOUNDS), tab.evaluate(VIEWER_BOX)
    for value in ("0.02", "0.49", "0.995", "1"):
        tab.locator("#threshold").fill(value)
        assert tab.evaluate(VIEWER_BOX) == box, value
    tab.locator("#opacity").fill("100")
    tab.locator("#opacity").fill("5")
    tab.locator("#viewer [role=application]").focus()
    tab.keyboard.press("b")
    reviewer.expect(tab.locator("#region")).to_be_visible()
    reviewer.settle()
    assert tab.evaluate(VIEWER_BOX) == box
    tab.keyboard.press("Enter")
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("ArrowDown")
    reviewer.settle()
    tab.keyboard.press("Enter")
    reviewer.expect(tab.locator("#region-comment")).to_be_visible()
    assert tab.evaluate(VIEWER_BOX) == box
    tab.locator("#region-cancel").click()
    tab.keyboard.press("0")
    reviewer.settle()
    assert tab.evaluate(BOUNDS) == place


@pytest.mark.parametrize(("width", "height"), [(1400, 900), (1180, 820)])
def test_what_is_said_hides_nothing_and_moves_nothing(
    tab: Page, reviewer: Any, width: int, height: int
) -> None:
    tab.set_viewport_size({"width": width, "height": height})
    reviewer.open_patient("P-close")
    box = tab.evaluate(VIEWER_BOX)
    tab.keyboard.press("n")
    reviewer.expect(tab.locator("#status")).to_contain_text("Tile 1 of the")
    said = tab.locator("#status").bounding_box()
    bar = tab.locator(".bar.top").bounding_box()
    assert said is not None
    assert bar is not None
    assert said["y"] + said["height"] <= bar["y"] + 1
    assert tab.evaluate(VIEWER_BOX) == box
    for other in ("#title", ".masthead nav", ".masthead-end"):
        place = tab.locator(other).bounding_box()
        assert place is not None
        left, right = place["x"], place["x"] + place["width"]
        assert right <= said["x"] + 1 or left >= said["x"] + said["width"] - 1, other
    tab.keyboard.press("n")
    tab.locator(".said").click()  # on small screens it lies over controls
    reviewer.expect(tab.locator("#status")).to_be_empty()


def test_the_gallery_shows_only_what_has_an_effect_there(tab: Page, reviewer: Any) -> None:
    reviewer.open_patient("P-close")
    box = tab.evaluate(BOUNDS)
    tab.keyboard.press("g")
    reviewer.expect(tab.locator(".tile")).to_have_count(24)
    for part in ("#threshold", "#opacity", "#colours", "#scale-choice", "#show"):
        reviewer.expect(tab.locator(part)).not_to_be_visible()
    reviewer.expect(tab.locator("#head")).to_be_visible()  # whose tiles these are
    reviewer.expect(tab.locator("#gallery-again")).to_have_attribute("title", re.compile("always"))
    tab.keyboard.press("2")
    chosen = tab.locator("[data-tile-verdict][aria-pressed=true]")
    reviewer.expect(chosen).to_have_text("2 not relevant")
    reviewer.keep("gallery-chosen")
    assert chosen.evaluate("(button) => button.scrollWidth - button.clientWidth") <= 0
    tab.locator("#gallery-which").select_option("random")
    reviewer.expect(tab.locator("#gallery-again")).to_have_attribute("title", "")
    tab.keyboard.press("g")
    reviewer.settle()
    assert tab.evaluate(BOUNDS) == box


@pytest.mark.parametrize(("patient_id", "beside"), [("P-sure", "made-1"), ("P-two", "made-2")])
def test_both_whole_slides_are_in_sight_side_by_side(
    tab: Page, reviewer: Any, patient_id: str, beside: str
) -> None:
    reviewer.open_patient(patient_id)
    tab.keyboard.press("t")
    reviewer.wait_until(f"histofed.screen.second.view?.slide?.slide_id === '{beside}'")
    reviewer.wait_until("histofed.screen.second.link.anchors !== null")
    for size in ({"width": 1400, "height": 900}, {"width": 1180, "height": 820}):
        tab.set_viewport_size(size)
        reviewer.settle()
        for view in ("histofed.view", "histofed.screen.second.view"):
            assert_whole_slide_in_sight(tab, view)
        assert tab.evaluate(
            "histofed.view.micronsPerScreenPixel()"
            " / histofed.screen.second.view.micronsPerScreenPixel()"
        ) == pytest.approx(1, abs=1e-6)
        reviewer.expect(tab.locator("#viewer .navigator")).not_to_be_visible()
    tab.keyboard.press("4")
    reviewer.expect(tab.locator("#viewer .navigator")).to_be_visible()


def test_the_scale_beside_is_told_and_stays_in_its_box(tab: Page, reviewer: Any) -> None:
    reviewer.open_patient("P-two")
    tab.keyboard.press("t")
    reviewer.wait_until("histofed.screen.second.view?.heatmap.scores?.length > 0")
    legend = tab.locator("#legend-2")
    reviewer.expect(legend).to_contain_text("scale of its own")
    box = legend.bounding_box()
    assert box is not None
    for tick in legend.locator(".ticks span").all():
        place = tick.bounding_box()
        assert place is not None
        assert place["x"] >= box["x"] + 4
        assert place["x"] + place["width"] <= box["x"] + box["width"] - 4
    reviewer.keep("beside-scales")
    tab.locator("#slide-2").select_option("made-1")
    reviewer.expect(legend).not_to_be_visible()  # at first the plain slide
    tab.locator("#head-2").select_option("attention")
    reviewer.expect(legend).to_be_visible()
    reviewer.expect(legend).not_to_contain_text("scale of its own")


def look_of(tab: Page) -> np.ndarray:
    """The view inside its focus ring, below the navigator."""
    tab.wait_for_timeout(300)
    picture = Image.open(io.BytesIO(tab.locator("#viewer").screenshot())).convert("RGB")
    return np.asarray(picture).astype(int)[120:-4, 4:-4]


def assert_whole_slide_in_sight(tab: Page, shown: str = "histofed.view") -> None:
    view = tab.locator("#viewer" if shown == "histofed.view" else "#viewer-2").bounding_box()
    assert view is not None
    (left, top), (right, bottom) = tab.evaluate(
        "[[0, 0], [1, 1]].map(([x, y]) => {"
        f" const {{ width_px0: w, height_px0: h }} = {shown}.slide;"
        f" const p = {shown}.toScreen(x * w, y * h); return [p.x, p.y]; }})"
    )
    assert min(left, top) >= -0.5
    assert right <= view["width"] + 0.5
    assert bottom <= view["height"] + 0.5
