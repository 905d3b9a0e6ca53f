"""What we write for others: their names and units, and the same numbers on the way back."""

from __future__ import annotations

from dataclasses import replace

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histofed.core.tiling import TileSpec
from histofed.errors import StoreError
from histofed.io.interop import WRITERS, detect
from histofed.io.store import Recipe, Record, SlideFeatures

MPP_40X = 0.2523


def ours(n: int, *, mpp: float, spec: TileSpec, seed: int = 0) -> SlideFeatures:
    generator = np.random.default_rng(seed)
    return SlideFeatures(
        record=Record(
            recipe=Recipe(spec=spec, encoder="uni_v1", encoder_digest="e" * 64),
            slide_id="S1",
            slide_digest="d" * 64,
            mpp=mpp,
            width_px0=200_000,
            height_px0=150_000,
            objective_power=10 / mpp,
        ),
        features_ND=generator.normal(size=(n, 5)).astype(np.float16),
        coords_N2=generator.integers(0, 150_000, size=(n, 2)),
    )


@settings(max_examples=25, deadline=None)
@given(
    n=st.sampled_from([1, 2, 300]),
    mpp=st.floats(0.1, 2.0),
    size_px=st.integers(64, 512),
    seed=st.integers(0, 99),
    to=st.sampled_from(sorted(WRITERS)),
)
def test_there_and_back_nothing_changes(tmp_path_factory, n, mpp, size_px, seed, to, read):
    slide = ours(n, mpp=mpp, spec=TileSpec(size_px=size_px, mpp=mpp * 1.98), seed=seed)
    folder = tmp_path_factory.mktemp("out")
    WRITERS[to].write(folder, slide)
    path = WRITERS[to].targets(folder, slide.record, features=True)[-1]
    assert detect(path) == to
    # CLAM has no name of the encoder; its tiles are counted in pixels of level 0.
    found = read(path, mpp=mpp, encoder="uni_v1").ours()
    np.testing.assert_array_equal(found.features_ND, slide.features_ND)
    np.testing.assert_array_equal(found.coords_N2, slide.coords_N2)
    assert found.record.slide_id == "S1"
    assert found.record.recipe.encoder == "uni_v1"
    # TRIDENT and CLAM hold the side as whole level-0 pixels.
    assert found.record.side_px0 == pytest.approx(
        slide.record.side_px0, abs=1e-6 if to == "stamp" else 0.5
    )


def test_what_we_write_has_their_names_attributes_and_units(tmp_path):
    slide = ours(2, mpp=MPP_40X, spec=TileSpec(size_px=256, mpp=0.5, overlap_px=16))
    for module in WRITERS.values():
        module.write(tmp_path, slide)
    grid = tmp_path / "20x_256px_16px_overlap"
    with h5py.File(grid / "features_uni_v1" / "S1.h5") as file:
        assert file["features"].attrs["encoder"] == "uni_v1"
        assert dict(file["coords"].attrs) == {
            "patch_size": 256,
            "patch_size_level0": 507,
            "level0_magnification": 40,
            "target_magnification": 20,
            "overlap": 16,
            "name": "S1",
            "savetodir": ".",
            "level0_width": 200_000,
            "level0_height": 150_000,
        }
    with h5py.File(grid / "patches" / "S1_patches.h5") as file:
        assert list(file) == ["coords"]
        assert file["coords"].dtype == np.int64
    with h5py.File(tmp_path / "h5_files" / "S1.h5") as file:
        assert (file["features"].dtype, file["coords"].dtype) == (np.float32, np.int32)
    with h5py.File(tmp_path / "patches" / "S1.h5") as file:
        said = file["coords"].attrs
        assert said["patch_size"] * said["downsample"][0] == 507
        assert (said["patch_level"], tuple(said["level_dim"])) == (0, (200_000, 150_000))
    (stamp,) = WRITERS["stamp"].targets(tmp_path, slide.record, features=True)
    assert stamp.parent.name == f"uni_v1-{slide.record.recipe.digest[:8]}"
    with h5py.File(stamp) as file:
        np.testing.assert_allclose(file["coords"], slide.coords_N2 * MPP_40X, rtol=1e-6)
        assert (file["feats"].dtype, file["coords"].dtype) == (np.float16, np.float32)
        assert file.attrs["tile_size_um"] == 128
        assert (file.attrs["unit"], file.attrs["feat_type"]) == ("um", "tile")


@pytest.mark.parametrize("to", sorted(WRITERS))
def test_bags_without_positions_cannot_become_theirs(tmp_path, to):
    slide = ours(2, mpp=0.25, spec=TileSpec())
    bag = replace(slide.record, recipe=Recipe(spec=None, encoder="e"), mpp=None)
    with pytest.raises(StoreError, match=r"S1: its features have no positions, and files of"):
        WRITERS[to].write(tmp_path, replace(slide, record=bag, coords_N2=None))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("to", ["stamp", "trident"])
@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden"])
def test_an_encoder_cannot_leave_the_folder(tmp_path, to, name):
    slide = ours(2, mpp=0.25, spec=TileSpec())
    named = replace(slide.record, recipe=replace(slide.record.recipe, encoder=name))
    with pytest.raises(StoreError, match="cannot name a folder"):
        WRITERS[to].write(tmp_path, replace(slide, record=named))
