from __future__ import annotations

import csv
import hashlib
import json
import math
from typing import TYPE_CHECKING

import pytest

from histofed.core.coverage import box_means
from histofed.core.tiling import TileSpec, full_grid
from histofed.errors import CohortError, ConfigError
from histofed.io.readers import open_slide
from histofed.synth import LESION_MPP, CohortSpec, make_cohort, read_lesion_mask
from histofed.synth.cohort import COLUMNS

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

TINY = CohortSpec(
    seed=3,
    patients_per_site=1,
    mutated_per_site=(1, 0, 1, 0),
    width_um=480,
    height_um=440,
    tissue_mm2=0.1,
)


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    make_cohort(folder, CohortSpec.small(), workers=2)
    return folder


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "cohort.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def tissue_fraction(slide, coords: np.ndarray) -> np.ndarray:
    picture = slide.thumbnail(LESION_MPP).astype(int)
    coloured = picture.max(-1) - picture.min(-1) > 18
    side_px0 = TileSpec().side_px0(slide.info.mpp)
    return box_means(coloured, coords, side_px0, LESION_MPP / slide.info.mpp)


def test_table_names_every_slide_and_no_other(small: Path) -> None:
    table = rows(small)
    assert tuple(table[0]) == COLUMNS
    named = {row["path"] for row in table}
    found = {f"slides/{path.name}" for path in (small / "slides").iterdir()}
    assert named == found
    assert len(named) == len(table) == 20
    assert {row["slide_id"] for row in table} == {p.stem for p in (small / "masks").iterdir()}


def test_patients_keep_one_label_and_half_are_mutated(small: Path) -> None:
    patients: dict[str, set[tuple[str, str]]] = {}
    for row in rows(small):
        patients.setdefault(row["patient_id"], set()).add((row["site"], row["mutated"]))
    assert all(len(seen) == 1 for seen in patients.values())
    labels = [next(iter(seen)) for seen in patients.values()]
    for site in ("alder", "birch", "cedar", "dogwood"):
        assert sorted(mutated for name, mutated in labels if name == site) == ["0", "0", "1", "1"]


def test_each_hospital_has_its_scanner(small: Path) -> None:
    seen = {}
    for row in rows(small):
        with open_slide(small / row["path"]) as slide:
            info = slide.info
            seen[row["site"]] = (round(info.mpp, 5), info.vendor, info.objective_power)
    assert seen == {
        "alder": (0.25, "aperio", 40),
        "birch": (0.2527, "aperio", 40),
        "cedar": (0.5, "aperio", 20),
        "dogwood": (0.44, "generic-tiff", None),
    }


def test_lesions_cover_what_they_should(small: Path) -> None:
    for row in rows(small):
        with open_slide(small / row["path"]) as slide:
            info = slide.info
            tiles = full_grid(TileSpec(), info)
            n_tiles = (tissue_fraction(slide, tiles) >= 0.5).sum()
        mask = read_lesion_mask(small, row["slide_id"])
        # Same origin, exactly 4 um a pixel: the mask ends where the slide does.
        width_um, height_um = info.width_px0 * info.mpp, info.height_px0 * info.mpp
        assert mask.shape == (math.ceil(height_um / 4), math.ceil(width_um / 4)), row
        share = mask.sum() * LESION_MPP**2 / (CohortSpec.small().tissue_mm2 * 1e6)
        if row["mutated"] == "1":
            assert 0.05 <= share <= 0.20, row
        else:
            assert share == 0, row
        assert 14 <= n_tiles <= 26, row


def test_lesions_lie_on_nuclei(small: Path) -> None:
    """A shifted or scaled mask would cover stroma: nests are far bluer than what is around."""
    for row in rows(small):
        if row["mutated"] == "0":
            continue
        mask = read_lesion_mask(small, row["slide_id"])
        with open_slide(small / row["path"]) as slide:
            picture = slide.thumbnail(LESION_MPP).astype(float)
        red = picture[: mask.shape[0], : mask.shape[1], 0]
        tissue = picture.max(-1) - picture.min(-1) > 18
        assert red[mask].mean() < red[tissue & ~mask].mean() - 10, row


