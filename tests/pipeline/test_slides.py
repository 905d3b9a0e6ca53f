"""``histofed tile`` and ``extract`` on small slides: bad ones, second runs, other options."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from histofed.cli import main
from histofed.io.pyramid import write_pyramid
from histofed.io.store import FeatureStore, Recipe, Record, TileStore
from histofed.pipeline import terminal
from histofed.pipeline.slides import differences
from histofed.report.panels import read_panel

if TYPE_CHECKING:
    from pathlib import Path

MPP = 0.5


def tissue_picture(size_px: int = 900, *, seed: int = 0) -> np.ndarray:
    """Return glass with one violet-red square of tissue, 40 px inside the border."""
    generator = np.random.default_rng(seed)
    picture = np.full((size_px, size_px, 3), 244, dtype=np.uint8)
    inside = slice(40, size_px - 40)
    stain = np.array([196, 118, 178]) + generator.integers(-25, 25, (size_px - 80,) * 2 + (1,))
    picture[inside, inside] = stain.clip(0, 255)
    return picture


@pytest.fixture(scope="module")
def slide(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("slides") / "good.svs"
    return write_pyramid(path, tissue_picture(), mpp=MPP, objective_power=20)


@pytest.fixture(scope="module")
def small_slide(tmp_path_factory) -> Path:
    """Four tiles: enough to encode."""
    path = tmp_path_factory.mktemp("slides") / "good.svs"
    return write_pyramid(path, tissue_picture(460), mpp=MPP)


@pytest.fixture
def folder(slide, tmp_path) -> Path:
    """A folder with two good slides, and between them one that is none."""
    here = tmp_path / "slides"
    (here / "sub").mkdir(parents=True)
    shutil.copy(slide, here / "a.svs")
    (here / "b.svs").write_bytes(slide.read_bytes()[:5000])
    shutil.copy(slide, here / "sub" / "c.svs")
    (here / "notes.txt").write_text("not a slide")
    return here


def test_tiles_are_where_arithmetic_says(slide, tmp_path, table):
    assert main(["tile", f"slides={slide}", f"work={tmp_path}"]) == 0
    tiles = TileStore(tmp_path / "tiles").read("good")
    # 900 px at the tiles' own resolution: 224 px steps, 4 a side, each mostly tissue.
    expected = [[x, y] for y in (0, 224, 448, 672) for x in (0, 224, 448, 672)]
    assert tiles.coords_N2.tolist() == expected
    [row] = table(tmp_path / "tiles" / "slides.csv")
    assert row["status"] == "done"
    assert (row["n_tiles"], row["width_px0"], row["mpp"]) == ("16", "900", "0.5")
    assert (tmp_path / "tiles" / "good.jpg").read_bytes().startswith(b"\xff\xd8\xff")


def test_one_bad_slide_does_not_stop_the_others(folder, tmp_path, table, capsys):
    command = ["tile", f"slides={folder}", f"work={tmp_path / 'w'}"]
    assert main(command) == 3
    rows = {row["slide_id"]: row for row in table(tmp_path / "w" / "tiles" / "slides.csv")}
    assert {name: row["status"] for name, row in rows.items()} == {
        "a": "done",
        "b": "failed",
        "c": "done",
    }
    assert rows["b"]["reason"].startswith("SlideUnreadable: ")
    assert "b.svs" in rows["b"]["reason"]
    shown = capsys.readouterr().out
    assert "failed b: SlideUnreadable" in shown
    assert not (tmp_path / "w" / "tiles" / "b.h5").exists()
    assert not list((tmp_path / "w" / "tiles").glob(".*"))

    (folder / "b.svs").unlink()
    assert main(command) == 0
    assert "nothing to do" in capsys.readouterr().out


def test_extract_does_nothing_twice(small_slide, tmp_path, capsys, table):
    command = ["extract", f"slides={small_slide}", f"work={tmp_path}"]
    assert main(command) == 0
    store = FeatureStore(tmp_path / "features" / "efficientnet_lite0")
    found = store.read("good")
    assert found.features_ND.shape == (4, 1280)
    assert np.isfinite(found.features_ND).all()
    before = store.path("good").read_bytes()
    stamp = store.path("good").stat().st_mtime_ns
    capsys.readouterr()
    assert main(command) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert store.path("good").stat().st_mtime_ns == stamp
    assert table(store.folder / "slides.csv")[0]["status"] == "kept"

    store.path("good").unlink()
    assert main([*command, "batch_size=3"]) == 0  # how many at once changes rounding only
    np.testing.assert_allclose(store.read("good").features_ND, found.features_ND, atol=2e-2)
    store.path("good").unlink()
    assert main(command) == 0
    again = store.read("good")
    np.testing.assert_array_equal(again.features_ND, found.features_ND)
    assert again.record == found.record
    assert len(before) == store.path("good").stat().st_size


@pytest.mark.parametrize(("verb", "parts"), [("tile", [0, 1]), ("extract", [0, 0.1, 0.55, 1])])
def test_progress_is_seen_within_a_slide(small_slide, tmp_path, monkeypatch, verb, parts):
    seen = []

    @contextmanager
    def stage(*_, **__):
        yield lambda n=1, note="", part=0.0: seen.append((n, note, part))

    monkeypatch.setattr(terminal, "stage", stage)
    options = ["batch_size=2"] if verb == "extract" else []
    assert main([verb, f"slides={small_slide}", f"work={tmp_path}", *options]) == 0
    assert seen[0] == (0, "good", 0)  # its name, before any tile is known
    assert [part for n, _, part in seen if not n] == pytest.approx(parts)
    assert seen[-1][:2] == (1, "good")
    assert all(note == f"good {part:.0%}" for n, note, part in seen[1:-1])


def test_other_options_are_refused_until_asked_for(slide, tmp_path, capsys, table):
    command = ["tile", f"slides={slide}", f"work={tmp_path}"]
    assert main(command) == 0
    file = tmp_path / "tiles" / "good.h5"
    before = file.read_bytes()
    capsys.readouterr()
    assert main([*command, "tiling.mpp=1.0"]) == 3
    assert "overwrite=true" in capsys.readouterr().out
    assert file.read_bytes() == before
    [row] = table(tmp_path / "tiles" / "slides.csv")
    assert row["reason"].startswith("StoreError: ")
    assert (row["status"], row["n_tiles"], row["mpp"]) == ("kept", "16", "0.5")
    assert main([*command, "tiling.mpp=1.0", "overwrite=true"]) == 0
    # A tile of 224 um now; 450 um hold two of them a side.
    assert TileStore(tmp_path / "tiles").read("good").coords_N2.tolist() == [
        [0, 0],
        [448, 0],
        [0, 448],
        [448, 448],
    ]


@pytest.mark.parametrize(
    ("options", "code"),
    [([], 3), (["tiling.mpp=1.0"], 3), (["mpp_table={mpps}"], 3), (["tiling.mpp=0.1"], 3)],
)
def test_the_table_tells_of_the_files_that_stand(slide, tmp_path, table, capsys, options, code):
    """Whatever a later command fails at; the terminal tells of the command."""
    here, mpps = tmp_path / "in" / "good.svs", tmp_path / "mpp.csv"
    here.parent.mkdir()
    shutil.copy(slide, here)
    mpps.write_text("slide,mpp\ngood,0.06\n")
    command = ["tile", f"slides={here}", f"work={tmp_path}"]
    assert main(command) == 0
    tiles = tmp_path / "tiles"
    [before], picture = table(tiles / "slides.csv"), (tiles / "good.jpg").read_bytes()
    capsys.readouterr()
    if not options:
        here.write_bytes(here.read_bytes()[:5000])
    assert main([*command, *(each.format(mpps=mpps) for each in options)]) == code
    said = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "failed good: " in said
    assert "1 slide; reasons in" in said
    assert "earlier files of 1 stand, and the table tells of them" in said
    assert "next:" not in said
    [row] = table(tiles / "slides.csv")
    assert row.pop("reason") != before.pop("reason") == ""
    assert row == before | {"status": "kept"}
    assert (tiles / "good.jpg").read_bytes() == picture


def test_the_table_of_features_tells_of_the_files_that_stand(small_slide, tmp_path, table):
    command = ["extract", f"slides={small_slide}", f"work={tmp_path}"]
    assert main(command) == 0
    features = tmp_path / "features" / "efficientnet_lite0"
    [before] = table(features / "slides.csv")
    assert main([*command, "tiling.min_tissue=0.4"]) == 3
    [row] = table(features / "slides.csv")
    assert "tiling.min_tissue was 0.5, is 0.4" in row.pop("reason")
    assert row == {name: before[name] for name in row} | {"status": "kept"}


def test_with_overwrite_an_error_of_the_slide_costs_no_tiles(slide, tmp_path, table):
    """Only a slide without tissue has no tiles; one that cannot be judged may have them."""
    command = ["tile", f"slides={slide}", f"work={tmp_path}"]
    assert main(command) == 0
    tiles = tmp_path / "tiles"
    before = [(tiles / f"good.{suffix}").read_bytes() for suffix in ("h5", "jpg")]
    assert main([*command, "tiling.mpp=0.1", "overwrite=true"]) == 3
    assert [(tiles / f"good.{suffix}").read_bytes() for suffix in ("h5", "jpg")] == before
    [row] = table(tiles / "slides.csv")
    assert (row["status"], row["n_tiles"]) == ("kept", "16")
    assert "coarser than the 0.1 of tiling.mpp" in row["reason"]


def test_another_slide_of_the_same_name_is_noticed(slide, tmp_path, capsys):
    here = tmp_path / "in" / "good.svs"
    write_pyramid(here, tissue_picture(seed=1), mpp=MPP)
    assert main(["tile", f"slides={slide}", f"work={tmp_path}"]) == 0
    assert main(["tile", f"slides={here}", f"work={tmp_path}"]) == 3
    assert "another slide of this name" in capsys.readouterr().out


def test_two_slides_of_one_name_are_refused(folder, tmp_path, capsys):
    shutil.copy(folder / "a.svs", folder / "sub" / "a.svs")
    assert main(["tile", f"slides={folder}", f"work={tmp_path / 'w'}"]) == 2
    message = " ".join(capsys.readouterr().err.split())
    named = (
        f"slides={folder}: {folder / 'a.svs'} and {folder / 'sub' / 'a.svs'} would both be called"
    )
    assert f"{named} a; name them apart in a cohort table (column slide_id)" in message
    assert not (tmp_path / "w").exists()
    shutil.copy(folder / "a.svs", folder / "sub" / "b.svs")
    cohort = tmp_path / "cohort.csv"
    rows = "".join(f"P,s{n},north,slides/{name}.svs\n" for n, name in ((1, "a"), (1, "sub/c")))
    cohort.write_text(f"patient_id,slide_id,site,path\n{rows}")
    for source, words in (
        (f"slides={folder}", "(1 other name likewise)"),
        (f"cohort={cohort}", ""),
    ):
        assert main(["tile", source, f"work={tmp_path / 'w'}"]) == 2
        message = " ".join(capsys.readouterr().err.split())
        assert f"{source}: " in message
        assert words in message


def test_slides_or_cohort_not_both_and_not_none(slide, tmp_path, capsys):
    for options in ([], [f"slides={slide}", "cohort=table.csv"]):
        for verb in ("tile", "extract"):
            assert main([verb, *options, f"work={tmp_path}"]) == 2
            assert "either slides=SLIDE_OR_FOLDER or cohort=TABLE" in capsys.readouterr().err
    assert main(["tile", "slides=nowhere", f"work={tmp_path}"]) == 2
    assert "nowhere" in capsys.readouterr().err
    (tmp_path / "empty" / "sub").mkdir(parents=True)
    for name in ("a.czi", "sub/notes.txt"):
        (tmp_path / "empty" / name).touch()
    assert main(["tile", f"slides={tmp_path / 'empty'}", f"work={tmp_path}"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert re.search(r"no slide found in \S*empty: it holds 2 other files; .*\.dcm, .*\.svs", said)


def test_glass_alone_is_a_slide_without_tissue(tmp_path, table, capsys):
    path = tmp_path / "glass.svs"
    write_pyramid(path, np.full((600, 600, 3), 244, dtype=np.uint8), mpp=MPP)
    command = ["tile", f"slides={path}", f"work={tmp_path}"]
    for _ in range(2):  # known then, and not tried again
        assert main(command) == 0
        [row] = table(tmp_path / "tiles" / "slides.csv")
        assert (row["status"], row["n_tiles"], row["attempts"]) == ("empty", "0", "1")
        assert row["reason"].startswith("NoTissue: slide glass: ")
        assert "1 slide (glass): no tissue" in capsys.readouterr().out
    main([*command, "tiling.min_tissue=0"])  # other options: another question
    [row] = table(tmp_path / "tiles" / "slides.csv")
    assert (row["status"], row["n_tiles"]) == ("done", "4")


def test_an_old_result_does_not_outlive_an_empty_one(slide, tmp_path, table):
    command = ["tile", f"slides={slide}", f"work={tmp_path}"]
    assert main(command) == 0
    assert (tmp_path / "tiles" / "good.h5").is_file()
    assert main([*command, "tissue.min_area_um2=1e9", "overwrite=true"]) == 0
    [row] = table(tmp_path / "tiles" / "slides.csv")
    assert (row["status"], row["n_tiles"]) == ("empty", "0")
    assert not (tmp_path / "tiles" / "good.h5").exists()
    panel = read_panel(tmp_path / "tiles" / "good.jpg", 100)
    assert panel is not None
    assert panel.problem.startswith("slide good: no tile of 112 um")


@pytest.mark.parametrize(
    ("options", "status", "reason"),
    [
        (["tiling.min_tissue=1", "tissue.min_area_um2=1e9"], "empty", "no tile of 112 um"),
        (["tiling.mpp=0.1"], "failed", "level 0 is at 0.5 microns per pixel"),
        (["tissue.mpp=0.001"], "failed", "coarser than the 0.001 of tissue.mpp"),
    ],
)
def test_a_slide_that_can_be_read_has_a_picture_and_its_reason(
    slide, tmp_path, table, options, status, reason
):
    """The message says "look at the slide"."""
    main(["tile", f"slides={slide}", f"work={tmp_path}", *options])
    tiles = tmp_path / "tiles"
    [row] = table(tiles / "slides.csv")
    assert (row["status"], row["n_tiles"]) == (status, "0")
    panel = read_panel(tiles / "good.jpg", 1600)
    assert panel is not None
    assert reason in panel.problem
    assert row["reason"].endswith(panel.problem)
    # The tissue itself is seen, as it was scanned.
    np.testing.assert_allclose(np.median(panel.pixels_HW3, axis=(0, 1)), [196, 118, 178], atol=8)
    assert not (tiles / "good.h5").exists()
    assert not list(tiles.glob(".*"))


def test_a_slide_that_holds_no_tile_has_failed_and_says_which_number_is_wrong(
    slide, tmp_path, table
):
    """As a slip of the pen in the table of resolutions makes it."""
    mpps = tmp_path / "mpp.csv"
    mpps.write_text("slide,mpp\ngood,0.06\n")
    assert main(["tile", f"slides={slide}", f"work={tmp_path}", f"mpp_table={mpps}"]) == 3
    [row] = table(tmp_path / "tiles" / "slides.csv")
    assert row["status"] == "failed"
    assert re.search(r"54 x 54 um .* 0\.06 .*its row in a table.* tile of 112 um", row["reason"])


def test_without_overwrite_an_empty_slide_costs_no_features(small_slide, tmp_path, table):
    """Its tiles may be gone; features of other options are the user's all the same."""
    command = ["extract", f"slides={small_slide}", f"work={tmp_path}"]
    assert main(command) == 0
    features = tmp_path / "features" / "efficientnet_lite0" / "good.h5"
    before = features.read_bytes()
    (tmp_path / "tiles" / "good.h5").unlink()
    assert main([*command, "tiling.min_tissue=1", "tissue.min_area_um2=1e9"]) == 0
    assert table(features.parent / "slides.csv")[0]["status"] == "empty"
    assert features.read_bytes() == before


