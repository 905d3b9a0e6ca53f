"""`histofed cohort` from invented tables: what comes out, and what is refused with nothing left."""

from __future__ import annotations

import csv
import json
from functools import cache
from typing import TYPE_CHECKING

import pytest
import yaml
from omegaconf import OmegaConf

from histofed.cli import main
from histofed.errors import HistofedError
from histofed.io.tables import read_cohort
from histofed.pipeline import cohort as verb
from histofed.pipeline.asking import task_of
from histofed.pipeline.config import compose, to_object

if TYPE_CHECKING:
    from pathlib import Path

    from omegaconf import DictConfig

REFUSED = 2


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@cache
def composed(cancer: str, task: str) -> DictConfig:
    """Compose once for many tests: that takes longer than the cohorts themselves."""
    return compose("cohort", [cancer, task])


def make(folder: Path, cancer: str, task: str, *options: str) -> Path:
    """Make a cohort as the command does."""
    config, out = composed(cancer, task).copy(), folder / "out"
    for option in (*options, f"out={out}"):
        name, _, value = option.partition("=")
        OmegaConf.update(config, name, yaml.safe_load(value))
    assert verb.run(to_object(config)) == 0
    return out


def refusal(folder: Path, *options: str) -> str:
    """Return the message of a refusal, after which nothing is there."""
    with pytest.raises(HistofedError) as caught:
        make(folder, *options)
    assert not (folder / "out").exists()
    return str(caught.value)


CLINICAL = """patient_id,site,sex,egfr
p1,east,f,1
p2,east,m,0
p3,west,f,NA
p4,west,m,yes
p5,west,f,0
"""
SLIDES = """patient_id,slide_id,path
p1,a,a.svs
p1,b,b.svs
p2,c,c.svs
p3,d,d.svs
p4,e,e.svs
p9,f,f.svs
"""


@pytest.fixture
def hospital(tmp_path: Path) -> list[str]:
    clinical = write(tmp_path / "clinical.csv", CLINICAL)
    slides = write(tmp_path / "slides.csv", SLIDES)
    return ["cancer=lung", "task=egfr", f"clinical={clinical}", f"slides={slides}"]


# What comes out.


def test_a_cohort_is_what_other_verbs_read(tmp_path, hospital, capsys):
    out = make(tmp_path, *hospital)
    task = task_of(to_object(composed(*hospital[:2])).task)
    cohort = read_cohort(out / "cohort.csv", task)
    assert cohort.labels == {"p1": (1.0,), "p2": (0.0,), "p4": (1.0,)}
    assert [slide.slide_id for slide in cohort.slides] == ["a", "b", "c", "e"]
    assert cohort.site_of == {"p1": "east", "p2": "east", "p4": "west"}
    assert rows_of(out / "cohort.csv")[0]["sex"] == "f"  # what the profile names goes along
    left = {
        (row["patient_id"], row["slide_id"]): row["reason"]
        for row in rows_of(out / "attrition.csv")
    }
    assert left == {
        ("p9", "f"): "patient not in the table",
        ("p3", ""): "egfr is NA",
        ("p3", "d"): "patient left out",
        ("p5", ""): "no slide",
    }
    shown = capsys.readouterr().out
    for words in ("Label by site", "Label by sex", "5 patients, 6 slides", "1 patient: egfr is NA"):
        assert words in shown
    record = json.loads((out / "audit.json").read_text())
    assert record["rule"]["name"] == "stated"
    assert record["labels_by"][0]["rows"] == {"east": [2, [1, 1]], "west": [1, [0, 1]]}
    assert len(next(iter(record["sources"].values()))) == 64


def test_a_cohort_that_is_there_is_not_replaced_unasked(tmp_path, hospital, capsys):
    options = [*hospital, f"out={tmp_path / 'out'}", "where={sex:[M]}"]
    assert main(["cohort", *options]) == 0
    assert {row["patient_id"] for row in rows_of(tmp_path / "out" / "cohort.csv")} == {"p2", "p4"}
    assert main(["cohort", *options]) == REFUSED
    assert "overwrite=true" in capsys.readouterr().err
    make(tmp_path, *hospital, "overwrite=true")
    assert len(rows_of(tmp_path / "out" / "cohort.csv")) == 4


