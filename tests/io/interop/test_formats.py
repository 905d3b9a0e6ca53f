"""Files of TRIDENT, CLAM and STAMP, written here by hand as their specifications say."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histofed.core.tiling import TileSpec
from histofed.errors import MissingMpp, NoTissue, StoreError
from histofed.io.interop import READERS, WRITERS, Supplied, detect, find_files
from histofed.io.store import Recipe, Record, SlideFeatures, SlideTiles

if TYPE_CHECKING:
    from pathlib import Path

MPP_40X, MPP_20X = 0.2523, 0.5032
COORDS = np.array([[0, 512], [1024, 512], [51_200, 70_656]])
FEATURES = np.arange(12, dtype=np.float32).reshape(3, 4) / 8
TRIDENT_40X = {
    "patch_size": 256,
    "patch_size_level0": 512,
    "level0_magnification": 40,
    "target_magnification": 20,
    "overlap": 0,
    "name": "S1",
    "savetodir": "somewhere/patches",
    "level0_width": 90_000,
    "level0_height": 80_000,
}
TRIDENT_20X = TRIDENT_40X | {"patch_size_level0": 256, "level0_magnification": 20}
CLAM_40X = {
    "patch_size": 256,
    "patch_level": 1,
    "downsample": (2.0, 2.0),
    "downsampled_level_dim": (45_000, 40_000),
    "level_dim": (45_000, 40_000),
    "name": "S1",
    "save_path": "somewhere",
}
STAMP = {
    "stamp_version": "2.3.0",
    "extractor": "uni2",
    "unit": "um",
    "tile_size_um": 256.0,
    "tile_size_px": 224,
    "code_hash": "0123abcd",
    "feat_type": "tile",
}


def h5(path: Path, *, attributes: dict[str, Any] | None = None, **data: Any) -> Path:
    """Write data sets; a pair is (values, attributes of the data set)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file.attrs.update(attributes or {})
        for name, value in data.items():
            values, said = value if isinstance(value, tuple) else (value, {})
            file.create_dataset(name, data=values).attrs.update(said)
    return path


def trident(path: Path, *, coords: Any = COORDS, features: Any = FEATURES, **said: Any) -> Path:
    data = {"coords": (coords, TRIDENT_40X | said)}
    if features is not None:
        data["features"] = (features, {"name": "S1", "savetodir": "x", "encoder": "uni_v1"})
    return h5(path, **data)


def read(path: Path, format: str = "", **supplied: Any):
    return READERS[format or detect(path)](path, Supplied(**supplied))


# Positions and sides, in level-0 pixels.


@pytest.mark.parametrize(
    ("said", "mpp", "side_px0"), [(TRIDENT_40X, MPP_40X, 512), (TRIDENT_20X, MPP_20X, 256)]
)
def test_trident_tiles_have_the_side_that_they_have_at_level_0(tmp_path, said, mpp, side_px0):
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


def test_trident_positions_alone_are_tiles_of_the_slide(tmp_path):
    path = trident(tmp_path / "patches" / "S1_patches.h5", features=None, overlap=32)
    tiles = read(path, mpp=MPP_40X).ours()
    assert isinstance(tiles, SlideTiles)
    assert tiles.record.slide_id == "S1"
    assert tiles.record.recipe.spec == TileSpec(
        size_px=256, mpp=2 * MPP_40X, overlap_px=32, min_tissue=0
    )
    np.testing.assert_array_equal(tiles.coords_N2, COORDS)
    assert np.isnan(tiles.tissue_N).all()


def test_older_trident_tiles_of_level_0_say_enough(tmp_path):
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


def test_clam_features_are_read_beside_their_positions(tmp_path):
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


def test_clam_at_level_0_knows_the_size_of_the_slide(tmp_path):
    said = CLAM_40X | {"patch_level": 0, "downsample": (1.0, 1.0), "level_dim": (90_000, 80_000)}
    found = read(h5(tmp_path / "S1.h5", coords=(COORDS, said)), mpp=MPP_20X)
    assert (found.side_px0, found.width_px0, found.height_px0) == (256, 90_000, 80_000)


def test_clam_features_alone_need_the_size_of_their_tiles(tmp_path):
    path = h5(tmp_path / "S1.h5", coords=COORDS, features=FEATURES)
    with pytest.raises(StoreError, match=r"patch_size.*tile_px=.*format=features_only"):
        read(path, mpp=0.25, encoder="e")
    with pytest.raises(StoreError, match=r"level-0 pixels.*tile_px0="):
        read(path, mpp=0.25, encoder="e", tile_px=256)
    with pytest.raises(StoreError, match="encoder_name="):
        read(path, mpp=0.25, tile_px=256, tile_px0=512)
    found = read(path, mpp=MPP_40X, encoder="e", tile_px=256, tile_px0=512)
    assert (found.side_px0, found.tile_mpp) == (512, pytest.approx(2 * MPP_40X))


