"""Tile arithmetic, by property, by hand and by golden file.

To regenerate the golden file, with a reason in the commit message:
``python tests/core/test_tiling.py > tests/golden/geometry.json``.
"""

from __future__ import annotations

import json
import math
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from histofed.core.tiling import (
    TileSpec,
    check_resolution,
    check_size,
    downsamples,
    full_grid,
    level_box,
    level_for_mpp,
)
from histofed.core.types import SlideInfo
from histofed.errors import ConfigError, SlideError

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "geometry.json"
GOLDEN_LEVELS_PX = ((47_807, 32_561), (11_951, 8_140), (2_987, 2_035))
GOLDEN_MPP = (0.1999, 0.20, 0.2523, 0.263, 0.2999, 0.30, 0.5032)
GOLDEN_ASKED_MPP = (0.5, 1.0, 4.0)


def slide_info(mpp: float, *sizes_px: tuple[int, int]) -> SlideInfo:
    return SlideInfo(mpp=mpp, level_sizes_px=sizes_px, vendor="test")


@st.composite
def slides(draw: st.DrawFn) -> SlideInfo:
    """Any scanner's slide: odd sizes, and levels whose downsample is only about 2, 4, 16."""
    width, height = draw(st.integers(600, 12_000)), draw(st.integers(600, 12_000))
    factors = [
        draw(st.sampled_from(near))
        for near in ([1.9998, 2.0], [3.9991, 4.0, 4.0003], [15.99, 16.0, 16.004])
        if draw(st.booleans())
    ]
    whole = draw(st.sampled_from([math.floor, math.ceil, round]))
    sizes = {(width, height)} | {(whole(width / f), whole(height / f)) for f in factors}
    ordered = sorted(sizes, reverse=True)
    return slide_info(draw(st.floats(0.1, 2.0)), *ordered)


@st.composite
def tilings(draw: st.DrawFn) -> tuple[TileSpec, SlideInfo]:
    """A slide, and tiles that `check_resolution` lets through and of which one fits."""
    info = draw(slides())
    size_px = draw(st.sampled_from([224, 225, 256, 512]))
    fits = min(info.width_px0, info.height_px0) / size_px  # the largest tile, in level-0 terms
    ratios = [asked / info.mpp for asked in (0.5, 1.0, 2.0)]
    usual = [ratio for ratio in ratios if 0.92 <= ratio <= fits]
    any_ratio = st.floats(0.92, min(fits, 20.0))
    ratio = draw(any_ratio | st.sampled_from(usual) if usual else any_ratio)
    overlap_px = draw(st.sampled_from([0, 0, 13, 100]))
    spec = TileSpec(size_px=size_px, mpp=ratio * info.mpp, overlap_px=overlap_px)
    check_resolution(spec.mpp, info, "S1", option="tiling.mpp")
    check_size(spec, info, "S1")
    return spec, info


def corner_of(spec: TileSpec, info: SlideInfo, data: st.DataObject) -> tuple[int, int]:
    grid = full_grid(spec, info)
    x, y = grid[data.draw(st.integers(0, len(grid) - 1))]
    return int(x), int(y)


@given(tilings())
def test_a_tile_has_the_side_that_was_asked_for_on_every_scanner(tiling) -> None:
    spec, info = tiling
    assert spec.side_px0(info.mpp) * info.mpp == pytest.approx(spec.size_px * spec.mpp, rel=1e-9)


@given(tilings(), st.data())
def test_what_is_read_has_the_side_that_was_asked_for(tiling, data) -> None:
    spec, info = tiling
    x, y = corner_of(spec, info, data)
    side_px0 = spec.side_px0(info.mpp)
    box = level_box(spec, info, x, y)
    down_x, down_y = downsamples(info, box.level)
    left, top, right, bottom = box.box
    if x + side_px0 <= info.width_px0:
        assert (right - left) * down_x * info.mpp == pytest.approx(spec.side_um, rel=1e-3)
    if y + side_px0 <= info.height_px0:
        assert (bottom - top) * down_y * info.mpp == pytest.approx(spec.side_um, rel=1e-3)


