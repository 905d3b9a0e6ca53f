"""Every kind of task from its shipped YAML to the predictions of its arms, on planted signals."""

from __future__ import annotations

import csv
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from histofed.cli import main
from histofed.core.survival.concordance import harrell_c
from histofed.io.predictions import read_predictions
from histofed.io.runs import RunFolder, read_json
from histofed.io.splits import read_splits
from histofed.io.store import FeatureStore
from histofed.io.tables import read_cohort
from histofed.mil.data import BagDataModule
from histofed.mil.module import MILModule, predict
from histofed.pipeline.asking import task_of
from histofed.pipeline.config import compose, to_object
from histofed.pipeline.federate import cannot_train_alone
from histofed.pipeline.fit import fit_alone, fit_federated
from histofed.pipeline.study import open_study, stored_config

GENES = ("egfr", "kras", "stk11", "keap1", "tp53")

CHOICES = {
    "histology": ("cancer=mesothelioma", "task=histology"),
    "panel": ("cancer=lung", "task=mutation_panel"),
    "expression": ("cancer=lung", "task=expression"),
    "hazard": ("cancer=lung", "task=survival"),
    "cox": ("cancer=lung", "task=survival", "trainer.survival_loss=cox"),
}

each_kind = pytest.mark.parametrize("kind", CHOICES)


def answers(z: float, number: int, random: np.random.Generator) -> dict[str, object]:
    """Return a row of every task, all of which ask for one hidden number."""
    genes = {gene: int(z > 0.3 * (k - 2)) for k, gene in enumerate(GENES)}
    genes |= {"stk11": int(z < 0)}
    if number % 4 == 1:
        genes["keap1"] = ""
    expression = {"mki67": z, "cd3e": 5 - 2 * z, "cd8a": 1000 * z, "cd19": 0.01 * z}
    noisy = {gene: value * (1 + 0.1 * random.normal()) for gene, value in expression.items()}
    if number % 5 == 1:
        noisy["cd8a"] = ""
    return {
        **genes,
        **noisy,
        "histology": ("epithelioid", "biphasic", "sarcomatoid")[(z > -0.5) + int(z > 0.5)],
        "OS_MONTHS": 24 * math.exp(-z),
        "OS_STATUS": "0:LIVING" if number % 4 == 3 else "1:DECEASED",
    }


def write_table(path, rows) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture(scope="module")
def study_of(toy_study_of, tmp_path_factory):
    """Return the maker of a study whose features say a hidden number of each patient."""

    def make(*sites: str, patients: int):
        study = toy_study_of(tmp_path_factory.mktemp("kinds"), sites=sites, patients=patients)
        store, random, rows = FeatureStore(study.features), np.random.default_rng(3), []
        levels = random.permutation(np.linspace(-1.6, 1.6, len(sites) * patients))
        for number, row in enumerate(study.rows()):
            found = store.read(row["slide_id"])
            values = random.normal(size=found.features_ND.shape)
            values[:, :3] += 1.5 * levels[number]
            store.write(replace(found, features_ND=values.astype(np.float16)))
            rows.append(row | answers(levels[number], number, random))
        write_table(study.cohort, rows)
        return study

    return make


@pytest.fixture(scope="module")
def kinds_study(study_of):
    return study_of("east", "north", "west", patients=12)


@pytest.fixture(scope="module")
def one_hospital(study_of):
    return study_of("north", patients=24)


def opened(verb: str, study, run, *options: str):
    found = open_study(to_object(compose(verb, study.options(run, *options))))
    found.start()
    return found


def how_well(task, predictions) -> float:
    """Return how well outputs tell patients apart: 0.5 by chance, 1 at best."""
    labels = np.array([each.label for each in predictions])
    outputs = np.array([each.outputs for each in predictions])
    if task.kind == "multiclass":
        return float(roc_auc_score(labels[:, 0], outputs, multi_class="ovr"))
    if task.kind == "survival":
        return harrell_c(labels[:, 0], labels[:, 1], outputs[:, 0])
    found = []
    for label, output in zip(labels.T, outputs.T, strict=True):
        known = ~np.isnan(label)
        above = label[known] > (0.5 if task.kind == "multilabel" else np.median(label[known]))
        found.append(roc_auc_score(above, output[known]))
    return float(np.mean(found))


