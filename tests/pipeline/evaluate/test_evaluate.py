"""``histofed evaluate`` of every kind of task: numbers, figures, report, and what is refused."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from histofed.cli import main
from histofed.core.survival.concordance import harrell_c
from histofed.io.runs import read_json
from histofed.pipeline.evaluate import Asked, evaluate

KINDS = ("binary", "multiclass", "multilabel", "regression", "survival")
MAIN = {
    "binary": "auroc",
    "multiclass": "macro_auroc",
    "multilabel": "mean_auroc",
    "regression": "pearson",
    "survival": "harrell_c",
}
FIGURES = {
    "binary": {"roc", "pr", "calibration", "net_benefit"},
    "multiclass": {"confusion"},
    "multilabel": {"panel"},
    "regression": {"scatter", "panel"},
    "survival": {"kaplan_meier_halves", "kaplan_meier_thirds"},
}
FEW = "n_resamples=100"


def table(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module", params=KINDS)
def run(request, finished, tmp_path_factory):
    run = finished(tmp_path_factory.mktemp("kinds"), request.param)
    options = ["groups=[scanner,sex]", "permutations=20", FEW]
    options += ["sensitivity=0.9"] if request.param == "binary" else []
    assert main(["evaluate", f"run={run.path}", *options]) == 0
    return run


def test_every_kind_has_numbers_figures_and_a_report(run):
    metrics, kind = read_json(run.metrics), run.path.name
    assert metrics["task"] == {"name": kind, "kind": kind}
    assert metrics["asked"]["groups"] == ["scanner", "sex"]
    assert set(metrics["arms"]) == {"pooled", "baseline", "local-Aachen", "local-Bern"}
    for arm, found in metrics["arms"].items():
        assert found["n_patients"] == 120
        main = found[MAIN[kind]]
        assert main["low"] < main["value"] < main["high"]
        assert set(found["sites"]) == {"Aachen", "Bern", "Cork"}
        assert sum(each["n_patients"] for each in found["sites"].values()) == 120
        assert {name: set(each) for name, each in found["groups"].items()} == {
            "scanner": {"Aperio", "Hamamatsu"},
            "sex": {"f", "m"},
        }
        assert found["permutation"]["value"] == pytest.approx(main["value"])
        assert (found["against"] is None) == (arm == "pooled")
    assert metrics["local_mean"]["arm"] == "local-only, mean of 2 of 3 hospitals"
    figures = {file.stem for file in run.figures.glob("*.png")}
    assert figures == FIGURES[kind] | {"sites"}
    report = run.report.read_text(encoding="utf-8")
    for words in ("Where to trust it", "scanner: Hamamatsu", "told from the features"):
        assert words in report


def test_the_difference_to_the_first_arm_is_that_of_their_numbers(run):
    metrics, name = read_json(run.metrics), MAIN[run.path.name]
    arms = metrics["arms"]
    found = arms["baseline"]["against"]
    assert found["reference"] == "pooled"
    value = arms["baseline"][name]["value"] - arms["pooled"][name]["value"]
    assert found["numbers"][name]["interval"]["value"] == pytest.approx(value)


def test_evaluating_again_asks_the_same_and_says_the_same(run):
    before = read_json(run.metrics)
    evaluate(run)
    assert read_json(run.metrics) == before


def test_a_group_is_the_patients_of_its_value(finished, tmp_path):
    run = finished(tmp_path, "binary", arms=("pooled",))
    evaluate(run, Asked(n_resamples=100, groups=("scanner", "age"), confounder="sex"))
    found = read_json(run.metrics)["arms"]["pooled"]
    of = {row["patient_id"]: row for row in table(tmp_path / "cohort.csv")}
    rows = table(run.predictions("pooled"))

    def auroc(rows) -> float:
        return roc_auc_score(
            [int(row["label"]) for row in rows], [float(row["probability"]) for row in rows]
        )

    def within(parts) -> float:
        """Return the mean over parts, each counting by its pairs."""
        n_positive = [sum(int(row["label"]) for row in part) for part in parts]
        pairs = [n * (len(part) - n) for n, part in zip(n_positive, parts, strict=True)]
        return np.average([auroc(part) for part in parts], weights=pairs)

    def of_folds(rows) -> list:
        return [[row for row in rows if row["fold"] == fold] for fold in "012"]

    assert {name: each["n_patients"] for name, each in found["groups"]["age"].items()} == {
        "lower third (40 to 49)": 40,
        "middle third (50 to 59)": 40,
        "upper third (60 to 69)": 40,
    }
    for scanner, group in found["groups"]["scanner"].items():
        here = [row for row in rows if of[row["patient_id"]]["scanner"] == scanner]
        assert group["n_patients"] == len(here)
        assert group["auroc_pooled"]["value"] == pytest.approx(auroc(here))
        assert group["auroc"]["value"] == pytest.approx(within(of_folds(here)))
    assert found["confounder"]["crude"]["value"] == pytest.approx(within(of_folds(rows)))
    by_sex = [[row for row in rows if of[row["patient_id"]]["sex"] == sex] for sex in "fm"]
    expected = within([part for each in by_sex for part in of_folds(each)])
    assert found["confounder"]["within"]["value"] == pytest.approx(expected)
    assert "of pairs of the same sex" in run.report.read_text(encoding="utf-8")


def test_concordance_is_within_folds(finished, tmp_path):
    run = finished(tmp_path, "survival", arms=("pooled",))
    evaluate(run, Asked(n_resamples=100))
    found = read_json(run.metrics)["arms"]["pooled"]["harrell_c"]["value"]
    rows = table(run.predictions("pooled"))
    values, pairs = [], []
    for fold in {row["fold"] for row in rows}:
        here = [row for row in rows if row["fold"] == fold]
        time, event, risk = (
            np.array([float(r[n]) for r in here]) for n in ("time", "event", "risk")
        )
        values.append(harrell_c(time, event, risk))
        earlier = (time[:, None] < time) | ((time[:, None] == time) & (event == 0))
        pairs.append((earlier & (event == 1)[:, None]).sum())
    assert found == pytest.approx(np.average(values, weights=pairs))


def refused(capsys, run, *options) -> str:
    assert main(["evaluate", f"run={run.path}", FEW, *options]) == 2
    return capsys.readouterr().err


def test_what_cannot_be_asked_is_refused(finished, tmp_path, capsys):
    run = finished(tmp_path, "survival", arms=("pooled",))
    assert "without column shoe" in refused(capsys, run, "groups=[shoe]")
    assert "groups=[sex]" in refused(capsys, run, "confounder=sex")
    assert "a threshold is set for binary tasks" in refused(capsys, run, "sensitivity=0.9")
    (tmp_path / "cohort.csv").write_text("other")
    message = refused(capsys, run, "groups=[sex]")
    assert "not the cohort table" in message
    assert main(["evaluate", f"run={run.path}", FEW]) == 0  # which needs no table


def test_a_selection_patient_of_another_fold_is_named(finished, tmp_path, capsys):
    run = finished(tmp_path, "binary", arms=("pooled",))
    path = run.selection("pooled")
    head, first, *rest = path.read_text().splitlines()
    patient, site, fold, *cells = first.split(",")
    moved = ",".join([patient, site, str((int(fold) + 1) % 3), *cells])
    path.write_text("\n".join([head, moved, *rest]) + "\n")
    assert f"{patient} did not pick the checkpoint" in refused(capsys, run)


def test_a_site_of_one_class_is_told_with_its_reason(finished, tmp_path):
    run = finished(tmp_path, "binary", arms=("pooled",))
    for path in (run.predictions("pooled"), run.selection("pooled")):
        head, *rows = path.read_text().splitlines()
        cells = [row.split(",") for row in rows]
        changed = [[p, s, f, "0" if s == "Bern" else label, *c] for p, s, f, label, *c in cells]
        path.write_text("\n".join([head, *map(",".join, changed)]) + "\n")
    evaluate(run, Asked(n_resamples=100))
    bern = read_json(run.metrics)["arms"]["pooled"]["sites"]["Bern"]
    assert bern["auroc"] is None
    assert "all 40 patients have label 0" in bern["not_defined"]["auroc"]
    assert "Cannot be told for Bern: all 40 patients have label 0" in run.report.read_text("utf-8")


def test_patients_whose_label_is_not_known_do_not_count(finished, tmp_path, capsys):
    run = finished(tmp_path, "binary", arms=("pooled",))
    path = run.predictions("pooled")
    head, *rows = path.read_text().splitlines()
    cells = [row.split(",") for row in rows]

    def write(n_known: int) -> None:
        lines = [[p, s, f, label if i < n_known else "", *c]
                 for i, (p, s, f, label, *c) in enumerate(cells)]  # fmt: skip
        path.write_text("\n".join([head, *map(",".join, lines)]) + "\n")

    write(100)
    evaluate(run, Asked(n_resamples=100))
    assert read_json(run.metrics)["arms"]["pooled"]["n_patients"] == 100
    write(0)
    assert "is the label known" in refused(capsys, run)


def test_the_file_is_json_that_any_reader_takes(run):
    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is not JSON")

    json.loads(run.metrics.read_text(encoding="utf-8"), parse_constant=refuse)


def test_a_handful_of_patients_is_said_where_the_result_is(finished, tmp_path, capsys):
    run = finished(tmp_path, "binary", n_patients=15)
    assert main(["evaluate", f"run={run.path}", FEW]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "of fewer than 10 the intervals are too narrow" in shown
    assert "of fewer than 10 the intervals are too narrow" in run.report.read_text("utf-8")
