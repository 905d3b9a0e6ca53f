"""Of which hospital each patient of `histofed cohort` is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histofed.core.labels.barcodes import barcode_of
from histofed.errors import CohortError
from histofed.io.tables import one_spelling
from histofed.pipeline.cohort_sources import first_cell

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from histofed.pipeline.cohort_slides import Found
    from histofed.pipeline.cohort_sources import PatientRow
    from histofed.pipeline.schema_data import CohortConfig


def sites_of(
    slides: Sequence[Found], patients: Mapping[str, Sequence[PatientRow]], config: CohortConfig
) -> dict[str, str]:
    """Return ``patient_id`` -> hospital: as the option, a column or a TCGA barcode says.

    Raises
    ------
    CohortError
        Nothing says it of a patient, two rows say two, or one hospital has two spellings.
    """
    spelled: dict[str, str] = {}
    found: dict[str, tuple[str, str]] = {}
    for slide in slides:
        said = _sites_said(slide, patients[slide.patient_id], config)
        if not said:
            msg = f"{slide.where}: the hospital of {slide.patient_id} is not said; add a column "
            msg += f"({', '.join(config.columns.site)}), or name one for all with site=NAME"
            raise CohortError(msg)
        site, where = found.setdefault(slide.patient_id, said[0])
        if other := next((each for each in said if each[0] != site), None):
            msg = f"{other[1]}: the hospital of {slide.patient_id} is {other[0]} here and {site} "
            msg += f"by {where}; a patient has one hospital: correct the tables, or leave the "
            msg += "column out (columns.site=[...])"
            raise CohortError(msg)
        if (earlier := spelled.setdefault(one_spelling(site), site)) != site:
            msg = f"{where}: hospital {site!r} is also written {earlier!r}; it would count as two: "
            msg += "write the name in one way"
            raise CohortError(msg)
    return {patient: site for patient, (site, _) in found.items()}


def _sites_said(
    slide: Found, rows: Sequence[PatientRow], config: CohortConfig
) -> list[tuple[str, str]]:
    """Return hospitals that the option, the tables or else the barcode say, and where each does."""
    if config.site:
        return [(config.site, "site=...")]
    stated = [(slide.site, slide.where)]
    stated += [(first_cell(row, config.columns.site)[1], row.where) for row in rows]
    barcode = barcode_of(slide.patient_id)
    of_barcode = [(barcode.site, slide.where)] if barcode else []
    return [each for each in stated if each[0]] or of_barcode
