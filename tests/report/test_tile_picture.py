"""A slide's picture: tiles, border and words are where and what the records say."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.collections import PolyCollection

from histofed.core.quality import FLAGS, bits
from histofed.core.tiling import TileSpec
from histofed.errors import SlideError
from histofed.io.store import DroppedTiles, Recipe, Record, SlideTiles
from histofed.report.tile_picture import (
    Backdrop,
    Outline,
    problem_picture,
    tile_picture,
)

MPP = 0.2527
BACKDROP = Backdrop(pixels_HW3=np.full((250, 400, 3), 240, np.uint8), mpp=20.0)


@pytest.fixture
def tiles():
    step = TileSpec().step_px0(MPP)
    grid = np.stack(np.meshgrid(np.arange(6, 30), np.arange(8, 24)), axis=-1).reshape(-1, 2)
    coords = np.rint(grid * step).astype(np.int64)
    record = Record(
        recipe=Recipe(spec=TileSpec(), tissue={"method": "otsu_saturation"}),
        slide_id="aachen-007",
        slide_digest="0",
        mpp=MPP,
        width_px0=31658,
        height_px0=19786,
    )
    return SlideTiles(record=record, coords_N2=coords, tissue_N=np.ones(len(coords), np.float32))


def outline(method: str = "otsu_saturation", *, mpp: float = 100.0) -> Outline:
    """Tissue at 2000 to 4000 um across, from 1000 um down to the lower edge."""
    mask = np.zeros((round(5000 / mpp), round(8000 / mpp)), bool)
    mask[round(1000 / mpp) :, round(2000 / mpp) : round(4000 / mpp)] = True
    return Outline(mask_HW=mask, mpp=mpp, method=method)


def flagged(tiles, **by_flag):
    """Move the first tiles to the dropped ones, so many for each flag."""
    n = sum(by_flag.values())
    flags = np.concatenate([np.full(count, bits([flag])) for flag, count in by_flag.items()])
    recipe = replace(tiles.record.recipe, quality={"drop": list(FLAGS)})
    dropped = DroppedTiles(
        coords_N2=tiles.coords_N2[:n], tissue_N=tiles.tissue_N[:n], flags_N=flags.astype(np.uint16)
    )
    return replace(
        tiles,
        record=replace(tiles.record, recipe=recipe),
        coords_N2=tiles.coords_N2[n:],
        tissue_N=tiles.tissue_N[n:],
        dropped=dropped,
    )


def drawn_tiles(figure):
    """The collections of tiles: dropped ones by reason, kept ones last and so on top."""
    return [each for each in figure.axes[0].collections if isinstance(each, PolyCollection)]


def words(figure) -> list[str]:
    return [text.get_text().replace("\n", " ") for text in figure.texts]


def keys(figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def test_each_kept_tile_is_at_its_place_and_covers_no_tissue(tiles):
    figure = tile_picture(BACKDROP, tiles=tiles)
    (grid,) = drawn_tiles(figure)
    corners = np.array([path.vertices.min(axis=0) for path in grid.get_paths()])
    np.testing.assert_allclose(corners, tiles.coords_N2 * MPP)
    sides = np.array([np.ptp(path.vertices, axis=0) for path in grid.get_paths()])
    np.testing.assert_allclose(sides, 112.0)
    assert not len(grid.get_facecolor())
    assert figure.axes[0].images[0].get_extent() == [0, 8000, 5000, 0]


def test_tiny_tiles_have_one_outline_and_their_tissue_is_seen(tiles):
    huge = Backdrop(pixels_HW3=np.full((500, 1600, 3), 240, np.uint8), mpp=20.0)
    figure = tile_picture(huge, tiles=tiles)
    assert not drawn_tiles(figure)
    (contour,) = [each for each in figure.axes[0].collections if hasattr(each, "levels")]
    (path,) = contour.get_paths()
    assert len(contour.get_paths()[0].to_polygons()) == 1  # no gap between neighbours
    low, high = path.vertices.min(axis=0), path.vertices.max(axis=0)
    expected = [tiles.coords_N2.min(axis=0) * MPP, tiles.coords_N2.max(axis=0) * MPP + 112]
    np.testing.assert_allclose([low, high], expected, atol=20)  # a pixel
    assert keys(figure) == ["kept (384, outlined together)"]


def test_the_caption_says_how_slide_tiles_and_tissue_were_measured(tiles):
    flags = np.zeros(len(tiles.coords_N2), np.uint16)
    flags[:5], flags[5:12] = bits(["fat"]), bits(["dark", "fat"])
    bar, caption = words(
        tile_picture(BACKDROP, tiles=replace(tiles, flags_N=flags), mpp_from="table")
    )
    assert bar == "1 mm"
    assert caption == (
        "Slide aachen-007: 384 tiles of 112 µm kept, 224 px at 0.5 µm per pixel. Flagged but kept: "
        "7 dark (fold), 5 fat. The slide: 31,658 x 19,786 px at 0.2527 µm per pixel as the table "
        "says. Tissue: otsu_saturation."
    )


def test_the_caption_counts_tissue_that_hangs_over_the_border(tiles):
    _, caption = words(tile_picture(BACKDROP, tiles=replace(tiles, n_over_border=12)))
    assert "kept, 224 px at 0.5 µm per pixel; 12 with tissue hang over the border" in caption


def test_dropped_tiles_are_drawn_by_reason_and_every_key_has_its_count(tiles):
    figure = tile_picture(BACKDROP, tiles=flagged(tiles, pen=3, blur=2, fat=1), outline=outline())
    *dropped, kept = drawn_tiles(figure)
    assert [len(each.get_paths()) for each in (*dropped, kept)] == [3, 2, 1, 378]
    corners = np.array([path.vertices.min(axis=0) for path in dropped[0].get_paths()])
    np.testing.assert_allclose(corners, tiles.coords_N2[:3] * MPP)
    assert len({each.get_hatch() for each in dropped}) == 3  # not by colour alone
    assert keys(figure) == [
        "kept (378)",
        "dropped: pen (3)",
        "dropped: out of focus (2)",
        "dropped: fat (1)",
        "border of the tissue",
    ]
    assert "378 tiles of 112 µm kept, 224 px at 0.5 µm per pixel; 6 dropped." in words(figure)[1]


@pytest.mark.parametrize("mpp", [10.0, 100.0])
def test_the_border_follows_a_mask_of_any_resolution(tiles, mpp):
    figure = tile_picture(BACKDROP, tiles=tiles, outline=outline(mpp=mpp))
    (contour,) = [each for each in figure.axes[0].collections if hasattr(each, "levels")]
    (path,) = contour.get_paths()
    low, high = path.vertices.min(axis=0), path.vertices.max(axis=0)
    np.testing.assert_allclose([low, high], [[2000, 1000], [4000, 5000]], atol=1)


def test_a_region_drawn_by_hand_is_called_that(tiles):
    figure = tile_picture(BACKDROP, tiles=tiles, outline=outline("user_regions"))
    assert keys(figure)[-1] == "region drawn by hand"


def test_tiles_outside_of_the_slide_are_refused(tiles):
    with pytest.raises(SlideError, match="mpp or thumbnail_mpp is wrong"):
        tile_picture(replace(BACKDROP, mpp=5.0), tiles=tiles)


@pytest.mark.parametrize("shape", [(1600, 200), (1600, 900), (700, 1600), (120, 1600)])
def test_everything_is_flush_left_and_nothing_overlaps(tiles, shape):
    backdrop = Backdrop(pixels_HW3=np.zeros((*shape, 3), np.uint8), mpp=31658 * MPP / 200)
    found = flagged(tiles, pen=3, blur=2, fat=1, dark=7, unreadable=1, off_stain=1)
    figure = tile_picture(backdrop, tiles=found, outline=outline())
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    (legend,), (label, caption) = figure.legends, figure.texts
    boxes = [each.get_window_extent(renderer) for each in (legend, figure.axes[0], label, caption)]
    for above, below in itertools.pairwise(boxes):
        assert above.y0 >= below.y1 - 1
    for box in boxes:
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.width
        assert box.y0 >= 0
        assert box.y1 <= figure.bbox.height
    left = {round(box.x0) for box in (boxes[0], boxes[1], boxes[3])}
    assert max(left) - min(left) <= 1  # the label stands beside its bar


@pytest.mark.parametrize(
    ("longer", "drawn"), [(200, 800), (1111, 1111), (1600, 1600), (2900, 1600)]
)
def test_a_picture_is_as_large_as_what_was_read_within_limits(longer, drawn):
    backdrop = Backdrop(pixels_HW3=np.zeros((50, longer, 3), np.uint8), mpp=3.0)
    figure = problem_picture(backdrop, slide_id="S1", reason="")
    assert figure.axes[0].bbox.width == pytest.approx(drawn)


def test_a_slide_without_tiles_shows_what_there_is_and_why():
    figure = problem_picture(BACKDROP, slide_id="S1", reason="slide S1: nothing there")
    assert words(figure)[1] == "No tiles. Slide S1: nothing there."
    assert keys(figure) == []
    empty = Outline(mask_HW=np.zeros((5, 8), bool), mpp=1000.0, method="otsu_saturation")
    assert keys(problem_picture(BACKDROP, slide_id="S1", reason="x", outline=empty)) == []
    figure = problem_picture(BACKDROP, slide_id="S1", reason="x", outline=outline())
    assert keys(figure) == ["border of the tissue"]
