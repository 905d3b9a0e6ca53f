"""How well a few clinical covariates predict survival at hospitals that were not trained on.

Run `python benchmarks/survival.py [--quick] [--json FILE] [--table FILE]`.

Four cohorts of the TCGA clinical data resource (Liu et al. 2018, Cell,
10.1016/j.cell.2018.02.052): age, sex (but of breast), stage and, of mesothelioma, histology, in a
linear Cox model. Stage is the main stage as a number, 1 to 4; what is not known is replaced as
`histofed train` does it (`histofed.core.clinical_encoding`), with the training patients of the fold
alone. Five folds of whole sites (the tissue source site of the barcode); each is tested by a model
of the other four.

c, sd
    Mean and standard deviation over the five folds of Harrell's C within the fold. The folds are
    those of `histofed.core.site_splits`, which balance events as well as whole sites allow.
c_dealt, sd_dealt
    The same mean over foldings whose sites were dealt by chance, and its deviation from one folding
    to the next: how much of ``c`` is the luck of one folding.
reference, reference_sd
    As measured elsewhere on the same patients with the same covariates and other site-grouped
    folds.

Patients without a time above 0 or an event are left out.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from histofed.core.clinical import covariates
from histofed.core.site_splits import site_preserved_folds
from histofed.core.survival.concordance import harrell_c
from histofed.core.survival.ridge_cox import ridge_cox

if TYPE_CHECKING:
    from collections.abc import Mapping

    from histofed.core.clinical import Covariates

REPOSITORY = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("HISTOFED_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
TABLE = DATA / "clinical" / "tcga_cdr_BRCA_LUAD_LUSC_MESO.csv"

N_FOLDS = 5
PENALTY = 0.01
"""Hardly any: there are more events than covariates."""

AGE, SEX = "age_at_initial_pathologic_diagnosis", "gender"
STAGE, HISTOLOGY = "ajcc_pathologic_tumor_stage", "histological_type"
MISSING = ("", "#n/a", "[not available]", "[discrepancy]", "stage x")


@dataclass(frozen=True)
class Question:
    """A cohort, what is known of its patients, and the C measured elsewhere."""

    cohort: str
    columns: tuple[str, ...]
    reference: float
    reference_sd: float


QUESTIONS = (
    Question("MESO", (AGE, SEX, STAGE, HISTOLOGY), 0.534, 0.047),
    Question("LUAD", (AGE, SEX, STAGE), 0.659, 0.031),
    Question("LUSC", (AGE, SEX, STAGE), 0.561, 0.064),
    Question("BRCA", (AGE, STAGE), 0.761, 0.062),
)


@dataclass(frozen=True)
class Patients:
    """Those of one cohort whose survival is known."""

    site_of: dict[str, str]
    time_of: dict[str, float]
    event_of: dict[str, int]
    covariates: Covariates


def main_stage(cell: str) -> str:
    """Return ``Stage IIIA`` as ``3``; a cell that says no stage as it is."""
    numeral = cell.removeprefix("Stage ").rstrip("ABC")
    numbers = {"I": "1", "II": "2", "III": "3", "IV": "4"}
    return numbers.get(numeral, cell)


def read(table: Path, question: Question) -> Patients:
    """Read a cohort's patients whose survival is known."""
    with table.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["acronym"] == question.cohort]
    rows = [row for row in rows if row["OS"] in ("0.0", "1.0") and _above_0(row["OS.time"])]
    cells = {
        row["bcr_patient_barcode"]: tuple(
            main_stage(row[name]) if name == STAGE else row[name] for name in question.columns
        )
        for row in rows
    }
    return Patients(
        site_of={p: p.split("-")[1] for p in cells},
        time_of={row["bcr_patient_barcode"]: float(row["OS.time"]) for row in rows},
        event_of={row["bcr_patient_barcode"]: int(float(row["OS"])) for row in rows},
        covariates=covariates(question.columns, cells, missing=MISSING),
    )


