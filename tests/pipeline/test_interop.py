"""``histofed convert`` on feature files: a folder of others into ours and back."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from histofed.cli import main
from histofed.io.store import FeatureStore, TileStore

COORDS = np.array([[0, 512], [1024, 512], [5120, 4096]])
TRIDENT = {
    "patch_size": 256,
    "patch_size_level0": 512,
    "level0_magnification": 40,
    "target_magnification": 20,
    "overlap": 0,
    "level0_width": 90_000,
    "level0_height": 80_000,
}


def trident(path: Path, *, n: int = 3, features: bool = True, seed: int = 0, **said: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file.create_dataset("coords", data=COORDS[:n]).attrs.update(TRIDENT | said)
        if features:
            values = np.random.default_rng(seed).normal(size=(n, 4)).astype(np.float32)
            file.create_dataset("features", data=values).attrs["encoder"] = "uni_v1"
    return path


def stamp(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["feats"], file["coords"] = np.ones((1, 4), np.float16), np.ones((1, 2), np.float32)
        said = {"unit": "um", "tile_size_um": 256.0, "tile_size_px": 224, "extractor": "uni_v1"}
        file.attrs.update(said)
    return path


@pytest.fixture
def job(tmp_path):
    """A folder of TRIDENT features of three slides."""
    folder = tmp_path / "job" / "20x_256px_0px_overlap" / "features_uni_v1"
    for number in (1, 2, 3):
        trident(folder / f"S{number}.h5", seed=number)
    return folder


@pytest.fixture
def convert(tmp_path, capsys):
    """Run the command; return exit code and what was said."""

    def run(source: Path, *options: str, out: str = "out") -> tuple[int, str]:
        code = main(["convert", f"source={source}", f"out={tmp_path / out}", *options])
        said = capsys.readouterr()
        return code, said.out + said.err

    return run


def test_a_folder_becomes_a_store_and_a_table(job, convert, tmp_path, table):
    code, said = convert(job, "mpp=0.2523")
    assert code == 0
    assert "3 slides" in said
    assert f"next: histofed train cohort=TABLE features={tmp_path / 'out' / 'features'}" in said
    store = FeatureStore(tmp_path / "out" / "features")
    for number in (1, 2, 3):
        slide = store.read(f"S{number}")
        np.testing.assert_array_equal(slide.coords_N2, COORDS)
        with h5py.File(job / f"S{number}.h5") as file:
            expected = np.asarray(file["features"], dtype=np.float16)
        np.testing.assert_array_equal(slide.features_ND, expected)
        assert (slide.record.side_px0, slide.record.mpp) == (512, 0.2523)
    rows = table(tmp_path / "out" / "slides.csv")
    assert [(row["slide_id"], row["status"], row["n_tiles"]) for row in rows] == [
        (f"S{number}", "done", "3") for number in (1, 2, 3)
    ]


def test_an_interrupted_conversion_continues(job, convert, tmp_path, monkeypatch):
    written = []

    def stop_after_one(store, slide):
        if written:
            raise KeyboardInterrupt
        written.append(slide.record.slide_id)
        return write(store, slide)

    write = FeatureStore.write
    monkeypatch.setattr(FeatureStore, "write", stop_after_one)
    assert convert(job, "mpp=0.25")[0] == 130
    monkeypatch.undo()
    first = tmp_path / "out" / "features" / "S1.h5"
    made = first.stat().st_mtime_ns
    code, said = convert(job, "mpp=0.25")
    assert code == 0
    assert "1 slide done before" in said
    assert first.stat().st_mtime_ns == made
    assert "nothing to do" in convert(job, "mpp=0.25")[1]


def test_what_is_there_is_not_replaced_unasked(job, convert, tmp_path):
    assert convert(job, "mpp=0.25")[0] == 0
    before = (tmp_path / "out" / "features" / "S1.h5").read_bytes()
    code, said = convert(job, "mpp=0.26")
    assert code == 3
    assert "out=..." in said
    assert "overwrite=true" in said
    assert (tmp_path / "out" / "features" / "S1.h5").read_bytes() == before
    assert convert(job, "mpp=0.26", "overwrite=true")[0] == 0
    assert FeatureStore(tmp_path / "out" / "features").read("S1").record.mpp == 0.26


def test_a_changed_source_is_not_taken_for_the_old_one(job, convert):
    assert convert(job, "mpp=0.25")[0] == 0
    trident(job / "S2.h5", seed=9)
    code, said = convert(job, "mpp=0.25")
    assert code == 3
    assert "S2.h5 was made otherwise: it is of another slide of this name" in said


def test_one_bad_file_does_not_stop_the_others(job, convert, tmp_path, table):
    (job / "S2.h5").write_bytes((job / "S2.h5").read_bytes()[:2000])
    trident(job / "S3.h5", n=0)
    code, said = convert(job, "mpp=0.25")
    assert code == 3
    assert "failed S2" in said
    status = {row["slide_id"]: row for row in table(tmp_path / "out" / "slides.csv")}
    assert status["S1"]["status"] == "done"
    assert "damaged" in status["S2"]["reason"]
    assert status["S3"]["reason"].startswith("NoTissue")
    assert not (tmp_path / "out" / "features" / "S3.h5").exists()


def test_resolution_per_slide_comes_from_the_cohort_table(job, convert, tmp_path):
    cohort = tmp_path / "cohort.csv"
    cohort.write_text(
        "patient_id,slide_id,site,path,mpp\nP1,S1,a,,0.2523\nP2,S2,a,,0.2480\nP3,S3,a,,\n"
    )
    code, said = convert(job, f"cohort={cohort}")
    assert code == 3
    assert re.search(r"MissingMpp: \S+S3\.h5", said)
    code, said = convert(job, f"cohort={cohort}", "mpp=0.25")
    assert code == 0
    assert "3 kinds of tiles, at 0.496 to 0.5046 microns per pixel" in said
    store = FeatureStore(tmp_path / "out" / "features")
    assert [store.read(f"S{n}").record.mpp for n in (1, 2, 3)] == [0.2523, 0.2480, 0.25]


def test_slides_of_near_scanners_become_one_cohort(job, convert, tmp_path):
    cohort = tmp_path / "cohort.csv"
    cohort.write_text(
        "patient_id,slide_id,site,path,mpp\nP1,S1,a,,0.2523\nP2,S2,a,,0.2480\nP3,S3,a,,0.263\n"
    )
    code, said = convert(job, f"cohort={cohort}", "tile_mpp=0.5")
    assert code == 0
    assert "kinds of tiles" not in said
    store = FeatureStore(tmp_path / "out" / "features")
    assert len({store.read(f"S{n}").record.recipe.digest for n in (1, 2, 3)}) == 1


def test_the_slide_itself_says_its_resolution_and_size(convert, tmp_path, test_data):
    of_slide = {"patch_size_level0": 256, "level0_magnification": 20}
    of_slide |= {"level0_width": 2220, "level0_height": 2967}
    source = trident(tmp_path / "features" / "S1.h5", n=2, **of_slide)
    slide = test_data / "slides" / "CMU-1-Small-Region.svs"
    cohort = tmp_path / "cohort.csv"
    cohort.write_text(f"patient_id,slide_id,site,path\nP1,S1,a,{slide}\n")
    assert convert(source, f"cohort={cohort}")[0] == 0
    record = FeatureStore(tmp_path / "out" / "features").read("S1").record
    assert record.mpp == pytest.approx(0.499)
    trident(tmp_path / "features" / "S1.h5", n=2, **of_slide | {"level0_width": 2221})
    code, said = convert(source, f"cohort={cohort}", out="other")
    assert code == 3
    assert "has 2221 x 2967 level-0 pixels, and the slide of the cohort table 2220 x 2967" in said


@pytest.mark.parametrize("to", ["trident", "clam", "stamp"])
def test_there_and_back_through_every_format(job, convert, tmp_path, to):
    assert convert(job, "mpp=0.2523")[0] == 0
    mine = FeatureStore(tmp_path / "out" / "features")
    assert convert(mine.folder, f"to={to}", out=to)[0] == 0
    assert "nothing to do" in convert(mine.folder, f"to={to}", out=to)[1]
    there = {"trident": "*/features_uni_v1", "clam": "h5_files", "stamp": "uni_v1-*"}[to]
    (folder,) = (tmp_path / to).glob(there)
    options = ["mpp=0.2523", *(["encoder_name=uni_v1"] if to == "clam" else [])]
    assert convert(folder, *options, out="back")[0] == 0
    back = FeatureStore(tmp_path / "back" / "features")
    for number in (1, 2, 3):
        before, after = mine.read(f"S{number}"), back.read(f"S{number}")
        np.testing.assert_array_equal(before.features_ND, after.features_ND)
        np.testing.assert_array_equal(before.coords_N2, after.coords_N2)
        assert after.record.side_px0 == pytest.approx(512)


def test_clam_gets_the_tensor_it_trains_from(job, convert, tmp_path):
    assert convert(job, "to=clam", "mpp=0.2523")[0] == 0
    tensor = torch.load(tmp_path / "out" / "pt_files" / "S1.pt", weights_only=True)
    with h5py.File(tmp_path / "out" / "h5_files" / "S1.h5") as file:
        np.testing.assert_array_equal(tensor.numpy(), np.asarray(file["features"]))
    assert tensor.dtype == torch.float32
    (tmp_path / "out" / "pt_files" / "S1.pt").unlink()  # killed between the two
    code, said = convert(job, "to=clam", "mpp=0.2523")
    assert code == 0
    assert "2 slides done before" in said
    assert (tmp_path / "out" / "pt_files" / "S1.pt").is_file()


@pytest.mark.parametrize(
    ("to", "name"),
    [
        ("trident", "20x_256px_0px_overlap/patches/S1_patches.h5"),
        ("trident", "20x_256px_0px_overlap/features_uni_v1/S1.h5"),
        ("clam", "patches/S1.h5"),
        ("clam", "pt_files/S1.pt"),
    ],
)
def test_no_file_of_theirs_is_replaced_unasked(job, convert, tmp_path, to, name):
    there = tmp_path / "out" / name
    if there.suffix == ".pt":
        there.parent.mkdir(parents=True)
        there.write_bytes(b"theirs")
    else:
        trident(there)
    before = there.read_bytes()
    code, said = convert(job / "S1.h5", f"to={to}", "mpp=0.25")
    assert code == 3
    assert "overwrite=true" in said
    assert there.read_bytes() == before
    assert list((tmp_path / "out").rglob("S1*")) == [there]
    assert convert(job / "S1.h5", f"to={to}", "mpp=0.25", "overwrite=true")[0] == 0
    assert there.read_bytes() != before


def test_a_source_is_never_replaced_by_its_conversion(convert, tmp_path):
    source = trident(tmp_path / "20x_256px_0px_overlap" / "features_uni_v1" / "S1.h5")
    before = source.read_bytes()
    code, said = convert(source, "to=trident", "mpp=0.25", "overwrite=true", out=".")
    assert code == 3
    assert "replaced by its own conversion" in said
    assert source.read_bytes() == before


def test_positions_go_from_one_format_to_another(convert, tmp_path):
    trident(tmp_path / "job" / "patches" / "S1_patches.h5", features=False)
    code, said = convert(tmp_path / "job", "mpp=0.2523")
    assert code == 0
    assert "next: histofed extract slides=SLIDE_OR_FOLDER tiles=" in said
    tiles = TileStore(tmp_path / "out" / "tiles").read("S1")
    np.testing.assert_array_equal(tiles.coords_N2, COORDS)
    assert convert(tmp_path / "out" / "tiles", "to=clam", out="clam")[0] == 0
    with h5py.File(tmp_path / "clam" / "patches" / "S1.h5") as file:
        assert file["coords"].attrs["patch_size"] == 512
        np.testing.assert_array_equal(file["coords"], COORDS)
    assert not (tmp_path / "clam" / "pt_files").exists()


def test_files_that_are_all_called_features_are_named_after_their_folders(
    convert, tmp_path, monkeypatch
):
    for name in ("S1", "S2"):
        trident(tmp_path / "theirs" / name / "features.h5")
    code, said = convert(tmp_path / "theirs", "mpp=0.25")
    assert code == 0
    assert "2 files called like what is inside" in said
    store = FeatureStore(tmp_path / "out" / "features")
    assert store.slide_ids() == ["S1", "S2"]
    assert store.record("S2").slide_id == "S2"
    monkeypatch.chdir(tmp_path / "theirs" / "S1")  # a path without a folder
    convert(Path("features.h5"), "mpp=0.25", out="one")
    assert FeatureStore(tmp_path / "one" / "features").slide_ids() == ["S1"]


# Refused before any work.


def test_a_folder_of_several_formats(job, convert, tmp_path, table):
    stamp(job / "S4.h5")
    code, said = convert(job, "mpp=0.25")
    assert code == 2
    assert "several formats: stamp (" in said
    assert "format=..." in said
    assert not (tmp_path / "out").exists()
    assert convert(job, "mpp=0.25", "format=trident")[0] == 3
    status = {row["slide_id"]: row for row in table(tmp_path / "out" / "slides.csv")}
    assert [status[f"S{n}"]["status"] for n in (1, 2, 3, 4)] == ["done"] * 3 + ["failed"]


def test_tiles_without_features_cannot_become_files_of_stamp(convert, tmp_path):
    for name in ("S1", "S2"):
        trident(tmp_path / "theirs" / f"{name}.h5", features=False)
    assert convert(tmp_path / "theirs", "mpp=0.25")[0] == 0
    for source in (tmp_path / "theirs", tmp_path / "out" / "tiles"):
        code, said = convert(source, "to=stamp", out="stamp")
        assert code == 2
        assert "to=stamp needs features and positions" in said
        assert "holds positions (2 files, none with features); extract or convert" in said
        assert not (tmp_path / "stamp").exists()
    trident(tmp_path / "theirs" / "S3.h5")  # one that can: the others are named as failed
    assert convert(tmp_path / "theirs", "to=stamp", "mpp=0.25", out="stamp")[0] == 3


@pytest.mark.parametrize("to", ["trident", "clam", "stamp"])
def test_features_without_positions_cannot_become_theirs(job, convert, tmp_path, to):
    code, said = convert(job, "format=features_only", f"to={to}")
    assert code == 2
    assert f"to={to} needs " in said
    assert "leave format=features_only out" in said
    assert convert(job, "format=features_only")[0] == 0
    code, said = convert(tmp_path / "out" / "features", f"to={to}", out="theirs")
    assert code == 2
    assert "holds features (3 files, none with positions)" in said


def test_two_files_of_one_name(job, convert, tmp_path):
    trident(job / "more" / "S2.h5")
    code, said = convert(job, "mpp=0.25")
    assert code == 2
    assert f"{job / 'S2.h5'} and {job / 'more' / 'S2.h5'} would both be slide S2" in said
    assert not (tmp_path / "out").exists()


def test_a_whole_job_folder_asks_which_files_are_meant(job, convert):
    trident(job.parent / "patches" / "S1_patches.h5", features=False)
    code, said = convert(job.parent, "mpp=0.25")
    assert code == 2
    assert "would both be slide S1" in said


def test_tensors_are_not_read(convert, tmp_path):
    (tmp_path / "pt_files").mkdir()
    (tmp_path / "pt_files" / "S1.pt").write_bytes(b"anything")
    for source in (tmp_path / "pt_files", tmp_path / "pt_files" / "S1.pt"):
        code, said = convert(source, "mpp=0.25")
        assert code == 2
        assert "h5_files" in said


def test_nothing_to_read(convert, tmp_path):
    (tmp_path / "empty").mkdir()
    for source, words in [(tmp_path / "no", "is not there"), (tmp_path / "empty", "no .h5 file")]:
        code, said = convert(source, "mpp=0.25")
        assert code == 2
        assert words in said


def test_what_no_reader_knows_is_refused_at_once(convert, tmp_path):
    with h5py.File(tmp_path / "S1.h5", "w") as file:
        file["features"] = np.ones((2, 4), np.float32)
        file["metadata"] = [b"0_0_0_506.jpg", b"0_0_1_506.jpg"]
    code, said = convert(tmp_path / "S1.h5")
    assert code == 2
    assert "format=features_only" in said
    options = ["format=features_only", "encoder_name=resnet50"]
    assert convert(tmp_path / "S1.h5", *options)[0] == 0
    assert FeatureStore(tmp_path / "out" / "features").read("S1").coords_N2 is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "our own files; say what they are to become with to=trident|clam|stamp"),
        (["to=clam", "mpp=0.25"], "mpp=... was given, but our own files say it"),
    ],
)
def test_our_own_files_need_no_help(job, convert, tmp_path, options, words):
    assert convert(job, "mpp=0.25")[0] == 0
    code, said = convert(tmp_path / "out" / "features", *options, out="again")
    assert code == 2
    assert words in said


def test_the_output_is_not_inside_of_the_source(job, convert):
    code, said = convert(job, "mpp=0.25", out=str(job.relative_to(job.parents[2]) / "ours"))
    assert code == 2
    assert "is inside of source=" in said


def unknown(path: Path, kind: str) -> Path:
    """Write a file that says as little of itself as such files may."""
    path.parent.mkdir(parents=True, exist_ok=True)
    names = {"trident": "features", "clam": "features", "feats": "feats", "um": "feats"}
    grid = np.stack(np.meshgrid(np.arange(4), np.arange(3)), axis=-1).reshape(-1, 2)
    with h5py.File(path, "w") as file:
        file["coords"] = grid * 512.5 if kind == "um" else grid * 512
        file[names[kind]] = np.ones((len(grid), 4), np.float32)
        if kind == "trident":
            file["coords"].attrs.update(TRIDENT)
    return path


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("trident", ["mpp", "encoder_name"]),
        ("clam", ["tile_px", "tile_px0", "mpp", "encoder_name"]),
        ("feats", ["coords_unit", "tile_px", "tile_px0", "mpp", "encoder_name"]),
        ("um", ["coords_unit", "tile_px", "tile_mpp", "mpp", "encoder_name"]),
    ],
)
def test_all_that_is_open_is_asked_at_once_with_a_command_that_works(
    convert, tmp_path, capsys, kind, options
):
    source = unknown(tmp_path / "their files" / "S1.h5", kind).parent
    code, said = convert(source, "overwrite=true")
    assert code == 2
    assert not (tmp_path / "out").exists()
    (command,) = [line for line in said.splitlines() if line.startswith("  histofed convert ")]
    _, *words = shlex.split(command)
    assert [word.partition("=")[0] for word in words[-len(options) :]] == options
    assert "overwrite=true" in words
    assert main(words) == 0
    assert FeatureStore(tmp_path / "out" / "features").slide_ids() == ["S1"]
    code, said = convert(source, *words[-len(options) : -1])
    assert code == 2
    assert "it does not say which encoder made the features, and nothing is guessed" in said
    capsys.readouterr()


def test_a_table_answers_for_the_resolution(convert, tmp_path):
    source = unknown(tmp_path / "S1.h5", "trident")
    (tmp_path / "cohort.csv").write_text("patient_id,slide_id,site,path,mpp\nP1,S1,a,,0.25\n")
    code, said = convert(source, f"cohort={tmp_path / 'cohort.csv'}")
    assert code == 2
    assert "cohort.csv encoder_name=NAME" in said


def test_the_first_file_that_can_be_read_is_asked(convert, tmp_path):
    unknown(tmp_path / "theirs" / "S2.h5", "trident")
    (tmp_path / "theirs" / "S1.h5").write_bytes(b"no HDF5")
    with h5py.File(tmp_path / "theirs" / "S0.h5", "w") as file:  # a slide without a tile
        file["features"], file["coords"] = np.zeros((0, 4)), np.zeros((0, 2), int)
        file["coords"].attrs["patch_level"] = 1
    code, said = convert(tmp_path / "theirs")
    assert code == 2
    assert "S2.h5: it does not say" in said


def test_positions_are_given_up_or_described(job, convert):
    code, said = convert(job, "format=features_only", "tile_px=256")
    assert code == 2
    assert "tile_px=... was given, but format=features_only" in said


@pytest.mark.parametrize("option", ["mpp=0.25", "to=stamp", "tile_px=256"])
def test_a_bag_table_has_no_positions(convert, tmp_path, option):
    (tmp_path / "bags.csv").write_text("1,1,0.5\n0,2,0.5\n")
    code, said = convert(tmp_path / "bags.csv", option)
    assert code == 2
    assert option.partition("=")[0] + "=..." in said


@pytest.mark.parametrize(
    "option", ["to=mussel", "format=svs", "mpp=0", "tile_px=0", "coords_unit=mm"]
)
def test_impossible_options_are_refused(job, convert, option):
    code, said = convert(job, option)
    assert code == 2
    assert option.partition("=")[0] in said