@given(tilings(), st.data())
def test_the_side_is_exact_even_at_the_border(tiling, data) -> None:
    """Within 0.1 % for every tile of the grid, also where rounding puts it over the border."""
    spec, info = tiling
    x, y = corner_of(spec, info, data)
    box = level_box(spec, info, x, y)
    sides_px = (box.box[2] - box.box[0], box.box[3] - box.box[1])
    for side_px, down, length_px0 in zip(
        sides_px, downsamples(info, box.level), info.level_sizes_px[0], strict=True
    ):
        if spec.side_px0(info.mpp) <= length_px0:  # a slide half a pixel too small has one tile
            assert side_px * down * info.mpp == pytest.approx(spec.side_um, rel=1e-3)


@pytest.mark.parametrize("downsample", [1.9998, 4.0003])
@pytest.mark.parametrize("mpp", GOLDEN_MPP)
def test_an_odd_downsample_changes_no_side(mpp, downsample) -> None:
    """A level that is 1.9998 times smaller is not taken for one of 1 or 2."""
    width, height = 40_003, 29_999
    level = (round(width / downsample), round(height / downsample))
    info = slide_info(mpp, (width, height), level)
    spec = TileSpec(mpp=mpp * downsample)
    for x, y in full_grid(spec, info)[[0, 7, -1]].tolist():
        box = level_box(spec, info, x, y)
        assert box.level == 1
        down_x, down_y = downsamples(info, 1)
        assert down_x == pytest.approx(downsample, rel=1e-4)
        assert (box.box[2] - box.box[0]) * down_x * mpp == pytest.approx(spec.side_um, rel=1e-9)
        assert (box.box[3] - box.box[1]) * down_y * mpp == pytest.approx(spec.side_um, rel=1e-9)
        assert (box.x_px + box.box[0]) * down_x == pytest.approx(x, abs=1.0)


def test_a_tile_at_the_border_is_not_squeezed() -> None:
    # Step 112 / 0.4634 = 241.69; the last corner, 14 * step = 3383.69, is rounded up to 3384 and
    # its tile ends at 3625.69, past the border at 3625. The picture must still show 112 um.
    spec, info = TileSpec(), slide_info(0.46340571922386427, (3625, 2356))
    x, y = full_grid(spec, info)[-1]
    left, _, right, _ = level_box(spec, info, int(x), int(y)).box
    assert (right - left) * info.mpp == pytest.approx(spec.side_um, rel=1e-3)


@given(tilings())
def test_neighbours_neither_gap_nor_overlap_beyond_rounding(tiling) -> None:
    spec, info = tiling
    step = spec.step_px0(info.mpp)
    assert step * info.mpp == pytest.approx((spec.size_px - spec.overlap_px) * spec.mpp)
    grid = full_grid(spec, info)
    for axis in (0, 1):
        starts = np.unique(grid[:, axis])
        assert np.abs(starts - np.arange(len(starts)) * step).max() <= 0.5


@given(tilings())
def test_every_tile_lies_within_the_slide(tiling) -> None:
    """The grid may end half a pixel late, and a corner is rounded by another half."""
    spec, info = tiling
    grid, side_px0 = full_grid(spec, info), spec.side_px0(info.mpp)
    assert grid.min() == 0
    assert (grid.max(axis=0) + side_px0 <= np.array(info.level_sizes_px[0]) + 1.0).all()