@each_kind
def test_the_planted_signal_is_found_over_hospitals_and_by_the_linear_model(
    kind, kinds_study, tmp_path
):
    options = (*CHOICES[kind], "federation.rounds=6", "compare=[baseline]")
    assert main(["federate", *kinds_study.options(tmp_path / "run", *options)]) == 0
    run = RunFolder(tmp_path / "run")
    task = task_of(stored_config(run).task)
    cohort, folds = read_cohort(kinds_study.cohort, task), read_splits(run.splits)
    assert set(read_json(run.metrics)["arms"]) == {"federated", "baseline"}
    assert run.report.stat().st_size > 2000
    for arm in ("federated", "baseline"):
        found = read_predictions(run.predictions(arm), task=task)
        assert [each.patient_id for each in found] == list(cohort.patients)
        assert how_well(task, found) > 0.8, arm
        has_set = task.kind == "multiclass" and arm == "federated"
        assert all((each.possible is not None) == has_set for each in found)
        assert all(0 <= each.ood <= 100 for each in found)
        says_survival = not any(math.isnan(value) for each in found for value in each.outputs)
        assert says_survival == (task.kind != "survival" or (kind, arm) == ("hazard", "federated"))
    selected = read_predictions(run.selection("federated"), task=task)
    assert {(each.patient_id, each.fold) for each in selected} == {
        (patient, fold.number) for fold in folds for patient in fold.select
    }


