"""Tiles, scores, masks and scale bar lie where the microns say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.collections import PolyCollection

from histofed.core.quality import FLAGS, bits
from histofed.core.tiling import TileSpec
from histofed.core.types import TileScores
from histofed.errors import SlideError, StoreError
from histofed.io.store import DroppedTiles, Recipe, Record, SlideTiles
from histofed.report import style
from histofed.report.flags import FLAG_COLOURS, FLAG_HATCHES, FLAG_LABELS
from histofed.report.overlays import heatmap_picture, round_length_um, score_map, tile_overlay

MPP = 0.2527
THUMBNAIL_MPP = 20.0


@pytest.fixture
def thumbnail():
    return np.full((250, 400, 3), 240, np.uint8)


@pytest.fixture
def coords():
    step = TileSpec().step_px0(MPP)
    grid = np.stack(np.meshgrid(np.arange(6, 30), np.arange(8, 24)), axis=-1).reshape(-1, 2)
    return np.rint(grid * step).astype(np.int64)


@pytest.fixture
def tiles(coords):
    record = Record(
        recipe=Recipe(spec=TileSpec()),
        slide_id="aachen-007",
        slide_digest="0",
        mpp=MPP,
        width_px0=31658,
        height_px0=19786,
    )
    return SlideTiles(record=record, coords_N2=coords, tissue_N=np.ones(len(coords), np.float32))


@pytest.fixture
def scores(coords):
    return TileScores(
        slide_id="aachen-007",
        coords_N2=coords,
        side_px0=TileSpec().side_px0(MPP),
        scores={"attention": np.random.default_rng(0).random(len(coords)).astype(np.float32)},
        model_digest="m",
        features_digest="f",
    )


def heatmap(thumbnail, scores, **options):
    options = {"thumbnail_mpp": THUMBNAIL_MPP, "mpp": MPP, "head": "attention"} | options
    return heatmap_picture(thumbnail, scores=scores, **options)


def test_the_overlay_draws_each_kept_tile_at_its_place(thumbnail, tiles):
    figure = tile_overlay(thumbnail, thumbnail_mpp=THUMBNAIL_MPP, tiles=tiles)
    (axes,) = figure.axes
    (grid,) = [each for each in axes.collections if isinstance(each, PolyCollection)]
    corners = np.array([path.vertices.min(axis=0) for path in grid.get_paths()])
    np.testing.assert_allclose(corners, tiles.coords_N2 * MPP)
    sides = np.array([np.ptp(path.vertices, axis=0) for path in grid.get_paths()])
    np.testing.assert_allclose(sides, 112.0)
    assert axes.images[0].get_extent() == [0, 8000, 5000, 0]
    assert "aachen-007: 384 tiles of 112 µm" in figure._supxlabel.get_text()
    assert [text.get_text() for text in axes.texts] == ["1 mm"]


def test_the_contour_follows_a_mask_of_any_resolution(thumbnail, tiles):
    mask = np.zeros((50, 80), bool)
    mask[10:, 20:40] = True  # 2000..4000 um across, 1000 um down to the slide's lower edge
    figure = tile_overlay(thumbnail, thumbnail_mpp=THUMBNAIL_MPP, tiles=tiles, tissue_mask=mask)
    (contour,) = [each for each in figure.axes[0].collections if hasattr(each, "levels")]
    (path,) = contour.get_paths()
    low, high = path.vertices.min(axis=0), path.vertices.max(axis=0)
    np.testing.assert_allclose([low, high], [[2000, 1000], [4000, 5000]], atol=1)


def test_an_empty_mask_draws_nothing(thumbnail, scores):
    figure = heatmap(thumbnail, scores, lesion_mask=np.zeros((5, 8)))
    assert not figure.axes[0].collections


def test_each_tile_centre_has_the_colour_of_its_score(thumbnail, scores):
    figure = heatmap(thumbnail, scores)
    plain, coloured, bar = figure.axes
    assert len(plain.images) == 1
    picture = coloured.images[1]
    assert picture.get_interpolation() == "nearest"
    assert picture.get_extent() == coloured.images[0].get_extent()
    values = scores.scores["attention"]
    centres = (scores.coords_N2 + scores.side_px0 / 2) * MPP / THUMBNAIL_MPP
    painted = picture.get_array()[centres[:, 1].astype(int), centres[:, 0].astype(int)]
    np.testing.assert_array_equal(painted, values)
    assert (picture.norm.vmin, picture.norm.vmax) == (values.min(), values.max())
    assert picture.cmap.name == "viridis"
    assert bar.get_ylabel() == "attention weight"
    assert [text.get_text() for text in plain.texts] == ["1,000 µm"]


@pytest.mark.parametrize("thumbnail_mpp", [1.0, 2.0, 2.3, 4.0, 5.1, 7.0, 9.9, 16.0])
def test_no_seam_between_neighbours_and_nothing_outside(scores, thumbnail_mpp):
    # 384 tiles in a full rectangle: a seam would be a NaN inside of it.
    shape = (int(5000 / thumbnail_mpp), int(8000 / thumbnail_mpp))
    painted = score_map(shape, scores, "attention", MPP / thumbnail_mpp)
    rows, columns = np.nonzero(np.isfinite(painted))
    assert np.isfinite(painted[rows.min() : rows.max(), columns.min() : columns.max()]).all()
    assert columns.min() == round(scores.coords_N2[0, 0] * MPP / thumbnail_mpp)
    assert np.ptp(columns) + 1 == pytest.approx(24 * 112 / thumbnail_mpp, abs=1.1)


def test_a_tile_smaller_than_a_pixel_is_still_seen(scores):
    painted = score_map((25, 40), replace(scores, side_px0=1.0), "attention", MPP / 200)
    assert np.isfinite(painted).any()


def test_equal_scores_and_chosen_limits_are_drawn(thumbnail, scores):
    flat = replace(scores, scores={"attention": np.full(384, 0.25, np.float32)})
    heatmap(thumbnail, flat).canvas.draw()
    picture = heatmap(thumbnail, scores, limits=(0.0, 2.0)).axes[1].images[1]
    assert (picture.norm.vmin, picture.norm.vmax) == (0, 2)


def test_what_cannot_be_drawn_is_refused_by_name(thumbnail, scores, tiles):
    with pytest.raises(StoreError, match="no scores 'logit'; this file has: attention"):
        heatmap(thumbnail, scores, head="logit")
    with pytest.raises(StoreError, match="384 tiles of which 384 not finite"):
        heatmap(thumbnail, replace(scores, scores={"attention": np.full(384, np.nan)}))
    with pytest.raises(SlideError, match=r"aachen-007.*\(250, 400\)"):
        heatmap(thumbnail[..., 0], scores)
    with pytest.raises(SlideError, match="mpp or thumbnail_mpp is wrong"):
        tile_overlay(thumbnail, thumbnail_mpp=THUMBNAIL_MPP / 4, tiles=tiles)


@given(st.floats(1e-2, 1e6))
def test_scale_bars_are_round_and_not_too_long(about):
    length = round_length_um(about)
    assert about / 2.5 <= length <= about * (1 + 1e-6)
    assert f"{length:.6e}"[0] in "125"


def flagged(tiles, **by_flag):
    """Move the first tiles to the dropped ones, so many for each flag."""
    n = sum(by_flag.values())
    flags = np.concatenate([np.full(count, bits([flag])) for flag, count in by_flag.items()])
    recipe = Recipe(spec=TileSpec(), quality={"drop": list(FLAGS)})
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


def test_dropped_tiles_are_drawn_by_reason_with_a_legend(thumbnail, tiles):
    found = flagged(tiles, pen=3, blur=2, fat=1)
    figure = tile_overlay(thumbnail, thumbnail_mpp=THUMBNAIL_MPP, tiles=found)
    kept, *others = [
        each for each in figure.axes[0].collections if isinstance(each, PolyCollection)
    ]
    assert [len(each.get_paths()) for each in (kept, *others)] == [378, 3, 2, 1]
    corners = np.array([path.vertices.min(axis=0) for path in others[0].get_paths()])
    np.testing.assert_allclose(corners, tiles.coords_N2[:3] * MPP)
    assert len({each.get_hatch() for each in others}) == 3  # not by colour alone
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "kept",
        "dropped: pen (3)",
        "dropped: out of focus (2)",
        "dropped: fat (1)",
    ]
    assert "378 tiles of 112 µm kept, 6 dropped" in figure._supxlabel.get_text()


def test_kept_tiles_that_are_flagged_are_counted(thumbnail, tiles):
    flags = np.zeros(len(tiles.coords_N2), dtype=np.uint16)
    flags[:30] |= np.uint16(bits(["off_stain"]))
    flags[28:33] |= np.uint16(bits(["fat"]))
    figure = tile_overlay(
        thumbnail, thumbnail_mpp=THUMBNAIL_MPP, tiles=replace(tiles, flags_N=flags)
    )
    said = "384 tiles of 112 µm kept (flagged all the same: off stain 30, fat 5)"
    assert said in " ".join(figure._supxlabel.get_text().split())


def test_every_flag_has_its_own_look():
    assert set(FLAG_LABELS) == set(FLAG_COLOURS) == set(FLAG_HATCHES) == set(FLAGS)
    for looks in (FLAG_LABELS, FLAG_COLOURS, FLAG_HATCHES):
        assert len(set(looks.values())) == len(FLAGS)
    assert style.BLUE not in FLAG_COLOURS.values()  # that is the kept tiles'