def test_files_on_disk_are_named_and_lost_ones_left_out(tmp_path, hospital, capsys):
    for name in ("a", "c", "e"):
        write(tmp_path / f"{name}.svs", "x")
    out = make(tmp_path, *hospital)
    assert {row["slide_id"]: row["path"] for row in rows_of(out / "cohort.csv")} == {
        name: str(tmp_path / f"{name}.svs") for name in ("a", "c", "e")
    }
    assert "next: histofed extract cancer=lung cohort=" in capsys.readouterr().out
    assert {"b": "no such file"}.items() <= {
        row["slide_id"]: row["reason"] for row in rows_of(out / "attrition.csv")
    }.items()


@pytest.mark.parametrize(
    ("header", "slide"),
    [
        ("PATIENT,FILENAME", "a.svs"),  # STAMP
        ("case_id,slide_id", "a"),  # CLAM
        ("patient_id,wsi", "folder/a.svs"),  # TRIDENT, with a patient
    ],
)
def test_tables_as_others_have_them(tmp_path, hospital, header, slide):
    write(tmp_path / "slides.csv", f"{header}\np1,{slide}\np2,{slide.replace('a', 'c')}\n")
    out = make(tmp_path, *hospital)
    assert [row["slide_id"] for row in rows_of(out / "cohort.csv")] == ["a", "c"]


def test_a_manifest_names_slides_and_barcodes_their_patients(tmp_path):
    clinical = write(
        tmp_path / "clinical.tsv",
        "cases.submitter_id\tdemographic.vital_status\tdemographic.days_to_death\t"
        "diagnoses.days_to_last_follow_up\nTCGA-55-0001\tDead\t400\t'--\n"
        "TCGA-44-0002\tAlive\t'--\t800\nTCGA-44-0003\tDead\t'--\t800\n",
    )
    names = ["TCGA-55-0001-01Z-00-DX1", "TCGA-55-0001-01A-01-TS1", "TCGA-44-0002-01Z-00-DX1"]
    names += ["TCGA-44-0002-11A-01-TS1"]
    manifest = write(
        tmp_path / "manifest.txt",
        "id\tfilename\tmd5\tsize\tstate\n"
        + "".join(f"u{i}\t{name}.svs\tx\t1\treleased\n" for i, name in enumerate(names)),
    )
    options = ["cancer=lung", "task=survival", f"clinical={clinical}", f"slides={manifest}"]
    write(tmp_path / "u0" / f"{names[0]}.svs", "downloaded")
    write(tmp_path / f"{names[2]}.svs", "moved by hand")
    out = make(tmp_path, *options)
    assert [row["path"] for row in rows_of(out / "cohort.csv")] == [
        str(tmp_path / "u0" / f"{names[0]}.svs"), str(tmp_path / f"{names[2]}.svs"),
    ]  # fmt: skip
    types = json.loads((out / "audit.json").read_text())["slide_types"]
    assert types["frozen"] == {"patients": 2, "slides": 2}
    assert [
        (r["slide_id"][-3:], r["site"], r["OS_MONTHS"], r["OS_STATUS"])
        for r in rows_of(out / "cohort.csv")
    ] == [("DX1", "55", "13.1417", "1"), ("DX1", "44", "26.2834", "0")]
    reasons = {row["reason"] for row in rows_of(out / "attrition.csv")}
    assert {"frozen slide", "sample type 11 (solid tissue normal)"} <= reasons
    assert "days_to_death is not known" in reasons


# A study folder: wild type only where the gene was sequenced.

HEADS = "#a\n#b\n#c\n#d\n"
MAF = "Hugo_Symbol\tVariant_Classification\tTumor_Sample_Barcode\n"


def study(folder: Path, **files: str) -> Path:
    patients = "PATIENT_ID\tSITE\n" + "".join(f"p{i}\teast\n" for i in range(1, 6))
    samples = "SAMPLE_ID\tPATIENT_ID\n" + "".join(f"s{i}\tp{i}\n" for i in range(1, 6))
    texts = {
        "data_clinical_patient.txt": HEADS + patients,
        "data_clinical_sample.txt": HEADS + samples,
        "data_mutations.txt": MAF.replace("\n", "\tHGVSp_Short\n")
        + "EGFR\tMissense_Mutation\ts1\tp.L858R\nEGFR\tMissense_Mutation\ts2\tp.T790M\n"
        "BAP1\tNonsense_Mutation\ts2\tp.R60*\nTP53\tSilent\ts3\t\n",
        "case_lists/cases_sequenced.txt": "case_list_ids: s1\ts2\ts3\ts4\n",
    }
    for name, text in (texts | files).items():
        write(folder / name, text)
    return folder


