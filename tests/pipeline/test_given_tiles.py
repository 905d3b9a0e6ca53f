"""``histofed extract tiles=FOLDER``: features at exactly the tiles that somebody else chose."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest
import torch
from torch import nn

from histofed.cli import main
from histofed.extract.encoders.base import TileEncoder
from histofed.extract.encoders.google import EFFICIENTNET_LITE0
from histofed.extract.reading import read_tile
from histofed.io.pyramid import write_pyramid
from histofed.io.readers import open_slide, slide_digest
from histofed.io.store import FeatureStore, TileStore
from histofed.pipeline import build

if TYPE_CHECKING:
    from pathlib import Path

SIDE_PX0 = 450
TRIDENT = {
    "patch_size": 224,
    "patch_size_level0": SIDE_PX0,
    "level0_magnification": 40,
    "target_magnification": 20,
    "overlap": 0,
    "level0_width": 1800,
    "level0_height": 1400,
}
CORNERS = np.array([[0, 0], [SIDE_PX0, 0], [3 * SIDE_PX0, 2 * SIDE_PX0], [901, 3]])


@pytest.fixture(autouse=True)
def quick_encoder(monkeypatch):
    """The encoder's card with the mean colour of sixteenths of a tile for features."""
    card = replace(EFFICIENTNET_LITE0, dim=48, mean=(0, 0, 0), std=(1, 1, 1))

    def made(chosen: dict[str, str], **_: object) -> TileEncoder:
        grid = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten())
        return TileEncoder(replace(card, name=chosen["name"]), grid, "weights")

    monkeypatch.setattr(build, "encoder", made)
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def slides(tmp_path_factory) -> Path:
    """Two slides of two scanners."""
    folder = tmp_path_factory.mktemp("slides")
    for seed, mpp in enumerate((0.25, 0.2527)):
        picture = np.random.default_rng(seed).integers(60, 220, (35, 45, 3), np.uint8)
        large = np.kron(picture, np.ones((40, 40, 1), np.uint8))
        write_pyramid(folder / f"s{seed}.svs", large, mpp=mpp)
    return folder


