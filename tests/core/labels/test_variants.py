from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from histofed.core.labels.base import Available, Case, Unknown
from histofed.core.labels.variants import (
    CLASSES,
    NON_SILENT,
    SILENT,
    TRUNCATING,
    UNSAID,
    Change,
    Variant,
    VariantRule,
    Wanted,
    change_of,
)
from histofed.errors import ConfigError

EGFR = (
    "deletion 729-761", "insertion 729-761", "L858R", "G719", "S768I", "L861Q", "insertion 762-823",
)  # fmt: skip
"""As in the task `egfr`."""
WORDS = ("non_silent", "truncating")
RESIDUES = "ACDEFGHIKLMNPQRSTVWY"


def case(*variants: Variant, profiled: tuple[str, ...] = ("EGFR", "KRAS")) -> Case:
    return Case(patient_id="p", where="here", variants=variants, profiled=frozenset(profiled))


def variant(change: str, kind: str = "Missense_Mutation", gene: str = "EGFR", **more: bool):
    return Variant(sample_id="s", gene=gene, kind=kind, protein_change=change, **more)


@pytest.mark.parametrize(
    ("written", "first", "last", "gained"),
    [
        ("p.L858R", 858, 858, 0),
        ("p.(L858R)", 858, 858, 0),
        ("p.Leu858Arg", 858, 858, 0),
        ("L858R", 858, 858, 0),
        ("p.R213*", 213, 213, 0),
        ("p.Arg213Ter", 213, 213, 0),
        ("p.E746_A750del", 746, 750, -5),
        ("p.Glu746_Ala750del", 746, 750, -5),
        ("p.ELREA746del", 746, 750, -5),
        ("p.E746del", 746, 746, -1),
        ("p.L747_P753delinsS", 747, 753, -6),
        ("p.L747_P753>S", 747, 753, -6),
        ("p.D770_N771insSVD", 770, 771, 3),
        ("p.A767_V769dup", 767, 769, 3),
        ("p.H773dup", 773, 773, 1),
        ("p.N771delinsGY", 771, 771, 1),
    ],
)
def test_changes_are_read(written, first, last, gained):
    change = change_of(written)
    assert change is not None
    assert (change.first, change.last, change.gained) == (first, last, gained)


@pytest.mark.parametrize("written", ["", "p.?", "p.X125_splice", "p.K745fs", "p.E746Rfs*12", "p.="])
def test_what_has_no_residues_is_no_change(written):
    assert change_of(written) is None


@given(st.sampled_from(RESIDUES), st.integers(1, 4000), st.sampled_from(RESIDUES))
def test_a_substitution_matches_itself_and_its_residue_alone(before, codon, after):
    change = change_of(f"p.{before}{codon}{after}")
    assert change == Change(codon, codon, 0, f"{before}{codon}{after}")
    assert Wanted(f"{before}{codon}{after}").matches(change)
    assert Wanted(f"{before}{codon}").matches(change)
    assert not Wanted(f"{before}{codon + 1}").matches(change)
    assert not Wanted(f"deletion {codon}-{codon}").matches(change)


@given(st.integers(1, 900), st.integers(0, 40), st.integers(1, 900), st.integers(0, 40))
def test_a_deletion_matches_where_codons_overlap(start, length, low, width):
    change = change_of(f"p.A{start}_C{start + length}del")
    assert change is not None
    overlap = bool(set(range(start, start + length + 1)) & set(range(low, low + width + 1)))
    assert Wanted(f"deletion {low}-{low + width}").matches(change) == overlap
    assert not Wanted(f"insertion {low}-{low + width}").matches(change)


