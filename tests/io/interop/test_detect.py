from __future__ import annotations

import numpy as np
import pytest

from histofed.errors import StoreError
from histofed.io.interop import detect, find_files, slide_id_of

COORDS = np.array([[0, 512], [1024, 512], [51_200, 70_656]])
FEATURES = np.arange(12, dtype=np.float32).reshape(3, 4) / 8


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"features": FEATURES, "metadata": np.zeros(3)}, "features, metadata and no coords.*only"),
        ({"coords": np.ones((3, 5), int)}, "AtlasPatch"),
        ({"coords": (COORDS, {"native_mpp": 0.25})}, "Mussel"),
        ({}, "holds nothing and no coords"),
    ],
)
def test_other_formats_are_refused_with_what_can_be_done(tmp_path, data, words, h5):
    with pytest.raises(StoreError, match=rf"S1\.h5: .*{words}"):
        detect(h5(tmp_path / "S1.h5", **data))


def test_files_are_found_in_sub_folders_but_not_hidden(tmp_path, trident):
    wanted = [trident(tmp_path / "a" / "S1.h5"), trident(tmp_path / "S2.h5")]
    trident(tmp_path / ".cache" / "S3.h5")
    assert find_files(tmp_path) == sorted(wanted, key=lambda path: path.relative_to(tmp_path))


def test_a_real_file_with_tile_names_has_no_positions(test_data, read):
    path = test_data / "features" / "layout_a_TCGA-3X-AAVA-01Z-00-DX1" / "features.h5"
    with pytest.raises(StoreError, match=r"features, metadata and no coords.*format=features_only"):
        detect(path)
    slide = read(path, "features_only", encoder="resnet").ours()
    assert slide.features_ND.shape == (180, 512)


@pytest.mark.parametrize(
    ("name", "slide_id"),
    [
        ("20x_256px_0px_overlap/patches/S1_patches.h5", "S1"),
        ("20x_256px_0px_overlap/features_uni_v1/S1.h5", "S1"),
        ("h5_files/S1.h5", "S1"),
        ("uni2-0123abcd/centre/S1.h5", "S1"),
        ("S1/features.h5", "S1"),
        ("S1.v2/feats.h5", "S1.v2"),
    ],
)
def test_a_file_or_its_folder_is_called_like_the_slide(tmp_path, name, slide_id):
    assert slide_id_of(tmp_path / name) == slide_id


def test_a_file_whose_folder_has_no_name_either(tmp_path):
    with pytest.raises(StoreError, match=r"features\.h5: neither the file nor its folder.*rename"):
        slide_id_of(tmp_path / "features" / "features.h5")