@each_kind
def test_one_hospital_federated_is_plain_training(kind, one_hospital, tmp_path):
    options = (
        *CHOICES[kind],
        "trainer.batch_size=100",
        "trainer.max_epochs=3",
        "federation.rounds=3",
        "federation.epochs_per_round=1",
        "federation.keep_optimizer=true",
        "federation.min_sites=1",
        "aggregator.dropout=0",
    )
    study = opened("federate", one_hospital, tmp_path / "run", *options)
    fold = study.folds[0]
    folders = [study.run.fold(arm, 0) for arm in ("pooled", "federated")]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    alone = fit_alone(study, fold, bags=study.bags, folder=folders[0])
    over = fit_federated(study, fold, folder=folders[1])
    states = [module.state_dict() for module in (alone, over)]
    if kind == "cox":
        # The likelihood does not know the bias: its gradient is rounding. The centre follows it, up
        # to the last step.
        apart = [s.pop("objective.centre_C") - s.pop("aggregator.classify.bias") for s in states]
        last_step = study.config.trainer.learning_rate
        torch.testing.assert_close(apart[1], apart[0], rtol=0, atol=last_step)
    # A batch in another order is summed in another order.
    torch.testing.assert_close(states[1], states[0], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("balance", ["weights", "sampling"])
def test_rare_classes_count_as_much_as_frequent_ones(balance, kinds_study, tmp_path, monkeypatch):
    drawn: list[str] = []
    options = (*CHOICES["histology"], "splits.n_folds=3", f"trainer.balance={balance}")
    study = opened("train", kinds_study, tmp_path / "run", *options)
    assert study.run.read()["config"]["trainer"]["balance"] == balance
    fold = study.folds[0]
    folder = study.run.fold("pooled", 0)
    folder.mkdir(parents=True)
    real = MILModule.training_step

    def training_step(module, batch, batch_idx):
        drawn.extend(batch.ids)
        return real(module, batch, batch_idx)

    monkeypatch.setattr(MILModule, "training_step", training_step)
    module = fit_alone(study, fold, bags=study.bags, folder=folder)
    classes = [int(study.cohort.labels[patient][0]) for patient in fold.train]
    sizes = np.bincount(classes)
    if balance == "weights":
        expected = (len(classes) / (3 * sizes)).tolist()
        assert module.objective.class_weight_G.tolist() == pytest.approx(expected)
        assert sorted(drawn) == sorted(4 * fold.train)
    else:
        assert module.objective.class_weight_G.tolist() == [1, 1, 1]
        assert len(drawn) == 4 * len(fold.train)
        assert sorted(drawn) != sorted(4 * fold.train)
        assert set(drawn) <= set(fold.train)


def test_folds_of_whole_hospitals_and_from_a_file_are_those_written(kinds_study, tmp_path):
    options = (*CHOICES["hazard"], "splits.n_folds=3", "splits.scheme=sites")
    study = opened("train", kinds_study, tmp_path / "sites", *options)
    for fold in study.folds:
        assert len({study.cohort.site_of[patient] for patient in fold.test}) == 1
    again = opened(
        "train",
        kinds_study,
        tmp_path / "file",
        *CHOICES["hazard"],
        "splits.scheme=file",
        f"splits.file={study.run.splits}",
    )
    assert again.folds == study.folds
    assert again.run.splits.read_bytes() == study.run.splits.read_bytes()


def test_he2rna_shows_each_tile_as_a_bag_of_its_own(kinds_study, tmp_path):
    options = [
        option
        for option in kinds_study.options(tmp_path / "run", *CHOICES["expression"])
        if not option.startswith("aggregator.")
    ]
    study = open_study(
        to_object(compose("train", [*options, "aggregator=he2rna", "trainer.max_epochs=8"]))
    )
    study.start()
    fold = study.folds[0]
    folder = study.run.fold("pooled", 0)
    folder.mkdir(parents=True)
    module = fit_alone(study, fold, bags=study.bags, folder=folder).eval()
    data = BagDataModule(study.bags, fold, batch_size=8)
    found = predict(module, data.predict_dataloader())
    labels = [study.cohort.labels[patient][0] for patient in found]
    assert np.corrcoef(labels, [values[0] for values in found.values()])[0, 1] > 0.8
    [batch] = list(BagDataModule(study.bags, fold, batch_size=100).predict_dataloader())
    with torch.no_grad():
        heads = module.objective.tile_heads(module.aggregator.instance_logits(batch.features_BND))
        highest = module(batch).evidence_BNC.amax(dim=(0, 1))
    assert list(heads) == [f"tile_value_{gene}" for gene in ("mki67", "cd3e", "cd8a", "cd19")]
    assert (highest <= torch.stack([values.max() for values in heads.values()])).all()


@pytest.mark.parametrize(
    ("kind", "changed", "said"),
    [
        ("hazard", {"OS_STATUS": "0:LIVING"}, "training patients lack an event"),
        ("histology", {"histology": "biphasic"}, "lack epithelioid, sarcomatoid"),
        ("panel", {"keap1": ""}, None),
        ("expression", {"cd19": "1.5"}, None),
    ],
)
def test_a_hospital_that_cannot_train_alone_says_what_it_lacks(
    kind, changed, said, kinds_study, tmp_path
):
    """Of a panel or several numbers it learns what it has."""
    rows = [row | changed if row["site"] == "west" else row for row in kinds_study.rows()]
    write_table(tmp_path / "cohort.csv", rows)
    options = (*CHOICES[kind], f"cohort={tmp_path / 'cohort.csv'}")
    study = opened("federate", kinds_study, tmp_path / "run", *options)
    found = cannot_train_alone(study, "west")
    assert said in found if said else not found


@pytest.mark.parametrize(
    ("kind", "changed", "words"),
    [
        ("hazard", {"OS_STATUS": "0:LIVING"}, ["lack an event", "p00, p01"]),
        ("panel", {"keap1": ""}, ["lack a yes of keap1, a no of keap1", "p00, p01"]),
        ("histology", {"histology": "biphasic"}, ["lack epithelioid, sarcomatoid", "p00, p01"]),
        ("expression", {"cd19": "NaN"}, ["two different values of cd19", "p00, p01"]),
        ("expression", dict.fromkeys(("mki67", "cd3e", "cd8a", "cd19"), "nan"), ["no row has"]),
        ("hazard", {"OS_MONTHS": "-1"}, ["line 2", "patient p00", "OS_MONTHS"]),
        ("panel", {"kras": "G12C"}, ["line 2", "patient p00", "'G12C'"]),
    ],
)
def test_what_cannot_be_learned_stops_before_training(
    kind, changed, words, kinds_study, tmp_path, capsys
):
    write_table(tmp_path / "cohort.csv", [row | changed for row in kinds_study.rows()])
    options = kinds_study.options(tmp_path / "run", f"cohort={tmp_path / 'cohort.csv'}")
    assert main(["train", *options, *CHOICES[kind]]) == 2
    said = capsys.readouterr().err
    for word in words:
        assert word in said
    assert not (tmp_path / "run").exists()


def test_an_aggregator_of_classes_stops_before_training(kinds_study, tmp_path, capsys):
    options = kinds_study.options(tmp_path / "run", *CHOICES["hazard"], "aggregator=clam_mb")
    assert main(["train", *options]) == 2
    said = capsys.readouterr().err
    assert "aggregator CLAM" in said
    assert "he2rna" in said
    assert not (tmp_path / "run").exists()
