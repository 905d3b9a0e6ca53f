"""The page in a real browser: slide and heat map lie where they belong, in their colours."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from histofed.review.data import ReviewData

pytestmark = pytest.mark.slow

# How near its edge a tile's own colour must be found, in screen pixels. A turned edge is
# anti-aliased: the pixel that holds a point reaches 1.4 px towards the edge, and the neighbour's
# square half a pixel over it.
NEAR_EDGE_PX = {0: 1.05, 30: 1.95}


def look(reviewer: Any, *, zoom: float, degrees: int) -> None:
    """Turn and enlarge, off the beaten pixel, and wait until it is drawn."""
    reviewer.tab.evaluate(
        """([zoom, degrees]) => {
            const { viewport } = histofed.view.viewer;
            viewport.setRotation(degrees, true);
            viewport.goHome(true);
            viewport.zoomBy(zoom, null, true);
            viewport.panBy(new OpenSeadragon.Point(0.0123, 0.0071), true);
        }""",
        [zoom, degrees],
    )
    reviewer.tab.wait_for_timeout(300)
    reviewer.wait_until("histofed.view.image.getFullyLoaded()")
    reviewer.settle()


def to_slide(tab: Page, points: np.ndarray) -> np.ndarray:
    """Level-0 pixels of the slide for positions of the viewer."""
    origin, along_x, along_y = np.asarray(
        tab.evaluate(
            "[[0, 0], [1e4, 0], [0, 1e4]].map(([x, y]) => {"
            " const p = histofed.view.toScreen(x, y); return [p.x, p.y]; })"
        )
    )
    matrix = np.stack([along_x - origin, along_y - origin], axis=1) / 1e4
    return np.linalg.solve(matrix, (points - origin).T).T


def positions(tab: Page, margin_px0: float, end_px0: np.ndarray) -> np.ndarray:
    """Every pixel of a few rows and columns of the viewer that shows this part of the slide."""
    box = tab.locator("#viewer").bounding_box()
    assert box is not None
    width, height = int(box["width"]), int(box["height"])
    across = [(x, y) for y in range(3, height, 97) for x in range(width)]
    down = [(x, y) for x in range(3, width, 97) for y in range(height)]
    points = np.asarray(across + down)
    on_slide = to_slide(tab, points + 0.5)
    return points[((on_slide > margin_px0) & (on_slide < end_px0 - margin_px0)).all(axis=1)]


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


def ends(head: str, scores: np.ndarray) -> tuple[float, float]:
    """Scores of the darkest and the brightest colour."""
    if head == "evidence":
        return -float(np.abs(scores).max()), float(np.abs(scores).max())
    return float(scores.min()), float(scores.max())


def viridis(head: str, scores: np.ndarray) -> np.ndarray:
    import matplotlib as mpl

    low, high = ends(head, scores)
    fraction = (scores - low) / (high - low)
    return np.round(mpl.colormaps["viridis"](np.round(255 * fraction).astype(int)) * 255)


def test_the_opacity_slider_blends_slide_and_heat_map(tab: Page, reviewer: Any) -> None:
    reviewer.open_patient("P-sure")
    pictures = {}
    for percent in (0, 50, 100):
        tab.locator("#opacity").fill(str(percent))
        reviewer.expect(tab.locator("#opacity-text")).to_have_text(f"{percent}%")
        pictures[percent] = viewer_screen(tab)
    assert np.abs(pictures[100] - pictures[0]).mean() > 20
    halfway = (pictures[0] + pictures[100]) / 2
    assert np.abs(pictures[50] - halfway).mean() < 1


def test_the_colour_bar_tells_the_numbers_of_what_is_shown(
    tab: Page, reviewer: Any, site: ReviewData
) -> None:
    reviewer.open_patient("P-sure")
    for head, scores in sorted(site.scores.read("made-1").scores.items()):
        tab.locator("#head").select_option(head)
        shown = [float(tab.locator(f"#legend-{e}").text_content() or "") for e in ("min", "max")]
        assert shown == pytest.approx(ends(head, scores), rel=0.005)


@pytest.mark.parametrize(("zoom", "degrees"), [(1, 0), (1.37, 0), (1, 30), (1.37, 30)])
@pytest.mark.parametrize("head", ["attention", "evidence"])
def test_every_tile_has_its_colour_where_it_lies(
    tab: Page, reviewer: Any, site: ReviewData, head: str, zoom: float, degrees: int
) -> None:
    reviewer.open_patient("P-sure")
    tab.locator("#head").select_option(head)
    look(reviewer, zoom=zoom, degrees=degrees)
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
    wanted = viridis(head, stored.scores[head]).repeat(4, axis=0)
    box = tab.locator("#viewer").bounding_box()
    assert box is not None
    seen = ((found > 2) & (found < [box["width"] - 3, box["height"] - 3])).all(axis=1)
    assert seen.sum() > 100
    colours = canvas_colours(tab, np.floor(found[seen]).tolist())
    assert np.abs(colours - wanted[seen]).max() <= 1


@pytest.mark.parametrize("zoom", [0.71, 1, 1.37, 2.9])
@pytest.mark.parametrize("degrees", [0, 30])
def test_the_heat_map_has_no_gaps(
    tab: Page, reviewer: Any, site: ReviewData, zoom: float, degrees: int
) -> None:
    reviewer.open_patient("P-two")
    tab.locator(".tabs button", has_text="Slide 2").click()
    reviewer.wait_for_slide()
    look(reviewer, zoom=zoom, degrees=degrees)
    coords = site.scores.read("made-2").coords_N2
    inside = positions(tab, 5, coords.max(axis=0))
    assert len(inside) > 1000
    assert canvas_colours(tab, inside.tolist())[:, 3].min() >= 250


@pytest.mark.parametrize("zoom", [0.71, 1, 1.37, 2.9])
@pytest.mark.parametrize("degrees", [0, 30])
def test_the_slide_is_shown_where_it_lies_and_without_seams(
    tab: Page, reviewer: Any, made: np.ndarray, zoom: float, degrees: int
) -> None:
    reviewer.open_patient("P-sure")
    tab.keyboard.press("h")
    look(reviewer, zoom=zoom, degrees=degrees)
    box = tab.locator("#viewer").bounding_box()
    assert box is not None
    on_slide = positions(tab, 8, np.array([2490, 1890]))
    # The corners of the viewer hold its controls.
    clear = on_slide[(on_slide[:, 1] > 200) & (on_slide[:, 1] < box["height"] - 100)]
    xs, ys = to_slide(tab, clear + 0.5).astype(int).T
    seen = screen(tab)[clear[:, 1] + int(box["y"]), clear[:, 0] + int(box["x"])]
    wrong = np.abs(seen - made[ys, xs].astype(int)).max(axis=1)
    assert len(wrong) > 1000
    assert wrong.max() < 25
