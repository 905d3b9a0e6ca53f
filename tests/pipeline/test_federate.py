"""``histofed federate`` end to end, on a small invented study."""

from __future__ import annotations

import math

import pytest
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from histofed.cli import main
from histofed.io.runs import RunFolder, read_json

ARMS = [
    "baseline",
    "federated",
    "local-east",
    "local-north",
    "local-south",
    "local-west",
    "pooled",
]


def test_every_arm_is_there(federated_run):
    assert federated_run.arms() == ARMS
    for arm in ARMS:
        if arm == "baseline":
            continue
        for fold in range(3):
            assert (federated_run.fold(arm, fold) / "model.safetensors").is_file()
            told = "rounds.csv" if arm == "federated" else "curves.csv"
            assert (federated_run.fold(arm, fold) / told).is_file()
            assert not list(federated_run.fold(arm, fold).glob("*.ckpt"))


def test_every_patient_is_predicted_once_by_the_fold_that_held_them_out(
    federated_run, toy_study, table
):
    rows = table(federated_run.splits)
    fold_of = {row["patient_id"]: row["fold"] for row in rows if row["role"] == "test"}
    study = {row["patient_id"]: row for row in toy_study.rows()}
    assert fold_of.keys() == study.keys()
    for arm in ARMS:
        rows = table(federated_run.predictions(arm))
        assert [row["patient_id"] for row in rows] == list(study)
        for row in rows:
            assert row["fold"] == fold_of[row["patient_id"]]
            assert row["site"] == study[row["patient_id"]]["site"]
            assert row["label"] == study[row["patient_id"]]["mutated"]
            assert 0 < float(row["probability"]) < 1


def test_the_numbers_are_those_of_the_predictions(federated_run, table, auroc_within_folds):
    metrics = read_json(federated_run.metrics)
    assert list(metrics["arms"])[:2] == ["federated", "pooled"]
    aurocs = {}
    for arm in ARMS:
        rows = table(federated_run.predictions(arm))
        labels = [int(row["label"]) for row in rows]
        values = [float(row["probability"]) for row in rows]
        found = metrics["arms"][arm]
        aurocs[arm] = auroc_within_folds(rows)
        assert (found["n_patients"], found["n_positive"]) == (24, 12)
        assert found["auroc"]["value"] == pytest.approx(aurocs[arm])
        assert found["auroc_pooled"]["value"] == pytest.approx(roc_auc_score(labels, values))
        assert found["auprc"]["value"] == pytest.approx(average_precision_score(labels, values))
        assert found["brier"]["value"] == pytest.approx(brier_score_loss(labels, values))
        for name in ("auroc", "auprc", "brier"):
            assert found[name]["low"] <= found[name]["value"] <= found[name]["high"]
        for site, here in found["sites"].items():
            part = [row for row in rows if row["site"] == site]
            assert here["n_patients"] == len(part) == 6
            assert here["auroc"]["value"] == pytest.approx(auroc_within_folds(part))
            assert here["auroc_pooled"]["value"] == pytest.approx(
                roc_auc_score(
                    [int(row["label"]) for row in part], [float(row["probability"]) for row in part]
                )
            )
    local = [value for arm, value in aurocs.items() if arm.startswith("local-")]
    assert metrics["local_mean"]["auroc"]["value"] == pytest.approx(sum(local) / 4)


def test_the_planted_signal_is_found(federated_run):
    """Nothing else here would notice labels or patients that are mixed up."""
    found = read_json(federated_run.metrics)["arms"]
    for arm in ("federated", "pooled"):
        assert found[arm]["auroc"]["value"] > 0.8


def test_the_kept_round_has_the_lowest_loss_of_all_hospitals(federated_run, table):
    for fold in range(3):
        rows = table(federated_run.fold("federated", fold) / "rounds.csv")
        assert {row["site"] for row in rows} == {"east", "north", "south", "west"}
        assert {int(row["model"]) for row in rows} == {0, 1, 2, 3}
        means = {}
        for model in (1, 2, 3):
            here = [row for row in rows if int(row["model"]) == model]
            patients = [int(row["n_patients"]) for row in here]
            weighted = [
                float(row["select_loss"]) * n for row, n in zip(here, patients, strict=True)
            ]
            means[model] = math.fsum(weighted) / sum(patients)
        kept = {int(row["model"]) for row in rows if row["kept"] == "1"}
        assert kept == {min(means, key=means.get)}


