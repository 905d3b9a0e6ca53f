"""Four hospitals and one logistic regression: alone, together, and federated.

Run `python benchmarks/heart_disease.py [--quick] [--json FILE] [--data FOLDER]`.

The heart-disease patients of Cleveland, Budapest, Zurich and Long Beach (Detrano et al. 1989, Am J
Cardiol 64:304; UCI): 920 patients, 13 covariates, is there a narrowed vessel? What is missing (two
hospitals hardly know three of the covariates) is replaced as `histofed train` does it: by sums of
the training patients, which hospitals add up, with being missing as a covariate of its own. A
cholesterol or blood pressure of 0 is missing.

Five folds, dealt within hospital and label, five times. ``local`` predicts a patient by the model
of his own hospital; ``pooled`` and ``federated`` by one model for all. Nothing was tuned: every arm
takes 250 steps of gradient descent on all its training patients with the same penalty.

Rows: AUROC out of fold of the patients of each hospital, and within hospitals (pairs of patients of
the same hospital, since how frequent the disease is would tell hospitals apart: Janes & Pepe 2009),
mean over the five foldings with its bootstrap interval over patients. Figures:
``federated_minus_pooled``, ``federated_minus_local`` of the AUROC within hospitals.
"""

from __future__ import annotations

import argparse
import csv
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from linear_sites import Patients, Plan, train, write

from histofed.core.clinical import covariates
from histofed.core.clinical_encoding import add_sums
from histofed.core.metrics import auroc
from histofed.core.metrics.resampling import bootstrap_rows
from histofed.core.splits import deal
from histofed.mil.objectives.binary import Binary

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from histofed.core.clinical import Covariates
    from histofed.core.metrics.intervals import Interval

REPOSITORY = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("HISTOFED_TEST_DATA", REPOSITORY.parent / "shared" / "data"))

HOSPITALS = {"cleveland": "Cleveland", "hungarian": "Budapest", "switzerland": "Zurich"} | {
    "va": "Long Beach"
}
COLUMNS = (
    *("age", "sex", "chest pain", "blood pressure", "cholesterol", "blood sugar", "ecg"),
    *("heart rate", "angina", "st depression", "st slope", "vessels", "thallium"),
)
NAMES = frozenset(("sex", "chest pain", "ecg", "st slope", "thallium"))
"""Columns whose numbers are names."""

NEVER_0 = frozenset(("blood pressure", "cholesterol"))
N_FOLDS = 5
PLAN = Plan(rounds=50, updates=5, batch_size=None, learning_rate=1.0, weight_decay=0.01)


@dataclass(frozen=True)
class Cohort:
    """All patients: in the order of ``names``, hospital and label of each."""

    names: tuple[str, ...]
    hospitals_P: np.ndarray
    labels_P: np.ndarray
    known: Covariates


def read(folder: Path) -> Cohort:
    """Read the four tables."""
    cells_of, hospitals, labels = {}, [], []
    for file, hospital in HOSPITALS.items():
        with (folder / f"processed.{file}.data").open(newline="", encoding="utf-8") as table:
            rows = [row for row in csv.reader(table) if row and not row[0].startswith("X")]
        for number, row in enumerate(rows):
            pairs = zip(COLUMNS, row[:-1], strict=True)
            cells_of[f"{hospital}-{number:03}"] = [_cell(name, cell) for name, cell in pairs]
            hospitals.append(hospital)
            labels.append(int(float(row[-1]) > 0))
    known = covariates(COLUMNS, cells_of, words=NAMES)
    return Cohort(tuple(cells_of), np.array(hospitals), np.array(labels), known)


def _cell(name: str, cell: str) -> str:
    """Return a cell with one spelling of a number (3.0 is 3), and nothing where it is missing."""
    number = None if cell.strip() == "?" else float(cell)
    if number is None or number == -9 or (number == 0 and name in NEVER_0):
        return ""
    return f"{number:g}"


def out_of_fold(cohort: Cohort, *, seed: int) -> dict[str, np.ndarray]:
    """Return arm -> log odds of every patient under models that were trained without him."""
    fold_of = deal(
        dict(zip(cohort.names, cohort.labels_P.tolist(), strict=True)),
        N_FOLDS,
        seed=seed,
        site_of=dict(zip(cohort.names, cohort.hospitals_P.tolist(), strict=True)),
    )
    folds_P = np.array([fold_of[name] for name in cohort.names])
    found = {arm: np.zeros(len(folds_P)) for arm in ("local", "pooled", "federated")}
    for fold in range(N_FOLDS):
        tested, trained = folds_P == fold, folds_P != fold
        for hospital in HOSPITALS.values():
            here = cohort.hospitals_P == hospital
            _fit(cohort, [here & trained], here & tested, found["local"], seed=seed)
        _fit(cohort, [trained], tested, found["pooled"], seed=seed)
        each = [(cohort.hospitals_P == name) & trained for name in HOSPITALS.values()]
        _fit(cohort, each, tested, found["federated"], seed=seed)
    return found


