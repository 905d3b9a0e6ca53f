"""The page in a real browser: what a pathologist would do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.slow


def test_patients_are_listed_in_order_and_the_first_is_open(tab: Page, reviewer: Any) -> None:
    reviewer.wait_for_slide()
    names = tab.locator(".case .name").all_text_contents()
    assert names == ["P-close", "P-two", "P-torn", "P-bare", "P-none", "P-sure"]
    assert tab.locator(".case .percent").first.text_content() == "52%"
    reviewer.expect(tab.locator("#count")).to_have_text("6 patients")
    assert tab.evaluate("document.activeElement.textContent").startswith("P-close")
    assert tab.title() == "Demo run · review"
    tab.locator("#filter").fill("north")
    reviewer.expect(tab.locator("#count")).to_have_text("2 of 6 patients")
    assert tab.locator(".case:visible .name").all_text_contents() == ["P-two", "P-sure"]


def test_keys(tab: Page, reviewer: Any) -> None:
    reviewer.wait_for_slide()
    tab.keyboard.press("j")
    reviewer.expect(tab.locator("#patient")).to_have_text("P-two")
    reviewer.wait_for_slide()
    tab.keyboard.press("k")
    reviewer.expect(tab.locator("#patient")).to_have_text("P-close")
    reviewer.wait_for_slide()
    tab.keyboard.press("]")
    reviewer.expect(tab.locator("#opacity-text")).to_have_text("60%")
    tab.keyboard.press("[")
    tab.keyboard.press("[")
    reviewer.expect(tab.locator("#opacity-text")).to_have_text("40%")
    tab.keyboard.press("h")
    reviewer.expect(tab.locator("#show")).not_to_be_checked()
    assert tab.evaluate("histofed.view.heatmap.canvas.style.opacity") == "0"
    before = tab.locator("#magnification").text_content()
    tab.keyboard.press("+")
    reviewer.expect(tab.locator("#magnification")).not_to_have_text(before or "")
    reviewer.settle()
    nearer = tab.locator("#magnification").text_content()
    tab.keyboard.press("-")
    reviewer.expect(tab.locator("#magnification")).not_to_have_text(nearer or "")
    tab.keyboard.press("0")
    reviewer.expect(tab.locator("#magnification")).to_have_text(before or "")
    tab.keyboard.press("?")
    reviewer.expect(tab.locator("#keys")).to_be_visible()
    tab.keyboard.press("j")
    tab.keyboard.press("Escape")
    reviewer.expect(tab.locator("#keys")).not_to_be_visible()
    reviewer.expect(tab.locator("#patient")).to_have_text("P-close")
    tab.locator("#head").focus()
    tab.keyboard.press("j")
    reviewer.expect(tab.locator("#patient")).to_have_text("P-two")
    tab.keyboard.press("k")
    reviewer.expect(tab.locator("#patient")).to_have_text("P-close")
    tab.locator("#filter").fill("jh")
    reviewer.expect(tab.locator("#patient")).to_have_text("P-close")


def test_magnification_and_ruler_are_right(tab: Page, reviewer: Any) -> None:
    reviewer.open_patient("P-sure")
    tab.evaluate("histofed.view.viewer.viewport.zoomTo(histofed.view.image.imageToViewportZoom(1))")
    # One slide pixel is one screen pixel, 0.5 microns: what a 20x objective shows.
    reviewer.expect(tab.locator("#magnification")).to_have_text("about 20×")
    reviewer.settle()
    reviewer.expect(tab.locator("#ruler-text")).to_have_text("50 µm")
    assert tab.evaluate("document.getElementById('ruler').offsetWidth") == 100


def test_an_address_brings_back_its_slide(tab: Page, reviewer: Any, page: str) -> None:
    tab.goto("about:blank")
    tab.goto(f"{page}/#slide=made-2")
    reviewer.expect(tab.locator("#patient")).to_have_text("P-two")
    reviewer.wait_for_slide()
    assert tab.locator(".tabs [aria-current=true]").text_content() == "Slide 2"
    tab.locator(".tabs button").first.click()
    reviewer.wait_until("location.hash === '#slide=made-1'")


def test_what_cannot_be_shown_is_said(tab: Page, reviewer: Any) -> None:
    reviewer.wait_for_slide()
    tab.locator(".case", has_text="P-torn").click()
    reviewer.expect(tab.locator("#status")).to_contain_text("Slide torn cannot be shown")
    tab.locator(".case", has_text="P-none").click()
    reviewer.expect(tab.locator("#status")).to_contain_text("no slide to show")
    tab.locator(".case", has_text="P-bare").click()
    reviewer.expect(tab.locator("#note")).to_contain_text("No heat map was made")
    reviewer.expect(tab.locator("#show")).to_be_disabled()
    reviewer.open_patient("P-sure")
    reviewer.expect(tab.locator("#show")).to_be_enabled()


@pytest.mark.parametrize(("width", "height"), [(1360, 840), (1024, 768), (820, 1180), (400, 800)])
def test_all_of_the_page_is_on_the_screen(
    tab: Page, reviewer: Any, width: int, height: int
) -> None:
    tab.set_viewport_size({"width": width, "height": height})
    reviewer.wait_for_slide()
    assert_whole_slide_in_sight(tab)
    tab.reload()
    reviewer.wait_for_slide()
    assert_whole_slide_in_sight(tab)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert tab.evaluate("document.documentElement.scrollHeight") <= height
    for part in ("#viewer", "#heat", "#legend-max", "#opacity", "#help", "#scale", "#cases"):
        box = tab.locator(part).bounding_box()
        assert box is not None, part
        assert box["x"] >= 0, part
        assert box["x"] + box["width"] <= width + 0.5, part
        assert box["y"] + box["height"] <= height + 0.5, part
    view = tab.locator("#viewer").bounding_box()
    assert view is not None
    assert view["height"] > 200


def assert_whole_slide_in_sight(tab: Page) -> None:
    view = tab.locator("#viewer").bounding_box()
    assert view is not None
    (left, top), (right, bottom) = tab.evaluate(
        "[[0, 0], [1, 1]].map(([x, y]) => {"
        " const { width_px0: w, height_px0: h } = histofed.view.slide;"
        " const p = histofed.view.toScreen(x * w, y * h); return [p.x, p.y]; })"
    )
    assert min(left, top) >= -0.5
    assert right <= view["width"] + 0.5
    assert bottom <= view["height"] + 0.5