def trident(path: Path, *, coords: np.ndarray = CORNERS, **said: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file.create_dataset("coords", data=coords).attrs.update(TRIDENT | said)
    return path


@pytest.fixture
def given(slides, tmp_path):
    """Convert positions of TRIDENT for both slides; return the folder of tiles."""

    def convert(*options: str, **said: int) -> Path:
        for name in ("s0", "s1"):
            trident(tmp_path / "theirs" / "patches" / f"{name}_patches.h5", **said)
        rows = [f"P{n},s{n},north,{slides / f's{n}.svs'}\n" for n in (0, 1)]
        cohort = tmp_path / "cohort.csv"
        cohort.write_text("patient_id,slide_id,site,path\n" + "".join(rows))
        command = ["convert", f"source={tmp_path / 'theirs'}", f"out={tmp_path / 'ours'}"]
        assert main([*command, f"cohort={cohort}", *options]) == 0
        return tmp_path / "ours" / "tiles"

    return convert


@pytest.fixture
def extract(slides, tmp_path, table):
    """Run the command; return its exit code and the rows of its table by slide."""

    def run(tiles: Path, *options: str) -> tuple[int, dict[str, dict[str, str]]]:
        common = [f"slides={slides}", f"work={tmp_path / 'work'}", f"tiles={tiles}"]
        code = main(["extract", *common, *options])
        path = tmp_path / "work" / "features" / "efficientnet_lite0" / "slides.csv"
        return code, {row["slide_id"]: row for row in table(path)} if path.exists() else {}

    return run


def test_features_are_of_exactly_these_tiles(slides, tmp_path, given, extract) -> None:
    code, rows = extract(given("tile_mpp=0.5"))
    assert code == 0
    assert {(row["status"], row["n_tiles"], row["no_tissue"]) for row in rows.values()} == {
        ("done", "4", "0")
    }
    store = FeatureStore(tmp_path / "work" / "features" / "efficientnet_lite0")
    found = [store.read(name) for name in ("s0", "s1")]
    assert found[0].record.recipe == found[1].record.recipe  # a cohort that can be trained on
    for slide, mpp in zip(found, (0.25, 0.2527), strict=True):
        record = slide.record
        np.testing.assert_array_equal(slide.coords_N2, CORNERS)
        assert record.recipe.tissue["method"] == "given"
        assert record.recipe.tissue["origin"] == "trident"
        assert (record.side_px0, record.mpp, record.recipe.spec.mpp) == (SIDE_PX0, mpp, 0.5)
        assert record.slide_digest == slide_digest(slides / f"{record.slide_id}.svs")
        assert record.reading_spec.mpp == pytest.approx(SIDE_PX0 * mpp / 224)
        with open_slide(slides / f"{record.slide_id}.svs") as reader:
            tiles = [read_tile(reader, record.reading_spec, x, y) for x, y in CORNERS]
        pixels = np.stack(tiles).reshape(4, 4, 56, 4, 56, 3).mean(axis=(2, 4)) / 255
        expected = np.moveaxis(pixels, 3, 1).reshape(4, 48)
        np.testing.assert_allclose(slide.features_ND, expected, atol=2e-2)


def test_a_second_run_does_nothing_and_other_positions_are_refused(
    tmp_path, given, extract, capsys
) -> None:
    tiles = given("tile_mpp=0.5")
    assert extract(tiles)[0] == 0
    capsys.readouterr()
    assert extract(tiles)[0] == 0
    assert "nothing to do" in capsys.readouterr().out
    trident(tmp_path / "theirs" / "patches" / "s1_patches.h5", coords=CORNERS[:3])
    command = ["convert", f"source={tmp_path / 'theirs'}", f"out={tmp_path / 'ours'}"]
    more = [f"cohort={tmp_path / 'cohort.csv'}", "tile_mpp=0.5", "overwrite=true"]
    assert main([*command, *more]) == 0
    code, rows = extract(tiles)
    assert (code, rows["s0"]["reason"]) == (3, "")
    assert "s1.h5 was made otherwise: source_digest was" in rows["s1"]["reason"]


def test_features_of_others_say_where_tiles_are_too(given, extract, tmp_path) -> None:
    """And so do ours: another encoder sees the very same tiles."""
    assert extract(given("tile_mpp=0.5"))[0] == 0
    first = tmp_path / "work" / "features" / "efficientnet_lite0"
    assert extract(first, f"features={tmp_path / 'again'}")[0] == 0
    one, other = (FeatureStore(folder).read("s1") for folder in (first, tmp_path / "again"))
    np.testing.assert_array_equal(one.coords_N2, other.coords_N2)
    np.testing.assert_array_equal(one.features_ND, other.features_ND)
    assert one.record.recipe == other.record.recipe


def test_a_slide_without_given_tiles_fails_by_name(given, extract) -> None:
    tiles = given("tile_mpp=0.5")
    (tiles / "s0.h5").unlink()
    code, rows = extract(tiles)
    assert (code, rows["s1"]["status"], rows["s0"]["status"]) == (3, "done", "failed")
    assert f"slide s0: no tiles are given: {tiles / 's0.h5'} is not there" in rows["s0"]["reason"]


def rewritten(tiles: Path, **facts: object) -> None:
    """Change what the file of s0 says of its slide, as a file of another one would."""
    store = TileStore(tiles)
    found = store.read("s0")
    store.write(replace(found, record=replace(found.record, **facts)))


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"width_px0": 1801}, "are of a slide of 1801 x 1400 pixels, this one has 1800 x 1400"),
        ({"mpp": 0.26}, "were placed at 0.26 microns per pixel, its file says 0.25; correct one"),
        ({"tile_side_px0": 460.0}, "1 of 4 end beyond its 1800 x 1400 pixels (first: at 1350, 900"),
        ({"tile_side_px0": 400.0}, "so they are read at 0.4464 microns per pixel; encoder"),
    ],
)
def test_tiles_of_another_slide_are_refused(given, extract, facts, said) -> None:
    tiles = given("tile_mpp=0.5")
    rewritten(tiles, **facts)
    code, rows = extract(tiles)
    assert (code, rows["s1"]["status"], rows["s0"]["status"]) == (3, "done", "failed")
    assert rows["s0"]["reason"].startswith("SlideError: slide s0: its given tiles")
    assert said in rows["s0"]["reason"]