def labels_of(out: Path, column: str) -> dict[str, str]:
    return {row["patient_id"]: row[column] for row in rows_of(out / "cohort.csv")}


def test_wild_type_is_who_was_sequenced_without_a_finding(tmp_path):
    out = make(tmp_path, "cancer=lung", "task=egfr", f"study={study(tmp_path / 'study')}")
    assert labels_of(out, "egfr") == {"p1": "1", "p2": "0", "p3": "0", "p4": "0"}
    assert [row["reason"] for row in rows_of(out / "attrition.csv")] == ["EGFR was not sequenced"]


def test_a_panel_without_the_gene_makes_nobody_wild_type(tmp_path):
    folder = study(
        tmp_path / "study",
        **{
            "data_gene_panel_matrix.txt": "SAMPLE_ID\tmutations\ns1\tSMALL\ns2\tSMALL\ns3\tOTHER\n",
            "data_gene_panel_small.txt": "stable_id: SMALL\ngene_list: EGFR\tTP53\n",
            "data_gene_panel_other.txt": "stable_id: OTHER\ngene_list: TP53\n",
        },
    )
    out = make(tmp_path, "cancer=lung", "task=egfr", f"study={folder}")
    assert labels_of(out, "egfr") == {"p1": "1", "p2": "0", "p4": "0"}


def test_loss_needs_both_tables_to_be_denied(tmp_path):
    cna = "Hugo_Symbol\ts1\ts2\ts3\ts4\ts5\nBAP1\t-2\t0\t0\tNA\t0\n"
    folder = study(tmp_path / "study", **{"data_cna.txt": cna})
    out = make(tmp_path, "cancer=mesothelioma", "task=bap1", f"study={folder}")
    assert labels_of(out, "bap1") == {"p1": "1", "p2": "1", "p3": "0"}
    assert {row["patient_id"]: row["reason"] for row in rows_of(out / "attrition.csv")} == {
        "p4": "the copy number of BAP1 was not measured",
        "p5": "BAP1 was not sequenced",
    }


def test_a_panel_of_genes_keeps_what_is_not_known_empty(tmp_path):
    genes = ["EGFR", "KRAS", "STK11", "KEAP1", "TP53"]
    maf = MAF + "".join(f"{g}\tMissense_Mutation\ts{i}\n" for i, g in enumerate(genes, start=1))
    folder = study(tmp_path / "study", **{"data_mutations.txt": maf})
    out = make(tmp_path, "cancer=lung", "task=mutation_panel", f"study={folder}")
    found = rows_of(out / "cohort.csv")
    assert [row["tp53"] for row in found] == ["0", "0", "0", "0", "1"]
    assert [row["egfr"] for row in found] == ["1", "0", "0", "0", ""]  # p5 was not sequenced
    pairs = json.loads((out / "audit.json").read_text())["pairs"]
    assert {"first": "egfr", "second": "kras"}.items() <= pairs[0].items()


def test_a_panel_is_narrowed_to_the_genes_that_the_tables_have(tmp_path):
    clinical = write(tmp_path / "c.csv", "patient_id,site,egfr,kras\np1,e,1,0\np2,e,0,1\n")
    options = ["cancer=lung", "task=mutation_panel", f"clinical={clinical}"]
    message = refusal(tmp_path, *options)
    assert "column 'stk11' is not known" in message
    assert "task.columns=[egfr,kras,keap1,tp53]" in message
    found = rows_of(make(tmp_path, *options, "task.columns=[egfr,kras]") / "cohort.csv")
    assert [(row["egfr"], row["kras"]) for row in found] == [("1", "0"), ("0", "1")]


