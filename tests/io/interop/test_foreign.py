from __future__ import annotations

import numpy as np
import pytest

from histofed.core.tiling import TileSpec
from histofed.errors import StoreError
from histofed.io.store import SlideFeatures

MPP_40X = 0.2523
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


def test_features_alone(tmp_path, h5, read):
    path = h5(tmp_path / "S1.h5", patch_embeddings=FEATURES)
    slide = read(path, "features_only", encoder="e").ours()
    assert isinstance(slide, SlideFeatures)
    assert slide.coords_N2 is None
    assert slide.record.recipe.spec is None


def test_slides_of_near_scanners_share_a_recipe_and_keep_their_own_side(tmp_path, trident, read):
    found = [
        read(trident(tmp_path / f"{mpp}.h5"), mpp=mpp).ours(tile_mpp=0.5).record
        for mpp in (0.2480, MPP_40X)
    ]
    assert found[0].recipe.digest == found[1].recipe.digest
    assert found[0].recipe.spec == TileSpec(size_px=256, mpp=0.5, min_tissue=0)
    assert [record.side_px0 for record in found] == [512, 512]
    with pytest.raises(StoreError, match=r"0\.44 microns per pixel, more than 10%.*=0\.5"):
        read(trident(tmp_path / "far.h5"), mpp=0.22).ours(tile_mpp=0.5)
    with pytest.raises(StoreError, match=r"0\.46"):
        read(trident(tmp_path / "far.h5"), mpp=0.23).ours(tile_mpp=0.4)


def test_a_nominal_resolution_leaves_stamp_tiles_their_side(tmp_path, h5, read):
    path = h5(tmp_path / "S1.h5", feats=FEATURES, coords=COORDS / 4, attributes=STAMP)
    assert read(path, mpp=0.25).ours(tile_mpp=1.15).record.side_px0 == pytest.approx(1024)


@pytest.mark.parametrize(
    ("value", "words"),
    [(np.nan, "1 tile.* not finite .first: tile 1"), (-np.inf, "not finite"), (7e4, "beyond")],
)
def test_features_that_are_no_numbers_or_too_large(tmp_path, value, words, trident, read):
    features = FEATURES.copy()
    features[1, 2] = value
    found = read(trident(tmp_path / "S1.h5", features=features), mpp=0.25)
    with pytest.raises(StoreError, match=rf"S1.*{words}"):
        found.ours()


def test_features_too_small_for_float16_are_refused(tmp_path, trident, read):
    features = np.ones((3, 100), np.float32)
    features[0, :3] = 1e-8  # 3 of 300 are 1 %
    found = read(trident(tmp_path / "S1.h5", features=features), mpp=0.25)
    assert np.count_nonzero(found.ours().features_ND) == 297
    features[0, 3] = -1e-8
    found = read(trident(tmp_path / "S1.h5", features=features), mpp=0.25)
    with pytest.raises(StoreError, match=r"S1.* 4 of 300 .* 0 whole .* 1% may; rescale"):
        found.ours()


def test_a_tile_never_becomes_zero_but_may_have_been(tmp_path, trident, read):
    features = np.ones((3, 100), np.float32)
    features[1] = 0
    found = read(trident(tmp_path / "S1.h5", features=features), mpp=0.25)
    assert not found.ours().features_ND[1].any()
    features[1, 0] = 1e-8  # the one value of its tile
    found = read(trident(tmp_path / "S1.h5", features=features), mpp=0.25)
    with pytest.raises(StoreError, match=r"S1.* 1 of 201 .* 1 whole tile.*rescale"):
        found.ours()