@pytest.mark.parametrize("name", ["contact-sheet-1", "x" * 240, os.fsdecode(b"bad\xff")])
def test_a_file_whose_name_would_not_do_is_refused_by_name(slide, tmp_path, capsys, name):
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.copy(slide, folder / f"{name}.svs")
    assert main(["tile", f"slides={folder}", f"work={tmp_path}"]) == 2
    assert "slide_id" in capsys.readouterr().err
    assert not (tmp_path / "tiles").exists()


def test_an_encoder_refuses_tiles_that_it_does_not_know(slide, tmp_path, capsys):
    assert main(["extract", f"slides={slide}", f"work={tmp_path}", "tiling.size_px=256"]) == 2
    assert "tiling.size_px=224" in capsys.readouterr().err


def test_a_cohort_row_without_a_file_is_a_failed_slide(slide, tmp_path, table):
    cohort = tmp_path / "cohort.csv"
    cohort.write_text(f"patient_id,slide_id,site,path\nA,s1,north,{slide}\nB,s2,north,\n")
    assert main(["tile", f"cohort={cohort}", f"work={tmp_path}"]) == 3
    rows = table(tmp_path / "tiles" / "slides.csv")
    assert [row["status"] for row in rows] == ["done", "failed"]
    assert "s2" in rows[1]["reason"]