def test_what_the_label_is_made_of_is_no_covariate(tmp_path):
    rows = "p1,e,Epithelioid mesothelioma,m\np2,e,Biphasic mesothelioma,f\n"
    rows += "p3,e,Diffuse malignant mesothelioma - NOS,f\n"
    clinical = write(tmp_path / "c.csv", "patient,site,histological_type,sex\n" + rows)
    out = make(tmp_path, "cancer=mesothelioma", "task=histology", f"clinical={clinical}")
    assert list(rows_of(out / "cohort.csv")[0])[4:] == ["histology", "sex"]
    held = [table["by"] for table in json.loads((out / "audit.json").read_text())["labels_by"]]
    assert held == ["site", "sex"]
    (left,) = rows_of(out / "attrition.csv")
    assert left["reason"] == "histological_type is Diffuse malignant mesothelioma - NOS"


# Response: slides from before the treatment.


def response_tables(tmp_path: Path, slides: str) -> list[str]:
    best = {"p1": "CR", "p2": "PD", "p3": "NE"}
    clinical = "patient_id,site,best_response,treatment_start\n"
    clinical += "".join(f"{patient},e,{said},2020-02-01\n" for patient, said in best.items())
    return [
        "cancer=lung",
        "task=response",
        f"clinical={write(tmp_path / 'c.csv', clinical)}",
        f"slides={write(tmp_path / 's.csv', slides)}",
    ]


def test_slides_after_the_treatment_began_are_left_out(tmp_path, capsys):
    slides = "patient_id,slide_id,slide_date\np1,a,2020-01-31\np1,b,2020-02-01\np2,c,\n"
    out = make(tmp_path, *response_tables(tmp_path, slides))
    assert [row["slide_id"] for row in rows_of(out / "cohort.csv")] == ["a", "c"]
    reasons = {row["slide_id"]: row["reason"] for row in rows_of(out / "attrition.csv")}
    assert reasons == {"b": "taken after treatment began", "": "best_response is NE"}
    assert "1 slide of 3 were taken before treatment cannot be checked" in capsys.readouterr().out


def test_days_since_the_diagnosis_are_compared_as_numbers(tmp_path):
    clinical = "patient_id,site,best_response,days_to_treatment_start\np1,e,CR,9\np2,e,PD,9\n"
    slides = "patient_id,slide_id,days_to_slide\np1,a,-20\np1,b,10\np2,c,8.5\n"
    options = [f"clinical={write(tmp_path / 'c.csv', clinical)}"]
    options += [f"slides={write(tmp_path / 's.csv', slides)}"]
    out = make(tmp_path, "cancer=mesothelioma", "task=response", *options)
    assert [row["slide_id"] for row in rows_of(out / "cohort.csv")] == ["a", "c"]


def test_slides_of_any_date_answer_other_tasks(tmp_path):
    clinical = "patient_id,site,egfr,treatment_start\np1,e,1,2020-02-01\np2,e,0,2020-02-01\n"
    slides = "patient_id,slide_id,slide_date\np1,a,2021-01-01\np2,b,2019-01-01\n"
    options = [f"clinical={write(tmp_path / 'c.csv', clinical)}"]
    options += [f"slides={write(tmp_path / 's.csv', slides)}"]
    out = make(tmp_path, "cancer=lung", "task=egfr", *options)
    assert [row["slide_id"] for row in rows_of(out / "cohort.csv")] == ["a", "b"]


@pytest.mark.parametrize(
    ("date", "said"), [("12", "write both as dates"), ("May", "neither a date")]
)
def test_dates_of_two_kinds_are_refused(tmp_path, date, said):
    slides = f"patient_id,slide_id,slide_date\np1,a,{date}\np2,c,2020-01-01\n"
    message = refusal(tmp_path, *response_tables(tmp_path, slides))
    assert said in message
    assert "line 2, slide a" in message


# Folders of images.


def test_folders_of_images_are_slides_with_an_mpp(tmp_path):
    clinical = write(tmp_path / "c.csv", "patient_id,site,t_11_14\nm1,e,1\nm2,e,0\n")
    for name in ("m1/field1.png", "m1/field2.png", "m2/cell.jpg", ".hidden/x.png", "notes/x.txt"):
        write(tmp_path / "smears" / name, "x")
    options = [
        "cancer=myeloma",
        "task=t_11_14",
        f"clinical={clinical}",
        f"slides={tmp_path / 'smears'}",
    ]
    assert "give mpp=..." in refusal(tmp_path, *options)
    out = make(tmp_path, *options, "mpp=0.17")
    assert [(row["slide_id"], row["path"], row["mpp"]) for row in rows_of(out / "cohort.csv")] == [
        (name, str(tmp_path / "smears" / name), "0.17") for name in ("m1", "m2")
    ]