def _above_0(cell: str) -> bool:
    try:
        return float(cell) > 0
    except ValueError:
        return False


def risks(known: Covariates, patients: Patients, *, trained: list[str], tested: list[str]) -> Any:
    """Return the risks of the tested patients under a model of the trained ones, ``(P,)``."""
    encoding = known.encoding(known.sums(trained))
    model = ridge_cox(
        [patients.time_of[p] for p in trained],
        [patients.event_of[p] for p in trained],
        [encoding.encode(known.values_of[p]) for p in trained],
        penalty=PENALTY,
    )
    return model.risk([encoding.encode(known.values_of[p]) for p in tested])


def concordances(patients: Patients, fold_of: Mapping[str, int]) -> list[float]:
    """Return Harrell's C within each fold that has a pair to compare."""
    found = []
    for number in sorted(set(fold_of.values())):
        tested = [p for p, fold in fold_of.items() if fold == number]
        trained = [p for p, fold in fold_of.items() if fold != number]
        values = risks(patients.covariates, patients, trained=trained, tested=tested)
        times = [patients.time_of[p] for p in tested]
        found.append(harrell_c(times, [patients.event_of[p] for p in tested], values))
    return found


def dealt(patients: Patients, seed: int) -> dict[str, int]:
    """Deal sites by chance, each to the fold that has fewest patients."""
    rng = np.random.default_rng(seed)
    members: dict[str, list[str]] = {}
    for patient, site in patients.site_of.items():
        members.setdefault(site, []).append(patient)
    sizes, fold_of = [0] * N_FOLDS, {}
    for site in rng.permutation(sorted(members)):
        fold = int(np.argmin(sizes))
        sizes[fold] += len(members[site])
        fold_of |= dict.fromkeys(members[site], fold)
    return fold_of


def row(question: Question, patients: Patients, *, n_dealt: int) -> dict[str, Any]:
    """Return a cohort's row of the table."""
    fold_of = site_preserved_folds(
        patients.event_of, patients.site_of, N_FOLDS, cohort=question.cohort
    )
    within = concordances(patients, fold_of)
    means = [np.mean(concordances(patients, dealt(patients, seed))) for seed in range(n_dealt)]
    found = {
        "cohort": question.cohort,
        "n": len(patients.event_of),
        "events": sum(patients.event_of.values()),
        "sites": len(set(patients.site_of.values())),
        "c": np.mean(within),
        "sd": np.std(within, ddof=1),
        "c_dealt": np.mean(means),
        "sd_dealt": np.std(means, ddof=1),
        "reference": question.reference,
        "reference_sd": question.reference_sd,
    }
    found = {k: round(float(v), 3) if isinstance(v, float) else v for k, v in found.items()}
    within_sd = abs(found["c"] - question.reference) <= question.reference_sd
    return found | {"within_reference_sd": within_sd}


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer foldings by chance")
    parser.add_argument("--json", type=Path, help="write the result here")
    parser.add_argument("--table", type=Path, default=TABLE, help="the clinical table")
    arguments = parser.parse_args()
    if not arguments.table.is_file():
        parser.error(f"no table at {arguments.table}; name it with --table")
    started = time.perf_counter()
    n_dealt = 3 if arguments.quick else 50
    rows = [row(each, read(arguments.table, each), n_dealt=n_dealt) for each in QUESTIONS]
    figures = {
        "seconds": time.perf_counter() - started,
        "within_reference_sd": sum(each["within_reference_sd"] for each in rows),
        "foldings_dealt": n_dealt,
    }
    print("".join(f"{name:>20}" for name in rows[0]))
    for each in rows:
        print("".join(f"{value!s:>20}" for value in each.values()))
    for name, value in figures.items():
        print(f"{name}: {value:.4g}")
    if arguments.json:
        machine = f"{platform.machine()}, {os.cpu_count()} cores"
        found = {"figures": figures, "rows": rows, "environment": {"machine": machine}}
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
