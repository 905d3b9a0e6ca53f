"""``histofed embed`` on a few invented feature files."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from histofed.cli import main
from histofed.io.embeddings import read_embeddings
from histofed.io.store import FeatureStore, Recipe, Record, SlideFeatures

if TYPE_CHECKING:
    from pathlib import Path

DIM = 6


def write(folder: Path, slide_id: str, *, n_tiles: int = 4, **changed: object) -> SlideFeatures:
    recipe = replace(Recipe(spec=None, encoder="toy"), **changed)
    record = Record(
        recipe=recipe,
        slide_id=slide_id,
        slide_digest=f"{slide_id}-{n_tiles}",
        mpp=None,
        width_px0=None,
        height_px0=None,
    )
    values = np.random.default_rng(n_tiles).normal(size=(n_tiles, DIM)).astype(np.float16)
    features = SlideFeatures(record=record, features_ND=values, coords_N2=None)
    FeatureStore(folder).write(features)
    return features


@pytest.fixture
def folder(tmp_path) -> Path:
    for number, slide_id in enumerate(("b", "a", "c"), start=1):
        write(tmp_path / "toy", slide_id, n_tiles=number)
    return tmp_path / "toy"


def test_one_row_per_slide_beside_the_features(folder, capsys) -> None:
    assert main(["embed", f"features={folder}"]) == 0
    found = read_embeddings(folder.parent / "toy-mean.h5")
    assert found.slide_ids == ("a", "b", "c")
    store = FeatureStore(folder)
    for slide_id, digest, row in zip(
        found.slide_ids, found.features_digests, found.embeddings_SE, strict=True
    ):
        slide = store.read(slide_id)
        assert digest == slide.record.digest
        mean = slide.features_ND.astype(np.float64).mean(axis=0)
        np.testing.assert_allclose(row, mean, rtol=1e-6)
    said = capsys.readouterr().out
    assert "3 of 6 numbers" in said
    assert "output" in said


def test_a_second_run_does_what_is_missing(folder, capsys) -> None:
    command, path = ["embed", f"features={folder}"], folder.parent / "toy-mean.h5"
    assert main(command) == 0
    first = path.stat().st_mtime_ns
    assert main(command) == 0
    assert path.stat().st_mtime_ns == first  # nothing to write
    assert "3 slides done before" in capsys.readouterr().out
    write(folder, "d")  # a new slide, one that was extracted again, one that is gone
    write(folder, "a", n_tiles=9)
    (folder / "b.h5").unlink()
    assert main(command) == 0
    said = capsys.readouterr().out
    assert re.search(r"done +2 slides +│", said)
    assert "1 slide whose features are not there any more" in said
    found = read_embeddings(path)
    assert found.slide_ids == ("a", "c", "d")
    again = FeatureStore(folder).read("a")
    assert found.features_digests[0] == again.record.digest
    np.testing.assert_allclose(found.embeddings_SE[0], again.features_ND.mean(0, dtype=float), 1e-6)


def test_a_damaged_file_is_named_and_the_others_are_done(folder, capsys) -> None:
    path = folder / "a.h5"  # the first one
    path.write_bytes(path.read_bytes()[:500])
    assert main(["embed", f"features={folder}"]) == 3
    assert "failed a: FileDamaged: " in capsys.readouterr().out
    assert read_embeddings(folder.parent / "toy-mean.h5").slide_ids == ("b", "c")


def test_a_mixture_of_recipes_is_refused(folder, capsys) -> None:
    write(folder, "z", encoder="uni")
    assert main(["embed", f"features={folder}"]) == 2
    said = capsys.readouterr().err
    assert "slide z has features of uni" in said
    assert "the first of toy" in said
    assert not (folder.parent / "toy-mean.h5").exists()


def test_a_file_of_other_features_is_not_replaced_unasked(folder, tmp_path, capsys) -> None:
    out = tmp_path / "all.h5"
    assert main(["embed", f"features={folder}", f"out={out}"]) == 0
    write(tmp_path / "other", "a", encoder="uni")
    command = ["embed", f"features={tmp_path / 'other'}", f"out={out}"]
    assert main(command) == 2
    said = capsys.readouterr().err
    assert "out=..." in said
    assert "overwrite=true" in said
    assert read_embeddings(out).slide_ids == ("a", "b", "c")
    assert main([*command, "overwrite=true"]) == 0
    assert read_embeddings(out).slide_ids == ("a",)


def test_features_of_another_tile_encoder_are_refused_by_name(folder, capsys, monkeypatch) -> None:
    from histofed.extract.slide_encoders import mean

    picky = replace(mean.CARD, tile_encoders=("conch_v1_5",))
    monkeypatch.setattr(mean, "CARD", picky)
    assert main(["embed", f"features={folder}"]) == 2
    said = capsys.readouterr().err
    assert "slide encoder mean takes features of conch_v1_5, these are of toy" in said
    assert "encoder=conch_v1_5" in said


@pytest.mark.parametrize("where", ["nowhere", "."])
def test_a_folder_without_features_is_refused(tmp_path, where, capsys) -> None:
    assert main(["embed", f"features={tmp_path / where}"]) == 2
    assert "holds no feature file" in capsys.readouterr().err


def test_the_file_does_not_go_among_the_features(folder, capsys) -> None:
    assert main(["embed", f"features={folder}", f"out={folder / 'mean.h5'}"]) == 2
    assert "another folder" in capsys.readouterr().err


@pytest.mark.parametrize("embedded_before", [False, True])
def test_the_folder_above_names_the_folders_of_the_encoders(
    embedded_before, folder, capsys
) -> None:
    if embedded_before:  # which leaves a file of another kind there
        assert main(["embed", f"features={folder}"]) == 0
    assert main(["embed", f"features={folder.parent}"]) == 2
    assert f"name one: features={folder}" in capsys.readouterr().err
