"""Mutations: which variants of a gene count.

Classes are those of the Mutation Annotation Format
(https://docs.gdc.cancer.gov/Data/File_Formats/MAF_Format/), changes of the protein those of HGVS
(den Dunnen et al. 2016, Human Mutation 37:564), in one- or three-letter code.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from histofed.core.labels.base import Available, Case, Unknown, YesNoRule
from histofed.errors import ConfigError

TRUNCATING = frozenset(
    {
        "Frame_Shift_Del",
        "Frame_Shift_Ins",
        "Nonsense_Mutation",
        "Nonstop_Mutation",
        "Splice_Site",
        "Translation_Start_Site",
        *(
            f"{where}_{what}"
            for where in ("Start_Codon", "Stop_Codon")
            for what in ("Del", "DNP", "Ins", "ONP", "SNP", "TNP")
        ),
    }
)
"""Of these the protein is cut short, not made, or made beyond its end.

``Start_Codon_...`` and ``Stop_Codon_...`` are what Oncotator writes for ``Translation_Start_Site``
and ``Nonstop_Mutation`` (Ramos et al. 2015, Human Mutation 36:E2423).
"""

NON_SILENT = TRUNCATING | {"In_Frame_Del", "In_Frame_Ins", "Missense_Mutation"}
"""Of these the protein is another one."""

SILENT = frozenset(
    {
        "3'Flank", "3'UTR", "5'Flank", "5'UTR", "IGR", "Intron", "RNA", "Silent", "Splice_Region",
        "Targeted_Region", "lincRNA",
    }
)  # fmt: skip
"""Of these it is the same, as far as the class says."""

UNSAID = frozenset(
    {"De_novo_Start_InFrame", "De_novo_Start_OutOfFrame", "Fusion", "Unknown"}
)  # fmt: skip
"""Of these the class does not say: a new start before the gene's own (Oncotator), a part of the
gene joined to another, or not known (cBioPortal, https://docs.cbioportal.org/file-formats/)."""

CLASSES = NON_SILENT | SILENT | UNSAID

_SPELLED = {name.upper(): name for name in CLASSES} | {
    "DE_NOVO_START_IN_FRAME": "De_novo_Start_InFrame",
    "DE_NOVO_START_OUT_FRAME": "De_novo_Start_OutOfFrame",
    "COULD_NOT_DETERMINE": "Unknown",
}
"""As Funcotator of the GATK writes them, in capitals -> class."""


def class_of(cell: str) -> str:
    """Return the class of `CLASSES` that a cell means, or the cell where it means none."""
    return _SPELLED.get(cell.upper(), cell)


NON_SILENT_WORD, TRUNCATING_WORD = "non_silent", "truncating"

_LETTER = {
    "Ala": "A", "Arg": "R", "Asn": "N", "Asp": "D", "Cys": "C", "Gln": "Q", "Glu": "E", "Gly": "G",
    "His": "H", "Ile": "I", "Leu": "L", "Lys": "K", "Met": "M", "Phe": "F", "Pro": "P", "Ser": "S",
    "Thr": "T", "Trp": "W", "Tyr": "Y", "Val": "V", "Ter": "*",
}  # fmt: skip
_SUBSTITUTION = re.compile(r"([A-Z])(\d+)([A-Z*])")
_SPAN = re.compile(r"[A-Z](\d+)(?:_[A-Z](\d+))?(delins|del|ins|dup)([A-Z]*|\d*)")
_NEIGHBOURS = re.compile(r"([A-Z])\d+_([A-Z])\d+delins([A-Z]{2,})")
_RUN = re.compile(r"([A-Z]+)(\d+)(del)")
_WANTED = re.compile(r"(?:([A-WY])(\d+)([A-WY])?)|(?:(deletion|insertion) (\d+)-(\d+))")


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One row of a table of mutations.

    Attributes
    ----------
    kind
        Its ``Variant_Classification``: one of `CLASSES`, or another one that nobody knows.
    protein_change
        As in ``p.L858R``; empty where the table does not say.
    germline
        Whether the patient was born with it.
    """

    sample_id: str
    gene: str
    kind: str
    protein_change: str = ""
    germline: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the protein.

    Attributes
    ----------
    first, last
        Residues that it concerns, both included; of an insertion the two neighbours.
    gained
        Residues more than before; less than 0 for a deletion.
    text
        In one-letter code, as in ``L858R``.
    """

    first: int
    last: int
    gained: int
    text: str

    @property
    def substitutions(self) -> tuple[tuple[str, int, str], ...]:
        """Residue before, codon and residue after of each codon that was substituted.

        Two neighbours at once are written as one ``delins``: ``L858_A859delinsRS`` is L858R and
        A859S. Residues between the first and the last are not said; they are empty.
        """
        if found := _SUBSTITUTION.fullmatch(self.text):
            return ((found[1], int(found[2]), found[3]),)
        found = _NEIGHBOURS.fullmatch(self.text)
        if found is None or self.gained:
            return ()
        between = [""] * (len(found[3]) - 2)
        before = [found[1], *between, found[2]][: len(found[3])]
        return tuple(
            (old, self.first + i, new)
            for i, (old, new) in enumerate(zip(before, found[3], strict=True))
            if old != new
        )


def change_of(protein_change: str) -> Change | None:
    """Return the substitution, deletion, insertion or duplication that HGVS describes.

    Older tables write ``p.ELREA746del`` and ``p.L747_P753>S``, annotators the name of the protein
    before it (``ENSP00000275493.2:p.Leu858Arg``). None for everything else, e.g. a
    frame shift or ``p.X125_splice``: these have no residues to compare.
    """
    text = protein_change.strip().rpartition(":")[2].removeprefix("p.").strip("()")
    text = text.replace(">", "delins")
    text = re.sub("|".join(_LETTER), lambda found: _LETTER[found.group()], text)
    if found := _SUBSTITUTION.fullmatch(text):
        return Change(int(found[2]), int(found[2]), 0, text)
    if (found := _RUN.fullmatch(text)) and len(found[1]) > 1:
        first, n_lost = int(found[2]), len(found[1])
        return Change(first, first + n_lost - 1, -n_lost, text)
    if not (found := _SPAN.fullmatch(text)):
        return None
    first, last = int(found[1]), int(found[2] or found[1])
    n_span = last - first + 1
    n_new = int(found[4]) if found[4].isdecimal() else len(found[4])
    gained = {"del": -n_span, "dup": n_span, "ins": n_new, "delins": n_new - n_span}[found[3]]
    return Change(first, last, gained, text)


@dataclass(frozen=True)
class Wanted:
    """Which changes count, from words: ``L858R``, ``G719``, ``deletion 729-761``.

    A residue without a new letter is any substitution of it, but no stop; ``deletion`` and
    ``insertion`` are in-frame ones (``delins`` by what they gain in all) that touch the codons
    named.
    """

    word: str

    def __post_init__(self) -> None:
        """Refuse a word that describes nothing."""
        if not _WANTED.fullmatch(self.word):
            msg = f"variant {self.word!r} is none; write a change of the protein as L858R, any "
            msg += "substitution of a residue as G719, 'deletion 729-761' or 'insertion 762-823' "
            msg += f"in codons, or alone {NON_SILENT_WORD} or {TRUNCATING_WORD}"
            raise ConfigError(msg)

    def matches(self, change: Change) -> bool:
        """Whether a change is meant."""
        found = _WANTED.fullmatch(self.word)
        assert found is not None
        if found[4] is None:
            return any(
                codon == int(found[2])
                and before in ("", found[1])
                and (after == found[3] if found[3] else after != "*")
                for before, codon, after in change.substitutions
            )
        touches = change.first <= int(found[6]) and change.last >= int(found[5])
        return touches and (change.gained < 0 if found[4] == "deletion" else change.gained > 0)


@dataclass(frozen=True, kw_only=True)
class VariantRule(YesNoRule):
    """Yes if one of the variants that count is in one of the genes.

    No needs every gene to have been sequenced. A variant whose class does not say what it does
    leaves the answer open; where the change of the protein decides, so does one that is neither
    silent nor truncating and whose change is not given, or cannot be read.

    Attributes
    ----------
    names
        Genes by their HUGO symbols.
    variants
        ``("non_silent",)``, ``("truncating",)`` or words of `Wanted`.
    germline
        Whether a variant that the patient was born with counts too.
    """

    names: tuple[str, ...]
    variants: tuple[str, ...]
    germline: bool = False

    def __post_init__(self) -> None:
        """Refuse a rule that cannot be asked."""
        if not self.names or not self.variants:
            msg = "a rule of mutations names its genes and its variants"
            raise ConfigError(msg)
        by_class = {NON_SILENT_WORD, TRUNCATING_WORD} & set(self.variants)
        if by_class and len(self.variants) > 1:
            msg = f"variants {list(self.variants)}: {min(by_class)} stands alone"
            raise ConfigError(msg)
        _ = self._wanted

    @property
    def genes(self) -> tuple[str, ...]:
        """The genes."""
        return self.names

    @property
    def in_words(self) -> str:
        """Genes and variants."""
        return f"{'/'.join(self.names)} {', '.join(self.variants)}"

    def lacking(self, available: Available) -> str:
        """Return that there is no table of mutations, if so."""
        return "" if available.mutations else "a table of mutations (mutations=MAF)"

    def answer(self, case: Case) -> bool | Unknown:
        """Return whether a variant counts; unknown where a gene was not sequenced."""
        asked = [
            each
            for each in case.variants
            if each.gene in self.names and (self.germline or not each.germline)
        ]
        if any(self._counts(each) for each in asked):
            return True
        if unclear := [each for each in asked if self._is_unclear(each)]:
            first, said = unclear[0], unclear[0].protein_change or "no change of the protein"
            of_class = f"class {first.kind}, which may or may not count"
            said = of_class if self._classes is not None else f"which the table says {said}"
            return Unknown(f"{first.gene} has a variant of {said}")
        if absent := [gene for gene in self.names if gene not in case.profiled]:
            return Unknown(f"{'/'.join(absent)} was not sequenced")
        return False

    @cached_property
    def _classes(self) -> frozenset[str] | None:
        """The classes that count, where classes decide."""
        by_class = {NON_SILENT_WORD: NON_SILENT, TRUNCATING_WORD: TRUNCATING}
        return by_class.get(self.variants[0])

    @cached_property
    def _wanted(self) -> tuple[Wanted, ...]:
        return () if self._classes is not None else tuple(map(Wanted, self.variants))

    def _counts(self, variant: Variant) -> bool:
        if self._classes is not None:
            return variant.kind in self._classes
        if variant.kind in SILENT:
            return False
        change = change_of(variant.protein_change)
        return change is not None and any(wanted.matches(change) for wanted in self._wanted)

    def _is_unclear(self, variant: Variant) -> bool:
        if self._classes is not None:
            return variant.kind not in NON_SILENT | SILENT
        cannot = variant.kind in TRUNCATING | SILENT
        return not cannot and change_of(variant.protein_change) is None
