"""Scores, masks and scale bar lie where the microns say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from histofed.core.tiling import TileSpec
from histofed.core.types import TileScores
from histofed.errors import SlideError, StoreError
from histofed.report.overlays import heatmap_picture, round_length_um, score_map

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


def test_what_cannot_be_drawn_is_refused_by_name(thumbnail, scores):
    with pytest.raises(StoreError, match="no scores 'logit'; this file has: attention"):
        heatmap(thumbnail, scores, head="logit")
    with pytest.raises(StoreError, match="384 tiles of which 384 not finite"):
        heatmap(thumbnail, replace(scores, scores={"attention": np.full(384, np.nan)}))
    with pytest.raises(SlideError, match=r"aachen-007.*\(250, 400\)"):
        heatmap(thumbnail[..., 0], scores)
    with pytest.raises(SlideError, match="mpp or thumbnail_mpp is wrong"):
        heatmap(thumbnail, scores, thumbnail_mpp=THUMBNAIL_MPP / 4)


@given(st.floats(1e-2, 1e6))
def test_scale_bars_are_round_and_not_too_long(about):
    length = round_length_um(about)
    assert about / 2.5 <= length <= about * (1 + 1e-6)
    assert f"{length:.6e}"[0] in "125"