def test_a_message_with_brackets_is_shown_as_it_is(slide, tmp_path, capsys):
    broken = tmp_path / "in" / "x[bold]y.svs"
    broken.parent.mkdir()
    broken.write_bytes(b"nothing")
    assert main(["tile", f"slides={broken.parent}", f"work={tmp_path}"]) == 3
    assert "x[bold]y" in capsys.readouterr().out


def test_flaws_are_counted_in_the_table_and_chosen_in_the_options(tmp_path, table, capsys):
    picture = tissue_picture()
    picture[60:120, 60:120] = (20, 140, 60)  # 7% of the first tile is pen
    path = write_pyramid(tmp_path / "penned.svs", picture, mpp=MPP)

    def tiled(name: str, *options: str) -> tuple[dict[str, str], int]:
        command = [
            "tile",
            f"slides={path}",
            f"work={tmp_path / name}",
            "tissue.min_saturation=0.02",
        ]
        assert main([*command, "tiling.min_tissue=0.1", *options]) == 0
        [row] = table(tmp_path / name / "tiles" / "slides.csv")
        return row, len(TileStore(tmp_path / name / "tiles").read("penned").coords_N2)

    row, n_kept = tiled("dropped")
    assert (row["n_tiles"], row["pen"], row["no_tissue"], row["flagged"]) == ("15", "1", "0", "0")
    assert n_kept == 15
    assert "flagged" not in capsys.readouterr().out
    row, n_kept = tiled("kept", "quality.drop=[]")
    assert (row["n_tiles"], row["pen"], row["flagged"]) == ("16", "0", "1")
    assert n_kept == 16
    assert "1 of them (quality.drop drops more)" in capsys.readouterr().out


