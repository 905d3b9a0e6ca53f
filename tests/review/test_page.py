"""The page in a real browser: what a pathologist would do, and that nothing leaves the machine."""

from __future__ import annotations

import io
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect, sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from histofed.review.data import ReviewData

pytestmark = pytest.mark.slow

CHROMIUM = Path("/usr/bin/chromium")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
BOUNDS = "JSON.stringify(histofed.view.viewer.viewport.getBounds(true))"
SIZE = {"width": 1360, "height": 850}

# How near its edge a tile's own colour must be found, in screen pixels. A turned edge is
# anti-aliased: the pixel that holds a point reaches 1.4 px towards the edge.
NEAR_EDGE_PX = {0: 1.05, 30: 1.7}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.is_file():
        pytest.skip(f"no browser at {CHROMIUM}; install the Debian package chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def tab(browser: Browser, page: str) -> Iterator[Page]:
    """The open page; afterwards: no error in the console, no request to anywhere else."""
    context = browser.new_context(viewport=SIZE)
    tab = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    tab.on("console", lambda message: said.append(message.text) if message.type == "error" else 0)
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(page)
    yield tab
    context.close()
    assert [line for line in said if "status of 503" not in line] == []
    assert len(asked) > 5
    assert [url for url in asked if not url.startswith((page, "blob:", "data:"))] == []


def open_patient(tab: Page, patient_id: str) -> None:
    tab.locator(".case", has_text=patient_id).click()
    expect(tab.locator("#patient")).to_have_text(patient_id)
    wait_for_slide(tab)


def wait_for_slide(tab: Page) -> None:
    wait_until(tab, "histofed.view.image?.getFullyLoaded()")
    wait_until(tab, "histofed.view.heatmap.tiles.length > 0")
    expect(tab.locator("#status")).to_have_text("")
    settle(tab)


def wait_until(tab: Page, condition: str) -> None:
    """Poll from outside: the page's own policy forbids playwright's polling inside it."""
    deadline = time.monotonic() + 20
    while not tab.evaluate(condition):
        assert time.monotonic() < deadline, f"still not: {condition}"
        tab.wait_for_timeout(30)


def settle(tab: Page) -> None:
    """Wait until nothing moves any more."""
    before = None
    while before != (before := tab.evaluate(BOUNDS)):
        tab.wait_for_timeout(150)


def screen(tab: Page) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(tab.screenshot())).convert("RGB")).astype(int)


def viewer_screen(tab: Page) -> np.ndarray:
    """The viewer without what lies in its corners."""
    image = tab.locator("#viewer").screenshot()
    return np.asarray(Image.open(io.BytesIO(image)).convert("RGB")).astype(int)[200:-100]


def canvas_colours(tab: Page, points: list[list[float]]) -> np.ndarray:
    """RGBA of the heat map's canvas at positions of the viewer."""
    return np.asarray(
        tab.evaluate(
            """(points) => {
                const { canvas } = histofed.view.heatmap;
                const { width, height } = canvas;
                const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
                return points.map(([x, y]) => {
                    const at = 4 * (y * width + x);
                    return [...data.subarray(at, at + 4)];
                });
            }""",
            points,
        )
    )


def viridis(scores: np.ndarray) -> np.ndarray:
    import matplotlib as mpl

    fraction = (scores - scores.min()) / (scores.max() - scores.min())
    return np.round(mpl.colormaps["viridis"](np.round(255 * fraction).astype(int)) * 255)


def test_patients_are_listed_in_order_and_the_first_is_open(tab: Page) -> None:
    wait_for_slide(tab)
    names = tab.locator(".case .name").all_text_contents()
    assert names == ["P-close", "P-two", "P-torn", "P-bare", "P-none", "P-sure"]
    assert tab.locator(".case .percent").first.text_content() == "52%"
    expect(tab.locator("#count")).to_have_text("6 patients")
    assert tab.evaluate("document.activeElement.textContent").startswith("P-close")
    assert tab.title() == "Demo run · review"
    tab.locator("#filter").fill("north")
    expect(tab.locator("#count")).to_have_text("2 of 6 patients")
    assert tab.locator(".case:visible .name").all_text_contents() == ["P-two", "P-sure"]


def test_the_opacity_slider_blends_slide_and_heat_map(tab: Page) -> None:
    open_patient(tab, "P-sure")
    pictures = {}
    for percent in (0, 50, 100):
        tab.locator("#opacity").fill(str(percent))
        expect(tab.locator("#opacity-text")).to_have_text(f"{percent}%")
        pictures[percent] = viewer_screen(tab)
    assert np.abs(pictures[100] - pictures[0]).mean() > 20
    halfway = (pictures[0] + pictures[100]) / 2
    assert np.abs(pictures[50] - halfway).mean() < 1