def test_bytes_do_not_depend_on_workers(tmp_path: Path) -> None:
    make_cohort(tmp_path / "one", TINY, workers=1)
    make_cohort(tmp_path / "two", TINY, workers=2)
    assert digests(tmp_path / "one") == digests(tmp_path / "two")


def test_a_second_run_does_nothing_and_a_lost_slide_is_made_again(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []

    def on_slide(done: int, total: int) -> None:
        told.append((done, total))

    make_cohort(tmp_path, TINY, workers=1, on_slide=on_slide)
    assert told[-1] == (len(told), len(told))
    before, times = digests(tmp_path), [p.stat().st_mtime_ns for p in tmp_path.rglob("*.svs")]
    told.clear()
    assert make_cohort(tmp_path, TINY, on_slide=on_slide) == tmp_path / "cohort.csv"
    assert told == []
    assert [p.stat().st_mtime_ns for p in tmp_path.rglob("*.svs")] == times
    next((tmp_path / "slides").glob("*.tif")).unlink()
    make_cohort(tmp_path, TINY, on_slide=on_slide)
    assert told == [(1, 1)]
    assert digests(tmp_path) == before


def test_an_interrupted_cohort_is_not_taken_for_a_whole_one(tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def on_slide(done: int, total: int) -> None:
        raise Stop

    with pytest.raises(Stop):
        make_cohort(tmp_path, TINY, workers=1, on_slide=on_slide)
    assert not (tmp_path / "cohort.csv").exists()
    assert not (tmp_path / "cohort.json").exists()


def test_another_cohort_in_the_folder_is_refused(tmp_path: Path) -> None:
    make_cohort(tmp_path, TINY, workers=1)
    other = CohortSpec(**{**TINY.record["spec"], "seed": 4})
    with pytest.raises(CohortError, match=r"'seed': 4.*'seed': 3.*another folder, or delete"):
        make_cohort(tmp_path, other)
    marker = json.loads((tmp_path / "cohort.json").read_text())
    (tmp_path / "cohort.json").write_text(json.dumps({**marker, "generator_version": 0}))
    with pytest.raises(CohortError, match="generator_version"):
        make_cohort(tmp_path, TINY)
    (tmp_path / "cohort.json").write_text("{")
    with pytest.raises(CohortError, match="damaged"):
        make_cohort(tmp_path, TINY)


def test_slides_of_something_else_are_not_mixed_in(tmp_path: Path) -> None:
    (tmp_path / "slides").mkdir()
    (tmp_path / "slides" / "Z-001-1.svs").touch()
    (tmp_path / "slides" / ".half.part").touch()
    with pytest.raises(CohortError, match=r"1 slide.*Z-001-1\.svs.*another folder"):
        make_cohort(tmp_path, TINY, workers=1)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"patients_per_site": (4, 4)}, "4 hospitals"),
        ({"patients_per_site": 0}, "alder"),
        ({"patients_per_site": 3, "mutated_per_site": (1, 1, 1, 4)}, "dogwood: 4 mutated of 3"),
        ({"width_um": 1301.0}, "multiples of 4"),
        ({"tissue_mm2": 2.0}, "tissue_mm2=2"),
    ],
)
def test_impossible_cohorts_are_refused(change, said) -> None:
    with pytest.raises(ConfigError, match=said):
        CohortSpec(**change)


def test_prevalence_differs_by_hospital() -> None:
    assert CohortSpec().mutated_per_site == (4, 6, 8, 10)
    assert CohortSpec().patients_per_site == (14, 14, 14, 14)


def test_a_missing_mask_is_named(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match="A-001-1"):
        read_lesion_mask(tmp_path, "A-001-1")
