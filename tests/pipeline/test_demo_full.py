"""The demo as shipped keeps its promises: `pytest -m slow tests/pipeline/test_demo_full.py`."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "run"
    done = subprocess.run(
        [sys.executable, "-m", "histofed", "demo", f"run={folder}"],
        capture_output=True,
        text=True,
        timeout=1400,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"histofed review run={folder}" in done.stdout
    return folder


@pytest.fixture(scope="module")
def summary(run: Path) -> dict[str, Any]:
    return json.loads((run / "summary.json").read_text())


def test_every_auroc_has_its_interval(summary: dict[str, Any]) -> None:
    for arm in ("local_mean", "federated", "pooled"):
        found = summary["auroc"][arm]
        assert 0 <= found["low"] <= found["value"] <= found["high"] <= 1


def test_federated_learns_what_pooling_learns(summary: dict[str, Any]) -> None:
    federated = summary["auroc"]["federated"]["value"]
    pooled = summary["auroc"]["pooled"]["value"]
    assert federated >= 0.85
    assert pooled >= 0.85
    assert federated >= pooled - 0.03


def test_no_hospital_alone_does_as_well(summary: dict[str, Any]) -> None:
    assert summary["auroc"]["federated"]["value"] > summary["auroc"]["local_mean"]["value"]


def test_attention_finds_the_planted_lesion(summary: dict[str, Any]) -> None:
    assert summary["lesion_auroc"] >= 0.80
    assert summary["lesion_slides"] >= 28  # 28 mutated patients, some with two slides


def test_within_each_hospital_it_is_not_the_stain(run: Path) -> None:
    metrics = json.loads((run / "metrics.json").read_text())
    sites = metrics["arms"]["federated"]["sites"]
    assert len(sites) == 4
    assert sum(site["auroc"]["value"] for site in sites.values()) / 4 >= 0.8


def test_it_says_how_long_each_stage_took(summary: dict[str, Any]) -> None:
    assert set(summary["seconds"]) == {"synthesise", "tile", "extract", "federate", "explain"}
    assert all(seconds > 0 for seconds in summary["seconds"].values())


def test_what_a_person_looks_at_is_there(run: Path) -> None:
    assert (run / "report.html").stat().st_size > 100_000
    assert len(list((run / "heatmaps").glob("*.png"))) == 8
    assert {file.stem for file in (run / "figures").glob("*.png")} >= {
        "roc", "pr", "calibration", "sites", "rounds", "curves",
    }  # fmt: skip
