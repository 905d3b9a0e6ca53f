"""`histofed cohort` from real public tables; figures were counted from the tables by hand."""

from __future__ import annotations

import csv
import json
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from histofed.cli import main

if TYPE_CHECKING:
    from pathlib import Path


def make(out: Path, *options: str) -> tuple[list[dict[str, str]], dict[str, str]]:
    """Return the rows of the cohort, and patient -> why left out."""
    assert main(["cohort", *options, f"out={out}"]) == 0
    with (out / "cohort.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    with (out / "attrition.csv").open(newline="", encoding="utf-8") as file:
        left = {r["patient_id"]: r["reason"] for r in csv.DictReader(file) if not r["slide_id"]}
    assert json.loads((out / "audit.json").read_text())["sources"]
    return rows, left


@pytest.mark.parametrize(
    ("cancer", "acronyms", "n_in_all", "n_patients", "n_deaths"),
    [
        ("mesothelioma", ["MESO"], 87, 85, 73),
        ("breast", ["BRCA"], 1099, 1083, 151),
        ("lung", ["LUAD", "LUSC"], 1026, 1006, 398),
    ],
)
def test_survival_of_tcga(test_data, tmp_path, cancer, acronyms, n_in_all, n_patients, n_deaths):
    """TCGA-CDR: 1,099 BRCA, 522 LUAD, 504 LUSC and 87 MESO; times of 0 and unknown ones are out."""
    table = test_data / "clinical" / "tcga_cdr_BRCA_LUAD_LUSC_MESO.csv"
    rows, left = make(tmp_path, f"cancer={cancer}", "task=survival", f"clinical={table}")
    assert (len(rows), sum(row["OS_STATUS"] == "1" for row in rows)) == (n_patients, n_deaths)
    reasons = Counter(left.values())
    assert 2212 - sum(n for said, n in reasons.items() if said.startswith("acronym")) == n_in_all
    assert not {f"acronym is {each}" for each in acronyms} & reasons.keys()
    assert n_in_all - n_patients == sum(n for said, n in reasons.items() if "acronym" not in said)
    with table.open(newline="", encoding="utf-8") as file:
        days = {row["bcr_patient_barcode"]: row["OS.time"] for row in csv.DictReader(file)}
    for row in rows:  # months, as the task states; days, as the table does
        months = float(days[row["patient_id"]]) / 30.4375
        assert float(row["OS_MONTHS"]) == pytest.approx(months, rel=1e-5)
        assert row["site"] == row["patient_id"][5:7]
    warnings = json.loads((tmp_path / "audit.json").read_text())["warnings"]
    assert not any("TCGA barcodes" in each for each in warnings)


@pytest.mark.parametrize(
    ("task", "n_positive", "n_rows", "n_with_slide"),
    [("egfr", 70, 188, 58), ("kras", 139, 335, 130), ("tp53", 244, 618, 222)],
)
def test_mutations_of_lung_adenocarcinoma(
    test_data, tmp_path, task, n_positive, n_rows, n_with_slide
):
    """Shares of patients and of slides are two things, as patients have one to twelve slides.

    Of 521 patients EGFR 13.4 %, KRAS 26.7 %, TP53 46.8 %; of their 1,345 rows of slides 14.0 %,
    24.9 %, 45.9 %. 467 of the patients have a diagnostic slide.
    """
    slides = f"slides={test_data / 'clinical' / 'tcga_luad_5gene_slides.csv'}"
    every = "slide_types=[diagnostic,frozen]"
    rows, left = make(tmp_path / "all", "cancer=lung", f"task={task}", slides, every)
    label = {row["patient_id"]: row[task] for row in rows}
    assert (len(rows), len(label), sum(v == "1" for v in label.values())) == (1345, 521, n_positive)
    assert sum(row[task] == "1" for row in rows) == n_rows
    assert not left
    rows, left = make(tmp_path / "diagnostic", "cancer=lung", f"task={task}", slides)
    label = {row["patient_id"]: row[task] for row in rows}
    assert (len(rows), len(label)) == (529, 467)
    assert sum(v == "1" for v in label.values()) == n_with_slide
    assert Counter(left.values()) == {"no slide left": 54}
    if task == "egfr":  # it and KRAS exclude one another
        pairs = json.loads((tmp_path / "diagnostic" / "audit.json").read_text())["pairs"]
        kras = next(pair for pair in pairs if pair["second"] == "KRAS")
        assert (kras["both"], kras["only_first"]) == (1, 57)
        assert kras["high"] < 0.5


def test_myeloma_by_stage_and_follow_up(test_data, tmp_path):
    """995 patients, 191 dead; one followed until day -3; 28 without a stage."""
    table = f"clinical={test_data / 'clinical' / 'mmrf_clinical.csv'}"
    rows, left = make(tmp_path / "os", "cancer=myeloma", "task=survival", table, "site=mmrf")
    assert (len(rows), sum(row["OS_STATUS"] == "1" for row in rows)) == (994, 191)
    assert list(left.values()) == [
        "days_to_death/days_to_last_follow_up is -3 days: no time under observation"
    ]
    assert Counter(row["iss_stage"] for row in rows)["III"] >= 265  # goes along, to adjust for
    rows, _ = make(tmp_path / "iss", "cancer=myeloma", "task=iss_stage", table, "site=mmrf")
    assert Counter(row["iss_stage"] for row in rows) == {"I": 348, "II": 353, "III": 266}


def test_leukaemia_maf_makes_labels_of_who_was_sequenced(test_data, tmp_path):
    """200 patients, 193 of them in the MAF: the other seven are not wild type. TP53: 15 of 193."""
    folder = test_data / "genomic"
    rows, left = make(
        tmp_path, "cancer=lung", "task=tp53", f"clinical={folder / 'tcga_laml_annot.tsv'}",
        f"mutations={folder / 'tcga_laml.maf.gz'}", "sequenced=mutations",
    )  # fmt: skip
    assert (len(rows), sum(row["tp53"] == "1" for row in rows)) == (193, 15)
    assert Counter(left.values()) == {"TP53 was not sequenced": 7}
    ratio = {
        pair["second"]: pair["odds_ratio"]
        for pair in json.loads((tmp_path / "audit.json").read_text())["pairs"]
    }
    assert ratio["EGFR"] > 1
    said = json.loads((tmp_path / "audit.json").read_text())["warnings"]
    assert any("193 patients of 193" in each and "193 of TCGA-LAML" in each for each in said)
    assert ratio["STK11"] is None  # nobody has it mutated, so there is nothing to compare


def test_the_manifest_of_counts_has_no_slide(test_data, capsys, tmp_path):
    """A real manifest of the GDC (859 files): none is a slide, and none is taken for one."""
    table = test_data / "clinical" / "mmrf_clinical.csv"
    manifest = test_data / "clinical" / "gdc_manifest_mmrf.txt"
    options = [f"clinical={table}", f"slides={manifest}", "site=mmrf", f"out={tmp_path / 'out'}"]
    assert main(["cohort", "cancer=myeloma", "task=survival", *options]) == 2
    assert "line 2, slide 91b37a5b" in (said := capsys.readouterr().err.replace("\n", " "))
    assert "htseq_counts.txt.gz is no slide" in said
    assert not (tmp_path / "out").exists()