@pytest.mark.parametrize("degrees", [0, 30])
@pytest.mark.parametrize("head", ["attention", "evidence"])
def test_every_tile_has_its_colour_where_it_lies(
    tab: Page, site: ReviewData, head: str, degrees: int
) -> None:
    open_patient(tab, "P-sure")
    tab.locator("#head").select_option(head)
    tab.evaluate("(d) => histofed.view.viewer.viewport.setRotation(d, true)", degrees)
    tab.keyboard.press("0")
    tab.wait_for_timeout(300)
    settle(tab)
    stored = site.scores.read("made-1")
    # A little inside each corner of each tile: off by a pixel, and the neighbour's colour shows.
    low = tab.evaluate("histofed.view.micronsPerScreenPixel()") / 0.5 * NEAR_EDGE_PX[degrees]
    high = stored.side_px0 - low
    corners = [(low, low), (high, low), (low, high), (high, high)]
    found = np.asarray(
        tab.evaluate(
            "(points) => points.map(([x, y]) => { const p = histofed.view.toScreen(x, y);"
            " return [p.x, p.y]; })",
            [[x + dx, y + dy] for x, y in stored.coords_N2.tolist() for dx, dy in corners],
        )
    )
    wanted = viridis(stored.scores[head]).repeat(4, axis=0)
    box = tab.locator("#viewer").bounding_box()
    assert box is not None
    seen = ((found > 2) & (found < [box["width"] - 3, box["height"] - 3])).all(axis=1)
    assert seen.sum() > 150
    colours = canvas_colours(tab, np.floor(found[seen]).tolist())
    assert np.abs(colours - wanted[seen]).max() <= 1


def test_the_slide_lies_under_the_heat_map(tab: Page, made: np.ndarray) -> None:
    open_patient(tab, "P-sure")
    tab.keyboard.press("h")
    settle(tab)
    box = tab.locator("#viewer").bounding_box()
    assert box is not None
    shown = screen(tab)
    for x, y in ((1000, 900), (1300, 1000), (700, 1200), (1500, 700)):
        point = tab.evaluate("([x, y]) => histofed.view.toScreen(x, y)", [x, y])
        seen = shown[int(box["y"] + point["y"]), int(box["x"] + point["x"])]
        assert np.abs(seen - made[y, x].astype(int)).max() < 10


def test_keys(tab: Page) -> None:
    wait_for_slide(tab)
    tab.keyboard.press("j")
    expect(tab.locator("#patient")).to_have_text("P-two")
    wait_for_slide(tab)
    tab.keyboard.press("k")
    expect(tab.locator("#patient")).to_have_text("P-close")
    wait_for_slide(tab)
    tab.keyboard.press("]")
    expect(tab.locator("#opacity-text")).to_have_text("60%")
    tab.keyboard.press("[")
    tab.keyboard.press("[")
    expect(tab.locator("#opacity-text")).to_have_text("40%")
    tab.keyboard.press("h")
    expect(tab.locator("#show")).not_to_be_checked()
    assert tab.evaluate("histofed.view.heatmap.canvas.style.opacity") == "0"
    before = tab.locator("#magnification").text_content()
    tab.keyboard.press("+")
    expect(tab.locator("#magnification")).not_to_have_text(before or "")
    settle(tab)
    tab.keyboard.press("0")
    expect(tab.locator("#magnification")).to_have_text(before or "")
    tab.keyboard.press("?")
    expect(tab.locator("#keys")).to_be_visible()
    tab.keyboard.press("j")
    tab.keyboard.press("Escape")
    expect(tab.locator("#keys")).not_to_be_visible()
    expect(tab.locator("#patient")).to_have_text("P-close")
    tab.locator("#filter").fill("jh")
    expect(tab.locator("#patient")).to_have_text("P-close")


def test_magnification_and_ruler_are_right(tab: Page) -> None:
    open_patient(tab, "P-sure")
    tab.evaluate("histofed.view.viewer.viewport.zoomTo(histofed.view.image.imageToViewportZoom(1))")
    # One slide pixel is one screen pixel, 0.5 microns: what a 20x objective shows.
    expect(tab.locator("#magnification")).to_have_text("about 20×")
    settle(tab)
    expect(tab.locator("#ruler-text")).to_have_text("50 µm")
    assert tab.evaluate("document.getElementById('ruler').offsetWidth") == 100


def test_an_address_brings_back_its_slide(tab: Page, page: str) -> None:
    tab.goto("about:blank")
    tab.goto(f"{page}/#slide=made-2")
    expect(tab.locator("#patient")).to_have_text("P-two")
    wait_for_slide(tab)
    assert tab.locator(".tabs [aria-current=true]").text_content() == "Slide 2"
    tab.locator(".tabs button").first.click()
    wait_until(tab, "location.hash === '#slide=made-1'")


def test_what_cannot_be_shown_is_said(tab: Page) -> None:
    wait_for_slide(tab)
    tab.locator(".case", has_text="P-torn").click()
    expect(tab.locator("#status")).to_contain_text("Slide torn cannot be shown")
    tab.locator(".case", has_text="P-none").click()
    expect(tab.locator("#status")).to_contain_text("no slide to show")
    tab.locator(".case", has_text="P-bare").click()
    expect(tab.locator("#note")).to_contain_text("No heat map was made")
    expect(tab.locator("#show")).to_be_disabled()
    open_patient(tab, "P-sure")
    expect(tab.locator("#show")).to_be_enabled()


def test_a_narrow_screen_needs_no_sideways_scrolling(tab: Page) -> None:
    tab.set_viewport_size({"width": 400, "height": 800})
    wait_for_slide(tab)
    assert tab.evaluate("document.documentElement.scrollWidth") <= 400
    view = tab.locator("#viewer").bounding_box()
    assert view is not None
    assert view["height"] > 200
