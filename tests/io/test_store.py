from __future__ import annotations

import json
import math
from dataclasses import asdict, fields, replace
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from histofed.core.tiling import TileSpec
from histofed.core.types import SlideInfo, TileScores
from histofed.errors import StoreError
from histofed.io.store import (
    DroppedTiles,
    FeatureStore,
    Recipe,
    Record,
    ScoreStore,
    SlideFeatures,
    SlideTiles,
    TileStore,
)
from histofed.io.store import features as feature_files

if TYPE_CHECKING:
    from pathlib import Path

RECORD = Record(
    recipe=Recipe(
        spec=TileSpec(overlap_px=16),
        tissue={"method": "otsu_saturation", "mpp": 8.0},
        encoder="efficientnet_lite0",
        encoder_digest="e" * 64,
    ),
    slide_id="S1",
    slide_digest="d" * 64,
    mpp=0.2527,
    width_px0=50_001,
    height_px0=30_003,
    objective_power=40.0,
)


def coords_of(n: int) -> np.ndarray:
    return np.stack([np.arange(n) * 443, np.arange(n) // 7 * 443], axis=1).astype(np.int64)


def features_of(n: int, dim: int = 5, **changed: Any) -> SlideFeatures:
    values = np.random.default_rng(n).normal(size=(n, dim)).astype(np.float16)
    return replace(
        SlideFeatures(record=RECORD, features_ND=values, coords_N2=coords_of(n)), **changed
    )


def corrupt(path: Path, change) -> None:
    """Edit a finished file behind the store's back."""
    with h5py.File(path, "r+") as file:
        change(file)


@settings(max_examples=30, deadline=None)
@given(
    values=arrays(
        np.float16,
        st.tuples(st.integers(1, 600), st.integers(1, 40)),
        elements=st.floats(-65_504, 65_504, width=16),
        fill=st.floats(-4, 4, width=16),
    ),
    placed=st.booleans(),
)
def test_features_come_back_as_they_were(tmp_path_factory, values, placed) -> None:
    store = FeatureStore(tmp_path_factory.mktemp("features"))
    coords = coords_of(len(values)) if placed else None
    store.write(SlideFeatures(record=RECORD, features_ND=values, coords_N2=coords))
    back = store.read("S1")
    assert back.record == RECORD
    assert back.features_ND.dtype == np.float16
    np.testing.assert_array_equal(back.features_ND, values)
    if coords is None:
        assert back.coords_N2 is None
    else:
        assert back.coords_N2.dtype == np.int64
        np.testing.assert_array_equal(back.coords_N2, coords)


@pytest.mark.parametrize(("n", "rows"), [(1, 1), (255, 255), (256, 256), (257, 256), (4000, 256)])
def test_chunks_hold_at_least_256_rows_where_there_are_so_many(tmp_path, n, rows) -> None:
    path = FeatureStore(tmp_path).write(features_of(n))
    with h5py.File(path) as file:
        assert file["features"].dtype == np.float16
        assert file["features"].chunks == (rows, 5)


def test_positions_free_bags(tmp_path) -> None:
    record = Record(
        recipe=Recipe(spec=None, encoder="ucsb"),
        slide_id="bag7",
        slide_digest="x",
        mpp=None,
        width_px0=None,
        height_px0=None,
    )
    store = FeatureStore(tmp_path)
    path = store.write(features_of(3, record=record, coords_N2=None))
    with h5py.File(path) as file:
        assert "coords" not in file
    back = store.read("bag7")
    assert back.coords_N2 is None
    assert back.record == record
    with pytest.raises(StoreError, match="bag7: these features have no positions"):
        _ = back.record.side_px0


def test_coords_carry_what_trident_tools_read(tmp_path) -> None:
    FeatureStore(tmp_path / "features").write(features_of(4))
    TileStore(tmp_path / "tiles").write(
        SlideTiles(record=RECORD, coords_N2=coords_of(4), tissue_N=np.ones(4, np.float32))
    )
    for kind in ("features", "tiles"):
        with h5py.File(tmp_path / kind / "S1.h5") as file:
            assert file["coords"].dtype == np.int64
            assert dict(file["coords"].attrs) == {
                "patch_size": 224,
                "patch_size_level0": 443,  # 224 * 0.5 / 0.2527 = 443.21
                "level0_magnification": 40,
                "target_magnification": 20,  # 0.5 microns per pixel
                "overlap": 16,
                "name": "S1",
                "savetodir": ".",
                "level0_width": 50_001,
                "level0_height": 30_003,
            }


def test_an_unknown_magnification_is_said_to_be_unknown(tmp_path) -> None:
    path = FeatureStore(tmp_path).write(
        features_of(2, record=replace(RECORD, objective_power=None))
    )
    with h5py.File(path) as file:
        assert file["coords"].attrs["level0_magnification"] == "None"


def test_root_attributes_say_what_the_file_is(tmp_path) -> None:
    path = FeatureStore(tmp_path).write(features_of(2))
    with h5py.File(path) as file:
        assert file.attrs["format"] == b"histofed/features"
        assert file.attrs["format_version"] == 1
        assert file.attrs["software"].startswith(b"histofed ")
        assert file.attrs["encoder"] == b"efficientnet_lite0"
        assert file.attrs["digest"] == RECORD.digest.encode()
        assert json.loads(file.attrs["record"]) == asdict(RECORD)


def test_the_exact_side_follows_from_the_record() -> None:
    assert RECORD.side_px0 == pytest.approx(443.2133, abs=1e-4)  # 112 / 0.2527


def test_a_side_that_others_measured_is_kept_and_changes_no_other_digest(tmp_path) -> None:
    measured = replace(RECORD, tile_side_px0=448.0)
    FeatureStore(tmp_path).write(features_of(2, record=measured))
    found = FeatureStore(tmp_path).read("S1").record
    assert (found, found.side_px0) == (measured, 448.0)
    assert replace(measured, tile_side_px0=None).digest == RECORD.digest != measured.digest


def test_a_record_is_made_of_a_recipe_and_a_slide() -> None:
    info = SlideInfo(mpp=0.25, level_sizes_px=((90, 60),), vendor="v", objective_power=20.0)
    assert Record.of(RECORD.recipe, "S2", "sha", info) == Record(
        recipe=RECORD.recipe,
        slide_id="S2",
        slide_digest="sha",
        mpp=0.25,
        width_px0=90,
        height_px0=60,
        objective_power=20.0,
    )


def otherwise(value: Any) -> Any:
    """Another value of the same type."""
    if value is None:
        return 448.0
    if isinstance(value, dict):
        return {**value, "threshold": 1}
    if isinstance(value, Recipe):
        return replace(value, encoder="other")
    if isinstance(value, TileSpec):
        return replace(value, mpp=value.mpp / 2)
    return value + type(value)("2" if isinstance(value, str) else 1)


@pytest.mark.parametrize("name", [field.name for field in fields(Record)])
def test_the_digest_depends_on_every_field_of_the_record(name) -> None:
    changed = replace(RECORD, **{name: otherwise(getattr(RECORD, name))})
    assert changed.digest != RECORD.digest


# The weights are in the digest as part of `encoder_digest`.
@pytest.mark.parametrize(
    "name", [field.name for field in fields(Recipe) if field.name != "weights_digest"]
)
def test_the_digest_depends_on_every_field_of_the_recipe(name) -> None:
    recipe = replace(RECORD.recipe, **{name: otherwise(getattr(RECORD.recipe, name))})
    assert recipe.digest != RECORD.recipe.digest
    assert replace(RECORD, recipe=recipe).digest != RECORD.digest


@pytest.mark.parametrize("name", [field.name for field in fields(TileSpec)])
def test_the_digest_depends_on_every_field_of_the_tile_spec(name) -> None:
    changes = {"size_px": 256, "mpp": 0.5000001, "overlap_px": 17, "min_tissue": 0.49}
    changes |= {"min_tissue_um2": 1.0, "images": "cells"}
    spec = replace(RECORD.recipe.spec, **{name: changes[name]})
    recipe = replace(RECORD.recipe, spec=spec)
    assert recipe.digest != RECORD.recipe.digest
    assert replace(RECORD, recipe=recipe).digest != RECORD.digest


def test_the_digest_does_not_depend_on_the_order_of_tissue_parameters() -> None:
    recipe = replace(RECORD.recipe, tissue=dict(reversed(RECORD.recipe.tissue.items())))
    assert recipe.digest == RECORD.recipe.digest


def test_a_recipe_from_before_later_parameters_keeps_its_digest() -> None:
    recipe = Recipe(spec=TileSpec(), tissue={"method": "o"}, encoder="e", encoder_digest="d")
    assert recipe.digest == "bd66e2fdc331596f8155a757af6aa13708f1d500f9b3cbad912693604475695e"


def test_the_digest_of_the_file_is_that_of_the_record(tmp_path) -> None:
    store = FeatureStore(tmp_path)
    assert store.digest("S1") is None
    store.write(features_of(2))
    assert store.digest("S1") == RECORD.digest == store.read("S1").record.digest


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_values_not_finite_are_refused_by_slide_and_tile(tmp_path, value) -> None:
    store, features = FeatureStore(tmp_path), features_of(9)
    features.features_ND[[4, 6], 2] = value
    with pytest.raises(StoreError, match=r"S1: features of 2 tiles .*first: tile 4"):
        store.write(features)
    assert list(tmp_path.iterdir()) == []
    store.write(features_of(9))

    def spoil(file: h5py.File) -> None:
        file["features"][7, 0] = value

    corrupt(store.path("S1"), spoil)
    with pytest.raises(StoreError, match=r"S1: features of 1 tile .*first: tile 7"):
        store.read("S1")


@pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning")
@pytest.mark.parametrize("kind", ["written", "found"])
def test_what_float16_cannot_hold_is_refused(tmp_path, kind) -> None:
    store, wide = FeatureStore(tmp_path), np.full((3, 5), 70_000.0, np.float32)
    if kind == "written":
        with pytest.raises(StoreError, match=r"S1: .*not finite"):
            store.write(features_of(3, features_ND=wide))
        return
    store.write(features_of(3))

    def widen(file: h5py.File) -> None:
        del file["features"]
        file["features"] = wide

    corrupt(store.path("S1"), widen)
    with pytest.raises(StoreError, match=r"S1: .*not finite"):
        store.read("S1")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"features_ND": np.zeros(5, np.float16)}, r"S1: features must be \(tiles, dim\)"),
        ({"coords_N2": coords_of(2)}, "S1: 3 features for 2 coords"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(tmp_path, changed, said) -> None:
    with pytest.raises(StoreError, match=said):
        FeatureStore(tmp_path).write(features_of(3, **changed))
    assert list(tmp_path.iterdir()) == []


def test_an_error_in_the_middle_leaves_nothing(tmp_path, monkeypatch) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(feature_files, "write_coords", fails)  # features are written by then
    with pytest.raises(RuntimeError):
        FeatureStore(tmp_path).write(features_of(3))
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_survives_an_error(tmp_path, monkeypatch) -> None:
    store = FeatureStore(tmp_path)
    before = store.write(features_of(3)).read_bytes()

    def fails(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(feature_files, "write_coords", fails)
    with pytest.raises(RuntimeError):
        store.write(features_of(8))
    assert store.path("S1").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_a_missing_file_is_refused_by_name(tmp_path) -> None:
    with pytest.raises(StoreError, match=r"S1\.h5: there is no features file"):
        FeatureStore(tmp_path).read("S1")


def test_truncated_at_any_length_is_refused_by_name(tmp_path) -> None:
    store = FeatureStore(tmp_path)
    whole = store.write(features_of(600)).read_bytes()
    for length in (0, 1, 100, 2048, len(whole) // 2, len(whole) - 1):
        store.path("S1").write_bytes(whole[:length])
        with pytest.raises(StoreError, match=r"S1\.h5: damaged or not a features file"):
            store.read("S1")
        with pytest.raises(StoreError, match=r"S1\.h5: damaged or not a features file"):
            store.digest("S1")


def test_not_hdf5_is_refused_by_name(tmp_path) -> None:
    (tmp_path / "S1.h5").write_text("features,please")
    with pytest.raises(StoreError, match=r"S1\.h5: damaged or not a features file"):
        FeatureStore(tmp_path).read("S1")


def test_a_file_of_another_kind_is_refused_by_name(tmp_path) -> None:
    FeatureStore(tmp_path).write(features_of(3))
    for store in (TileStore(tmp_path), ScoreStore(tmp_path)):
        with pytest.raises(StoreError, match=r"expected a histofed/.* found .*histofed/features"):
            store.read("S1")


def test_hdf5_of_someone_else_is_refused_by_name(tmp_path) -> None:
    with h5py.File(tmp_path / "S1.h5", "w") as file:
        file["features"] = np.zeros((3, 5))
    with pytest.raises(StoreError, match=r"S1\.h5: expected .* found format None"):
        FeatureStore(tmp_path).read("S1")


@pytest.mark.parametrize("version", [0, 2])
def test_a_version_unknown_is_refused_by_name(tmp_path, version) -> None:
    store = FeatureStore(tmp_path)
    corrupt(store.write(features_of(3)), lambda f: f.attrs.modify("format_version", version))
    with pytest.raises(StoreError, match=rf"S1\.h5: format version {version}, .* reads 1"):
        store.read("S1")


def drop_record(file: h5py.File) -> None:
    del file.attrs["record"]


def drop_features(file: h5py.File) -> None:
    del file["features"]


def garble_record(file: h5py.File) -> None:
    file.attrs["record"] = "{not json"


def unknown_field(file: h5py.File) -> None:
    file.attrs["record"] = json.dumps({**json.loads(file.attrs["record"]), "colour": 1})


def other_record(file: h5py.File) -> None:
    record = json.loads(file.attrs["record"])
    file.attrs["record"] = json.dumps({**record, "mpp": 0.5})


@pytest.mark.parametrize("damage", [drop_record, drop_features, garble_record, unknown_field])
def test_a_file_with_parts_missing_is_refused_by_name(tmp_path, damage) -> None:
    store = FeatureStore(tmp_path)
    corrupt(store.write(features_of(3)), damage)
    with pytest.raises(StoreError, match=r"S1"):
        store.read("S1")


def test_a_record_that_is_not_the_digests_is_refused(tmp_path) -> None:
    store = FeatureStore(tmp_path)
    corrupt(store.write(features_of(3)), other_record)
    with pytest.raises(StoreError, match=r"S1"):
        store.read("S1")


def test_tiles_come_back_as_they_were(tmp_path) -> None:
    store = TileStore(tmp_path)
    tissue = np.linspace(0.5, 1, 40, dtype=np.float32)
    store.write(SlideTiles(record=RECORD, coords_N2=coords_of(40), tissue_N=tissue))
    back = store.read("S1")
    assert back.record == RECORD
    np.testing.assert_array_equal(back.coords_N2, coords_of(40))
    np.testing.assert_array_equal(back.tissue_N, tissue)
    assert store.digest("S1") == RECORD.digest


def scores_of(n: int, **heads: np.ndarray) -> TileScores:
    return TileScores(
        slide_id="S1",
        coords_N2=coords_of(n),
        side_px0=443.2133,
        scores=heads,
        model_digest="m" * 64,
        features_digest=RECORD.digest,
    )


@pytest.mark.parametrize(
    ("side_px0", "score", "words"),
    [
        (0.0, 1.0, "a side of 0.0"),
        (math.nan, 1.0, "a side of nan"),
        (math.inf, 1.0, "a side of inf"),
        (224.0, math.inf, "head 'attention' has endless scores"),
        (224.0, -math.inf, "head 'attention' has endless scores"),
    ],
)
def test_scores_that_cannot_be_drawn_are_refused(
    tmp_path, side_px0: float, score: float, words: str
) -> None:
    store = ScoreStore(tmp_path)
    path = store.write(scores_of(3, attention=np.zeros(3, np.float32)))

    def spoil(file: h5py.File) -> None:
        file.attrs["side_px0"] = side_px0
        file["scores/attention"][1] = score

    corrupt(path, spoil)
    with pytest.raises(StoreError, match=words):
        store.read(path.stem)


def test_scores_come_back_raw(tmp_path) -> None:
    store = ScoreStore(tmp_path)
    heads = {
        "attention": np.array([1e-30, 0.25, 0.75], np.float32),
        "tile_logit": np.array([-3.5, 0.1, 812.25], np.float32),
    }
    store.write(scores_of(3, **heads))
    back = store.read("S1")
    assert (back.slide_id, back.side_px0) == ("S1", 443.2133)
    assert (back.model_digest, back.features_digest) == ("m" * 64, RECORD.digest)
    np.testing.assert_array_equal(back.coords_N2, coords_of(3))
    assert back.scores.keys() == heads.keys()
    for name, values in heads.items():
        assert back.scores[name].dtype == np.float32
        np.testing.assert_array_equal(back.scores[name], values)
    assert store.slide_ids() == ["S1"]


def test_a_head_that_misses_a_tile_is_refused_by_name(tmp_path) -> None:
    with pytest.raises(StoreError, match=r"S1: head 'attention' has \(2,\) scores for 3 tiles"):
        ScoreStore(tmp_path).write(scores_of(3, attention=np.zeros(2, np.float32)))
    assert list(tmp_path.iterdir()) == []


def test_flags_and_dropped_tiles_come_back(tmp_path) -> None:
    store = TileStore(tmp_path)
    dropped = DroppedTiles(
        coords_N2=coords_of(2) + 9, tissue_N=np.ones(2, np.float32), flags_N=np.array([4, 8], "u2")
    )
    tiles = SlideTiles(
        record=RECORD,
        coords_N2=coords_of(4),
        tissue_N=np.ones(4, np.float32),
        flags_N=np.array([0, 16, 0, 32], np.uint16),
        dropped=dropped,
    )
    path = store.write(tiles)
    back = store.read("S1")
    np.testing.assert_array_equal(back.flags_N, tiles.flags_N)
    for field in fields(DroppedTiles):
        kept = getattr(back.dropped, field.name)
        np.testing.assert_array_equal(kept, getattr(dropped, field.name))
        assert kept.dtype == getattr(dropped, field.name).dtype
    with h5py.File(path) as file:  # tools that know no flags see the kept tiles only
        assert len(file["coords"]) == 4
    store.write(
        replace(
            tiles,
            dropped=replace(
                dropped,
                **{field.name: getattr(dropped, field.name)[:0] for field in fields(DroppedTiles)},
            ),
        )
    )
    assert store.read("S1").dropped.coords_N2.shape == (0, 2)
    store.write(replace(tiles, flags_N=None, dropped=None))
    assert store.read("S1").flags_N is None


def test_flags_of_another_version_are_refused(tmp_path) -> None:
    store = TileStore(tmp_path)
    flags = np.zeros(4, np.uint16)
    path = store.write(
        SlideTiles(
            record=RECORD, coords_N2=coords_of(4), tissue_N=np.ones(4, np.float32), flags_N=flags
        )
    )
    corrupt(path, lambda file: file.attrs.__setitem__("flag_names", np.bytes_(b"pen,fold")))
    with pytest.raises(StoreError, match=r"flags are pen,fold, known are unreadable"):
        store.read("S1")


def test_the_digest_of_the_weights_alone_is_told_and_decides_nothing():
    recipe = Recipe(spec=TileSpec(), encoder="e", encoder_digest="d")
    assert replace(recipe, weights_digest="w" * 64).digest == recipe.digest
    assert replace(recipe, encoder_digest="other").digest != recipe.digest
