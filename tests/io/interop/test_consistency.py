"""Resolutions and sizes that the file itself contradicts are refused by name."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from histofed.core.tiling import TileSpec, full_grid
from histofed.core.types import SlideInfo
from histofed.errors import StoreError
from histofed.io.interop import WRITERS
from histofed.io.interop.consistency import grid_step_px0
from histofed.io.store import Recipe, Record, SlideTiles

GRID = np.stack(np.meshgrid(np.arange(6) * 512, np.arange(5) * 512), axis=-1).reshape(-1, 2)
FEATURES = np.ones((len(GRID), 4), np.float32)
CLAM = {"patch_size": 256, "patch_level": 1, "downsample": (4.0, 4.0)}
STAMP = {"unit": "um", "tile_size_um": 256.0, "tile_size_px": 224, "extractor": "uni2"}
LAYOUT_B = "features/layout_b_TCGA-AD-6964-01Z-00-DX1/features.h5"
PX0 = {"coords_unit": "px0", "tile_px": 224, "encoder": "ctranspath"}


# Microns per pixel.


@pytest.mark.parametrize("mpp", [0.025, 0.049, 25])
def test_no_scanner_has_such_pixels(tmp_path, mpp, h5, read):
    path = h5(tmp_path / "S1.h5", coords=(GRID, CLAM))
    with pytest.raises(StoreError, match=rf"S1\.h5: mpp={mpp:g} was given.*scanners have 0\.05 to"):
        read(path, mpp=mpp)
    attributes = {"feats": FEATURES, "coords": GRID / 2.0, "attributes": STAMP}
    with pytest.raises(StoreError, match=rf"S1\.h5: mpp={mpp:g} was given"):
        read(h5(tmp_path / "S1.h5", **attributes), mpp=mpp)


def test_tiles_finer_than_any_microscope(test_data, read):
    told = PX0 | {"tile_px": 2800, "tile_px0": 512}
    with pytest.raises(StoreError, match=r"its tiles would have 0\.04571 microns per pixel"):
        read(test_data / LAYOUT_B, mpp=0.25, **told)


@pytest.mark.parametrize(
    ("said", "mpp", "words"),
    [
        # The classical mistake: 0.25 for a slide that was scanned at 20x.
        ({"level0_magnification": 20, "patch_size_level0": 256}, 0.25, r"0\.25 .* 0\.3 to 0\.675"),
        ({}, 0.5, r"its slide would have 0\.5 .*level0_magnification is 40.* 0\.1 to 0\.338"),
        ({"level0_magnification": "None"}, 0.5, r"tiles would have 1 .*target_magnification is 20"),
        ({"target_magnification": 10}, 0.25, r"tiles would have 0\.5 .*is 10.* 0\.6 to 1\.35"),
    ],
)
def test_a_magnification_contradicts_the_resolution(tmp_path, said, mpp, words, trident, read):
    with pytest.raises(StoreError, match=rf"S1\.h5: with mpp={mpp:g} .*{words}.*correct mpp"):
        read(trident(tmp_path / "S1.h5", **said), mpp=mpp)


@pytest.mark.parametrize(
    ("said", "mpp"),
    [
        ({}, 0.2),
        ({}, 0.2999),
        # 20x objective with a camera adapter: 482 pixels of 0.2325 um are 224 of 0.5 um.
        ({"level0_magnification": 20, "patch_size": 224, "patch_size_level0": 482}, 0.2325),
        # TRIDENT calls 0.3 to 0.6 um 20x.
        ({"level0_magnification": 20, "patch_size_level0": 256}, 0.31),
        ({"level0_magnification": 20, "patch_size_level0": 256}, 0.5999),
        ({"target_magnification": 1, "patch_size": 64, "patch_size_level0": 2560}, 0.25),
    ],
)
def test_resolutions_that_real_files_have(tmp_path, said, mpp, trident, read):
    assert read(trident(tmp_path / "S1.h5", **said), mpp=mpp).mpp == mpp


def test_what_we_wrote_for_trident_is_held_against_its_magnification(tmp_path, read):
    info = {"slide_id": "S1", "slide_digest": "d" * 64, "mpp": 0.5, "objective_power": 20.0}
    recipe = Recipe(spec=TileSpec(size_px=224, mpp=0.5))
    record = Record(recipe=recipe, width_px0=9000, height_px0=9000, **info)
    tiles = SlideTiles(record=record, coords_N2=GRID, tissue_N=np.ones(len(GRID), np.float32))
    WRITERS["trident"].write(tmp_path, tiles)
    (path,) = WRITERS["trident"].targets(tmp_path, record, features=False)
    with h5py.File(path) as file:
        assert file["coords"].attrs["patch_size_level0"] == 224
    for mpp in (0.025, 0.25, 1.0):
        with pytest.raises(StoreError, match=rf"S1.*mpp={mpp:g}"):
            read(path, mpp=mpp)


# The grid.


@given(
    mpp=st.floats(0.1, 2.0),
    size_px=st.integers(32, 512),
    overlap=st.floats(0, 0.9),
    seed=st.integers(0, 99),
)
def test_the_step_of_a_grid_is_found_where_a_third_of_it_is_missing(mpp, size_px, overlap, seed):
    spec = TileSpec(size_px=size_px, mpp=mpp * 1.7, overlap_px=int(size_px * overlap))
    size_px0 = int(20 * spec.step_px0(mpp) + spec.side_px0(mpp))
    info = SlideInfo(mpp=mpp, level_sizes_px=((size_px0, size_px0),), vendor="")
    grid_N2 = full_grid(spec, info)
    kept_N = np.random.default_rng(seed).random(len(grid_N2)) > 0.3
    assert grid_step_px0(grid_N2[kept_N]) == pytest.approx(spec.step_px0(mpp), abs=0.5)


def test_few_tiles_and_random_tiles_are_no_grid():
    assert grid_step_px0(GRID[:3]) is None
    assert grid_step_px0(np.zeros((50, 2), int)) is None
    random = np.random.default_rng(0).integers(0, 40, size=(400, 2)) * 317
    assert grid_step_px0(random) is None


@pytest.mark.parametrize(
    ("tile_px0", "words"),
    [
        (1024, r"tile_px0=1024 makes them 1024 a side.*overlap; .*tile_px0=512; .*overlap_px=112"),
        (256, r"tile_px0=256 makes them 256 a side.*leave gaps; .*tile_px0=512; .*overlap_px=0"),
    ],
)
def test_a_side_that_is_not_the_step_needs_an_overlap(test_data, tile_px0, words, read):
    path, told = test_data / LAYOUT_B, PX0 | {"mpp": 0.25, "tile_px0": tile_px0}
    with pytest.raises(
        StoreError, match=rf"features\.h5.*are 512 level-0 pixels apart, and {words}"
    ):
        read(path, **told)
    overlap_px = 112 if tile_px0 > 512 else 0
    found = read(path, **told, overlap_px=overlap_px).ours()
    assert found.record.recipe.spec.overlap_px == overlap_px
    with pytest.raises(StoreError, match=r"with an overlap of 40 of 224 pixels makes it"):
        read(path, **told, overlap_px=40)
    assert read(path, **told | {"tile_px0": 512}).overlap_px == 0


@pytest.mark.parametrize(
    "told",
    [
        {"coords_unit": "stamp_v1"},
        {"coords_unit": "um", "tile_px": 224, "tile_mpp": 1.5},
        {"coords_unit": "um", "tile_px": 224, "tile_mpp": 0.9},
    ],
)
def test_a_unit_that_does_not_fit_the_grid(test_data, told, read):
    words = (
        r"apart, and (coords_unit|tile_px=224 x).* leave gaps; if they touch, give another [^;]*$"
    )
    with pytest.raises(StoreError, match=words):
        read(test_data / LAYOUT_B, mpp=0.25, encoder="ctranspath", **told)


def test_overlap_that_the_file_shows_is_recorded(tmp_path, h5, read):
    path = h5(tmp_path / "S1.h5", coords=(GRID, CLAM))  # tiles of 1024, 512 apart
    assert read(path, mpp=0.25).overlap_px == 128
    apart = h5(tmp_path / "S2.h5", coords=(GRID * 3, CLAM))
    assert read(apart, mpp=0.25).overlap_px == 0
    with pytest.raises(StoreError, match="an overlap of 0 of 256 pixels makes it 1024"):
        read(path, mpp=0.25, overlap_px=0)


def test_overlap_that_trident_says_is_held_against_the_grid(tmp_path, trident, read):
    def written(step_px0: int, overlap_px: int):
        coords = GRID // 512 * step_px0
        return trident(tmp_path / "S1.h5", coords=coords, features=FEATURES, overlap=overlap_px)

    assert read(written(448, 32), mpp=0.25).overlap_px == 32
    with pytest.raises(StoreError, match=r"are 256 level-0 pixels apart.*overlap of 0 of 256"):
        read(written(256, 0), mpp=0.25)
    with pytest.raises(StoreError, match=r"overlap is 32 in the file and overlap_px=0 was given"):
        read(written(448, 32), mpp=0.25, overlap_px=0)


# The slide.


@pytest.mark.parametrize("unit", ["um", "px0"])
def test_corners_beyond_the_slide_that_was_opened(tmp_path, unit, h5, read):
    path = h5(tmp_path / "S1.h5", feats=FEATURES, coords=GRID)
    told = {"mpp": 0.25, "encoder": "e", "coords_unit": unit, "tile_px": 512}
    told |= {"um": {"tile_mpp": 1.0}, "px0": {"tile_px0": 512}}[unit]
    assert read(path, **told, size_px0=(20_000, 20_000)).width_px0 == 20_000
    with pytest.raises(StoreError, match="outside of its slide of 2000 x 2000"):
        read(path, **told, size_px0=(2000, 2000))
