"""``histofed train``: pooled patients, the same folds and files as ``histofed federate``."""

from __future__ import annotations

import pytest
from sklearn.metrics import roc_auc_score

from histofed.cli import main
from histofed.io.runs import RunFolder, read_json
from histofed.io.splits import read_splits, write_splits


@pytest.fixture(scope="module")
def trained(toy_study, tmp_path_factory) -> RunFolder:
    run = tmp_path_factory.mktemp("runs") / "trained"
    assert main(["train", *toy_study.options(run)]) == 0
    return RunFolder(run)


def test_two_arms_and_the_numbers_of_their_predictions(
    trained, toy_study, table, auroc_within_folds
):
    assert trained.arms() == ["baseline", "pooled"]
    metrics = read_json(trained.metrics)
    assert metrics["local_mean"] is None
    for arm in trained.arms():
        rows = table(trained.predictions(arm))
        assert [row["patient_id"] for row in rows] == [r["patient_id"] for r in toy_study.rows()]
        expected = roc_auc_score(
            [int(row["label"]) for row in rows], [float(row["probability"]) for row in rows]
        )
        found = metrics["arms"][arm]
        assert found["auroc_pooled"]["value"] == pytest.approx(expected)
        assert found["auroc"]["value"] == pytest.approx(auroc_within_folds(rows))
    assert "pooled" in trained.report.read_text(encoding="utf-8")


def test_pooled_is_pooled_whichever_verb_trains_it(trained, federated_run):
    for arm in ("pooled", "baseline"):
        ours, theirs = trained.predictions(arm), federated_run.predictions(arm)
        assert ours.read_bytes() == theirs.read_bytes()
    assert trained.splits.read_bytes() == federated_run.splits.read_bytes()


def test_a_curve_of_every_fold(trained, table):
    for fold in range(3):
        rows = table(trained.fold("pooled", fold) / "curves.csv")
        assert [row["epoch"] for row in rows] == ["1", "2", "3", "4"]


def test_a_run_can_be_evaluated_again(trained, capsys):
    before = read_json(trained.metrics)
    report = trained.report.stat().st_mtime_ns
    assert main(["evaluate", f"run={trained.path}"]) == 0
    assert read_json(trained.metrics) == before
    assert trained.report.stat().st_mtime_ns > report
    assert "AUROC" in capsys.readouterr().out


def test_features_without_positions_are_not_explained(trained, capsys):
    assert main(["explain", f"run={trained.path}", "arm=pooled"]) == 2
    assert "positions" in capsys.readouterr().err
    assert main(["explain", f"run={trained.path}", "arm=federated"]) == 2
    assert "its arms are baseline, pooled" in capsys.readouterr().err


def test_what_is_no_run_is_said_to_be_none(tmp_path, capsys):
    for verb in ("evaluate", "explain", "review"):
        assert main([verb, f"run={tmp_path}"]) == 2
        assert "is not a run folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("mutated", "perhaps", ["line 4", "p02", "'perhaps'", "mutated"]),
        ("site", "", ["line 4", "p02", "site"]),
        ("slide_id", "../up", ["line 4", "p02", "slash"]),
        ("slide_id", "p00", ["p00", "twice"]),
    ],
)
def test_a_wrong_row_is_named(toy_study, tmp_path, capsys, column, value, words):
    rows = toy_study.rows()
    rows[2][column] = value
    cohort = tmp_path / "cohort.csv"
    lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
    cohort.write_text("\n".join(lines) + "\n", encoding="utf-8")
    options = toy_study.options(tmp_path / "run", f"cohort={cohort}")
    assert main(["train", *options]) == 2
    message = capsys.readouterr().err
    for word in words:
        assert word in message


def test_too_few_folds_are_refused(toy_study, tmp_path, capsys):
    assert main(["train", *toy_study.options(tmp_path / "run", "splits.n_folds=2")]) == 2
    assert "splits.n_folds is 2" in capsys.readouterr().err
    assert main(["train", *toy_study.options(tmp_path / "run", "splits.n_folds=13")]) == 2
    assert "12 patients" in capsys.readouterr().err


def test_the_report_names_the_folds_that_were_used(trained, toy_study, tmp_path):
    file = tmp_path / "one.csv"
    write_splits(file, read_splits(trained.splits)[:1])
    options = toy_study.options(tmp_path / "run", "splits.scheme=file", f"splits.file={file}")
    assert main(["train", *options]) == 0
    assert f"1 (from {file})" in RunFolder(tmp_path / "run").report.read_text(encoding="utf-8")