def test_a_table_of_slides_may_name_folders_of_images(tmp_path):
    clinical = write(tmp_path / "c.csv", "patient_id,site,t_11_14\nm1,e,1\nm2,e,0\n")
    for name in ("m1/field1.png", "m2/field1.tif"):
        write(tmp_path / name, "x")
    options = ["cancer=myeloma", "task=t_11_14", f"clinical={clinical}"]
    slides = write(tmp_path / "s.csv", "patient_id,path,mpp\nm1,m1,0.1\nm2,m2,\n")
    message = refusal(tmp_path, *options, f"slides={slides}")
    assert "line 3, slide m2" in message
    assert "do not say how many microns a pixel is" in message
    out = make(tmp_path, *options, f"slides={slides}", "mpp=0.2")
    assert [(row["path"], row["mpp"]) for row in rows_of(out / "cohort.csv")] == [
        (str(tmp_path / "m1"), "0.1"), (str(tmp_path / "m2"), "0.2"),
    ]  # fmt: skip


# Bad input: named, and nothing written.


H = "patient,site,egfr\n"
S = "SAMPLE_ID\tPATIENT_ID\n"


@pytest.mark.parametrize(
    ("clinical", "said"),
    [
        (H + "p1,e,1\np1,e,0\n", "line 3, patient p1: the label is '0' by this row"),
        (H + "p1,e,1\np2,e,maybe\n", "line 3, patient p2: column 'egfr' holds 'maybe'"),
        (H + "p1,e,1\n,e,0\n", "line 3: patient is empty"),
        (H + "p1,e,1\nP1,e,0\n", "line 3: patient P1 is also written p1"),
        (H + "p1,e,1\np2,e,1\n", "line 2, patient p1: column 'egfr' is 1 here and"),
        (H + "p1,e,1\np2,e,0\np1,w,1\n", "line 4, patient p1: the hospital of p1 is w here"),
        (H + "p1,e,\np2,e,NA\n", "no patient is left after the step 'label known'"),
        ("patient,egfr\np1,1\np2,0\n", "the hospital of p1 is not said"),
        ("patient,site,egfr,egfr\np1,e,1,1\n", "columns egfr"),
        ("patient,site,kras\np1,e,1\n", "stated lacks a column egfr"),
        ("who,site,egfr\np1,e,1\n", "who, site, egfr: name yours with columns.patient=[NAME]"),
        ("patient,site,egfr,sex\np1,e,1,f\np1,e,1,m\np2,e,0,m\n", "p1: sex is 'f' and 'm'"),
        ("patient,project_id,site,egfr\np1,TCGA-MESO,e,1\n", "columns.project=[] takes all"),
    ],
)  # fmt: skip
def test_clinical_tables_at_fault(tmp_path, clinical, said):
    path = write(tmp_path / "c.csv", clinical)
    assert said in refusal(tmp_path, "cancer=lung", "task=egfr", f"clinical={path}")


