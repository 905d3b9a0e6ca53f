"""Files of TRIDENT, written by hand as its specification says."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest

from histofed.core.tiling import TileSpec
from histofed.errors import MissingMpp, NoTissue, StoreError
from histofed.io.interop import detect
from histofed.io.store import SlideFeatures, SlideTiles

MPP_40X, MPP_20X = 0.2523, 0.5032
COORDS = np.array([[0, 512], [1024, 512], [51_200, 70_656]])
FEATURES = np.arange(12, dtype=np.float32).reshape(3, 4) / 8
AT_40X = {"patch_size_level0": 512, "level0_magnification": 40}
AT_20X = {"patch_size_level0": 256, "level0_magnification": 20}
BAD_TRIDENT: list[tuple[dict[str, Any], str]] = [
    ({"features": np.ones(7)}, r"shape \(7,\).*whole slides are not read"),
    ({"features": np.ones((3, 2, 2))}, "shape"),
    ({"features": FEATURES[:2]}, "2 features for 3 coords"),
    ({"features": FEATURES.astype(int)}, "type int64"),
    ({"features": np.zeros((3, 4), "V2")}, "bfloat16"),
    ({"coords": np.ones((3, 3), int)}, r"coords have shape \(3, 3\)"),
    ({"coords": COORDS - 1}, "tile 0 starts at"),
    ({"coords": COORDS + 0.5}, r"no whole numbers.*coords_unit=um"),
    ({"coords": COORDS * 2}, "outside of its slide of 90000 x 80000"),
    ({"patch_size": 0}, "patch_size is 0; it must be a number above 0"),
    ({"patch_size": 2.5}, "must be whole"),
    ({"patch_size_level0": "None"}, r"tile_px0="),
    ({"patch_size_level0": "large"}, "is 'large'; it must be a number"),
    ({"patch_size_level0": np.nan}, "must be a number"),
    ({"level0_width": [1, 2]}, "one number or text"),
    ({"overlap": 256}, "impossible tiles"),
]


@pytest.mark.parametrize(
    ("said", "mpp", "side_px0"), [(AT_40X, MPP_40X, 512), (AT_20X, MPP_20X, 256)]
)
def test_trident_tiles_have_the_side_that_they_have_at_level_0(
    tmp_path, said, mpp, side_px0, trident, read
):
    path = trident(tmp_path / "S1.h5", **said)
    assert detect(path) == "trident"
    slide = read(path, mpp=mpp).ours()
    assert isinstance(slide, SlideFeatures)
    np.testing.assert_array_equal(slide.coords_N2, COORDS)
    np.testing.assert_array_equal(slide.features_ND, FEATURES)
    record = slide.record
    assert record.side_px0 == side_px0
    assert record.recipe.spec is not None
    assert record.recipe.spec.side_um == pytest.approx(side_px0 * mpp)
    assert (record.recipe.encoder, record.slide_id, record.mpp) == ("uni_v1", "S1", mpp)
    assert (record.width_px0, record.height_px0) == (90_000, 80_000)
    assert record.objective_power == said["level0_magnification"]
    assert record.slide_digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert record.recipe.tissue["origin"] == "trident"


def test_positions_alone_are_tiles_of_the_slide(tmp_path, trident, read):
    path = trident(tmp_path / "patches" / "S1_patches.h5", features=None, overlap=32)
    tiles = read(path, mpp=MPP_40X).ours()
    assert isinstance(tiles, SlideTiles)
    assert tiles.record.slide_id == "S1"
    assert tiles.record.recipe.spec == TileSpec(
        size_px=256, mpp=2 * MPP_40X, overlap_px=32, min_tissue=0
    )
    np.testing.assert_array_equal(tiles.coords_N2, COORDS)
    assert np.isnan(tiles.tissue_N).all()


def test_older_tiles_of_level_0_say_enough(tmp_path, h5, read):
    old = {"patch_size": 512, "patch_level": 0}
    path = h5(tmp_path / "S1.h5", coords=(COORDS, old), features=FEATURES)
    assert detect(path) == "trident"
    found = read(path, mpp=MPP_40X, encoder="uni")
    assert (found.size_px, found.side_px0) == (512, 512)
    for more in ({"patch_level": 1}, {"custom_downsample": 2}):
        h5(path, coords=(COORDS, old | more), features=FEATURES)
        with pytest.raises(StoreError, match=r"patch_size_level0.*tile_px0="):
            read(path, mpp=MPP_40X, encoder="uni")
        assert read(path, mpp=0.25, encoder="uni", tile_px0=1024).side_px0 == 1024


@pytest.mark.parametrize("features", [np.zeros((0, 4)), np.zeros(0)])
def test_an_empty_slide(tmp_path, features, trident, read):
    coords = np.zeros((0, 2), int)
    path = trident(tmp_path / "S1.h5", coords=coords, features=features)
    with pytest.raises(NoTissue, match=r"S1\.h5: it holds no tile"):
        read(path, mpp=0.25)
    with pytest.raises(NoTissue):
        read(trident(tmp_path / "S1.h5", coords=coords, features=None), mpp=0.25)


def test_one_tile(tmp_path, trident, read):
    path = trident(tmp_path / "S1.h5", coords=COORDS[:1], features=FEATURES[:1])
    assert read(path, mpp=0.25).ours().coords_N2.tolist() == [[0, 512]]


@pytest.mark.parametrize(("wrong", "words"), BAD_TRIDENT)
def test_a_wrong_file_is_named(tmp_path, wrong, words, trident, read):
    path = trident(tmp_path / "S1.h5", **wrong)
    with pytest.raises(StoreError, match=rf"S1.*({words})"):
        read(path, "trident", mpp=0.25).ours()


@pytest.mark.parametrize(
    ("option", "value"), [("tile_px", 224), ("tile_px0", 256), ("coords_unit", "um")]
)
def test_an_option_that_contradicts_the_file_is_refused(tmp_path, option, value, trident, read):
    with pytest.raises(StoreError, match=rf"S1\.h5.*{option}={value} was given"):
        read(trident(tmp_path / "S1.h5"), **{"mpp": 0.25, option: value})


def test_an_encoder_that_contradicts_the_file_is_refused(tmp_path, trident, read):
    with pytest.raises(StoreError, match="uni_v1 in the file and encoder_name=other"):
        read(trident(tmp_path / "S1.h5"), mpp=0.25, encoder="other")


def test_a_missing_resolution_names_slide_and_options(tmp_path, trident, read):
    with pytest.raises(MissingMpp, match=r"S1\.h5: .*cohort=TABLE.* mpp=0\.25"):
        read(trident(tmp_path / "S1.h5"))
