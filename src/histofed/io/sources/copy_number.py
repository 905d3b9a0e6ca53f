"""Discrete copy number of cBioPortal: wide (a column per sample) or long (a row per value)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histofed.core.labels.copy_number import LEVELS
from histofed.core.tasks.base import is_number
from histofed.errors import CohortError
from histofed.io.sources.table import Part, Row, Table, read_table

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

GENE = ("Hugo_Symbol", "Gene Symbol")
LONG_SAMPLE = ("Sample_Id", "SampleId", "Tumor_Sample_Barcode")
LONG_LEVEL = ("Value", "Copy_Number_Level")
NOT_SAMPLES = (
    "hugo_symbol", "gene_symbol", "entrez_gene_id", "gene_id", "ensembl_gene_id", "locus_id",
    "cytoband", "(unnamed)",
)  # fmt: skip
"""Columns of a wide table that tell of the gene, also of GISTIC's, in lower case, spaces as _."""

UNKNOWN = ("", "na", "nan")
UNCERTAIN = -1.5
"""A deletion of uncertain depth: not known either."""


def read_copy_number(path: Path, genes: Collection[str]) -> dict[str, dict[str, int]]:
    """Read the levels, from -2 to 2, of some genes.

    Returns
    -------
    levels
        Sample -> gene -> level; no key where it was not measured.

    Raises
    ------
    CohortError
        A column is missing, a value is no level, or a gene of a sample has two of them.
    """
    table = read_table(path, Part(key=GENE, values=frozenset(genes)))
    gene = table.need(GENE, "genes")
    sample = table.find(LONG_SAMPLE)
    values = _wide(table, gene) if sample is None else _long(table, gene, sample)
    levels: dict[str, dict[str, int]] = {}
    for row, of_sample, of_gene, cell in values:
        of_it = levels.setdefault(of_sample, {})
        level = float(cell) if is_number(cell) else None
        if cell.lower() in UNKNOWN or level == UNCERTAIN:
            continue
        if level not in LEVELS:
            msg = f"{table.where(row)}, sample {of_sample}: the copy number of {of_gene} is "
            msg += f"{cell!r}, which is no level ({', '.join(map(str, LEVELS))}): discrete copy "
            msg += "number is wanted, not a ratio or a number of copies"
            raise CohortError(msg)
        if of_it.setdefault(of_gene, int(level)) != level:
            msg = f"{table.where(row)}, sample {of_sample}: the copy number of {of_gene} is "
            msg += f"{level:g} here and {of_it[of_gene]} in an earlier row; keep one"
            raise CohortError(msg)
    return levels


def _wide(table: Table, gene: str) -> Iterator[tuple[Row, str, str, str]]:
    samples = [n for n in table.columns if n.lower().replace(" ", "_") not in NOT_SAMPLES]
    if not samples:
        msg = f"{table.path}: there is no column of a sample beside {gene}"
        raise CohortError(msg)
    for row in table.rows:
        for sample in samples:
            yield row, sample, row.cells[gene], row.cells[sample]


def _long(table: Table, gene: str, sample: str) -> Iterator[tuple[Row, str, str, str]]:
    level = table.need(LONG_LEVEL, "levels")
    for row in table.rows:
        if not row.cells[sample]:
            msg = f"{table.where(row)}: {sample} is empty; every value has a sample"
            raise CohortError(msg)
        yield row, row.cells[sample], row.cells[gene], row.cells[level]