@pytest.mark.parametrize(
    ("slides", "said"),
    [
        ("patient_id,slide_id\np1,a\n,b\n", "line 3, slide b: patient_id is empty"),
        ("patient_id,slide_id\np1,a\np2,a\n", "line 3, slide a: slide a is there already"),
        ("slide_id\nTCGA\n", "line 2, slide TCGA: the patient is not named"),
        ("patient_id,slide_id\np1,\n", "line 2, slide ?: slide_id is empty"),
        ("patient_id,glass\np1,a\n", "no column of slides"),
        (
            "patient_id,slide_id,site\np1,a,north\np2,b,east\n",
            "line 2, patient p1: the hospital of p1 is east here and north by ",
        ),
        ("patient_id,slide_id,mpp\np1,a,40x\n", "mpp is '40x'"),
        ("patient_id,slide_id,slide_type\np1,a,smear\n", "slide_type is 'smear'"),
        ("patient_id,slide_id\np9,a\n", "no patient is left after the step 'with a slide'"),
        ("patient_id,slide_id\np1,x/a\np2,b\n", "names files, so it cannot hold a slash"),
    ],
)
def test_slide_tables_at_fault(tmp_path, hospital, slides, said):
    write(tmp_path / "slides.csv", slides)
    assert said in refusal(tmp_path, *hospital)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"data_clinical_sample.txt": HEADS + S + "s1\tp77\n"}, "line 6: patient p77 is not in"),
        ({"data_clinical_sample.txt": HEADS + S + "s1\tp1\n"}, "line 3: sample s2 is not in data"),
        ({"data_clinical_patient.txt": "PATIENT_ID\np1\n"}, "0 lines with #"),
    ],
)  # fmt: skip
def test_studies_at_fault(tmp_path, files, said):
    folder = study(tmp_path / "study", **files)
    assert said in refusal(tmp_path, "cancer=lung", "task=egfr", f"study={folder}")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "name the table of patients with clinical=TABLE"),
        (["study=s", "clinical=c.csv"], "brings its own tables; leave out clinical"),
        (["clinical=nowhere.csv"], "nowhere.csv is not there"),
        (["by=statd", "clinical=c.csv"], "Did you mean by=stated"),
    ],
)
def test_options_at_fault(tmp_path, monkeypatch, options, said):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "c.csv", CLINICAL)
    assert said in refusal(tmp_path, "cancer=lung", "task=egfr", *options)


def test_mutations_that_do_not_say_who_was_sequenced(tmp_path):
    folder = study(tmp_path / "study")
    maf = f"mutations={folder / 'data_mutations.txt'}"
    text = "patient_id,site\n" + "".join(f"s{i},east\n" for i in range(1, 5))
    clinical = f"clinical={write(tmp_path / 'c.csv', text)}"
    options = ["cancer=lung", "task=egfr", clinical, maf]
    assert "does not say who was sequenced" in refusal(tmp_path, *options)
    out = make(tmp_path, *options, "sequenced=mutations")
    assert labels_of(out, "egfr") == {"s1": "1", "s2": "0", "s3": "0"}


def test_a_gene_in_other_capitals_makes_nobody_wild_type(tmp_path):
    maf = MAF.replace("\n", "\tHGVSp_Short\n") + "egfr\tMissense_Mutation\ts1\tp.L858R\n"
    folder = study(tmp_path / "study", **{"data_mutations.txt": maf})
    said = refusal(tmp_path, "cancer=lung", "task=egfr", f"study={folder}")
    assert "sample s1: gene 'egfr' is EGFR in the rule" in said


def test_an_earlier_name_of_a_gene_makes_nobody_wild_type(tmp_path, capsys):
    maf = MAF + "LKB1\tNonsense_Mutation\ts1\nTTN\tSV_Thing\ts2\n"
    options = ["cancer=lung", "task=stk11"]
    folder = study(tmp_path / "study", **{"data_mutations.txt": maf})
    out = make(tmp_path, *options, f"study={folder}")
    assert labels_of(out, "stk11") == {"p1": "1", "p2": "0", "p3": "0", "p4": "0"}
    said = " ".join(capsys.readouterr().out.split())
    assert "gene LKB1 of data_mutations.txt is read as STK11 (1 row)" in said
    assert "1 row of data_mutations.txt with a class of variant that is not known" in said
    asked = "task.label.mutation.genes=[LKB1]"
    assert "gene LKB1 of the task or the cancer is STK11 today" in refusal(
        tmp_path / "b", *options, f"study={folder}", asked
    )


def test_what_is_taken_on_trust_is_said(tmp_path, hospital):
    def warnings(*options: str) -> str:
        assert main(["cohort", *options, f"out={tmp_path / 'out'}", "overwrite=true"]) == 0
        return " ".join(json.loads((tmp_path / "out" / "audit.json").read_text())["warnings"])

    said = warnings(*hospital)
    assert "the label is what the table states: that it means EGFR deletion 729-761" in said
    rows = "patient_id,site,tp53,er\np1,e,1,n\np2,e,0,n\np3,e,1,p\n"
    breast = ["cancer=breast", "task=tp53", f"clinical={write(tmp_path / 'b.csv', rows)}"]
    assert "of a wider table take those who have it: 'where={er:" in warnings(*breast)
    assert "wider table" not in warnings(*breast, "where={er:[n]}")


