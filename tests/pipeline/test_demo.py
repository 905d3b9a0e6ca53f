"""``histofed demo small=true`` as a newcomer calls it, twice."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from histofed.io.runs import read_json

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def demo(run: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "histofed", "demo", "small=true", f"run={run}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    assert "Traceback" not in done.stderr
    return done.stdout


def test_the_small_demo_and_the_small_demo_again(tmp_path):
    run = tmp_path / "demo"
    first = demo(run)
    summary = read_json(run / "summary.json")
    for arm in ("local_mean", "federated", "pooled"):
        found = summary["auroc"][arm]
        if arm == "local_mean" and found is None:
            continue  # so few patients that no hospital can train alone
        assert 0 <= found["low"] <= found["value"] <= found["high"] <= 1
    assert 0 <= summary["lesion_auroc"] <= 1
    stages = {"synthesise", "tile", "extract", "federate", "explain"}
    assert stages <= summary["seconds"].keys()
    assert all(seconds >= 0 for seconds in summary["seconds"].values())
    for file in ("report.html", "metrics.json", "splits.csv", "cohort/cohort.csv"):
        assert (run / file).is_file(), file
    assert list((run / "heatmaps").glob("*.png"))
    assert f"histofed review run={run}" in first.replace("\n", "")

    kept = {
        path: path.stat().st_mtime_ns
        for pattern in ("cohort/slides/*", "work/tiles/*.h5", "work/features/*/*.h5")
        for path in run.glob(pattern)
    }
    assert len(kept) > 10
    predictions = (run / "federated" / "predictions.csv").read_bytes()
    second = demo(run)
    assert second.count("nothing to do") == 2
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert (run / "federated" / "predictions.csv").read_bytes() == predictions
    assert read_json(run / "summary.json")["auroc"] == summary["auroc"]