@given(tilings(), st.integers(0, 2**32 - 1))
def test_every_point_of_the_field_lies_in_exactly_one_tile(tiling, seed) -> None:
    """Without overlap there is no gap and nothing is counted twice, beyond a corner's rounding."""
    spec, info = tiling
    spec = replace(spec, overlap_px=0)
    grid, side_px0 = full_grid(spec, info), spec.side_px0(info.mpp)
    # Of a column only its rounding is ever shared or missed: half a pixel of each corner.
    rng = np.random.default_rng(seed)
    for axis in (0, 1):
        starts = np.unique(grid[:, axis])
        points = rng.uniform(0, len(starts) * side_px0, 400)
        inside = (points[:, None] >= starts) & (points[:, None] < starts + side_px0)
        edges = np.arange(len(starts) + 1) * side_px0
        near_edge = np.abs(points[:, None] - edges).min(axis=1) <= 0.5
        assert (inside.sum(axis=1)[~near_edge] == 1).all()
    # The tiles of a row and column are all there, so what holds of both axes holds of the field.
    assert len(grid) == len(np.unique(grid[:, 0])) * len(np.unique(grid[:, 1]))


@given(tilings())
def test_no_whole_tile_is_forgotten(tiling) -> None:
    spec, info = tiling
    side_px0, step = spec.side_px0(info.mpp), spec.step_px0(info.mpp)
    for axis, length in enumerate(info.level_sizes_px[0]):
        columns = len(np.unique(full_grid(spec, info)[:, axis]))
        assert columns * step + side_px0 > length + 0.5 - 1e-6  # one more would not fit
        assert (columns - 1) * step + side_px0 <= length + 0.5 + 1e-6


@given(tilings())
def test_coords_come_back_from_column_and_row(tiling) -> None:
    spec, info = tiling
    grid, step = full_grid(spec, info), spec.step_px0(info.mpp)
    assert grid.dtype == np.int64
    n_columns = len(np.unique(grid[:, 0]))
    rows, columns = np.divmod(np.arange(len(grid)), n_columns)
    np.testing.assert_array_equal(grid, np.rint(np.stack([columns, rows], axis=1) * step))
    if step > 1:
        np.testing.assert_array_equal(np.rint(grid / step), np.stack([columns, rows], axis=1))


@given(slides(), st.floats(0.05, 64.0))
def test_the_level_is_the_coarsest_that_is_fine_enough(info, mpp) -> None:
    def level_mpp(level: int) -> float:
        return info.mpp * max(downsamples(info, level))

    chosen = level_for_mpp(info, mpp)
    fine_enough = [
        level for level in range(len(info.level_sizes_px)) if level_mpp(level) <= mpp * 1.001
    ]
    assert chosen == max(fine_enough, key=level_mpp, default=0)


def test_a_level_a_hair_too_coarse_still_counts() -> None:
    info = slide_info(0.25, (4001, 4001), (2000, 2000))  # 0.25 * 2.0005 = 0.500125
    assert level_for_mpp(info, 0.5) == 1
    assert level_for_mpp(info, 0.4997) == 1  # up to 0.4997 * 1.001 = 0.50020
    assert level_for_mpp(info, 0.4990) == 0


@given(tilings(), st.data())
def test_the_rectangle_read_encloses_the_tile_and_nothing_more(tiling, data) -> None:
    spec, info = tiling
    x, y = corner_of(spec, info, data)
    box = level_box(spec, info, x, y)
    for start, extent, low, high, down, corner, length in zip(
        (box.x_px, box.y_px),
        (box.width_px, box.height_px),
        box.box[:2],
        box.box[2:],
        downsamples(info, box.level),
        (x, y),
        info.level_sizes_px[box.level],
        strict=True,
    ):
        assert 0 <= start < start + extent <= length
        assert 0 <= low < 1
        assert low < high <= extent < high + 1
        # Where the tile is: at its corner, or pushed in by less than the grid's own rounding.
        assert corner - 1.01 <= (start + low) * down <= corner + 1e-6


def test_a_slide_smaller_than_a_tile_has_none() -> None:
    grid = full_grid(TileSpec(), slide_info(0.5, (223, 5000)))
    assert grid.shape == (0, 2)