def test_damage_at_full_resolution_costs_its_tiles_and_not_the_slide(tmp_path, table):
    path = write_pyramid(tmp_path / "hurt.svs", tissue_picture(), mpp=MPP)
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tiff:
        offset, length = tiff.pages[0].dataoffsets[-1], tiff.pages[0].databytecounts[-1]
    content[offset : offset + length] = bytes(length)
    path.write_bytes(content)
    assert main(["tile", f"slides={path}", f"work={tmp_path}"]) == 0
    picture = (tmp_path / "tiles" / "hurt.jpg").read_bytes()
    assert table(tmp_path / "tiles" / "slides.csv")[0]["unreadable"] == "0"
    command = ["extract", f"slides={path}", f"work={tmp_path}"]
    assert main(command) == 0
    store = FeatureStore(tmp_path / "features" / "efficientnet_lite0")
    [row] = table(store.folder / "slides.csv")
    assert (row["n_tiles"], row["unreadable"]) == ("15", "1")
    assert [672, 672] not in store.read("hurt").coords_N2.tolist()
    assert main(command) == 0
    assert table(store.folder / "slides.csv")[0]["status"] == "kept"
    # What encoding found is known to tiling too: in its picture and in its table.
    assert (tmp_path / "tiles" / "hurt.jpg").read_bytes() != picture
    assert main(["tile", f"slides={path}", f"work={tmp_path}"]) == 0
    [row] = table(tmp_path / "tiles" / "slides.csv")
    assert (row["n_tiles"], row["unreadable"]) == ("15", "1")


