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


def usual_colours(head: str, scores: np.ndarray) -> np.ndarray:
    """What the page shows before anybody chooses: a pale middle for signed scores."""
    low, high = ends(head, scores)
    return colours("coolwarm" if head == "evidence" else "viridis", (scores - low) / (high - low))


def colours(name: str, places: np.ndarray) -> np.ndarray:
    import matplotlib as mpl

    return np.round(mpl.colormaps[name](np.round(255 * places).astype(int)) * 255)


def places(scale: str, head: str, scores: np.ndarray) -> np.ndarray:
    """Where scores lie on the colour bar, 0 lowest and 1 highest."""
    scores = scores.astype(np.float64)
    signed, size = head == "evidence", np.abs(scores)
    if scale == "raw":
        low, high = ends(head, scores)
        return (scores - low) / (high - low)
    if scale == "percentile":
        known = np.sort(size if signed else scores)
        rank = np.searchsorted(known, size if signed else scores, side="right") / len(known)
        return 0.5 + np.sign(scores) * rank / 2 if signed else rank
    if signed:
        return 0.5 + np.sign(scores) * np.clip(np.log10(size / size.max()) / 3 + 1, 0, 1) / 2
    return np.log(scores / scores.min()) / np.log(scores.max() / scores.min())


def middles(tab: Page, stored: Any) -> np.ndarray:
    """Positions in the viewer of the tiles' middles."""
    found = tab.evaluate(
        "(points) => points.map(([x, y]) => { const p = histofed.view.toScreen(x, y);"
        " return [p.x, p.y]; })",
        (stored.coords_N2 + stored.side_px0 / 2).tolist(),
    )
    return np.floor(np.asarray(found))


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
        low, high = ends(head, scores)
        wanted = np.linspace(low, high, 5)
        reviewer.expect(tab.locator("#ticks span").last).to_have_text(f"{high:.3g}")
        shown = [float(text) for text in tab.locator("#ticks span").all_text_contents()]
        assert shown == pytest.approx(wanted, rel=0.005, abs=1e-9)


@pytest.mark.parametrize("head", ["attention", "evidence"])
@pytest.mark.parametrize(
    ("scale", "name", "threshold"),
    [
        ("raw", "magma", 0.0),
        ("raw", "cividis", 0.4),
        ("percentile", "viridis", 0.9),
        ("percentile", "magma", 0.37),
        ("log", "coolwarm", 0.3),
        ("log", "viridis", 0.5),
    ],
)
@pytest.mark.parametrize("many", [20_000, 0], ids=["squares", "picture"])
def test_pixels_change_as_computed(
    tab: Page,
    reviewer: Any,
    site: ReviewData,
    head: str,
    scale: str,
    name: str,
    threshold: float,
    many: int,
) -> None:
    reviewer.open_patient("P-sure")
    tab.evaluate("(many) => { histofed.view.heatmap.many = many; }", many)
    tab.locator("#head").select_option(head)
    reviewer.wait_until(f"histofed.view.heatmap.scores?.head.name === '{head}'")
    tab.locator("#colours").select_option(name)
    tab.locator("#scale-choice").select_option(scale)
    tab.locator("#threshold").fill(str(threshold))
    stored = site.scores.read("made-1")
    where = places(scale, head, stored.scores[head])
    shown = where >= threshold
    found = canvas_colours(tab, middles(tab, stored).tolist())
    assert np.abs(found[shown] - colours(name, where[shown])).max() <= 1
    assert (found[~shown] == 0).all()
    assert threshold == 0 or 0 < shown.sum() < len(shown)
    words = tab.locator("#threshold-text")
    if not threshold:
        reviewer.expect(words).to_have_text("All tiles are coloured.")
        return
    lowest = stored.scores[head][shown].min()
    reviewer.expect(words).to_contain_text(f"{shown.sum()} tiles")
    reviewer.expect(words).to_contain_text(f", {float(f'{lowest:.3g}'):g} and above.")


@pytest.mark.parametrize(("zoom", "degrees"), [(1, 0), (1.37, 0), (1, 30), (1.37, 30)])
@pytest.mark.parametrize(
    ("head", "many"),
    [("attention", 20_000), ("evidence", 20_000), ("attention", 0)],
    ids=["attention", "evidence", "picture"],
)
def test_every_tile_has_its_colour_where_it_lies(
    tab: Page, reviewer: Any, site: ReviewData, head: str, many: int, zoom: float, degrees: int
) -> None:
    reviewer.open_patient("P-sure")
    tab.evaluate("(many) => { histofed.view.heatmap.many = many; }", many)
    tab.locator("#head").select_option(head)
    reviewer.wait_until(f"histofed.view.heatmap.scores?.head.name === '{head}'")
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
    wanted = usual_colours(head, stored.scores[head]).repeat(4, axis=0)
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
    reviewer.open_slide("made-2")
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


SHOW = """
async (triples) => {
    const { TileScores } = await import("/static/tilescores.js");
    const head = { low: 0, high: 1, signed: false };
    const scores = new TileScores(Float32Array.from(triples), { sidePx0: 224, head });
    histofed.view.heatmap.show(scores);
    return scores.grid !== null;
}
"""


def test_where_tiles_overlap_the_higher_score_is_on_top(tab: Page, reviewer: Any) -> None:
    reviewer.open_patient("P-sure")
    tiles = [(112, 112, 0.72), (0, 0, 0.92), (112, 0, 0.52), (0, 112, 0.12)]
    assert tab.evaluate(SHOW, [number for tile in tiles for number in tile]) is False
    points = [(150, 50), (250, 50), (150, 150), (50, 150), (250, 150), (50, 300)]
    wanted = colours("viridis", np.array([0.92, 0.52, 0.92, 0.92, 0.72, 0.12]))
    found = tab.evaluate(
        "(points) => points.map(([x, y]) => { const p = histofed.view.toScreen(x, y);"
        " return [Math.floor(p.x), Math.floor(p.y)]; })",
        points,
    )
    assert np.abs(canvas_colours(tab, found) - wanted).max() <= 1


def test_a_high_tile_is_seen_however_small(tab: Page, reviewer: Any) -> None:
    reviewer.open_patient("P-sure")
    side = 300
    cols, rows = np.meshgrid(np.arange(side), np.arange(side))
    scores = np.where((cols == 123) & (rows == 217), 1.0, 0.2)
    triples = np.stack([224 * cols, 224 * rows, scores], axis=-1).ravel()
    tab.evaluate("histofed.view.goTo({ x: 33600, y: 33600, z: 0.003 })")
    reviewer.settle()
    assert tab.evaluate(SHOW, triples.tolist()) is True
    where = tab.evaluate(
        "(() => { const p = histofed.view.toScreen(224 * 123.5, 224 * 217.5);"
        " return [Math.floor(p.x), Math.floor(p.y)]; })()"
    )
    around = [[where[0] + dx, where[1] + dy] for dx in (-1, 0, 1) for dy in (-1, 0, 1)]
    brightest = colours("viridis", np.array([1.0]))[0]
    assert (np.abs(canvas_colours(tab, around) - brightest).max(axis=1) <= 1).any()