def test_our_own_tiles_are_held_against_the_slides_digest(slides, extract, tmp_path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(slides / "s0.svs", other / "s1.svs")
    options = ["tissue.min_saturation=0", "tiling.min_tissue=0", "quality.drop=[]"]
    options.append("quality.allow_off_stain=true")
    for folder, work in ((slides, "a"), (other, "b")):
        main(["tile", f"slides={folder}", f"work={tmp_path / work}", "mpp=0.25", *options])
    shutil.copy(tmp_path / "b" / "tiles" / "s1.h5", tmp_path / "a" / "tiles" / "s1.h5")
    code, rows = extract(tmp_path / "a" / "tiles")
    assert (code, rows["s0"]["status"], rows["s1"]["status"]) == (3, "done", "failed")
    assert "are of another slide of this name (its digest is" in rows["s1"]["reason"]
    record = FeatureStore(tmp_path / "work/features/efficientnet_lite0").record("s0")
    assert record.recipe.tissue == {"method": "given", "origin": "histofed"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["tiling.mpp=1.0"], "tiling.mpp=1.0 was given and tiles="),
        (["tissue=entropy"], "tissue=entropy was given and tiles="),
        (["tiles=nowhere"], "tiles=nowhere holds the tiles of none of 2 slides (first: s0.h5)"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(given, extract, capsys, options, said) -> None:
    tiles = given("tile_mpp=0.5")
    code, rows = extract(tiles, *options)
    message = " ".join(capsys.readouterr().err.split())
    assert said in message
    assert (code, rows) == (2, {})


def test_the_encoders_card_is_held_against_the_tiles(given, extract, capsys) -> None:
    tiles = given("tile_mpp=0.45", patch_size=256)
    assert extract(tiles)[0] == 2
    message = " ".join(capsys.readouterr().err.split())
    assert "encoder efficientnet_lite0 takes tiles of 224 px at 0.5 or 1 microns" in message
    assert f"tiles={tiles} are of 256 px at 0.45 microns per pixel" in message


def test_tiles_of_several_kinds_are_refused_with_the_option_that_helps(
    given, extract, capsys
) -> None:
    assert extract(given())[0] == 2
    message = " ".join(capsys.readouterr().err.split())
    assert "holds 2 kinds of tiles (s0: 224 px at 0.5022 microns per pixel" in message
    assert "tile_mpp=..." in message


def test_real_positions_on_a_real_slide(test_data, tmp_path, table) -> None:
    """Positions as others left them, moved onto the slide that is there; else refused."""
    source = test_data / "features" / "layout_b_TCGA-AD-6964-01Z-00-DX1" / "features.h5"
    slide = test_data / "slides" / "tcga-cr-7395-01a-01-ts1.svs"
    with h5py.File(source) as file:
        feats, coords = np.asarray(file["feats"]), np.asarray(file["coords"])
    moved = coords - coords[200]
    inside = ((moved >= 0) & (moved + 512 <= (4443, 3567))).all(axis=1)
    assert inside.sum() > 20
    cohort = tmp_path / "cohort.csv"
    table_of = "patient_id,slide_id,site,path,mpp\nP,{name},north,{slide},0.22\n"
    for name, chosen in (("moved", moved[inside]), ("unmoved", coords)):
        (tmp_path / name).mkdir()
        with h5py.File(tmp_path / name / f"{name}.h5", "w") as file:
            file["feats"], file["coords"] = feats[: len(chosen)], chosen
        cohort.write_text(table_of.format(name=name, slide=slide))
        said = ["coords_unit=px0", "tile_px=224", "tile_px0=512", "encoder_name=theirs"]
        ours = tmp_path / f"{name}-ours"
        command = ["convert", f"source={tmp_path / name}", f"out={ours}", f"cohort={cohort}"]
        assert main([*command, *said]) == 0
        features = tmp_path / f"{name}-features"
        options = [f"cohort={cohort}", f"tiles={ours / 'features'}", f"features={features}"]
        code = main(["extract", *options, f"work={tmp_path / 'work'}"])
        [row] = table(features / "slides.csv")
        if name == "unmoved":
            assert (code, row["status"]) == (3, "failed")
            assert "777 of 777 end beyond its 4443 x 3567 pixels" in row["reason"]
            continue
        assert (code, row["status"]) == (0, "done")
        found = FeatureStore(features).read(name)
        np.testing.assert_array_equal(found.coords_N2, chosen)
        assert found.record.recipe.tissue == {"method": "given", "origin": "stamp"}
        assert found.record.side_px0 == 512