@pytest.mark.parametrize(
    ("change", "kind", "positive"),
    [
        ("p.E746_A750del", "In_Frame_Del", True),
        ("p.L747_A750delinsP", "In_Frame_Del", True),
        ("p.L858R", "Missense_Mutation", True),
        ("p.G719A", "Missense_Mutation", True),
        ("p.S768I", "Missense_Mutation", True),
        ("p.L861Q", "Missense_Mutation", True),
        ("p.D770_N771insSVD", "In_Frame_Ins", True),
        ("p.T790M", "Missense_Mutation", False),
        ("p.L858M", "Missense_Mutation", False),
        ("p.L62R", "Missense_Mutation", False),
        ("p.G719G", "Silent", False),
        ("p.G719*", "Nonsense_Mutation", False),
        ("p.L858R", "RNA", False),
        ("p.D770_N771del", "In_Frame_Del", False),
        ("p.I740_K745dup", "In_Frame_Ins", True),  # exon 19, gained: sensitive all the same
        ("p.K745_E746insIPVAIK", "In_Frame_Ins", True),  # the same, as others write it
        ("p.X761_splice", "Splice_Site", False),
        ("p.L858_A859delinsRS", "Missense_Mutation", True),  # two neighbours at once
        ("p.Leu858_Ala859delinsArgSer", "Missense_Mutation", True),
        ("p.I853_L858delinsIKVLAR", "Missense_Mutation", True),
        ("p.K852_A859delinsKVLITKRS", "Missense_Mutation", True),  # between: not said
        ("p.L858_A859delinsMS", "Missense_Mutation", False),
        ("p.V717_G719delinsVLA", "Missense_Mutation", True),
        ("p.G719_S720delinsGF", "Missense_Mutation", False),  # G719 as it was
        ("ENSP00000275493.2:p.Leu858Arg", "Missense_Mutation", True),
        ("p.E746Rfs*12", "Frame_Shift_Del", False),
    ],
)
def test_activating_egfr(change, kind, positive):
    rule = VariantRule(names=("EGFR",), variants=EGFR)
    assert rule.answer(case(variant(change, kind))) is positive


def test_g12c_is_not_every_g12():
    rule = VariantRule(names=("KRAS",), variants=("G12C",))
    assert rule.answer(case(variant("p.G12C", gene="KRAS"))) is True
    assert rule.answer(case(variant("p.G12D", gene="KRAS"))) is False
    assert rule.answer(case(variant("p.G12C", gene="EGFR"))) is False


def test_classes_are_parted():
    assert TRUNCATING < NON_SILENT < CLASSES
    assert not NON_SILENT & SILENT


@pytest.mark.parametrize("kind", sorted(NON_SILENT | SILENT))
def test_every_class_counts_as_its_set_says(kind):
    found = case(variant("", kind))
    for word, classes in (("non_silent", NON_SILENT), ("truncating", TRUNCATING)):
        rule = VariantRule(names=("EGFR",), variants=(word,))
        assert rule.answer(found) is (kind in classes)


@pytest.mark.parametrize("kind", [*sorted(UNSAID), "SV_Thing"])
def test_a_class_that_does_not_say_leaves_it_open(kind):
    for words in (("non_silent",), ("truncating",), EGFR):
        rule = VariantRule(names=("EGFR",), variants=words)
        answer = rule.answer(case(variant("", kind)))
        assert isinstance(answer, Unknown)
        certain = variant("p.E746_A750del", "Frame_Shift_Del" if words[0] in WORDS else kind)
        assert rule.answer(case(variant("", kind), certain)) is True
    assert VariantRule(names=("EGFR",), variants=EGFR).answer(case(variant("p.T790M", kind))) is (
        False  # the change of the protein decides
    )


def test_wild_type_needs_to_have_been_sequenced():
    rule = VariantRule(names=("EGFR", "KRAS"), variants=("non_silent",))
    assert rule.answer(case()) is False
    assert rule.answer(case(profiled=("EGFR",))) == Unknown("KRAS was not sequenced")
    assert rule.answer(case(profiled=())) == Unknown("EGFR/KRAS was not sequenced")
    found = variant("p.G12C", gene="KRAS")
    assert rule.answer(case(found, profiled=())) is True  # what was found was found


@pytest.mark.parametrize("change", ["", "p.?"])
def test_a_variant_that_may_be_the_one_leaves_it_open(change):
    answer = VariantRule(names=("EGFR",), variants=("L858R",)).answer(case(variant(change)))
    assert isinstance(answer, Unknown)
    assert "EGFR has a variant" in answer.reason


def test_germline_counts_where_it_is_asked_for():
    born = case(variant("p.R1R", "Nonsense_Mutation", germline=True))
    for asked in (False, True):
        rule = VariantRule(names=("EGFR",), variants=("truncating",), germline=asked)
        assert rule.answer(born) is asked


@pytest.mark.parametrize(
    "variants",
    [(), ("exon 19",), ("l858r",), ("non_silent", "L858R"), ("deletion 9",), ("G719X",)],
)
def test_rules_that_cannot_be_asked(variants):
    with pytest.raises(ConfigError):
        VariantRule(names=("EGFR",), variants=variants)


def test_without_mutations_it_cannot_be_asked():
    rule = VariantRule(names=("EGFR",), variants=("non_silent",))
    assert "mutations" in rule.lacking(Available())
    assert rule.lacking(Available(mutations=True)) == ""
