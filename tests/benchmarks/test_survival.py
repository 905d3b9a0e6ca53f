"""The benchmark on clinical covariates: whole sites, no leakage, and stages read as meant."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from histofed.core.clinical import covariates

if TYPE_CHECKING:
    from types import ModuleType

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "survival.py"


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    specification = importlib.util.spec_from_file_location("benchmark_survival", SCRIPT)
    module = importlib.util.module_from_spec(specification)
    sys.modules[module.__name__] = module  # its dataclasses ask for it
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def patients(benchmark):
    """60 patients of 12 sites; the higher the age, the earlier the event."""
    names = [f"p{number:02}" for number in range(60)]
    rng = np.random.default_rng(0)
    age_of = {name: round(40 + 5 * rng.normal(), 1) for name in names}
    return benchmark.Patients(
        site_of={name: f"s{number % 12}" for number, name in enumerate(names)},
        time_of={name: 200 - 2 * age_of[name] for name in names},
        event_of={name: int(number % 4 > 0) for number, name in enumerate(names)},
        covariates=covariates(("age",), {name: (str(age),) for name, age in age_of.items()}),
    )


@pytest.mark.parametrize(
    ("cell", "stage"),
    [("Stage IA", "1"), ("Stage II", "2"), ("Stage IIIC", "3"), ("Stage IV", "4")],
)
def test_main_stages(benchmark, cell, stage):
    assert benchmark.main_stage(cell) == stage


@pytest.mark.parametrize("cell", ["Stage X", "[Discrepancy]", ""])
def test_what_is_no_stage_stays_and_is_missing(benchmark, cell):
    assert benchmark.main_stage(cell) == cell
    assert cell.lower() in benchmark.MISSING


def test_sites_are_dealt_whole(benchmark, patients):
    for seed in range(3):
        fold_of = benchmark.dealt(patients, seed)
        assert set(fold_of.values()) == set(range(5))
        pairs = {(patients.site_of[p], fold) for p, fold in fold_of.items()}
        assert len(pairs) == 12


def test_what_decides_survival_is_found_and_chance_is_not(benchmark, patients):
    folds = benchmark.dealt(patients, 0)
    assert min(benchmark.concordances(patients, folds)) > 0.95
    names = list(patients.time_of)
    shuffled = dict(zip(names, np.random.default_rng(1).permutation(names), strict=True))
    blind = replace(patients, time_of={p: patients.time_of[shuffled[p]] for p in names})
    assert abs(np.mean(benchmark.concordances(blind, folds)) - 0.5) < 0.2


def test_tested_patients_do_not_change_the_model(benchmark, patients):
    trained, tested = list(patients.time_of)[:50], list(patients.time_of)[50:]
    before = benchmark.risks(patients.covariates, patients, trained=trained, tested=tested)
    late = replace(patients, time_of=patients.time_of | dict.fromkeys(tested, 999.0))
    assert (benchmark.risks(late.covariates, late, trained=trained, tested=tested) == before).all()


def test_a_row_of_real_patients(benchmark, test_data):
    question = benchmark.QUESTIONS[0]
    found = benchmark.read(test_data / benchmark.TABLE.relative_to(benchmark.DATA), question)
    row = benchmark.row(question, found, n_dealt=2)
    assert (row["cohort"], row["n"], row["events"], row["sites"]) == ("MESO", 85, 73, 13)
    assert row["within_reference_sd"]
