"""TCGA barcodes: patient, source site, sample type, and which kind of slide.

``TCGA-55-8507-01Z-00-DX1``: project, tissue source site, participant, sample type (01) with its
vial (Z), portion, slide. https://docs.gdc.cancer.gov/Encyclopedia/pages/TCGA_Barcode/
"""

from __future__ import annotations

import re
from dataclasses import dataclass

SAMPLE_TYPES = {
    "01": "primary solid tumour",
    "02": "recurrent solid tumour",
    "03": "primary blood-derived cancer, peripheral blood",
    "05": "additional new primary",
    "06": "metastatic",
    "07": "additional metastatic",
    "09": "primary blood-derived cancer, bone marrow",
    "10": "blood-derived normal",
    "11": "solid tissue normal",
    "12": "buccal cell normal",
    "14": "bone marrow normal",
    "20": "control analyte",
}
"""Codes of the GDC that occur with slides and sequencing."""

DIAGNOSTIC, FROZEN, UNSAID = "diagnostic", "frozen", "not said"

SLIDE_TYPES = (DIAGNOSTIC, FROZEN, UNSAID)
"""Formalin-fixed slides of the diagnosis; frozen ones beside a sequenced portion; others."""

SOURCE_SITES = {
    "TCGA-BRCA": "3C 4H 5L 5T A1 A2 A7 A8 AC AN AO AQ AR B6 BH C8 D8 E2 E9 EW GI GM HN JL LD LL LQ "
    "MS OK OL PE PL S3 UL UU V7 W8 WT XX Z7",
    "TCGA-LAML": "AB",
    "TCGA-LUAD": "05 35 38 44 49 4B 50 53 55 62 64 67 69 71 73 75 78 80 83 86 91 93 95 97 99 J2 L4 "
    "L9 MN MP NJ O1 S2",
    "TCGA-LUSC": "18 21 22 33 34 37 39 43 46 51 52 56 58 60 63 66 68 6A 70 77 79 85 90 92 94 96 98 "
    "J1 L3 LA MF NC NK O2 XC",
    "TCGA-MESO": "3H 3U LK MQ NQ SC SH TS UD UT XT YS ZN",
}
"""Project -> codes of its tissue source sites, of our cancers and one that is often at hand.

A code is of one hospital and one disease. Counted from TCGA-CDR (Liu et al. 2018, Cell 173:400).
"""

PROJECT_OF_SITE = {code: name for name, codes in SOURCE_SITES.items() for code in codes.split()}

_BARCODE = re.compile(
    r"TCGA-(?P<site>[A-Z0-9]{2})-(?P<participant>[A-Z0-9]{4})"
    r"(?:-(?P<sample>\d{2})[A-Z]?(?:-(?P<portion>[A-Z0-9]{2,3})(?:-(?P<slide>[A-Z0-9]+))?)?)?"
    r"(?![A-Z0-9])",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Barcode:
    """What a TCGA barcode says.

    Attributes
    ----------
    site
        Code of the tissue source site: where the tissue came from.
    sample_type
        Two digits, see `SAMPLE_TYPES`; None in a patient's barcode.
    slide_type
        One of `SLIDE_TYPES`.
    """

    patient_id: str
    site: str
    sample_type: str | None
    slide_type: str


def barcode_of(text: str) -> Barcode | None:
    """Return what the barcode at the start of a name says; None where there is none.

    Names of files go on after the barcode: ``TCGA-55-8507-01Z-00-DX1.3C6198CF.svs``.
    """
    found = _BARCODE.match(text.strip())
    if found is None:
        return None
    code = (found["slide"] or "").upper()
    slide_type = UNSAID
    if code.startswith("DX"):
        slide_type = DIAGNOSTIC
    elif code.startswith(("TS", "BS", "MS")):  # top, bottom, middle of the frozen portion
        slide_type = FROZEN
    return Barcode(
        patient_id=f"TCGA-{found['site']}-{found['participant']}".upper(),
        site=found["site"].upper(),
        sample_type=found["sample"],
        slide_type=slide_type,
    )
