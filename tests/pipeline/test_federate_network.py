"""``histofed federate provision``, ``serve`` and ``join`` as a person types them, on loopback."""

from __future__ import annotations

import csv
import json
import socket
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from histofed.cli import main

pytest.importorskip("nvflare")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(sys.platform != "linux", reason="processes are watched as on Linux"),
]

SITES = ("north", "south", "west")
FAST = (
    "splits.n_folds=3", "splits.scheme=file", "trainer.learning_rate=0.03",
    "trainer.accelerator=cpu", "aggregator.hidden_dim=16", "aggregator.attention_dim=4",
    "federation.rounds=2", "encoder.name=toy",
)  # fmt: skip
SOURCE = Path(__file__).resolve().parents[2] / "src"


def rows_of(source: Path, target: Path, patients: set[str]) -> None:
    with source.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(row for row in rows if row["patient_id"] in patients)


def test_three_hospitals_make_the_models_of_the_simulation(toy_study_of, tmp_path, start, table):
    study = toy_study_of(tmp_path / "all", sites=SITES, patients=6)
    dealt = study.options(tmp_path / "dealt", "federation.rounds=1", "compare=[]")
    assert main(["federate", *dealt]) == 0
    splits = tmp_path / "dealt" / "splits.csv"
    options = [*FAST, f"splits.file={splits}", "compare=[]", "trainer.max_epochs=40"]
    assert main(["federate", *study.options(tmp_path / "simulated", *options)]) == 0

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def histofed(name: str, *words: str):
        return start(name, "-m", "histofed", "federate", *words, PYTHONPATH=str(SOURCE))

    kits = tmp_path / "kits"
    made = histofed(
        "provision", "provision", "host=localhost", f"port={port}", f"out={kits}",
        f"hospitals=[{','.join(SITES)}]", *FAST,
    )  # fmt: skip
    assert made.process.wait(120) == 0, made.said()
    assert f"send {kits / 'north'} to north" in made.said()
    server = histofed("serve", "serve", f"kit={kits / 'server'}", f"run={tmp_path / 'served'}")
    hospitals = []
    for site in SITES:
        patients = {row["patient_id"] for row in study.rows() if row["site"] == site}
        rows_of(study.cohort, tmp_path / site / "cohort.csv", patients)
        rows_of(splits, tmp_path / site / "splits.csv", patients)
        hospitals.append(
            histofed(
                site, "join", f"kit={kits / site}", f"cohort={tmp_path / site / 'cohort.csv'}",
                f"features={study.features}", f"splits_file={tmp_path / site / 'splits.csv'}",
                f"work={tmp_path / site / 'work'}", f"run={tmp_path / site / 'run'}",
                "min_patients=1",
            )
        )  # fmt: skip
    assert server.process.wait(400) == 0, server.said()
    for hospital in hospitals:
        assert hospital.process.wait(120) == 0, hospital.said()
    for fold in range(3):
        name = f"federated/fold-{fold}/model.safetensors"
        expected = load_file(tmp_path / "simulated" / name)
        for run in (tmp_path / "served", *(tmp_path / site / "run" for site in SITES)):
            found = load_file(run / name)
            assert all(found[each].equal(expected[each]) for each in expected), run
        rounds = table(tmp_path / "served" / "federated" / f"fold-{fold}" / "rounds.csv")
        simulated = table(tmp_path / "simulated" / "federated" / f"fold-{fold}" / "rounds.csv")
        assert rounds == simulated
    assert "All hospitals together" in server.said()
    told, simulated = (
        json.loads((tmp_path / run / "metrics.json").read_text()) for run in ("served", "simulated")
    )
    (summed,), (same,) = (each["over_hospitals"].values() for each in (told, simulated))
    assert summed["auroc"] == pytest.approx(same["auroc"], abs=1e-6)
    assert summed["slope"] == pytest.approx(same["slope"], rel=1e-3, abs=1e-3)
    for site in SITES:
        assert len(table(tmp_path / site / "run" / "federated" / "predictions.csv")) == 6
        assert (tmp_path / site / "run" / "report.html").is_file()