def test_the_run_folder_tells_the_whole_story(federated_run):
    page = federated_run.report.read_text(encoding="utf-8")
    for word in ("federated", "pooled", "local-only", "baseline", "east", "AUROC"):
        assert word in page
    for name in ("roc", "pr", "sites", "calibration", "rounds", "curves"):
        assert (federated_run.figures / f"{name}.png").stat().st_size > 2000
    stored = federated_run.read()
    assert stored["config"]["splits"]["n_folds"] == 3
    assert (federated_run.path / "config.yaml").read_text(encoding="utf-8").count("n_folds: 3") == 1


def test_a_run_is_not_overwritten_unasked_and_repeats_bit_by_bit(
    toy_study, federated_run, tmp_path, capsys
):
    options = toy_study.options(tmp_path / "run", "federation.rounds=3")
    assert main(["federate", *options]) == 0
    for arm in ARMS:
        again = (tmp_path / "run" / arm / "predictions.csv").read_bytes()
        assert again == federated_run.predictions(arm).read_bytes(), arm
    before = (tmp_path / "run" / "run.json").read_bytes()
    assert main(["federate", *options]) == 2
    assert "overwrite=true" in capsys.readouterr().err
    assert (tmp_path / "run" / "run.json").read_bytes() == before

    note = tmp_path / "run" / "notes.txt"
    note.write_text("mine")
    # The federated model does not notice which comparisons run after it.
    assert main(["federate", *options, "overwrite=true", "compare=[]"]) == 0
    assert [file.parent.name for file in tmp_path.glob("run/*/predictions.csv")] == ["federated"]
    assert (tmp_path / "run" / "federated" / "predictions.csv").read_bytes() == (
        federated_run.predictions("federated").read_bytes()
    )
    assert note.read_text() == "mine"


def test_other_seeds_give_other_models(federated_run, toy_study, tmp_path):
    options = toy_study.options(tmp_path / "run", "federation.rounds=3", "compare=[]", "seed=1")
    assert main(["federate", *options]) == 0
    assert (tmp_path / "run" / "federated" / "predictions.csv").read_bytes() != (
        federated_run.predictions("federated").read_bytes()
    )


def test_one_hospital_is_no_federation(toy_study_of, tmp_path, capsys):
    study = toy_study_of(tmp_path / "one", sites=("north",), patients=12)
    assert main(["federate", *study.options(tmp_path / "run")]) == 2
    message = capsys.readouterr().err
    assert "north" in message
    assert "histofed train" in message
    assert not (tmp_path / "run" / "federated").exists()


def test_a_refused_run_leaves_an_earlier_one_alone(
    toy_study, toy_study_of, federated_run, tmp_path
):
    run = tmp_path / "run"
    fast = ["federation.rounds=1", "compare=[]"]
    assert main(["federate", *toy_study.options(run, *fast)]) == 0
    one = toy_study_of(tmp_path / "one", sites=("north",), patients=12)
    assert main(["federate", *one.options(run, *fast, "overwrite=true")]) == 2
    assert (run / "federated" / "predictions.csv").is_file()


def test_unknown_comparisons_are_refused(toy_study, tmp_path, capsys):
    assert main(["federate", *toy_study.options(tmp_path / "run", "compare=[locl]")]) == 2
    message = capsys.readouterr().err
    assert "locl" in message
    assert "local, pooled, baseline" in message
    assert not (tmp_path / "run").exists()


def test_a_hospital_that_cannot_train_alone_is_said_to_be_left_out(
    toy_study_of, tmp_path, capsys, table
):
    study = toy_study_of(tmp_path / "s", sites=("east", "north"), patients=8)
    rows = study.rows()
    for row in rows:  # north has positive patients only
        row["mutated"] = "1" if row["site"] == "north" else row["mutated"]
    lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
    study.cohort.write_text("\n".join(lines) + "\n", encoding="utf-8")
    options = study.options(tmp_path / "run", "federation.rounds=2", "compare=[local]")
    assert main(["federate", *options]) == 0
    assert "north is left out of the local arms" in capsys.readouterr().out
    arms = sorted(file.parent.name for file in (tmp_path / "run").glob("*/predictions.csv"))
    assert arms == ["federated", "local-east"]


