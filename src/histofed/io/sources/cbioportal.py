"""A study folder of cBioPortal: which files it has, and who was sequenced for which gene.

https://docs.cbioportal.org/file-formats/
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from histofed.core.labels.genes import symbol_of
from histofed.errors import CohortError
from histofed.io.sources.table import Table, read_table

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

N_HEADER_ROWS = 4
"""Lines with ``#`` above the names of a clinical file: display names, descriptions, types and
priorities."""

WHOLE_EXOME = ("wes", "wxs", "wgs", "wes/wgs", "wgs/wes")
"""Names of panels that hold every gene."""

NO_PANEL = ("", "na", "nan")


@dataclass(frozen=True)
class Study:
    """The files of a study folder that labels are made from; None where there is none."""

    folder: Path

    def __post_init__(self) -> None:
        """Refuse a folder that is no study."""
        if not self.patients.is_file() or not self.samples.is_file():
            absent = self.patients if not self.patients.is_file() else self.samples
            msg = f"study={self.folder}: {absent.name} is not there; a study folder of cBioPortal "
            msg += "has data_clinical_patient.txt and data_clinical_sample.txt"
            raise CohortError(msg)

    @property
    def patients(self) -> Path:
        """The clinical file of patients."""
        return self.folder / "data_clinical_patient.txt"

    @property
    def samples(self) -> Path:
        """The clinical file of samples."""
        return self.folder / "data_clinical_sample.txt"

    @property
    def mutations(self) -> Path | None:
        """The mutations."""
        return _one(self.folder, "data_mutations.txt", "data_mutations_extended.txt")

    @property
    def copy_number(self) -> Path | None:
        """The discrete copy number."""
        return _one(self.folder, "data_cna.txt", "data_CNA.txt")

    @property
    def sequenced(self) -> Path | None:
        """The list of sequenced samples."""
        return _one(self.folder / "case_lists", "cases_sequenced.txt")

    @property
    def panels(self) -> Path | None:
        """Which sample was sequenced with which panel."""
        return _one(self.folder, "data_gene_panel_matrix.txt")


def _one(folder: Path, *names: str) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)


def read_clinical(path: Path) -> Table:
    """Read a clinical file of patients or of samples.

    Raises
    ------
    CohortError
        It has not its four header rows, or a row is malformed.
    """
    table = read_table(path)
    if table.n_comments != N_HEADER_ROWS:
        msg = f"{path}: {table.n_comments} lines with # stand above the names of the columns; a "
        msg += f"clinical file of cBioPortal has {N_HEADER_ROWS} (display names, descriptions, "
        msg += "types, priorities): add or remove some, or name the file with clinical=FILE"
        raise CohortError(msg)
    return table


def patient_of_sample(path: Path) -> dict[str, str]:
    """Return ``SAMPLE_ID`` -> ``PATIENT_ID`` of a clinical file of samples.

    Raises
    ------
    CohortError
        A row names no sample or no patient, or a sample has two patients.
    """
    table = read_clinical(path)
    sample, patient = table.need(("SAMPLE_ID",), "samples"), table.need(("PATIENT_ID",), "patients")
    found: dict[str, str] = {}
    for row in table.rows:
        for name in (sample, patient):
            if not row.cells[name]:
                other = row.cells[sample] or row.cells[patient] or "?"
                msg = f"{table.where(row)}, {other}: {name} is empty; a sample has a patient"
                raise CohortError(msg)
        of_sample = row.cells[sample]
        if found.setdefault(of_sample, row.cells[patient]) != row.cells[patient]:
            msg = f"{table.where(row)}: sample {of_sample} belongs to {row.cells[patient]} here "
            msg += f"and to {found[of_sample]} in an earlier row; a sample has one patient"
            raise CohortError(msg)
    return found


def read_case_list(path: Path) -> frozenset[str]:
    """Read the samples of a case list: a file of ``name: value`` lines with ``case_list_ids``.

    A file with one name per line is read as well.

    Raises
    ------
    CohortError
        It names no sample.
    """
    text = _read(path)
    values = dict(_fields(text))
    if "case_list_ids" in values or "stable_id" in values:
        found = frozenset(values.get("case_list_ids", "").split())
    else:
        found = frozenset(line.strip() for line in text.splitlines() if line.strip())
    if not found:
        msg = f"{path}: it names no sample; a case list has a line case_list_ids: with samples "
        msg += "between tabs"
        raise CohortError(msg)
    return found


def _fields(text: str) -> list[tuple[str, str]]:
    cut = (line.partition(":") for line in text.splitlines())
    return [(name.strip(), value.strip()) for name, colon, value in cut if colon]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        msg = f"{path} is not there"
        raise CohortError(msg) from error
    except UnicodeDecodeError as error:
        msg = f"{path}: not UTF-8 text ({error}); save it as UTF-8"
        raise CohortError(msg) from error


@dataclass(frozen=True, kw_only=True)
class Sequenced:
    """Who was sequenced for which gene: wild type is only who was and has no variant.

    Attributes
    ----------
    samples
        Sequenced at all.
    panel_of
        Sample -> name of its panel; a sample of none was sequenced for every gene.
    genes_of
        Name of a panel -> its genes.
    """

    samples: frozenset[str]
    panel_of: Mapping[str, str] = field(default_factory=dict)
    genes_of: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def covers(self, sample: str, gene: str) -> bool:
        """Whether a sample was sequenced for a gene."""
        if sample not in self.samples:
            return False
        panel = self.panel_of.get(sample)
        return panel is None or gene in self.genes_of[panel]


def read_sequenced(sequenced: Path | None, panels: Path | None) -> Sequenced | None:
    """Read who was sequenced, from a case list, a matrix of panels, or both.

    Where there is a case list, only its samples were sequenced; a sample whose panel is ``NA`` was
    then sequenced for every gene. Without a case list nothing says that, and it counts as not
    sequenced. The genes of a panel are in ``data_gene_panel_<name>.txt`` beside the matrix, or in a
    folder ``gene_panels`` there.

    Raises
    ------
    CohortError
        A file is malformed, or the genes of a panel are not there.
    """
    listed = read_case_list(sequenced) if sequenced else None
    if panels is None:
        return None if listed is None else Sequenced(samples=listed)
    table = read_table(panels)
    sample = table.need(("SAMPLE_ID",), "samples")
    column = table.need(("mutations", "mutations_extended"), "panels of mutations")
    of_sample = {row.cells[sample]: row.cells[column] for row in table.rows}
    named = {each: panel for each, panel in of_sample.items() if panel.lower() not in NO_PANEL}
    partial = {each: panel for each, panel in named.items() if panel.lower() not in WHOLE_EXOME}
    definitions = _panels_beside(panels)
    for row in table.rows:
        panel = partial.get(row.cells[sample])
        if panel is not None and panel not in definitions:
            msg = f"{table.where(row)}, sample {row.cells[sample]}: the genes of panel {panel} are "
            msg += f"not known; put data_gene_panel_{panel.lower()}.txt beside the matrix"
            raise CohortError(msg)
    samples = frozenset(named) if listed is None else listed
    return Sequenced(samples=samples, panel_of=partial, genes_of=definitions)


def _panels_beside(matrix: Path) -> dict[str, frozenset[str]]:
    """Return name -> genes of the panels beside a matrix."""
    files = [*matrix.parent.glob("*gene_panel*.txt"), *matrix.parent.glob("gene_panels/*.txt")]
    found = {}
    for path in sorted(files):
        values = dict(_fields(_read(path)))
        if "stable_id" in values and "gene_list" in values:
            found[values["stable_id"]] = frozenset(map(symbol_of, values["gene_list"].split()))
    return found
