"""The models of a run on patients whom they have not seen."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest

from histofed.cli import main
from histofed.core.tasks import BinaryTask
from histofed.io.fingerprints import read_fingerprints
from histofed.io.predictions import read_predictions
from histofed.io.runs import RunFolder, read_json
from histofed.io.store import FeatureStore
from histofed.io.tables import read_cohort
from histofed.mil.bags import BagDataset, load_bags
from histofed.mil.data import in_order
from histofed.mil.module import predict
from histofed.pipeline.models import fold_model

TASK = BinaryTask(name="mutated", column="mutated")


@pytest.fixture(scope="session")
def others(toy_study_of, tmp_path_factory):
    """Patients of two further hospitals."""
    folder = tmp_path_factory.mktemp("others")
    return toy_study_of(folder, sites=("far", "further"), prefix="q", seed=11)


def options(run: RunFolder, study, out, *more: str) -> list[str]:
    named = [f"run={run.path}", f"cohort={study.cohort}", f"features={study.features}"]
    return ["predict", *named, f"out={out}", *more]


@pytest.fixture(scope="session")
def external(federated_run, others, tmp_path_factory) -> RunFolder:
    out = tmp_path_factory.mktemp("external") / "run"
    assert main(options(federated_run, others, out)) == 0
    return RunFolder(out)


def test_everybody_gets_the_mean_of_what_the_models_of_all_folds_say(
    federated_run, others, external, tmp_path
):
    cohort = read_cohort(others.cohort, TASK)
    bags = load_bags(cohort, FeatureStore(others.features), scratch=tmp_path)
    said = []
    for fold in range(3):
        _, module = fold_model(federated_run, "federated", fold, dim=16)
        said.append(predict(module, in_order(BagDataset(bags.values()), 5)))
    found = read_predictions(external.predictions("federated"), task=TASK)
    assert [p.patient_id for p in found] == list(cohort.patients)
    for prediction in found:
        mean = np.mean([outputs[prediction.patient_id] for outputs in said])
        assert prediction.outputs[0] == pytest.approx(mean, rel=1e-5)
        assert prediction.ood is not None
        assert prediction.possible is not None


def test_known_labels_make_it_an_external_test(external):
    found = read_json(external.metrics)["arms"]["federated"]
    assert found["n_patients"] == 12
    assert found["auroc"]["value"] > 0.8  # the planted signal is the same
    assert {"far", "further"} == set(found["sites"])
    assert external.report.exists()
    source = read_json(external.path / "run.json")["inputs"]["models_of"]
    assert f"each has the mean of the 3 models of {source}" in external.report.read_text()


def test_thresholds_are_those_of_the_run_that_made_the_models(federated_run, external):
    picked = federated_run.selection("federated").read_bytes()
    assert external.selection("federated").read_bytes() == picked


def unlabelled(study, folder, table):
    """Return the study with a table that does not know the answer."""
    rows = table(study.cohort)
    lines = ["patient_id,slide_id,site,path"]
    lines += [f"{row['patient_id']},{row['slide_id']},{row['site']}," for row in rows]
    path = folder / "new.csv"
    path.write_text("\n".join(lines) + "\n")
    return replace(study, cohort=path)


def test_patients_without_a_label_are_predicted(
    federated_run, others, external, tmp_path, table, capsys
):
    study = unlabelled(others, tmp_path, table)
    out = RunFolder(tmp_path / "run")
    assert main(options(federated_run, study, out.path)) == 0
    assert "12, none with a known mutated" in capsys.readouterr().out
    assert not out.metrics.exists()
    found = read_predictions(out.predictions("federated"), task=TASK)
    known = read_predictions(external.predictions("federated"), task=TASK)
    assert [p.outputs for p in found] == [p.outputs for p in known]
    assert {str(p.label) for p in found} == {"(nan,)"}


def test_patients_trained_on_are_refused_by_name(federated_run, toy_study, tmp_path, capsys):
    assert main(options(federated_run, toy_study, tmp_path / "run")) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "patients p00, p01, p02" in said
    assert "also in the cohort that the models were trained on" in said
    assert not (tmp_path / "run").exists()


def test_a_patient_trained_on_is_known_in_other_capitals(
    federated_run, others, tmp_path, table, capsys
):
    """Of another slide, so that the name alone says it."""
    rows = table(others.cohort)
    rows[0]["patient_id"] = "P00"
    lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
    cohort = tmp_path / "cohort.csv"
    cohort.write_text("\n".join(lines) + "\n")
    assert main(options(federated_run, replace(others, cohort=cohort), tmp_path / "run")) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "patients P00 are also in the cohort that the models were trained on" in said


def test_a_slide_trained_on_under_another_name_is_refused(
    federated_run, toy_study, tmp_path, table, capsys
):
    """The same features under other names: a copy of the slides."""
    features, lines = tmp_path / "features", ["patient_id,slide_id,site,path,mutated"]
    features.mkdir()
    store, other = FeatureStore(toy_study.features), FeatureStore(features)
    for row in table(toy_study.cohort)[:6]:
        found = store.read(row["slide_id"])
        new = f"new-{row['slide_id']}"
        other.write(replace(found, record=replace(found.record, slide_id=new)))
        lines.append(f"{new},{new},far,,{row['mutated']}")
    cohort = tmp_path / "cohort.csv"
    cohort.write_text("\n".join(lines) + "\n")
    study = replace(toy_study, cohort=cohort, features=features)
    assert main(options(federated_run, study, tmp_path / "run")) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "look like one glass" in said
    assert "slide new-p00" in said


def test_an_arm_of_which_no_model_is_kept_names_those_with_one(
    federated_run, others, tmp_path, capsys
):
    named = options(federated_run, others, tmp_path / "run", "arm=baseline")
    assert main(named) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "arm baseline" in said
    assert "no model is kept of it; choose another of federated, " in said


def test_features_made_otherwise_are_refused(federated_run, others, tmp_path, capsys, table):
    features = tmp_path / "features"
    store, other = FeatureStore(others.features), FeatureStore(features)
    for row in table(others.cohort):
        found = store.read(row["slide_id"])
        recipe = replace(found.record.recipe, encoder="another")
        other.write(replace(found, record=replace(found.record, recipe=recipe)))
    study = replace(others, features=features)
    assert main(options(federated_run, study, tmp_path / "run")) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "made otherwise" in said
    assert "encoders another and toy" in said


def test_a_model_that_was_exchanged_is_refused(federated_run, others, tmp_path, capsys):
    copy = RunFolder(tmp_path / "copy")
    shutil.copytree(federated_run.path, copy.path)
    one, other = (copy.fold("federated", fold) / "model.safetensors" for fold in (0, 1))
    shutil.copyfile(other, one)
    assert main(options(copy, others, tmp_path / "run")) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "not the model that this fold was trained with" in said


def test_results_are_replaced_only_when_asked(federated_run, others, external, capsys):
    assert main(options(federated_run, others, external.path)) == 2
    assert "name another (out=...)" in " ".join(capsys.readouterr().err.split())


def test_a_run_knows_its_slides(federated_run, toy_study, table):
    found = read_fingerprints(federated_run.fingerprints)
    assert {slide.patient_id for slide in found} == {
        row["patient_id"] for row in table(toy_study.cohort)
    }
    store = FeatureStore(toy_study.features)
    for slide in found:
        features = store.read(slide.slide_id).features_ND.astype(np.float64)
        assert slide.n_tiles == len(features)
        np.testing.assert_allclose(slide.mean_D, features.mean(axis=0), rtol=1e-6)
        assert slide.digest == ""  # bags of one table share its digest


def test_a_run_of_predictions_names_the_run_that_made_its_models(
    federated_run, others, external, tmp_path, capsys
):
    assert main(options(external, others, tmp_path / "run")) == 2
    assert f"run={federated_run.path.resolve()}" in "".join(capsys.readouterr().err.split())
