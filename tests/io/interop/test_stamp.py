"""Files of STAMP, written by hand as its specification says."""

from __future__ import annotations

import numpy as np
import pytest

from histofed.core.tiling import TileSpec
from histofed.errors import StoreError
from histofed.io.interop import detect
from histofed.io.store import SlideFeatures

MPP_40X, MPP_20X = 0.2523, 0.5032
COORDS = np.array([[0, 512], [1024, 512], [51_200, 70_656]])
FEATURES = np.arange(12, dtype=np.float32).reshape(3, 4) / 8
STAMP = {
    "stamp_version": "2.3.0",
    "extractor": "uni2",
    "unit": "um",
    "tile_size_um": 256.0,
    "tile_size_px": 224,
    "code_hash": "0123abcd",
    "feat_type": "tile",
}


@pytest.mark.parametrize(("mpp", "tile_px0"), [(MPP_40X, 1014.665), (MPP_20X, 508.744)])
def test_stamp_positions_are_microns(tmp_path, mpp, tile_px0, h5, read):
    coords_um = np.array([[0, 256], [512, 256], [25_600, 10_240]], np.float32)
    path = h5(
        tmp_path / "S1.h5", feats=FEATURES.astype(np.float16), coords=coords_um, attributes=STAMP
    )
    assert detect(path) == "stamp"
    slide = read(path, mpp=mpp).ours()
    assert isinstance(slide, SlideFeatures)
    assert slide.coords_N2 is not None
    assert slide.coords_N2[1].tolist() == [round(512 / mpp), round(256 / mpp)]
    np.testing.assert_allclose(slide.coords_N2 * mpp, coords_um, atol=mpp / 2)
    assert slide.record.side_px0 == pytest.approx(tile_px0, abs=1e-3)
    assert slide.record.recipe.spec == TileSpec(size_px=224, mpp=256 / 224, min_tissue=0)
    assert slide.record.recipe.tissue["code_hash"] == "0123abcd"


def test_older_stamp_files_say_tile_size(tmp_path, h5, read):
    said = {**STAMP, "tile_size": 256.0}
    del said["tile_size_um"]
    path = h5(tmp_path / "S1.h5", feats=FEATURES, coords=COORDS / 4, attributes=said)
    assert read(path, mpp=0.25).tile_mpp == 256 / 224


def test_the_first_stamp_files_are_read_only_when_the_user_says_so(tmp_path, h5, read):
    coords = np.array([[0, 224], [448, 224], [224 * 100, 0]])
    path = h5(tmp_path / "S1.h5", feats=FEATURES, coords=coords)
    with pytest.raises(StoreError, match=r"unit of its coords.*stamp_v1.*coords_unit="):
        read(path, mpp=0.25, encoder="e")
    found = read(path, mpp=0.25, encoder="e", coords_unit="stamp_v1")
    assert found.coords_N2 is not None
    assert found.coords_N2.tolist() == [[0, 1024], [2048, 1024], [102_400, 0]]
    assert (found.size_px, found.tile_mpp) == (224, 256 / 224)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"unit": "px"}, "unit is 'px'"),
        ({"unit": 3}, "it must be text"),
        ({"feat_type": "slide"}, "embedding of a slide"),
        ({"feat_type": "patient"}, "embedding of a patient"),
    ],
)
def test_a_wrong_stamp_file_is_named(tmp_path, said, words, h5, read):
    path = h5(tmp_path / "S1.h5", feats=FEATURES, coords=COORDS, attributes=STAMP | said)
    with pytest.raises(StoreError, match=rf"S1\.h5.*{words}"):
        read(path, mpp=0.25)


def test_an_encoder_of_slides_without_feat_type_is_an_embedding(tmp_path, h5, read):
    path = h5(tmp_path / "S1.h5", feats=FEATURES, coords=COORDS, attributes={"encoder": "titan"})
    with pytest.raises(StoreError, match="embedding of a slide"):
        read(path, mpp=0.25)


def test_a_real_file_of_feats_without_unit_is_read_when_the_unit_is_said(test_data, read):
    path = test_data / "features" / "layout_b_TCGA-AD-6964-01Z-00-DX1" / "features.h5"
    with pytest.raises(StoreError, match=r"coords_unit="):
        read(path, mpp=0.25, encoder="e")
    told = {"coords_unit": "px0", "tile_px": 512, "tile_px0": 512, "encoder": "e"}
    slide = read(path, mpp=0.25, **told).ours()
    assert slide.features_ND.shape == (777, 512)
    assert slide.record.side_px0 == 512
    # The tiles beside it are named by their corner.
    corners = {tuple(corner) for corner in slide.coords_N2.tolist()}
    named = {(16896, 20480), (22016, 11776), (23040, 25088)}
    assert named <= corners


def test_microns_without_a_size_need_both_of_its_numbers(tmp_path, h5, read):
    path = h5(tmp_path / "S1.h5", feats=FEATURES, coords=COORDS / 4)
    told = {"mpp": 0.25, "encoder": "e", "coords_unit": "um", "tile_px": 224}
    with pytest.raises(StoreError, match=r"side of a tile in microns.*tile_mpp="):
        read(path, **told)
    found = read(path, **told, tile_mpp=0.5)
    np.testing.assert_array_equal(found.coords_N2, COORDS)
    assert found.ours(tile_mpp=0.5).record.side_px0 == 448


def test_a_side_in_pixels_contradicts_microns(tmp_path, h5, read):
    path = h5(tmp_path / "S1.h5", feats=FEATURES, coords=COORDS, attributes=STAMP)
    with pytest.raises(StoreError, match="measured in microns and tile_px0=512 was given"):
        read(path, mpp=0.25, tile_px0=512)
