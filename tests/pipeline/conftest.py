"""A small invented study: features with a planted signal, written as files, four hospitals."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest

from histofed.cli import main
from histofed.io.runs import RunFolder
from histofed.io.store import FeatureStore, Recipe, Record, SlideFeatures

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SITES = ("east", "north", "south", "west")
N_PATIENTS, N_TILES, DIM = 6, 12, 16

FAST = (
    "splits.n_folds=3",
    "trainer.max_epochs=4",
    "trainer.learning_rate=0.03",
    "trainer.accelerator=cpu",
    "aggregator.hidden_dim=16",
    "aggregator.attention_dim=4",
)


@dataclass(frozen=True)
class ToyStudy:
    """Where a study's table and features are, as options."""

    cohort: Path
    features: Path

    def options(self, run: Path, *more: str) -> list[str]:
        here = [f"cohort={self.cohort}", f"features={self.features}", f"run={run}"]
        return [*here, f"work={self.cohort.parent / 'work'}", *FAST, *more]

    def rows(self) -> list[dict[str, str]]:
        return read_csv(self.cohort)


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def make_toy_study(
    folder: Path,
    *,
    sites: tuple[str, ...] = SITES,
    patients: int = N_PATIENTS,
    prefix: str = "p",
    seed: int = 7,
) -> ToyStudy:
    """Write a study: half of the patients positive, a quarter of whose tiles say so."""
    generator = np.random.default_rng(seed)
    study = ToyStudy(cohort=folder / "cohort.csv", features=folder / "features")
    store = FeatureStore(study.features)
    folder.mkdir(parents=True, exist_ok=True)
    with study.cohort.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["patient_id", "slide_id", "site", "path", "mutated"])
        for number in range(len(sites) * patients):
            site, label = sites[number % len(sites)], number // len(sites) % 2
            features = generator.normal(size=(N_TILES, DIM))
            features[: label * N_TILES // 4, :3] += 3
            bag = f"{prefix}{number:02}"
            record = Record(
                recipe=Recipe(spec=None, encoder="toy"),
                slide_id=bag,
                slide_digest="toy",
                mpp=None,
                width_px0=None,
                height_px0=None,
            )
            values = features.astype(np.float16)
            store.write(SlideFeatures(record=record, features_ND=values, coords_N2=None))
            writer.writerow([bag, bag, site, "", label])
    return study


@pytest.fixture(scope="session")
def toy_study(tmp_path_factory: pytest.TempPathFactory) -> ToyStudy:
    return make_toy_study(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="session")
def toy_study_of() -> Callable[..., ToyStudy]:
    """Return the maker of other studies."""
    return make_toy_study


@pytest.fixture(scope="session")
def table() -> Callable[[Path], list[dict[str, str]]]:
    """Return the reader of tables."""
    return read_csv


@pytest.fixture(scope="session")
def auroc_within_folds() -> Callable[[list[dict[str, str]]], float]:
    """Return the AUROC of rows of predictions, pair by pair of patients of one fold."""

    def auroc(rows: list[dict[str, str]]) -> float:
        pairs = [
            (float(one["probability"]), float(other["probability"]))
            for one in rows
            for other in rows
            if (one["label"], other["label"]) == ("1", "0") and one["fold"] == other["fold"]
        ]
        return sum((one > other) + 0.5 * (one == other) for one, other in pairs) / len(pairs)

    return auroc


@pytest.fixture(scope="session")
def federated_run(toy_study: ToyStudy, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """One run of ``histofed federate`` with every comparison; tests read it and change nothing."""
    run = tmp_path_factory.mktemp("runs") / "federated"
    assert main(["federate", *toy_study.options(run, "federation.rounds=3")]) == 0
    return RunFolder(run)
