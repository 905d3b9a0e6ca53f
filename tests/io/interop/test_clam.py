"""Files of CLAM, written by hand as its specification says."""

from __future__ import annotations

import numpy as np
import pytest

from histofed.errors import StoreError
from histofed.io.interop import detect

MPP_40X, MPP_20X = 0.2523, 0.5032
COORDS = np.array([[0, 512], [1024, 512], [51_200, 70_656]])
FEATURES = np.arange(12, dtype=np.float32).reshape(3, 4) / 8
CLAM_40X = {
    "patch_size": 256,
    "patch_level": 1,
    "downsample": (2.0, 2.0),
    "downsampled_level_dim": (45_000, 40_000),
    "level_dim": (45_000, 40_000),
    "name": "S1",
    "save_path": "somewhere",
}


def test_clam_features_are_read_beside_their_positions(tmp_path, h5, read):
    h5(tmp_path / "patches" / "S1.h5", coords=(COORDS, CLAM_40X))
    path = h5(tmp_path / "h5_files" / "S1.h5", coords=COORDS.astype(np.int32), features=FEATURES)
    assert detect(path) == detect(tmp_path / "patches" / "S1.h5") == "clam"
    found = read(path, mpp=MPP_40X, encoder="resnet50")
    assert (found.size_px, found.side_px0) == (256, 512)
    assert found.tile_mpp == pytest.approx(2 * MPP_40X)
    np.testing.assert_array_equal(found.coords_N2, COORDS)
    alone = read(tmp_path / "patches" / "S1.h5", mpp=MPP_40X)
    assert (alone.features_ND, alone.side_px0, alone.width_px0) == (None, 512, None)
    h5(tmp_path / "patches" / "S1.h5", coords=(COORDS[:2], CLAM_40X))
    with pytest.raises(StoreError, match="different runs of CLAM"):
        read(path, mpp=MPP_40X, encoder="resnet50")


def test_clam_at_level_0_knows_the_size_of_the_slide(tmp_path, h5, read):
    said = CLAM_40X | {"patch_level": 0, "downsample": (1.0, 1.0), "level_dim": (90_000, 80_000)}
    found = read(h5(tmp_path / "S1.h5", coords=(COORDS, said)), mpp=MPP_20X)
    assert (found.side_px0, found.width_px0, found.height_px0) == (256, 90_000, 80_000)


def test_clam_features_alone_need_the_size_of_their_tiles(tmp_path, h5, read):
    path = h5(tmp_path / "S1.h5", coords=COORDS, features=FEATURES)
    with pytest.raises(StoreError, match=r"patch_size.*tile_px=.*format=features_only"):
        read(path, mpp=0.25, encoder="e")
    with pytest.raises(StoreError, match=r"level-0 pixels.*tile_px0="):
        read(path, mpp=0.25, encoder="e", tile_px=256)
    with pytest.raises(StoreError, match="encoder_name="):
        read(path, mpp=0.25, tile_px=256, tile_px0=512)
    found = read(path, mpp=MPP_40X, encoder="e", tile_px=256, tile_px0=512)
    assert (found.side_px0, found.tile_mpp) == (512, pytest.approx(2 * MPP_40X))


@pytest.mark.parametrize("downsample", [(2.0, 4.0), (0.0, 0.0), (2.0,), "2"])
def test_a_wrong_downsample_is_named(tmp_path, downsample, h5, read):
    said = CLAM_40X | {"downsample": downsample}
    with pytest.raises(StoreError, match=r"S1\.h5.*downsample"):
        read(h5(tmp_path / "S1.h5", coords=(COORDS, said)), mpp=0.25)