def test_a_run_leaves_a_contact_sheet_of_all_slides(folder, tmp_path):
    assert main(["tile", f"slides={folder}", f"work={tmp_path / 'w'}"]) == 3
    sheets = sorted((tmp_path / "w" / "tiles").glob("contact-sheet-*.jpg"))
    assert [sheet.name for sheet in sheets] == ["contact-sheet-1.jpg"]


def test_a_resolution_table_is_used_and_refused_by_name(slide, tmp_path, table, capsys):
    stated = tmp_path / "mpp.csv"
    stated.write_text("slide,mpp\ngood,0.25\n")
    command = ["tile", f"slides={slide}", f"work={tmp_path}", f"mpp_table={stated}"]
    assert main(command) == 0
    assert table(tmp_path / "tiles" / "slides.csv")[0]["mpp"] == "0.25"
    stated.write_text("slide,mpp\nother,0.25\n")
    assert main(command) == 2
    assert "slide other" in capsys.readouterr().err


def test_the_engine_is_named_and_another_one_finds_the_same_features(
    small_slide, tmp_path, table, capsys
):
    command = ["extract", f"slides={small_slide}", f"work={tmp_path}", "device=cpu"]
    features = tmp_path / "features/efficientnet_lite0"
    assert main(command) == 0
    assert "Encoder efficientnet_lite0: engine folded, fp32 on cpu" in capsys.readouterr().out
    written = (features / "good.h5").stat().st_mtime_ns
    assert main([*command, "engine=eager"]) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert (features / "good.h5").stat().st_mtime_ns == written
    [row] = table(features / "slides.csv")
    assert (row["status"], row["engine"]) == ("kept", "folded")  # whose features they are
    assert main([*command, "engine=eager", f"features={tmp_path / 'eager'}"]) == 0
    [row] = table(tmp_path / "eager/slides.csv")
    assert row["engine"] == "eager"
    ours, theirs = (FeatureStore(each).read("good") for each in (features, tmp_path / "eager"))
    assert ours.record.digest == theirs.record.digest
    np.testing.assert_allclose(
        ours.features_ND.astype(np.float32),
        theirs.features_ND.astype(np.float32),
        atol=1e-3 * np.abs(theirs.features_ND).max(),
        rtol=0,
    )