def test_a_hospital_of_too_few_patients_sends_nothing_and_the_others_go_on(
    toy_study_of, tmp_path, capsys, table
):
    study = toy_study_of(tmp_path / "study")
    rows = study.rows()
    left = [row["patient_id"] for row in rows if row["site"] == "east"][3:]
    lines = [
        ",".join(rows[0]),
        *(",".join(row.values()) for row in rows if row["patient_id"] not in left),
    ]
    study.cohort.write_text("\n".join(lines) + "\n", encoding="utf-8")
    run = RunFolder(tmp_path / "run")
    options = study.options(run.path, "federation.rounds=2", "compare=[]")
    assert main(["federate", *options, "federation.min_patients=2"]) == 0
    assert "left out: site east, round 1 of 2: the site failed" in capsys.readouterr().out
    rounds = table(run.fold("federated", 0) / "rounds.csv")
    assert {row["site"] for row in rounds} == {"east", "north", "south", "west"}
    for row in rounds:
        assert ("1 patient, min_patients is 2" in row["absent"]) == (row["site"] == "east")


def test_missing_tables_and_features_are_named(toy_study, tmp_path, capsys):
    options = toy_study.options(tmp_path / "run")
    assert main(["federate", *options, f"cohort={tmp_path / 'no.csv'}"]) == 2
    message = capsys.readouterr().err
    assert "no.csv" in message
    assert "patient_id, slide_id, site, path, mutated" in message
    assert main(["federate", *options, f"features={tmp_path / 'none'}"]) == 2
    message = capsys.readouterr().err
    assert "24 of 24 slides have no features" in message
    assert "p00" in message


def test_half_precision_keeps_the_weights_in_32_bits(toy_study, tmp_path):
    options = toy_study.options(tmp_path / "run", "trainer.precision=bf16-mixed")
    assert main(["federate", *options, "federation.rounds=2", "compare=[pooled]"]) == 0


def test_each_hospital_is_left_out_once_and_the_others_train_and_pick(toy_study, tmp_path, table):
    """With whole sites tested, the round is picked on patients of those that train."""
    sites = {row["patient_id"]: row["site"] for row in toy_study.rows()}
    leave_out = ("splits.scheme=sites", "splits.n_folds=4", "compare=[]")
    options = toy_study.options(tmp_path / "run", "federation.rounds=2", *leave_out)
    assert main(["federate", *[each for each in options if each != "splits.n_folds=3"]]) == 0
    roles: dict[str, dict[str, set[str]]] = {}
    for row in table(tmp_path / "run" / "splits.csv"):
        of_fold = roles.setdefault(row["fold"], {})
        of_fold.setdefault(row["role"], set()).add(sites[row["patient_id"]])
    left_out = [of_fold["test"] for of_fold in roles.values()]
    assert sorted(map(sorted, left_out)) == [["east"], ["north"], ["south"], ["west"]]
    for of_fold in roles.values():
        assert of_fold["train"] == of_fold["select"] == set(sites.values()) - of_fold["test"]
    found = read_json(tmp_path / "run" / "metrics.json")["arms"]["federated"]
    assert found["n_patients"] == 24
    assert found["sites"].keys() == set(sites.values())
    rounds = table(tmp_path / "run" / "federated" / "fold-0" / "rounds.csv")
    assert {row["site"] for row in rounds} == roles["0"]["train"]


def test_training_that_diverges_is_named_with_its_fold_and_a_remedy(toy_study, tmp_path, capsys):
    options = toy_study.options(tmp_path / "run", "trainer.learning_rate=1e30")
    assert main(["federate", *options, "federation.rounds=2"]) == 2
    said = capsys.readouterr().err
    assert "histofed federate: federated, fold 0: round" in said
    assert "site east" in said
    assert "lower trainer.learning_rate" in said