@pytest.mark.parametrize(("mpp", "tile_px0"), [(MPP_40X, 1014.665), (MPP_20X, 508.744)])
def test_stamp_positions_are_microns(tmp_path, mpp, tile_px0):
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


def test_older_stamp_files_say_tile_size(tmp_path):
    said = {**STAMP, "tile_size": 256.0}
    del said["tile_size_um"]
    path = h5(tmp_path / "S1.h5", feats=FEATURES, coords=COORDS / 4, attributes=said)
    assert read(path, mpp=0.25).tile_mpp == 256 / 224


def test_the_first_stamp_files_are_read_only_when_the_user_says_so(tmp_path):
    coords = np.array([[0, 224], [448, 224], [224 * 100, 0]])
    path = h5(tmp_path / "S1.h5", feats=FEATURES, coords=coords)
    with pytest.raises(StoreError, match=r"unit of its coords.*stamp_v1.*coords_unit="):
        read(path, mpp=0.25, encoder="e")
    found = read(path, mpp=0.25, encoder="e", coords_unit="stamp_v1")
    assert found.coords_N2 is not None
    assert found.coords_N2.tolist() == [[0, 1024], [2048, 1024], [102_400, 0]]
    assert (found.size_px, found.tile_mpp) == (224, 256 / 224)


def test_features_alone(tmp_path):
    path = h5(tmp_path / "S1.h5", patch_embeddings=FEATURES)
    slide = read(path, "features_only", encoder="e").ours()
    assert isinstance(slide, SlideFeatures)
    assert slide.coords_N2 is None
    assert slide.record.recipe.spec is None


# The cohort's resolution, where scanners differ a little.


def test_slides_of_near_scanners_share_a_recipe_and_keep_their_own_side(tmp_path):
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


def test_a_nominal_resolution_leaves_stamp_tiles_their_side(tmp_path):
    path = h5(tmp_path / "S1.h5", feats=FEATURES, coords=COORDS / 4, attributes=STAMP)
    assert read(path, mpp=0.25).ours(tile_mpp=1.15).record.side_px0 == pytest.approx(1024)


# What cannot be used is refused by name.


@pytest.mark.parametrize("features", [np.zeros((0, 4)), np.zeros(0)])
@pytest.mark.parametrize("coords", [np.zeros((0, 2), int)])
def test_an_empty_slide(tmp_path, features, coords):
    path = trident(tmp_path / "S1.h5", coords=coords, features=features)
    with pytest.raises(NoTissue, match=r"S1\.h5: it holds no tile"):
        read(path, mpp=0.25)
    with pytest.raises(NoTissue):
        read(trident(tmp_path / "S1.h5", coords=coords, features=None), mpp=0.25)


def test_one_tile(tmp_path):
    path = trident(tmp_path / "S1.h5", coords=COORDS[:1], features=FEATURES[:1])
    assert read(path, mpp=0.25).ours().coords_N2.tolist() == [[0, 512]]


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


@pytest.mark.parametrize(("wrong", "words"), BAD_TRIDENT)
def test_a_wrong_trident_file_is_named(tmp_path, wrong, words):
    path = trident(tmp_path / "S1.h5", **wrong)
    with pytest.raises(StoreError, match=rf"S1.*({words})"):
        read(path, "trident", mpp=0.25).ours()


@pytest.mark.parametrize(
    ("value", "words"),
    [(np.nan, "1 tile.* not finite .first: tile 1"), (-np.inf, "not finite"), (7e4, "beyond")],
)
def test_features_that_are_no_numbers_or_too_large(tmp_path, value, words):
    features = FEATURES.copy()
    features[1, 2] = value
    found = read(trident(tmp_path / "S1.h5", features=features), mpp=0.25)
    with pytest.raises(StoreError, match=rf"S1.*{words}"):
        found.ours()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"unit": "px"}, "unit is 'px'"),
        ({"unit": 3}, "it must be text"),
        ({"feat_type": "slide"}, "embedding of a slide"),
        ({"feat_type": "patient"}, "embedding of a patient"),
    ],
)
def test_a_wrong_stamp_file_is_named(tmp_path, said, words):
    path = h5(tmp_path / "S1.h5", feats=FEATURES, coords=COORDS, attributes=STAMP | said)
    with pytest.raises(StoreError, match=rf"S1\.h5.*{words}"):
        read(path, mpp=0.25)


def test_an_encoder_of_slides_without_feat_type_is_an_embedding(tmp_path):
    path = h5(tmp_path / "S1.h5", feats=FEATURES, coords=COORDS, attributes={"encoder": "titan"})
    with pytest.raises(StoreError, match="embedding of a slide"):
        read(path, mpp=0.25)


@pytest.mark.parametrize("downsample", [(2.0, 4.0), (0.0, 0.0), (2.0,), "2"])
def test_a_wrong_downsample_is_named(tmp_path, downsample):
    said = CLAM_40X | {"downsample": downsample}
    with pytest.raises(StoreError, match=r"S1\.h5.*downsample"):
        read(h5(tmp_path / "S1.h5", coords=(COORDS, said)), mpp=0.25)


