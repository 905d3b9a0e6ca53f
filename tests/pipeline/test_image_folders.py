"""Folders of images go the whole way: tiles, features, a model, heatmaps and the page."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from histofed.cli import main
from histofed.core.areas import area_of
from histofed.io.readers import open_slide, slide_digest
from histofed.io.runs import RunFolder
from histofed.io.store import FeatureStore, ScoreStore, TileStore
from histofed.pipeline.review import review_data
from histofed.review.deepzoom import max_level, read_zoom_tile, zoom_tile

if TYPE_CHECKING:
    from pathlib import Path

N_PATIENTS = 12
TABLE = "patient_id,slide_id,site,path,mpp,t_11_14\n"


def smear(width: int, height: int, *, label: int, seed: int) -> Image.Image:
    """Return a dense field of a smear; where the label is 1 its cells have dark dots."""
    generator = np.random.default_rng(seed)
    field = np.full((height, width, 3), (190, 130, 190)) + generator.integers(
        -20, 20, (height, width, 1)
    )
    if label:
        field[::8, ::8] = (60, 20, 90)
    return Image.fromarray(field.clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def smears(tmp_path_factory) -> Path:
    """A folder of two fields for each of 12 patients, and a table that names these folders."""
    folder = tmp_path_factory.mktemp("smears")
    rows = [TABLE]
    for number in range(N_PATIENTS):
        label, site = number // 2 % 2, ("north", "south")[number % 2]
        here = folder / f"m{number:02}"
        here.mkdir()
        smear(460, 232, label=label, seed=number).save(here / "a.png")
        smear(240, 300, label=label, seed=99 + number).save(here / "b.bmp")
        rows.append(f"m{number:02},m{number:02},{site},m{number:02},0.5,{label}\n")
    (folder / "cohort.csv").write_text("".join(rows), encoding="utf-8")
    return folder


@pytest.mark.slow
def test_from_fields_to_the_page(smears, tmp_path, table):
    slides = [f"cohort={smears / 'cohort.csv'}", f"work={tmp_path}", "tissue=smear"]
    assert main(["extract", *slides]) == 0
    features = FeatureStore(tmp_path / "features" / "efficientnet_lite0")
    found = features.read("m00")
    assert found.coords_N2 is not None
    assert len(found.coords_N2) == 2 + 1  # of 460 x 232 and of 240 x 300, tiles of 224
    assert found.record.slide_digest == slide_digest(smears / "m00")

    # A tile's place can be told in its file, and its pixels are those of the file.
    rows = table(tmp_path / "tiles" / "m00.images.csv")
    sides = ("x_px0", "y_px0", "width_px0", "height_px0")
    areas = np.array([[int(row[side]) for side in sides] for row in rows])
    image = area_of(areas, found.coords_N2.astype(float))
    traced = [
        (rows[number]["image"], *(corner - areas[number, :2]).tolist())
        for number, corner in zip(image.tolist(), found.coords_N2, strict=True)
    ]
    assert traced == [("a.png", 0, 0), ("a.png", 224, 0), ("b.bmp", 0, 0)]
    assert {row["reader"] for row in table(features.folder / "slides.csv")} == {
        "images: 2 of 2 sizes (240 x 300 to 460 x 232)"
    }

    features_of = f"features={features.folder}"
    fast = ["splits.n_folds=3", "trainer.max_epochs=2", "trainer.accelerator=cpu"]
    run = RunFolder(tmp_path / "run")
    study = [f"cohort={smears / 'cohort.csv'}", features_of, "cancer=myeloma", "task=t_11_14"]
    assert main(["train", *study, f"run={run.path}", *fast]) == 0
    assert main(["explain", f"run={run.path}", "pictures=2"]) == 0
    assert len(list(run.heatmaps.glob("*.png"))) == 2
    scores = ScoreStore(run.scores).read("m00")
    np.testing.assert_array_equal(scores.coords_N2, found.coords_N2)
    data = review_data(run, "pooled")
    slide = data.slides["m00"]
    with open_slide(slide.path, mpp=slide.mpp) as reader:
        finest = zoom_tile(reader.info, max_level(reader.info), col=0, row=0)
        first = reader.info.images[0]
        shown = read_zoom_tile(reader, finest)[first.y_px0 :, first.x_px0 :]
    stored = np.asarray(Image.open(smears / "m00" / "a.png"))
    np.testing.assert_array_equal(shown[:200, :200], stored[:200, :200])


def test_a_second_run_keeps_what_is_there_and_notices_another_image(smears, tmp_path, capsys):
    folder = tmp_path / "slides"
    for name in ("m00", "m01"):
        shutil.copytree(smears / name, folder / name)
    command = ["tile", f"slides={folder}", "mpp=0.5", f"work={tmp_path / 'w'}", "tissue=smear"]
    assert main(command) == 0
    assert main(command) == 0
    assert "2 slides there already" in capsys.readouterr().out
    smear(240, 300, label=0, seed=5).save(folder / "m01" / "b.bmp")
    assert main(command) == 3
    said = " ".join(capsys.readouterr().out.split())
    assert "failed m01: StoreError" in said
    assert "another slide of this name" in said


def test_cells_have_one_tile_each_whatever_their_size(tmp_path, table):
    """Crops of cells, most of them smaller than a tile and hardly any of them "tissue"."""
    (tmp_path / "m1").mkdir()
    sizes = [(80, 80), (64, 100), (224, 224), (300, 260), (96, 90)]
    for number, (width, height) in enumerate(sizes):
        cell = np.full((height, width, 3), 238, np.uint8)
        cell[height // 3 : height // 2, width // 3 : width // 2] = (90, 50, 140)
        Image.fromarray(cell).save(tmp_path / "m1" / f"cell{number}.png")
    command = ["tile", f"slides={tmp_path}", "mpp=0.5", f"work={tmp_path / 'w'}"]
    assert main([*command, "tiling.images=cells", "quality.drop=[unreadable]"]) == 0
    tiles = TileStore(tmp_path / "w" / "tiles").read("m1")
    assert len(tiles.coords_N2) == len(sizes)
    assert tiles.record.recipe.spec is not None
    assert tiles.record.recipe.spec.images == "cells"
    middle = [
        (int(row["x_px0"]) + int(row["width_px0"]) / 2 - 112)
        for row in table(tmp_path / "w" / "tiles" / "m1.images.csv")
    ]
    assert sorted(tiles.coords_N2[:, 0].tolist()) == pytest.approx(sorted(middle), abs=0.5)


def test_fields_with_few_cells_are_all_taken_as_the_refusal_says(tmp_path, table):
    (tmp_path / "m1").mkdir()
    field = np.full((300, 500, 3), 235, np.uint8)
    field[20:60, 20:60] = field[140:180, 180:220] = (90, 50, 140)
    Image.fromarray(field).save(tmp_path / "m1" / "a.png")
    command = ["tile", f"slides={tmp_path / 'm1'}", "mpp=0.5", "tissue=smear"]
    assert main([*command, f"work={tmp_path / 'v'}"]) == 0
    (row,) = table(tmp_path / "v" / "tiles" / "slides.csv")
    assert row["status"] == "empty"
    assert "every tile is taken with tiling.min_tissue=0; or" in row["reason"]
    options = ["tiling.min_tissue=0", "quality.drop=[unreadable,pen]"]
    assert main([*command, *options, f"work={tmp_path / 'w'}"]) == 0
    (row,) = table(tmp_path / "w" / "tiles" / "slides.csv")
    assert (row["status"], row["n_tiles"], row["over_border"]) == ("done", "2", "4")


def test_what_is_left_of_each_field_is_counted(tmp_path, table):
    """A field of 448 + 180 x 448 pixels: four tiles, and two that would be 80% tissue."""
    (tmp_path / "m1").mkdir()
    for number, width in enumerate((628, 448, 628)):
        smear(width, 448, label=1, seed=number).save(tmp_path / "m1" / f"{number}.png")
    command = ["tile", f"slides={tmp_path / 'm1'}", "mpp=0.5", f"work={tmp_path / 'w'}"]
    assert main([*command, "tissue=otsu"]) == 0
    (row,) = table(tmp_path / "w" / "tiles" / "slides.csv")
    assert (row["n_tiles"], row["over_border"]) == ("12", "4")


def test_what_images_are_is_part_of_the_recipe_and_fields_keep_the_digest_of_old(smears, tmp_path):
    command = ["tile", f"slides={smears / 'm00'}", "mpp=0.5", f"work={tmp_path}", "tissue=smear"]
    assert main(command) == 0
    assert main([*command, "tiling.images=cells"]) == 3
    record = TileStore(tmp_path / "tiles").read("m00").record
    spec = record.recipe.spec
    assert spec is not None
    assert spec.images == "fields"


@pytest.mark.parametrize(
    ("break_it", "options", "said"),
    [
        (None, [], "MissingMpp: slide m00"),
        (None, ["mpp=0.5", "tiling.size_px=256"], "too large for a.png (460 x 232), b.bmp"),
        (None, ["mpp=0.5", "tiling.size_px=256"], "(tiling.images=cells)"),
        ("bad.png", ["mpp=0.5"], "SlideUnreadable: slide m00: bad.png cannot be opened as an"),
        ("x.svs", ["mpp=0.5"], "no slide found"),
    ],
)
def test_folders_at_fault_are_named(smears, tmp_path, capsys, break_it, options, said):
    folder = tmp_path / "m00"
    shutil.copytree(smears / "m00", folder)
    if break_it:
        (folder / break_it).write_text("no image")
    command = ["tile", f"slides={folder}", f"work={tmp_path / 'w'}", "tissue=smear", *options]
    assert main(command) == 3
    shown = capsys.readouterr()
    if break_it == "x.svs":  # beside a slide, images are pictures of it: the slide is what fails
        assert "failed x: SlideUnreadable" in shown.out
    else:
        assert said in " ".join(shown.out.split())
    assert not list((tmp_path / "w" / "tiles").glob("*.h5"))


def test_a_damaged_image_costs_its_own_tiles(smears, tmp_path, table):
    folder = tmp_path / "m00"
    shutil.copytree(smears / "m00", folder)
    whole = (folder / "b.bmp").read_bytes()
    (folder / "b.bmp").write_bytes(whole[: len(whole) // 2])  # its header is whole
    options = ["mpp=0.5", "tissue=smear", "quality.max_unreadable=0.5"]
    assert main(["tile", f"slides={folder}", f"work={tmp_path / 'w'}", *options]) == 0
    (row,) = table(tmp_path / "w" / "tiles" / "slides.csv")
    assert (row["n_tiles"], row["unreadable"]) == ("2", "1")
    strict = ["mpp=0.5", "tissue=smear"]
    assert main(["tile", f"slides={folder}", f"work={tmp_path / 'v'}", *strict]) == 3
    (row,) = table(tmp_path / "v" / "tiles" / "slides.csv")
    assert "more than quality.max_unreadable=0.2" in row["reason"]


def test_microns_per_pixel_come_from_a_table_too(smears, tmp_path, table):
    (tmp_path / "mpp.csv").write_text("slide,mpp\nm00,0.5\n", encoding="utf-8")
    command = ["tile", f"slides={smears / 'm00'}", f"mpp_table={tmp_path / 'mpp.csv'}"]
    assert main([*command, f"work={tmp_path}", "tissue=smear"]) == 0
    (row,) = table(tmp_path / "tiles" / "slides.csv")
    assert (row["status"], row["mpp"]) == ("done", "0.5")