def test_carriers_of_other_variants_among_the_negative_are_counted(tmp_path, capsys):
    out = make(tmp_path, "cancer=lung", "task=egfr", f"study={study(tmp_path / 'study')}")
    line = "1 of 3 patients with 'no activating EGFR mutation' have another variant of EGFR: "
    assert line + "p.T790M in 1" in " ".join(capsys.readouterr().out.split())
    assert json.loads((out / "audit.json").read_text())["other_variants"] == [line + "p.T790M in 1"]


def test_several_samples_of_a_patient_are_said(tmp_path, capsys):
    samples = HEADS + S + "".join(f"s{i}\tp{i}\n" for i in range(1, 5)) + "s5\tp3\n"
    lists = {
        "data_clinical_sample.txt": samples,
        "case_lists/cases_sequenced.txt": "case_list_ids: s1\ts2\ts3\ts5\n",
    }
    make(tmp_path, "cancer=lung", "task=egfr", f"study={study(tmp_path / 'study', **lists)}")
    said = " ".join(capsys.readouterr().out.split())
    assert "1 patient with several sequenced samples (p3): a variant of any of them counts" in said


@pytest.mark.parametrize(("listed", "refused"), [("s1\ts2\tS3\ts4", False), ("S1\tS3", True)])
def test_sequenced_samples_that_are_nobodys_are_said(tmp_path, capsys, listed, refused):
    lists = {"case_lists/cases_sequenced.txt": f"case_list_ids: {listed}\n"}
    options = ["cancer=lung", "task=egfr", f"study={study(tmp_path / 'study', **lists)}"]
    if refused:
        said = refusal(tmp_path, *options)
        assert "2 of 2 sequenced samples belong to no patient of the tables (S1, S3)" in said
    else:
        assert labels_of(make(tmp_path, *options), "egfr") == {"p1": "1", "p2": "0", "p4": "0"}
        said = " ".join(capsys.readouterr().out.split())
        assert "1 of 4 sequenced samples belong to no patient of the tables (S3)" in said


def test_one_hospital_in_two_spellings(tmp_path):
    text = "patient_id,site,egfr\np1,East,1\np2,east,0\n"
    options = ["cancer=lung", "task=egfr", f"clinical={write(tmp_path / 'c.csv', text)}"]
    assert "hospital 'east' is also written 'East'" in refusal(tmp_path, *options)


def test_mutations_that_are_only_held_against_the_label_need_no_list(tmp_path, capsys):
    folder = study(tmp_path / "study")
    (folder / "case_lists" / "cases_sequenced.txt").unlink()
    clinical = HEADS + "PATIENT_ID\tSITE\tBOR\np1\teast\tPR\np2\teast\tSD\n"
    samples = HEADS + S + "s1\tp1\ns2\tp2\ns3\tp2\n"
    write(folder / "data_clinical_patient.txt", clinical)
    write(folder / "data_clinical_sample.txt", samples)
    out = make(tmp_path, "cancer=lung", "task=response", f"study={folder}")
    assert labels_of(out, "response") == {"p1": "1", "p2": "0"}
    assert json.loads((out / "audit.json").read_text())["pairs"] == []
    assert "not held against the label" in capsys.readouterr().out


def test_fractions_are_not_taken_for_percent(tmp_path):
    clinical = write(tmp_path / "c.csv", "patient_id,site,fish_del17p\np1,e,0.6\np2,e,0.05\n")
    options = ["cancer=myeloma", "task=del17p", f"clinical={clinical}"]
    assert "these are fractions" in refusal(tmp_path, *options)
    stated = ["task.label.fish.unit=fraction", "task.label.fish.at_least=0.2"]
    assert labels_of(make(tmp_path, *options, *stated), "del17p") == {"p1": "1", "p2": "0"}


def test_a_unit_of_time_must_be_stated(tmp_path):
    clinical = write(tmp_path / "c.csv", "patient_id,site,fu,dead\np1,e,24,1\np2,e,12,0\n")
    own = ["task.label.own.time=fu", "task.label.own.event=dead"]
    options = ["cancer=lung", "task=survival", f"clinical={clinical}", *own]
    assert "unit of time of fu is not stated" in refusal(tmp_path, *options)
    out = make(tmp_path, *options, "task.label.own.unit=years")
    assert labels_of(out, "OS_MONTHS") == {"p1": "288", "p2": "144"}