def test_the_next_command_has_the_options_of_the_run(small_slide, tmp_path, capsys) -> None:
    folder = tmp_path / "slides of today"
    folder.mkdir()
    shutil.copy(small_slide, folder / "a.svs")
    options = ["tiling.min_tissue=0.4", "quality.drop=[unreadable, pen]", "overwrite=true"]
    assert main(["tile", f"slides={folder}", f"work={tmp_path / 'work'}", *options]) == 0
    (following,) = re.findall("^next: (.*)$", capsys.readouterr().out, flags=re.MULTILINE)
    assert "overwrite" not in following
    assert main(shlex.split(following)[1:]) == 0  # refused, if one of them were lost
    assert len(list((tmp_path / "work" / "features").rglob("a.h5"))) == 1


def test_nothing_follows_where_nothing_was_made(folder, tmp_path, capsys) -> None:
    (folder / "a.svs").unlink()
    shutil.rmtree(folder / "sub")
    assert main(["tile", f"slides={folder}", f"work={tmp_path / 'work'}"]) == 3
    assert "next:" not in capsys.readouterr().out


def test_a_file_made_otherwise_says_how(small_slide, tmp_path, capsys) -> None:
    folder, work = tmp_path / "slides", tmp_path / "work"
    folder.mkdir()
    shutil.copy(small_slide, folder / "a.svs")
    command = ["tile", f"slides={folder}", f"work={work}"]
    assert main(command) == 0
    assert main([*command, "tiling.min_tissue=0.4", "tissue=entropy"]) == 3
    said = " ".join(capsys.readouterr().out.split())
    assert "a.h5 was made otherwise: tiling.min_tissue was 0.5, is 0.4; tissue.method was" in said
    (folder / "a.svs").unlink()
    write_pyramid(folder / "a.svs", tissue_picture(460, seed=5), mpp=MPP)
    assert main(command) == 3
    said = " ".join(capsys.readouterr().out.split())
    assert "a.h5 was made otherwise: it is of another slide of this name; choose" in said


def test_other_weights_of_an_encoder_are_said_in_words() -> None:
    recipe = Recipe(spec=None, encoder="uni", encoder_digest="a" * 64)
    record = Record(
        recipe=recipe, slide_id="s", slide_digest="d", mpp=None, width_px0=None, height_px0=None
    )
    other = replace(record, recipe=replace(recipe, encoder_digest="b" * 64))
    assert differences(record, other) == ["uni had other weights, another precision or card"]
    other = replace(record, recipe=replace(recipe, encoder="virchow", encoder_digest="b" * 64))
    assert differences(record, other) == ["encoder was uni, is virchow"]