@pytest.mark.parametrize(
    ("option", "value"), [("tile_px", 224), ("tile_px0", 256), ("coords_unit", "um")]
)
def test_an_option_that_contradicts_the_file_is_refused(tmp_path, option, value):
    with pytest.raises(StoreError, match=rf"S1\.h5.*{option}={value} was given"):
        read(trident(tmp_path / "S1.h5"), **{"mpp": 0.25, option: value})


def test_an_encoder_that_contradicts_the_file_is_refused(tmp_path):
    with pytest.raises(StoreError, match="uni_v1 in the file and encoder_name=other"):
        read(trident(tmp_path / "S1.h5"), mpp=0.25, encoder="other")


def test_a_missing_resolution_names_slide_and_options(tmp_path):
    with pytest.raises(MissingMpp, match=r"slide S1: .*mpp=\.\.\., or cohort=TABLE"):
        read(trident(tmp_path / "S1.h5"))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"features": FEATURES, "metadata": np.zeros(3)}, "features, metadata and no coords.*only"),
        ({"coords": np.ones((3, 5), int)}, "AtlasPatch"),
        ({"coords": (COORDS, {"native_mpp": 0.25})}, "Mussel"),
        ({}, "holds nothing and no coords"),
    ],
)
def test_other_formats_are_refused_with_what_can_be_done(tmp_path, data, words):
    with pytest.raises(StoreError, match=rf"S1\.h5: .*{words}"):
        detect(h5(tmp_path / "S1.h5", **data))


# Damage.


def test_a_truncated_file_is_named_wherever_it_is_cut(tmp_path):
    whole = trident(tmp_path / "S1.h5").read_bytes()
    for size in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        (tmp_path / "S1.h5").write_bytes(whole[:size])
        with pytest.raises(StoreError, match=r"S1\.h5"):
            read(tmp_path / "S1.h5", mpp=0.25)


def test_rows_that_were_never_written_are_not_zeros(tmp_path):
    path = trident(tmp_path / "S1.h5")
    with h5py.File(path, "a") as file:
        del file["features"]
        file.create_dataset("features", shape=(3, 4), dtype="f4", chunks=(1, 4))
        file["features"][0] = 1
    with pytest.raises(StoreError, match="its writing was interrupted"):
        read(path, mpp=0.25, encoder="e")


def test_compressed_files_are_read(tmp_path):
    path = trident(tmp_path / "S1.h5", coords=np.zeros((9000, 2), int), features=None)
    with h5py.File(path, "a") as file:
        file.create_dataset("features", data=np.zeros((9000, 16), "f4"), compression="gzip")
    assert len(read(path, mpp=0.25, encoder="e").ours().features_ND) == 9000


def test_damaged_text_never_reaches_the_library(tmp_path):
    # A text of size 149 where 2 were written: the library would look for its end for ever.
    path = trident(tmp_path / "S1.h5")
    data = bytearray(path.read_bytes())
    data[data.index(b"GCOL") + 16 + 8] = 149
    path.write_bytes(data)
    with pytest.raises(StoreError, match=r"S1\.h5: damaged \(the text in it"):
        read(path, "trident", mpp=0.25)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 8))
def test_any_damage_is_a_refusal_or_harmless(tmp_path_factory, seed, n_bytes):
    path = tmp_path_factory.getbasetemp() / "damaged" / "S1.h5"
    data = bytearray(trident(path).read_bytes())
    generator = np.random.default_rng(seed)
    for at in generator.integers(0, len(data), n_bytes):
        data[at] = generator.integers(256)
    path.write_bytes(data)
    refusal = "S1"
    try:
        read(path, "trident", mpp=0.25).ours()
    except (StoreError, NoTissue) as error:
        refusal = str(error)
    assert "S1" in refusal


# Ours to theirs and back.


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
            objective_power=40.0,
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
def test_there_and_back_nothing_changes(tmp_path_factory, n, mpp, size_px, seed, to):
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
        assert dict(file["coords"].attrs) == TRIDENT_40X | {
            "patch_size_level0": 507,
            "overlap": 16,
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


def test_files_are_found_in_sub_folders_but_not_hidden(tmp_path):
    wanted = [trident(tmp_path / "a" / "S1.h5"), trident(tmp_path / "S2.h5")]
    trident(tmp_path / ".cache" / "S3.h5")
    assert find_files(tmp_path) == sorted(wanted, key=lambda path: path.relative_to(tmp_path))


# Real files by others.


def test_a_real_file_with_tile_names_has_no_positions(test_data):
    path = test_data / "features" / "layout_a_TCGA-3X-AAVA-01Z-00-DX1" / "features.h5"
    with pytest.raises(StoreError, match=r"features, metadata and no coords.*format=features_only"):
        detect(path)
    slide = read(path, "features_only", encoder="resnet").ours()
    assert slide.features_ND.shape == (180, 512)


def test_a_real_file_of_feats_without_unit_is_read_when_the_unit_is_said(test_data):
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
