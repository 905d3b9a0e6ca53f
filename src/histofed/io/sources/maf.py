"""Mutations: MAF of the GDC, and cBioPortal's ``data_mutations.txt``."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from histofed.core.labels.genes import symbol_of
from histofed.core.labels.variants import CLASSES, Variant, class_of
from histofed.core.words import counted
from histofed.errors import CohortError, did_you_mean
from histofed.io.sources.table import Part, read_table

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

SAMPLE = ("Tumor_Sample_Barcode",)
CHANGE = ("HGVSp_Short", "Protein_Change", "Amino_Acid_Change", "HGVSp")
ENTREZ_ID = ("Entrez_Gene_Id",)
READ = (*SAMPLE, *CHANGE, *ENTREZ_ID, "Hugo_Symbol", "Variant_Classification", "Mutation_Status")

GERMLINE = "germline"
NO_VARIANT = ("wildtype", "uncalled", "loh", "post-transcriptional modification")
"""Words of ``Mutation_Status`` of rows that are no called variant of the DNA."""


@dataclass(frozen=True, kw_only=True)
class Mutations:
    """A table of mutations.

    Attributes
    ----------
    variants
        One per called variant, in the order of the rows, with the symbol of today of its gene.
    samples
        Sample -> where it stands first: those with any row, variant or not.
    said
        What was read other than it is written, in words.
    """

    variants: tuple[Variant, ...]
    samples: dict[str, str]
    said: tuple[str, ...]


def read_mutations(
    path: Path, *, asked: Collection[str], beside: Collection[str] = ()
) -> Mutations:
    """Read mutations.

    Parameters
    ----------
    asked
        Genes that a label is made of: there a class of variant that nobody knows is refused.
    beside
        Further genes that are used.

    Raises
    ------
    CohortError
        A column is missing; a row has no sample or no gene, an unknown class in a gene asked for,
        or the symbol of one gene and the Entrez id of another.
    """
    table = read_table(path, Part(columns=frozenset(name.lower() for name in READ)))
    sample = table.need(SAMPLE, "samples")
    gene = table.need(("Hugo_Symbol",), "genes")
    kind = table.need(("Variant_Classification",), "classes of variants")
    change, status, entrez = map(table.find, (CHANGE, ("Mutation_Status",), ENTREZ_ID))
    variants: list[Variant] = []
    samples: dict[str, str] = {}
    names: Counter[tuple[str, str]] = Counter()
    for row in table.rows:
        cells = row.cells
        number = cells[entrez] if entrez else ""
        for name, cell in ((sample, cells[sample]), (gene, cells[gene] or number)):
            if not cell:
                msg = f"{table.where(row)}: {name} is empty; every mutation has a sample and a gene"
                raise CohortError(msg)
        samples.setdefault(cells[sample], table.where(row))
        said = cells[status].lower() if status else ""
        if said in NO_VARIANT:
            continue
        symbol = symbol_of(cells[gene], number, table.where(row))
        of_class = class_of(cells[kind])
        if symbol in asked:
            _check_class(of_class, f"{table.where(row)}, sample {cells[sample]}: {kind}")
        names[cells[gene] or number, symbol] += 1
        variants.append(
            Variant(
                sample_id=cells[sample],
                gene=symbol,
                kind=of_class,
                protein_change=cells[change] if change else "",
                germline=said == GERMLINE,
            )
        )
    said_of = _read_otherwise(path, names, variants, used={*asked, *beside})
    return Mutations(variants=tuple(variants), samples=samples, said=said_of)


def _check_class(kind: str, where: str) -> None:
    if kind not in CLASSES:
        msg = f"{where} is {kind!r}, which is no class of variant.{did_you_mean(kind, CLASSES)} "
        msg += f"Known are {', '.join(sorted(CLASSES))}; correct the table"
        raise CohortError(msg)


def _read_otherwise(
    path: Path,
    names: Mapping[tuple[str, str], int],
    variants: Sequence[Variant],
    *,
    used: Collection[str],
) -> tuple[str, ...]:
    """Return what was read other than it is written, in words."""
    said = [
        f"gene {name} of {path.name} is read as {symbol} ({counted(n, 'row')})"
        for (name, symbol), n in names.items()
        if symbol != name and symbol in used
    ]
    strange = Counter(each.kind or "empty" for each in variants if each.kind not in CLASSES)
    if strange:
        classes = ", ".join(f"{name} ({n:,})" for name, n in strange.most_common(3))
        said.append(
            f"{counted(strange.total(), 'row')} of {path.name} with a class of variant that is not "
            f"known, in genes that the label does not ask for: {classes}"
        )
    return tuple(said)
