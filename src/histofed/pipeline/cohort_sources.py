"""What `histofed cohort` reads of patients: their rows, and what was found in their tumours."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from histofed.core.labels.base import Available
from histofed.errors import CohortError, ConfigError
from histofed.io.sources import cbioportal
from histofed.io.sources.cbioportal import Study
from histofed.io.sources.table import Table, read_table
from histofed.io.tables import one_spelling

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from histofed.pipeline.schema_data import CohortConfig

ENTITIES = ("cases.", "demographic.", "diagnoses.", "treatments.", "project.")
"""What newer clinical tables of the GDC put before the names of columns."""

FROM_MUTATIONS = "mutations"
"""``sequenced=mutations``: every tumour in the table of mutations was sequenced for every gene."""


@dataclass(frozen=True)
class PatientRow:
    """A row of a clinical table: where it stands, and column in lower case -> cell."""

    where: str
    cells: Mapping[str, str]


def first_cell(row: PatientRow, names: Sequence[str]) -> tuple[str, str]:
    """Return name and cell of the first of some columns that a row has; empty for none."""
    return next(((n, row.cells[n.lower()]) for n in names if n.lower() in row.cells), ("", ""))


@dataclass(frozen=True, kw_only=True)
class Files:
    """The tables that the options name; those of a study folder are found in it."""

    clinical: Path
    study: Study | None
    mutations: Path | None
    copy_number: Path | None
    sequenced: Path | None
    panels: Path | None

    @property
    def all(self) -> tuple[Path, ...]:
        """Every table that is read, for the record."""
        samples = self.study.samples if self.study else None
        named = (self.clinical, samples, self.mutations, self.copy_number, self.sequenced)
        return tuple(each for each in (*named, self.panels) if each is not None)


def files_of(config: CohortConfig) -> Files:
    """Return the tables that are to be read.

    Raises
    ------
    ConfigError
        No table of patients is named, or one beside a study folder.
    CohortError
        The study folder is none.
    """
    genomic = ("mutations", "copy_number", "sequenced", "panels")
    if config.study is not None:
        own = ("clinical", "mutations", "copy_number")
        if both := [name for name in own if getattr(config, name) is not None]:
            msg = f"study={config.study} brings its own tables; leave out {', '.join(both)}, or "
            msg += "name each table and no study"
            raise ConfigError(msg)
        study = Study(Path(config.study))
        return Files(
            clinical=study.patients,
            study=study,
            mutations=study.mutations,
            copy_number=study.copy_number,
            sequenced=_path(config.sequenced) or study.sequenced,
            panels=_path(config.panels) or study.panels,
        )
    clinical = config.clinical or config.slides
    if clinical is None or Path(clinical).is_dir():
        msg = "name the table of patients with clinical=TABLE (or study=FOLDER of cBioPortal); a "
        msg += "table of slides that says the label is enough (slides=TABLE)"
        raise ConfigError(msg)
    return Files(
        clinical=Path(clinical),
        study=None,
        **{name: _path(getattr(config, name)) for name in genomic},
    )


def _path(option: str | None) -> Path | None:
    """Return the file that an option names; `FROM_MUTATIONS` names none."""
    return None if option in (None, FROM_MUTATIONS) else Path(option)


def read_patients(files: Files, config: CohortConfig) -> dict[str, list[PatientRow]]:
    """Return ``patient_id`` -> rows, in the order of the table.

    Raises
    ------
    CohortError
        A table is malformed, a row names no patient, or a patient is spelled in two ways.
    """
    if files.study is not None:
        return _study_patients(files.study)
    table = read_table(files.clinical)
    column = table.need(config.columns.patient, "patients", option="columns.patient")
    return _by_patient(table, column)


def _by_patient(table: Table, column: str) -> dict[str, list[PatientRow]]:
    found: dict[str, list[PatientRow]] = {}
    spelled: dict[str, str] = {}
    for row in table.rows:
        patient = row.cells[column]
        if not patient:
            msg = f"{table.where(row)}: {column} is empty; every row has a patient"
            raise CohortError(msg)
        earlier = spelled.setdefault(one_spelling(patient), patient)
        if earlier != patient:
            msg = f"{table.where(row)}: patient {patient} is also written {earlier}; write the "
            msg += "name in one way"
            raise CohortError(msg)
        where = f"{table.where(row)}, patient {patient}"
        found.setdefault(patient, []).append(PatientRow(where, lower_cells(row.cells)))
    return found


def lower_cells(cells: Mapping[str, str]) -> dict[str, str]:
    """Return cells by column in lower case; those of the GDC also without their entity."""
    found = {name.lower(): cell for name, cell in cells.items()}
    for name, cell in list(found.items()):
        for entity in ENTITIES:
            if name.startswith(entity):
                found.setdefault(name.removeprefix(entity), cell)
    return found


def _study_patients(study: Study) -> dict[str, list[PatientRow]]:
    """Return a row per sample: what is said of the patient, and of the sample."""
    patients = cbioportal.read_clinical(study.patients)
    column = patients.need(("PATIENT_ID",), "patients")
    own = _by_patient(patients, column)
    cbioportal.patient_of_sample(study.samples)  # every sample has one patient
    samples = cbioportal.read_clinical(study.samples)
    column = samples.need(("PATIENT_ID",), "patients")
    found: dict[str, list[PatientRow]] = {}
    for row in samples.rows:
        patient = row.cells[column]
        if patient not in own:
            msg = f"{samples.where(row)}: patient {patient} is not in {study.patients.name}; a "
            msg += "sample has a patient: add the row, or remove the sample"
            raise CohortError(msg)
        cells = {**lower_cells(row.cells), **own[patient][0].cells}
        where = f"{samples.where(row)}, patient {patient}"
        found.setdefault(patient, []).append(PatientRow(where, cells))
    return {patient: found.get(patient, rows) for patient, rows in own.items()}


def available(files: Files, patients: Mapping[str, Sequence[PatientRow]]) -> Available:
    """Return which sources there are."""
    columns = {name for rows in patients.values() for row in rows for name in row.cells}
    return Available(
        columns=frozenset(columns),
        mutations=files.mutations is not None,
        copy_number=files.copy_number is not None,
    )