@given(tilings())
def test_tiles_over_the_border_go_on_with_the_grid_and_reach_the_end(tiling) -> None:
    spec, info = tiling
    side, step = spec.side_px0(info.mpp), spec.step_px0(info.mpp)
    whole, over = full_grid(spec, info), full_grid(spec, info, over_border=True)
    size = np.array([info.width_px0, info.height_px0])
    every = np.concatenate([whole, over])
    assert ((every + side).max(axis=0) >= size - 1).all()
    assert (over + side > size).any(axis=1).all()
    assert len(np.unique(every, axis=0)) == len(every)
    xs, ys = (np.unique(every[:, axis]) for axis in (0, 1))
    assert len(every) == len(xs) * len(ys)
    for found in (xs, ys):
        np.testing.assert_array_equal(found, np.rint(np.arange(len(found)) * step))
    for found, kept in ((xs, whole[:, 0]), (ys, whole[:, 1])):
        assert len(found) - len(np.unique(kept)) in (0, 1)


def test_inventing_detail_is_refused_by_name() -> None:
    check_resolution(0.5, slide_info(0.5032, (9000, 9000)), "S1", option="tiling.mpp")
    coarse = slide_info(1.0, (9000, 9000))
    for option in ("tiling.mpp", "quality.mpp"):
        named = rf"slide S1: level 0 is at 1 .*its file.* 0\.5 of {option}; .* set {option} to 1"
        with pytest.raises(SlideError, match=named):
            check_resolution(0.5, coarse, "S1", option=option)


def test_a_slide_smaller_than_a_tile_is_refused_by_name() -> None:
    check_size(TileSpec(), slide_info(0.5, (224, 224)), "S1")
    check_size(TileSpec(), slide_info(0.5032, (223, 223)), "S1")  # within rounding
    named = r"slide S1: 111\.1 x 89\.18 um \(4443 x 3567 pixels at 0\.025 .*its file\) .*112 um"
    with pytest.raises(SlideError, match=named):
        check_size(TileSpec(), slide_info(0.025, (4443, 3567)), "S1")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"size_px": 0}, "size_px"),
        ({"mpp": 0.0}, "mpp"),
        ({"mpp": -0.5}, "mpp"),
        ({"mpp": math.nan}, "mpp"),
        ({"mpp": math.inf}, "mpp"),
        ({"overlap_px": -1}, "overlap_px"),
        ({"overlap_px": 224}, "overlap_px"),
        ({"min_tissue": 1.01}, "min_tissue"),
        ({"min_tissue": math.nan}, "min_tissue"),
        ({"min_tissue_um2": -1}, "min_tissue_um2"),
        ({"min_tissue_um2": 112.0**2 + 1}, "min_tissue_um2"),
    ],
)
def test_impossible_tiles_are_refused_by_option(options, named) -> None:
    with pytest.raises(ConfigError, match=rf"tiling\.{named}"):
        TileSpec(**options)


def geometry() -> list[dict[str, object]]:
    """What the golden file pins: one entry per scanner and asked resolution."""
    entries = []
    for mpp in GOLDEN_MPP:
        info = slide_info(mpp, *GOLDEN_LEVELS_PX)
        for asked in GOLDEN_ASKED_MPP:
            spec = TileSpec(mpp=asked)
            grid = full_grid(spec, info)
            first, last = grid[0].tolist(), grid[-1].tolist()
            entries.append(
                {
                    "slide_mpp": mpp,
                    "tile_mpp": asked,
                    "side_px0": spec.side_px0(mpp),
                    "columns": len(np.unique(grid[:, 0])),
                    "rows": len(np.unique(grid[:, 1])),
                    "first": first,
                    "last": last,
                    "first_box": asdict(level_box(spec, info, *first)),
                    "last_box": asdict(level_box(spec, info, *last)),
                }
            )
    return entries


def test_geometry_is_what_it_was() -> None:
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    found = json.loads(json.dumps(geometry()))
    assert len(found) == len(golden) == len(GOLDEN_MPP) * len(GOLDEN_ASKED_MPP)
    for now, then in zip(found, golden, strict=True):
        for box in ("first_box", "last_box"):
            assert now[box].pop("box") == pytest.approx(then[box].pop("box"), rel=1e-9, abs=1e-6)
        assert now.pop("side_px0") == pytest.approx(then.pop("side_px0"), rel=1e-12)
        assert now == then


