"""Tiles of the real slide.

The golden file holds the kept tiles and their tissue; to regenerate it, look at an overlay picture
first (`histofed tile`), then write it by hand from `tile_slide`.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import openslide
import pytest
from PIL import Image

from histofed.core.tiling import TileSpec, full_grid, level_box
from histofed.errors import MissingMpp, NoTissue, SlideError
from histofed.extract.quality import QualitySpec
from histofed.extract.reading import read_batches, read_tile
from histofed.extract.tiles import tile_recipe, tile_slide
from histofed.extract.tissue import OtsuSaturation
from histofed.io.pyramid import write_pyramid
from histofed.io.readers import open_slide
from histofed.io.store import TileStore

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "cmu_tiles.json"
CMU = "slides/CMU-1-Small-Region.svs"
SPEC, TISSUE = TileSpec(), OtsuSaturation()


@pytest.fixture
def cmu(test_data):
    with open_slide(test_data / CMU) as slide:
        yield slide


def tiled(slide, spec: TileSpec = SPEC):
    return tile_slide(slide, "cmu", slide_digest="x", spec=spec, tissue=TISSUE)


def test_the_grid_of_the_real_slide_by_hand(cmu) -> None:
    # A tile is 224 * 0.5 = 112 um, at 0.499 um per pixel 112 / 0.499 = 224.449 pixels.
    # 2220 / 224.449 = 9.89 -> 9 columns; 2967 / 224.449 = 13.22 -> 13 rows; 9 * 13 = 117 tiles.
    # Multiples of 224.449:   224.449  448.898  673.347  897.796  1122.244
    #                        1346.693 1571.142 1795.591 2020.040 2244.489 2468.938 2693.387
    columns = [0, 224, 449, 673, 898, 1122, 1347, 1571, 1796]
    rows = [*columns, 2020, 2244, 2469, 2693]
    grid = full_grid(SPEC, cmu.info)
    assert len(grid) == 117
    assert grid.tolist() == [[x, y] for y in rows for x in columns]


def test_the_tiles_kept_are_those_looked_at(cmu) -> None:
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    tiles, thumbnail, mask = tiled(cmu)
    assert tiles.coords_N2.tolist() == golden["coords"]
    np.testing.assert_allclose(tiles.tissue_N, golden["tissue"], atol=0.005)
    assert len(tiles.coords_N2) == 43
    assert thumbnail.shape == (*mask.shape, 3)
    assert (tiles.tissue_N >= SPEC.min_tissue).all()
    assert (tiles.tissue_N <= 1).all()
    kept = {tuple(corner) for corner in tiles.coords_N2.tolist()}
    assert (0, 0) not in kept  # glass
    assert (1571, 449) not in kept  # glass with a speck of debris
    assert (1347, 1347) not in kept  # the gap between the keratin flakes
    assert (1347, 1571) in kept  # the tip of that gap: a little more epidermis than gap
    assert {(898, 2469), (1122, 898)} <= kept  # dermis, epidermis


def test_the_record_says_how_the_tiles_were_made(cmu) -> None:
    record = tiled(cmu)[0].record
    assert record.recipe == tile_recipe(SPEC, TISSUE)
    assert (record.slide_id, record.slide_digest) == ("cmu", "x")
    assert (record.mpp, record.width_px0, record.height_px0) == (cmu.info.mpp, 2220, 2967)
    assert record.recipe.tissue == TISSUE.record


def test_a_lower_threshold_keeps_more_tiles(cmu) -> None:
    kept = [len(tiled(cmu, TileSpec(min_tissue=least))[0].coords_N2) for least in (0, 0.9)]
    assert kept[0] == 117 > 43 > kept[1] > 0


def test_a_minimum_area_is_the_same_rule_in_square_microns(cmu) -> None:
    by_share = tiled(cmu, TileSpec(min_tissue=0.9))[0]
    by_area = tiled(cmu, TileSpec(min_tissue=0, min_tissue_um2=0.9 * 112**2))[0]
    np.testing.assert_array_equal(by_area.coords_N2, by_share.coords_N2)
    both = tiled(cmu, TileSpec(min_tissue=0.9, min_tissue_um2=100))[0]
    np.testing.assert_array_equal(both.coords_N2, by_share.coords_N2)


def test_a_tile_at_native_resolution_is_the_scanners_pixels(cmu, test_data) -> None:
    spec = TileSpec(size_px=200, mpp=cmu.info.mpp)
    with openslide.OpenSlide(test_data / CMU) as reference:
        for x, y in ((0, 0), (1001, 903), (2020, 2767)):
            expected = reference.read_region((x, y), 0, (200, 200)).convert("RGB")
            np.testing.assert_array_equal(read_tile(cmu, spec, x, y), np.asarray(expected))


def test_a_tile_is_resampled_to_exactly_what_was_asked(cmu, test_data) -> None:
    side = 112 / 0.499  # 224.449 pixels become 224
    with openslide.OpenSlide(test_data / CMU) as reference:
        for x, y in ((0, 0), (898, 1122), (1796, 2693)):
            region = reference.read_region((x, y), 0, (225, 225)).convert("RGB")
            expected = region.resize((224, 224), Image.Resampling.BILINEAR, box=(0, 0, side, side))
            np.testing.assert_array_equal(read_tile(cmu, SPEC, x, y), np.asarray(expected))


def test_tiles_of_every_level_show_the_same_field(tmp_path) -> None:
    coarse = np.random.default_rng(0).integers(60, 250, (40, 45, 3), dtype=np.uint8)
    picture = Image.fromarray(coarse).resize((1801, 1603), Image.Resampling.BICUBIC)
    path = write_pyramid(tmp_path / "s.svs", np.asarray(picture), mpp=0.25)
    with open_slide(path) as slide:
        for mpp, level in ((0.5, 0), (1.01, 1), (1.7, 1)):
            spec = TileSpec(size_px=128, mpp=mpp)
            side = spec.side_px0(0.25)
            for x, y in full_grid(spec, slide.info)[[0, 1, -1]].tolist():
                assert level_box(spec, slide.info, x, y).level == level
                expected = picture.resize(
                    (128, 128), Image.Resampling.BILINEAR, box=(x, y, x + side, y + side)
                )
                found = read_tile(slide, spec, x, y).astype(float)
                assert np.abs(found - np.asarray(expected)).mean() < 4


def test_batches_hold_every_tile_once(cmu) -> None:
    coords = full_grid(SPEC, cmu.info)[40:45]
    batches = list(read_batches(cmu, SPEC, coords, batch_size=2))
    assert [tiles.shape for _, tiles in batches] == [(n, 224, 224, 3) for n in (2, 2, 1)]
    assert np.concatenate([numbers for numbers, _ in batches]).tolist() == [0, 1, 2, 3, 4]
    assert list(read_batches(cmu, SPEC, coords[:0], batch_size=2)) == []


@pytest.mark.parametrize("mpp", [0.499, 0.5, 0.8127, 1.996, 2.1])
@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("threads", [0, 2])
def test_tiles_of_a_batch_are_the_single_ones(tmp_path, mpp, fast, threads) -> None:
    """On level 0 and above, at the border and inside, to within two grey levels, and seldom one."""
    coarse = np.random.default_rng(0).integers(0, 255, (101, 83, 3), dtype=np.uint8)
    picture = Image.fromarray(coarse).resize((2219, 1801), Image.Resampling.BICUBIC)
    path = write_pyramid(tmp_path / "s.svs", np.asarray(picture), mpp=0.499)
    spec = TileSpec(size_px=100, mpp=mpp)
    with open_slide(path, fast=fast) as slide:
        coords = np.random.default_rng(1).permutation(full_grid(spec, slide.info))
        seen = np.zeros(len(coords), dtype=int)
        for numbers, tiles in read_batches(slide, spec, coords, batch_size=9, threads=threads):
            for number, tile in zip(numbers, tiles, strict=True):
                x, y = coords[number].tolist()
                difference = np.abs(tile.astype(int) - read_tile(slide, spec, x, y))
                assert difference.max() <= 2
                assert (difference > 0).mean() < 0.01
            seen[numbers] += 1
        assert (seen == 1).all()
        assert len(seen) > 3


def test_a_slide_without_resolution_is_tiled_once_it_is_supplied(test_data) -> None:
    path = test_data / "slides/tcga-cr-7395-01a-01-ts1.svs"
    with pytest.raises(MissingMpp, match=r"tcga-cr-7395-01a-01-ts1\.svs.*mpp="):
        open_slide(path)
    with open_slide(path, fallback_mpp=0.25) as slide:
        tiles, _, _ = tiled(slide)
        # Side 448 px: 4443 / 448 = 9.9 and 3567 / 448 = 7.96.
        assert 0 < len(tiles.coords_N2) <= 9 * 7
        assert read_tile(slide, SPEC, *tiles.coords_N2[0].tolist()).shape == (224, 224, 3)


def test_an_empty_slide_is_refused_with_its_fullest_tile(tmp_path) -> None:
    path = write_pyramid(tmp_path / "e.svs", np.full((600, 600, 3), 243, np.uint8), mpp=0.5)
    with (
        open_slide(path) as slide,
        pytest.raises(NoTissue, match=r"slide cmu: no tile of 112 um .*50% tissue .*0%.*min_t"),
    ):
        tiled(slide)


def test_a_slide_smaller_than_a_tile_is_refused(tmp_path) -> None:
    path = write_pyramid(tmp_path / "e.svs", np.full((200, 200, 3), 100, np.uint8), mpp=0.5)
    with (
        open_slide(path) as slide,
        pytest.raises(SlideError, match=r"slide cmu: 100 x 100 um .* no whole tile of 112 um"),
    ):
        tiled(slide)


def test_tissue_at_the_border_that_holds_no_tile_is_counted(tmp_path) -> None:
    picture = np.full((448, 448 + 180, 3), 243, np.uint8)
    picture[:, 224:] = (180, 90, 150)  # two whole tiles, and two that would be 80% tissue
    path = write_pyramid(tmp_path / "e.svs", picture, mpp=0.5)
    with open_slide(path) as slide:
        tiles = tiled(slide)[0]
    assert (len(tiles.coords_N2), tiles.n_over_border) == (2, 2)
    store = TileStore(tmp_path / "tiles")
    store.write(tiles)
    assert store.read("cmu").n_over_border == 2


@pytest.mark.parametrize("option", ["tissue.mpp", "quality.mpp"])
def test_what_a_slide_is_too_coarse_for_is_named_before_a_pixel_is_read(tmp_path, option) -> None:
    path = write_pyramid(tmp_path / "e.svs", np.full((900, 900, 3), 100, np.uint8), mpp=3.0)
    with open_slide(path) as slide:
        slide.thumbnail = pytest.fail  # type: ignore[method-assign, assignment]
        with pytest.raises(SlideError, match=rf"slide s: level 0 is at 3 .*set {option} to 3"):
            tile_slide(
                slide,
                "s",
                slide_digest="d",
                spec=TileSpec(mpp=3.0),
                tissue=OtsuSaturation(mpp=2.0 if option == "tissue.mpp" else 8.0),
                quality=QualitySpec(),
            )


def test_a_slide_too_coarse_is_refused(cmu) -> None:
    with pytest.raises(SlideError, match=r"slide cmu: level 0 is at 0\.499 .*0\.25 of tiling"):
        tiled(cmu, TileSpec(mpp=0.25))
