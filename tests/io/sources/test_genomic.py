"""Mutations, copy number, case lists and gene panels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from histofed.core.labels.variants import NON_SILENT
from histofed.errors import CohortError
from histofed.io.sources.cbioportal import (
    Sequenced,
    Study,
    patient_of_sample,
    read_case_list,
    read_clinical,
    read_sequenced,
)
from histofed.io.sources.copy_number import read_copy_number
from histofed.io.sources.maf import read_mutations

if TYPE_CHECKING:
    from pathlib import Path

MAF = "Hugo_Symbol\tVariant_Classification\tTumor_Sample_Barcode\tHGVSp_Short\tMutation_Status\n"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_mutations_are_read_as_they_stand(tmp_path):
    path = write(
        tmp_path / "m.maf",
        "#version 2.4\n" + MAF + "EGFR\tMissense_Mutation\ts1\tp.L858R\tSomatic\n"
        "BRCA1\tNonsense_Mutation\ts2\tp.R1*\tGermline\n"
        "TP53\tSilent\ts3\t\tWildtype\n",
    )
    found = read_mutations(path, asked=("EGFR",))
    assert [(v.sample_id, v.gene, v.protein_change, v.germline) for v in found.variants] == [
        ("s1", "EGFR", "p.L858R", False),
        ("s2", "BRCA1", "p.R1*", True),
    ]
    assert list(found.samples) == ["s1", "s2", "s3"]  # seen, though nothing was found
    assert found.samples["s3"] == f"{path}, line 5"
    assert not found.said


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (
            "EGFR\tMissense\ts1\t\t",
            "sample s1: Variant_Classification is 'Missense'.*Did you",
        ),
        ("\tSilent\ts1\t\t", "line 2: Hugo_Symbol is empty"),
        ("EGFR\tSilent\t\t\t", "line 2: Tumor_Sample_Barcode is empty"),
    ],
)
def test_malformed_mutations_are_refused_by_row(tmp_path, row, said):
    with pytest.raises(CohortError, match=said):
        read_mutations(write(tmp_path / "m.maf", MAF + row + "\n"), asked=("EGFR",))


def test_unknown_classes_matter_in_the_genes_asked_for(tmp_path):
    kinds = ("Fusion", "START_CODON_SNP", "LINCRNA", "COULD_NOT_DETERMINE")
    rows = "TTN\tSV_Thing\ts1\t\t\nTTN\tSV_Thing\ts2\t\t\n"
    rows += "".join(f"EGFR\t{kind}\ts2\t\t\n" for kind in kinds)
    found = read_mutations(write(tmp_path / "m.maf", MAF + rows), asked=("EGFR",))
    assert [each.kind for each in found.variants] == [
        "SV_Thing", "SV_Thing", "Fusion", "Start_Codon_SNP", "lincRNA", "Unknown",
    ]  # fmt: skip
    assert "2 rows of m.maf with a class of variant that is not known" in found.said[0]
    assert found.said[0].endswith("SV_Thing (2)")


def test_genes_are_read_by_their_id_or_by_another_name(tmp_path):
    header = MAF.replace("Hugo_Symbol", "Hugo_Symbol\tEntrez_Gene_Id")
    names = [("LKB1", ""), ("LKB1", "0"), ("", "6794.0"), ("LKB1", "7157"), ("ERBB", "99")]
    rows = "".join(f"{name}\t{number}\tSilent\ts\t\t\n" for name, number in names)
    found = read_mutations(write(tmp_path / "m.maf", header + rows), asked=("STK11",))
    genes = [each.gene for each in found.variants]
    assert genes == ["STK11", "STK11", "STK11", "TP53", "ERBB"]  # 99 is another gene
    assert found.said == (
        "gene LKB1 of m.maf is read as STK11 (2 rows)",
        "gene 6794.0 of m.maf is read as STK11 (1 row)",
    )
    wrong = write(tmp_path / "w.maf", header + "STK11\t1956\tSilent\ts\t\t\n")
    with pytest.raises(CohortError, match=r"line 2: gene STK11 has the Entrez id 1956, .* 6794"):
        read_mutations(wrong, asked=())


def test_a_table_without_classes_is_no_maf(tmp_path):
    with pytest.raises(CohortError, match="Variant_Classification"):
        read_mutations(
            write(tmp_path / "m.maf", "Hugo_Symbol\tTumor_Sample_Barcode\nA\ts\n"), asked=()
        )


def test_copy_number_wide_and_long_say_the_same(tmp_path):
    wide = (
        "Hugo_Symbol\tEntrez_Gene_Id\ts1\ts2\nCDKN2A\t1029\t-2\tNA\nNF2\t4771\t0\t1.0\nX\t1\t9\t9\n"
    )
    long = (
        "Hugo_Symbol\tSample_Id\tValue\nCDKN2A\ts1\t-2\nNF2\ts1\t0\nNF2\ts2\t1\nCDKN2A\ts2\t-1.5\n"
    )
    expected = {"s1": {"CDKN2A": -2, "NF2": 0}, "s2": {"NF2": 1}}
    genes = ("CDKN2A", "NF2")
    assert read_copy_number(write(tmp_path / "w.txt", wide), genes) == expected
    assert read_copy_number(write(tmp_path / "l.txt", long), genes) == expected
    gistic = "Gene Symbol\tLocus ID\tCytoband\tGene ID\ts1\ts2\n"
    gistic += "CDKN2A\t1029\t9p21.3\t1\t-2\t-1.50\nNF2\t4771\t22q12.2\t2\t0\t1.0\n"
    assert read_copy_number(write(tmp_path / "g.txt", gistic), genes) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Hugo_Symbol\ts1\nNF2\t2.31\n", "line 2, sample s1: the copy number of NF2 is '2.31'"),
        ("Hugo_Symbol\ts1\nNF2\tdeep\n", "no level"),
        ("Hugo_Symbol\ts1\nNF2\t0_1\n", "no level"),
        ("Hugo_Symbol\ts1\nNF2\t0\nNF2\t-2\n", "line 3, sample s1.* -2 here and 0"),
        ("Hugo_Symbol\nNF2\n", "no column of a sample"),
        ("Hugo_Symbol\tSample_Id\tValue\nNF2\t\t1\n", "line 2: Sample_Id is empty"),
        ("Hugo_Symbol\tSample_Id\nNF2\ts\n", "no column of levels"),
        ("Gene\ts1\nNF2\t0\n", "no column of genes"),
    ],
)
def test_malformed_copy_number_is_refused_by_row(tmp_path, text, said):
    with pytest.raises(CohortError, match=said):
        read_copy_number(write(tmp_path / "c.txt", text), ("NF2",))


def clinical(*rows: str, header: str = "PATIENT_ID\tSAMPLE_ID", n: int = 4) -> str:
    return "".join("#x\ty\n" for _ in range(n)) + header + "\n" + "".join(r + "\n" for r in rows)


def test_clinical_files_have_four_header_rows(tmp_path):
    good = write(tmp_path / "good.txt", clinical("p1\ts1"))
    assert read_clinical(good).rows[0].cells == {"PATIENT_ID": "p1", "SAMPLE_ID": "s1"}
    for n in (0, 3, 5):
        bad = write(tmp_path / f"bad{n}.txt", clinical("p1\ts1", n=n))
        with pytest.raises(CohortError, match=f"{n} lines with # .* has 4"):
            read_clinical(bad)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["\ts1"], "line 6, s1: PATIENT_ID is empty"),
        (["p1\t"], "line 6, p1: SAMPLE_ID is empty"),
        (["p1\ts1", "p2\ts1"], "line 7: sample s1 belongs to p2 here and to p1"),
    ],
)
def test_samples_have_one_patient(tmp_path, rows, said):
    with pytest.raises(CohortError, match=said):
        patient_of_sample(write(tmp_path / "s.txt", clinical(*rows)))


def test_case_lists_and_plain_lists(tmp_path):
    listed = "stable_id: x_sequenced\ncase_list_name: All\ncase_list_ids: s1\ts2\n"
    assert read_case_list(write(tmp_path / "a.txt", listed)) == {"s1", "s2"}
    assert read_case_list(write(tmp_path / "b.txt", "s1\ns2\n")) == {"s1", "s2"}
    for empty in ("", "stable_id: x\ncase_list_ids:\n"):
        with pytest.raises(CohortError, match="names no sample"):
            read_case_list(write(tmp_path / "c.txt", empty))


MATRIX = "SAMPLE_ID\tmutations\tcna\ns1\tSMALL\tNA\ns2\tWES\tNA\ns3\tNA\tNA\n"
PANEL = "stable_id: SMALL\ndescription: two genes\ngene_list: ERBB1\tKRAS\n"


def covered(found: Sequenced | None) -> set[str]:
    assert found is not None
    pairs = [(s, g) for s in ("s1", "s2", "s3", "s4") for g in ("EGFR", "TP53")]
    return {f"{sample} {gene}" for sample, gene in pairs if found.covers(sample, gene)}


def test_who_was_sequenced_for_what(tmp_path):
    matrix = write(tmp_path / "data_gene_panel_matrix.txt", MATRIX)
    write(tmp_path / "data_gene_panel_small.txt", PANEL)
    cases = write(tmp_path / "case_lists" / "cases_sequenced.txt", "case_list_ids: s1\ts3\n")
    assert covered(read_sequenced(cases, None)) == {"s1 EGFR", "s1 TP53", "s3 EGFR", "s3 TP53"}
    # By the matrix alone, nothing says that a sample without a panel was sequenced.
    assert covered(read_sequenced(None, matrix)) == {"s1 EGFR", "s2 EGFR", "s2 TP53"}
    assert covered(read_sequenced(cases, matrix)) == {"s1 EGFR", "s3 EGFR", "s3 TP53"}
    assert read_sequenced(None, None) is None


def test_a_panel_whose_genes_are_not_there_is_refused(tmp_path):
    matrix = write(tmp_path / "data_gene_panel_matrix.txt", MATRIX)
    with pytest.raises(CohortError, match="line 2, sample s1: the genes of panel SMALL"):
        read_sequenced(None, matrix)


def test_a_study_is_its_folder(tmp_path):
    with pytest.raises(CohortError, match=r"data_clinical_patient\.txt is not there"):
        Study(tmp_path)
    for name in ("patient", "sample"):
        write(tmp_path / f"data_clinical_{name}.txt", clinical("p1\ts1"))
    write(tmp_path / "data_CNA.txt", "Hugo_Symbol\ts1\n")
    study = Study(tmp_path)
    assert study.copy_number == tmp_path / "data_CNA.txt"
    assert (study.mutations, study.sequenced, study.panels) == (None, None, None)


def test_the_leukaemia_maf(test_data):
    """Real: 2,207 rows of 193 tumours (TCGA-LAML)."""
    found = read_mutations(test_data / "genomic" / "tcga_laml.maf.gz", asked=("TP53",))
    variants = found.variants
    assert (len(variants), len(found.samples), found.said) == (2207, 193, ())
    assert sum(each.kind in NON_SILENT for each in variants) == 1732
    mutated = {v.sample_id for v in variants if v.gene == "DNMT3A" and v.kind in NON_SILENT}
    assert len(mutated) == 48