def _fit(
    cohort: Cohort, sites: Sequence[np.ndarray], tested: np.ndarray, out_P: np.ndarray, *, seed: int
) -> None:
    """Train on these rows of each site, and put the log odds of those tested in their places."""
    names = np.array(cohort.names)
    encoding = cohort.known.encoding(add_sums([cohort.known.sums(names[rows]) for rows in sites]))

    def encoded(rows: np.ndarray) -> np.ndarray:
        return np.array([encoding.encode(cohort.known.values_of[name]) for name in names[rows]])

    patients = {
        str(number): Patients(encoded(rows), cohort.labels_P[rows, None])
        for number, rows in enumerate(sites)
    }
    out_P[tested] = train(patients, Binary(), PLAN, seed=seed)(encoded(tested))


def within(labels_P: np.ndarray, hospitals_P: np.ndarray, *scores: np.ndarray) -> float:
    """Return the AUROC over pairs of the same hospital, mean over several scores."""
    values, weights = [], []
    for hospital in np.unique(hospitals_P):
        here = hospitals_P == hospital
        n_positive = int(labels_P[here].sum())
        weights.append(n_positive * (here.sum() - n_positive))
        values.append(np.mean([auroc(labels_P[here], each[here]) for each in scores]))
    return float(np.average(values, weights=weights))


def interval(
    cohort: Cohort, metric: Callable[..., float], *scores: np.ndarray, n_resamples: int
) -> Interval:
    """Return a metric with its interval; patients are drawn within hospital and label."""
    strata = np.char.add(cohort.hospitals_P, cohort.labels_P.astype(str))
    columns = (cohort.labels_P, cohort.hospitals_P, *scores)
    return bootstrap_rows(metric, *columns, strata_P=strata, n_resamples=n_resamples)


def table(
    cohort: Cohort, runs: Sequence[dict[str, np.ndarray]], *, n_resamples: int
) -> list[dict[str, Any]]:
    """Return a row per arm and hospital, and one of all hospitals."""
    rows = []
    for hospital in (*HOSPITALS.values(), "within hospitals"):
        chosen = np.isin(cohort.hospitals_P, [hospital]) | (hospital == "within hospitals")
        here = Cohort((), cohort.hospitals_P[chosen], cohort.labels_P[chosen], cohort.known)
        for arm in runs[0]:
            scores = [run[arm][chosen] for run in runs]
            found = interval(here, within, *scores, n_resamples=n_resamples)
            rows.append(
                {
                    "hospital": hospital,
                    "arm": arm,
                    "patients": int(chosen.sum()),
                    "positive": int(here.labels_P.sum()),
                    "auroc": round(found.value, 3),
                    "low": round(found.low, 3),
                    "high": round(found.high, 3),
                }
            )
    return rows


def differences(
    cohort: Cohort, runs: Sequence[dict[str, np.ndarray]], *, n_resamples: int
) -> dict[str, float]:
    """Return the federated AUROC within hospitals less that of the others, with intervals."""
    found = {}
    for other in ("pooled", "local"):

        def gap(labels_P: np.ndarray, hospitals_P: np.ndarray, *scores: np.ndarray) -> float:
            half = len(scores) // 2
            ours, theirs = scores[:half], scores[half:]
            return within(labels_P, hospitals_P, *ours) - within(labels_P, hospitals_P, *theirs)

        scores = [run[arm] for arm in ("federated", other) for run in runs]
        value = interval(cohort, gap, *scores, n_resamples=n_resamples)
        name = f"federated_minus_{other}"
        found |= {name: value.value, f"{name}_low": value.low, f"{name}_high": value.high}
    return found


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one folding, few resamples")
    parser.add_argument("--json", type=Path, help="write the result here")
    parser.add_argument("--data", type=Path, default=DATA / "federated" / "heart_disease")
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        parser.error(f"no tables in {arguments.data}; name their folder with --data")
    started = time.perf_counter()
    cohort = read(arguments.data)
    runs = [out_of_fold(cohort, seed=seed) for seed in range(1 if arguments.quick else 5)]
    n_resamples = 200 if arguments.quick else 1000
    rows = table(cohort, runs, n_resamples=n_resamples)
    figures = differences(cohort, runs, n_resamples=n_resamples)
    figures["seconds"] = time.perf_counter() - started
    for row in rows:
        cells = " ".join(f"{row[key]!s:>10}" for key in ("arm", "patients", "positive"))
        print(
            f"{row['hospital']:18}{cells}  {row['auroc']:.3f} ({row['low']:.3f}-{row['high']:.3f})"
        )
    for name, value in figures.items():
        print(f"{name}: {value:.4g}")
    if arguments.json:
        write(arguments.json, figures, rows)


if __name__ == "__main__":
    main()