def golden_entry(slide_mpp: float, tile_mpp: float) -> dict:
    for entry in json.loads(GOLDEN.read_text(encoding="utf-8")):
        if (entry["slide_mpp"], entry["tile_mpp"]) == (slide_mpp, tile_mpp):
            return entry
    raise AssertionError


def test_golden_by_hand_fine_scanner() -> None:
    # side = 224 * 0.5 / 0.1999 = 112 / 0.1999 = 560.2801...
    # columns: (47807 - 560.28 + 0.5) / 560.28 = 84.33 -> 84 + 1 = 85; 84 * 560.2801 = 47063.53
    # rows:    (32561 - 560.28 + 0.5) / 560.28 = 57.12 -> 57 + 1 = 58; 57 * 560.2801 = 31935.97
    # level 1 is at 0.1999 * 4.00025 = 0.7997 > 0.5, so level 0 is read: 560.28 cuts 561 pixels.
    entry = golden_entry(0.1999, 0.5)
    assert entry["side_px0"] == pytest.approx(560.28014, abs=1e-5)
    assert (entry["columns"], entry["rows"]) == (85, 58)
    assert (entry["first"], entry["last"]) == ([0, 0], [47_064, 31_936])
    box = entry["first_box"]
    assert (box["level"], box["width_px"], box["height_px"]) == (0, 561, 561)
    assert box["box"] == pytest.approx([0, 0, 560.28014, 560.28014], abs=1e-5)


def test_golden_by_hand_second_level() -> None:
    # side = 224 * 1.0 / 0.20 = 1120. Level 1 is 47807 / 11951 = 4.000251 by 32561 / 8140 =
    # 4.000123 smaller, so at 0.80005 <= 1.0; level 2 at 3.2 is too coarse.
    # columns: (47807 - 1119.5) / 1120 = 41.69 -> 42; rows: (32561 - 1119.5) / 1120 = 28.07 -> 29
    # last corner: 41 * 1120 = 45920, 28 * 1120 = 31360
    # first box: 1120 / 4.000251 = 279.98243, 1120 / 4.000123 = 279.99140 -> 280 x 280 pixels
    # last box: x 45920 / 4.000251 = 11479.2796 -> 11479 + 0.2796; right 11759.2621 -> 281 pixels
    #           y 31360 / 4.000123 =  7839.7592 ->  7839 + 0.7592; bottom 8119.7506 -> 281 pixels
    entry = golden_entry(0.20, 1.0)
    assert entry["side_px0"] == pytest.approx(1120)
    assert (entry["columns"], entry["rows"], entry["last"]) == (42, 29, [45_920, 31_360])
    first, last = entry["first_box"], entry["last_box"]
    assert (first["level"], first["width_px"], first["height_px"]) == (1, 280, 280)
    assert first["box"] == pytest.approx([0, 0, 279.98243, 279.99140], abs=2e-4)
    assert (last["x_px"], last["y_px"]) == (11_479, 7_839)
    assert (last["width_px"], last["height_px"]) == (281, 281)
    assert last["box"][:2] == pytest.approx([0.2796, 0.7592], abs=5e-3)


def test_golden_by_hand_coarse_scanner() -> None:
    # 112 / 0.5032 = 222.5755: level 0 is enlarged by 0.6 %.
    # columns: (47807 - 222.0755) / 222.5755 = 213.79 -> 214; 213 * 222.5755 = 47408.59
    # rows:    (32561 - 222.0755) / 222.5755 = 145.29 -> 146; 145 * 222.5755 = 32273.45
    entry = golden_entry(0.5032, 0.5)
    assert entry["side_px0"] == pytest.approx(222.57552, abs=1e-5)
    assert (entry["columns"], entry["rows"], entry["last"]) == (214, 146, [47_409, 32_273])
    assert entry["first_box"]["level"] == 0


if __name__ == "__main__":
    json.dump(geometry(), sys.stdout, indent=1)
    sys.stdout.write("\n")
