from __future__ import annotations

import csv

import pytest

from histofed.core.labels.barcodes import PROJECT_OF_SITE, SOURCE_SITES, barcode_of


@pytest.mark.parametrize(
    ("text", "patient", "site", "sample", "slide"),
    [
        ("TCGA-55-8507", "TCGA-55-8507", "55", None, "not said"),
        ("TCGA-55-8507-01A", "TCGA-55-8507", "55", "01", "not said"),
        ("TCGA-55-8507-01Z-00-DX1", "TCGA-55-8507", "55", "01", "diagnostic"),
        ("TCGA-55-8507-01Z-00-DX1.3C6198CF-3E13.svs", "TCGA-55-8507", "55", "01", "diagnostic"),
        ("TCGA-55-8507-01A-01-TS1", "TCGA-55-8507", "55", "01", "frozen"),
        ("TCGA-55-8507-01A-01-BSA", "TCGA-55-8507", "55", "01", "frozen"),
        ("TCGA-05-4244-11A-01D-1105-08", "TCGA-05-4244", "05", "11", "not said"),
        ("tcga-cr-7395-01a-01-ts1.svs", "TCGA-CR-7395", "CR", "01", "frozen"),
        ("TCGA-AB-2802", "TCGA-AB-2802", "AB", None, "not said"),
    ],
)
def test_what_a_barcode_says(text, patient, site, sample, slide):
    found = barcode_of(text)
    assert found is not None
    assert (found.patient_id, found.site) == (patient, site)
    assert (found.sample_type, found.slide_type) == (sample, slide)


@pytest.mark.parametrize(
    "text", ["", "TCGA", "TCGA-LUAD", "TCGA-55-85071", "MMRF_1951", "C3L-00001"]
)
def test_no_barcode(text):
    assert barcode_of(text) is None


def test_source_sites_are_of_one_project_each(test_data):
    """As TCGA-CDR has them: 2,212 patients of four projects; every code is seen."""
    path = test_data / "clinical" / "tcga_cdr_BRCA_LUAD_LUSC_MESO.csv"
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    found = {row["bcr_patient_barcode"][5:7]: f"TCGA-{row['acronym']}" for row in rows}
    assert found | {"AB": "TCGA-LAML"} == PROJECT_OF_SITE
    assert len(PROJECT_OF_SITE) == sum(len(codes.split()) for codes in SOURCE_SITES.values())
