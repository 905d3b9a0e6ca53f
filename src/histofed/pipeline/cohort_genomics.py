"""What `histofed cohort` reads of tumours: mutations and copy numbers of each patient's samples."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from histofed.core.cohort import some
from histofed.core.labels.barcodes import barcode_of
from histofed.core.labels.base import Case
from histofed.core.labels.genes import symbol_of
from histofed.core.words import counted
from histofed.errors import CohortError, ConfigError
from histofed.io.sources import cbioportal
from histofed.io.sources.cbioportal import Sequenced, Study, read_sequenced
from histofed.io.sources.copy_number import read_copy_number
from histofed.io.sources.maf import read_mutations
from histofed.pipeline.cohort_sources import FROM_MUTATIONS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from histofed.core.labels.variants import Variant
    from histofed.io.sources.maf import Mutations
    from histofed.pipeline.cohort_sources import Files, PatientRow
    from histofed.pipeline.schema_data import CohortConfig


@dataclass(frozen=True, kw_only=True)
class Genomics:
    """What was found in the tumours of each patient.

    Attributes
    ----------
    variants
        ``patient_id`` -> mutations.
    profiled
        ``patient_id`` -> genes, of those asked for, that were sequenced.
    levels
        ``patient_id`` -> gene -> discrete copy number of each sample.
    left_out
        Samples left out by their type in the barcode, e.g. of normal tissue.
    warnings
        What could not be used.
    """

    variants: Mapping[str, Sequence[Variant]] = field(default_factory=dict)
    profiled: Mapping[str, frozenset[str]] = field(default_factory=dict)
    levels: Mapping[str, Mapping[str, tuple[int, ...]]] = field(default_factory=dict)
    left_out: Collection[str] = ()
    warnings: tuple[str, ...] = ()

    def case(self, patient: str, row: PatientRow) -> Case:
        """Return what is known of a patient, by one of the rows."""
        return Case(
            patient_id=patient,
            where=row.where,
            cells=row.cells,
            variants=tuple(self.variants.get(patient, ())),
            profiled=self.profiled.get(patient, frozenset()),
            levels=self.levels.get(patient, {}),
        )


def read_genomics(
    files: Files,
    config: CohortConfig,
    *,
    patients: Collection[str],
    asked: Collection[str],
    beside: Collection[str],
) -> Genomics:
    """Read mutations and copy numbers of some genes.

    Parameters
    ----------
    asked
        Genes that the label is made of. Without any, mutations that do not say who was sequenced
        are passed over, with a warning.
    beside
        Genes that the label is held against.

    Raises
    ------
    ConfigError
        There are mutations, and nothing says who was sequenced; or a gene is not asked for by the
        symbol of today.
    CohortError
        A table is malformed, or a sample has no patient.
    """
    genes = {*asked, *beside}
    if old := sorted(gene for gene in genes if symbol_of(gene) != gene):
        msg = f"gene {old[0]} of the task or the cancer is {symbol_of(old[0])} today; write it so"
        raise ConfigError(msg)
    owners = Owners(files.study, patients, frozenset(config.sample_types))
    variants: dict[str, list[Variant]] = {}
    profiled: dict[str, frozenset[str]] = {}
    warnings = []
    if files.mutations is not None:
        found = read_mutations(files.mutations, asked=asked, beside=beside)
        sequenced = _sequenced(files, config, found.samples)
        if sequenced is None and asked:
            raise ConfigError(_UNSAID.format(files.mutations))
        if sequenced is None:
            warnings.append(f"not held against the label: {_UNSAID.format(files.mutations)}")
        else:
            _check_spelling(found.variants, genes, files.mutations)
            warnings += [*found.said, *_strangers(sequenced, owners), *_several(sequenced, owners)]
            variants = _variants(found, owners, genes)
            profiled = _profiled(sequenced, owners, genes)
    return Genomics(
        variants=variants,
        profiled=profiled,
        levels=_levels(files.copy_number, owners, asked) if files.copy_number and asked else {},
        left_out=owners.left_out,
        warnings=tuple(warnings),
    )


def _variants(found: Mutations, owners: Owners, genes: Collection[str]) -> dict[str, list[Variant]]:
    """Return patient -> variants in some genes; every sample must have a patient."""
    of_sample = {sample: owners.of(sample, where) for sample, where in found.samples.items()}
    variants: dict[str, list[Variant]] = defaultdict(list)
    for variant in found.variants:
        if variant.gene in genes and (patient := of_sample[variant.sample_id]):
            variants[patient].append(variant)
    return variants


def _profiled(
    sequenced: Sequenced, owners: Owners, genes: Collection[str]
) -> dict[str, frozenset[str]]:
    """Return patient -> genes that one of the samples was sequenced for."""
    profiled: dict[str, frozenset[str]] = defaultdict(frozenset)
    for sample in sequenced.samples:
        if patient := owners.known(sample):
            profiled[patient] |= {gene for gene in genes if sequenced.covers(sample, gene)}
    return profiled


def _check_spelling(found: Sequence[Variant], genes: Collection[str], path: Path) -> None:
    """Refuse a gene in other capitals: who carries it would be called wild type.

    Raises
    ------
    CohortError
        The sample and the gene are named.
    """
    plain = {gene.casefold(): gene for gene in genes}
    for variant in found:
        meant = plain.get(variant.gene.casefold())
        if meant is not None and variant.gene not in genes:
            msg = f"{path}, sample {variant.sample_id}: gene {variant.gene!r} is {meant} in the "
            msg += "rule of the label; write it as there (HUGO symbols, of the human gene)"
            raise CohortError(msg)


def _strangers(sequenced: Sequenced, owners: Owners) -> list[str]:
    """Return a warning about sequenced samples that are nobody's.

    Raises
    ------
    CohortError
        All are: then nobody could be wild type.
    """
    nobodys = sorted(
        sample
        for sample in sequenced.samples
        if owners.known(sample) is None and sample not in owners.left_out
    )
    if not nobodys:
        return []
    said = f"{len(nobodys):,} of {counted(len(sequenced.samples), 'sequenced sample')} belong to "
    said += f"no patient of the tables ({some(nobodys, most=3)})"
    if len(nobodys) == len(sequenced.samples):
        msg = f"{said}; write samples (sequenced=, panels=) as the tables of patients, samples "
        msg += "and mutations do"
        raise CohortError(msg)
    return [f"{said}; if they are patients of the cohort in another spelling, these are left out"]


def _several(sequenced: Sequenced, owners: Owners) -> list[str]:
    """Return who has several sequenced samples: what is found in one of them counts."""
    counts = Counter(patient for sample in sequenced.samples if (patient := owners.known(sample)))
    several = sorted(patient for patient, n in counts.items() if n > 1)
    if not several:
        return []
    said = f"{counted(len(several), 'patient')} with several sequenced samples ({some(several)}): a"
    return [f"{said} variant of any of them counts, whichever the slides show"]


_UNSAID = (
    "mutations={} does not say who was sequenced without a finding, and who was not sequenced is "
    "not wild type: name the samples with sequenced=CASE_LIST or panels=MATRIX; or state, with "
    "sequenced=mutations, that every tumour in the table was, for every gene"
)


def _levels(
    path: Path, owners: Owners, genes: Collection[str]
) -> dict[str, dict[str, tuple[int, ...]]]:
    """Return patient -> gene -> level of each sample."""
    levels: dict[str, dict[str, tuple[int, ...]]] = defaultdict(dict)
    for sample, of_sample in read_copy_number(path, genes).items():
        if patient := owners.of(sample, str(path)):
            for gene, level in of_sample.items():
                levels[patient][gene] = (*levels[patient].get(gene, ()), level)
    return levels


def _sequenced(files: Files, config: CohortConfig, samples: Collection[str]) -> Sequenced | None:
    """Return who was sequenced; None where nothing says so."""
    found = read_sequenced(files.sequenced, files.panels)
    if found is None and config.sequenced == FROM_MUTATIONS:
        return Sequenced(samples=frozenset(samples))
    return found


class Owners:
    """Whose a sample is.

    Parameters
    ----------
    study
        Says so in its table of samples; without one, a TCGA barcode or the sample's own name does.
    sample_types
        Of TCGA barcodes; samples of other types are nobody's.
    """

    def __init__(
        self, study: Study | None, patients: Collection[str], sample_types: frozenset[str]
    ) -> None:
        self._stated = cbioportal.patient_of_sample(study.samples) if study else None
        self._study = study
        self._patients = set(patients)
        self._types = sample_types
        self.left_out: set[str] = set()

    def known(self, sample: str) -> str | None:
        """Return the patient of a sample; None where it is nobody's or not known."""
        barcode = barcode_of(sample)
        if barcode and barcode.sample_type not in (None, *self._types):
            self.left_out.add(sample)
            return None
        if self._stated is not None:
            return self._stated.get(sample)
        if sample in self._patients:
            return sample
        return barcode.patient_id if barcode else None

    def of(self, sample: str, where: str) -> str | None:
        """Return the patient of a sample; None where its type is left out.

        Raises
        ------
        CohortError
            Nothing says whose it is.
        """
        patient = self.known(sample)
        if patient is None and sample not in self.left_out:
            by = self._study.samples.name if self._study else "the patients"
            example = min(self._stated or self._patients)
            msg = f"{where}: sample {sample} is not in {by} (one that is there: {example}), and "
            msg += "nothing else says whose it is; name its patient in the table of samples of a "
            msg += "study folder, or remove it"
            raise CohortError(msg)
        return patient
