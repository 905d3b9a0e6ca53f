"""Options chosen by inner folds."""

from __future__ import annotations

import pytest

from histofed.cli import main
from histofed.io.runs import RunFolder, read_json
from histofed.io.splits import read_splits
from histofed.pipeline import choosing
from histofed.pipeline.models import fold_model

RATES = "choose={trainer.learning_rate:[0.03,1e-9],aggregator.hidden_dim:[8]}"


@pytest.fixture(scope="module")
def watched():
    """Return who was tested in each inner fold that was fitted."""
    return []


@pytest.fixture(scope="module")
def run(toy_study, tmp_path_factory, watched) -> RunFolder:
    folder = tmp_path_factory.mktemp("nested") / "run"
    real = choosing.fit_alone

    def fit_alone(study, fold, **options):
        watched.append((folder, fold))
        return real(study, fold, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(choosing, "fit_alone", fit_alone)
        assert main(["train", *toy_study.options(folder, RATES)]) == 0
    return RunFolder(folder)


def test_the_option_that_learns_is_chosen_and_the_table_says_why(run, table):
    for number in range(3):
        rows = table(run.fold("pooled", number) / "choices.csv")
        assert [row["trainer.learning_rate"] for row in rows] == ["0.03", "1e-09"]
        best = min(rows, key=lambda row: float(row["loss"]))
        assert [row["chosen"] for row in rows] == ["1" if row is best else "0" for row in rows]
        assert best["trainer.learning_rate"] == "0.03"  # the other one learns nothing
        chosen = read_json(run.fold("pooled", number) / "chosen.json")
        assert chosen == {"trainer.learning_rate": 0.03, "aggregator.hidden_dim": 8}


def test_nobody_who_is_tested_was_chosen_on(run, watched):
    folds = read_splits(run.splits)
    assert len(watched) == 3 * 2 * 3  # folds, candidates, inner folds
    for place, (_, inner) in enumerate(watched):
        outer = folds[place // 6]
        assert not inner.role_of.keys() & set(outer.test)
        assert inner.role_of.keys() == {*outer.train, *outer.select}


def test_the_models_are_read_with_the_options_chosen(run):
    _, module = fold_model(run, "pooled", 0, dim=16)
    assert 8 in {len(tensor) for tensor in module.aggregator.state_dict().values() if tensor.ndim}
    assert module.learning_rate == 0.03


def test_the_report_says_how_options_were_chosen(run):
    said = run.report.read_text()
    assert "3 (of patients, one tests, the next picks the checkpoint, seed 0)" in said
    assert "options chosen by 3 inner folds" in said


def test_inner_models_leave_nothing(run):
    assert not list(run.path.glob("pooled/fold-*/inner"))


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("choose={splits.seed:[1,2]}", "splits.seed is not chosen by folds"),
        ("choose={trainer.learning_rat:[1,2]}", "Did you mean trainer.learning_rate?"),
        ("choose={trainer.learning_rate:[]}", "trainer.learning_rate has no values"),
        ("choose={trainer.learning_rate:[-1]}", "trainer.learning_rate is -1"),
        ("choose={trainer.balance:[none,weights]}", "trainer.balance changes the loss itself"),
        ("choose={trainer.survival_loss:[hazard,cox]}", "survival_loss changes the loss itself"),
    ],
)
def test_what_cannot_be_chosen_is_refused(toy_study, tmp_path, capsys, option, said):
    assert main(["train", *toy_study.options(tmp_path / "run", option)]) == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "run").exists()


def test_too_few_patients_for_inner_folds_stop_before_training(toy_study, tmp_path, capsys):
    options = toy_study.options(tmp_path / "run", RATES, "splits.inner_folds=9")
    assert main(["train", *options]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "choose: splits.inner_folds=9 among the 16 patients whom fold 0 does not test" in said
    assert "class 0 has 8 patients" in said
    assert not (tmp_path / "run").exists()


def test_hospitals_do_not_choose_together(toy_study, tmp_path, capsys):
    assert main(["federate", *toy_study.options(tmp_path / "run", RATES)]) == 2
    assert "hospitals cannot choose" in " ".join(capsys.readouterr().err.split())


def test_other_patients_are_predicted_with_the_options_chosen(run, toy_study_of, tmp_path):
    others = toy_study_of(tmp_path / "others", sites=("far", "further"), prefix="q", seed=11)
    out = RunFolder(tmp_path / "out")
    new = [f"cohort={others.cohort}", f"features={others.features}", f"out={out.path}"]
    assert main(["predict", f"run={run.path}", *new]) == 0
    _, module = fold_model(out, "pooled", 0, dim=16)
    _, origin = fold_model(run, "pooled", 0, dim=16)
    for name, tensor in origin.state_dict().items():
        assert tensor.equal(module.state_dict()[name])


def test_options_with_which_training_diverges_are_not_chosen(toy_study, tmp_path, table, capsys):
    one, none = (f"choose={{trainer.learning_rate:[{each}]}}" for each in ("1e30,0.03", "1e30"))
    few = ("splits.inner_folds=3", "trainer.max_epochs=1")
    run = RunFolder(tmp_path / "one")
    assert main(["train", *toy_study.options(run.path, one, *few)]) == 0
    rows = table(run.fold("pooled", 0) / "choices.csv")
    assert [(row["loss"] == "nan", row["chosen"]) for row in rows] == [(True, "0"), (False, "1")]
    assert main(["train", *toy_study.options(tmp_path / "none", none, *few)]) == 2
    assert "fold 0: with each of 1 combination" in capsys.readouterr().err
