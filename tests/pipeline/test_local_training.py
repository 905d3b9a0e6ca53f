"""Strategies, local rules and lengths of rounds, as options of ``histofed federate``."""

from __future__ import annotations

import pytest

from histofed.cli import main
from histofed.errors import ConfigError
from histofed.io.runs import RunFolder
from histofed.pipeline.local_training import (
    check_federation,
    check_restarts,
    epochs_in_all,
    local_rules,
    round_length,
)
from histofed.pipeline.schema import FederateConfig
from histofed.pipeline.schema_parts import FederationConfig, TrainerConfig

STEPS = ["federation.epochs_per_round=null", "federation.steps_per_round=2"]


@pytest.fixture
def federate(toy_study, tmp_path):
    """Run ``histofed federate`` with few rounds and no comparison; return exit code and folder."""

    def run(*options: str) -> tuple[int, RunFolder]:
        path = tmp_path / "run"
        given = toy_study.options(path, "federation.rounds=3", "compare=[]", *options)
        return main(["federate", *given]), RunFolder(path)

    return run


def options_of(strategy: str = "fedavg.FedAvg", **changes) -> FederateConfig:
    rules = {"rounds": 7, "epochs_per_round": 1, "steps_per_round": None, "fedprox_mu": 0.0}
    rules["update_dtype"] = "float32"
    return FederateConfig(
        strategy={"_target_": f"histofed.federation.strategies.{strategy}"},
        trainer=TrainerConfig(precision=changes.pop("precision", "32-true")),
        federation=FederationConfig(**rules | changes),
    )


def test_a_round_is_counted_in_epochs_or_in_steps():
    epochs = options_of(epochs_per_round=3).federation
    steps = options_of(epochs_per_round=None, steps_per_round=20).federation
    assert (round_length(epochs), epochs_in_all(epochs)) == ((3, "epochs"), 21)
    assert (round_length(steps), epochs_in_all(steps)) == ((20, "steps"), -1)


def test_rules_go_with_strategy_and_options():
    def names(**options) -> list[str]:
        return [type(rule).__name__ for rule in local_rules(options_of(**options))]

    assert names() == []
    assert names(fedprox_mu=0.1) == ["FedProx"]
    assert names(strategy="scaffold.Scaffold") == ["ScaffoldCorrection"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"steps_per_round": 2}, "epochs_per_round is 1 and federation.steps_per_round is 2"),
        ({"update_dtype": "half"}, "update_dtype must be float32 or float16, found 'half'"),
        ({"epochs_per_round": None}, "epochs_per_round is null and .*steps_per_round is null"),
        ({"strategy": "scaffold.Scaffold", "fedprox_mu": 0.1}, "fedprox_mu is 0.1, and .*scaffold"),
        ({"strategy": "scaffold.Scaffold", "precision": "16-mixed"}, "16-mixed, and .*scaffold"),
    ],
)
def test_what_does_not_go_together_is_refused(options, words):
    with pytest.raises(ConfigError, match=words):
        check_federation(options_of(**options))


def test_rounds_of_steps_are_for_simulations_alone():
    check_restarts(options_of().federation)
    steps = options_of(epochs_per_round=None, steps_per_round=20).federation
    with pytest.raises(ConfigError, match="steps_per_round is 20: over a network"):
        check_restarts(steps)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["strategy=krum"], ["Krum(wild=1, keep=1) needs 5 updates", "there are 4 sites (east,"]),
        (["strategy=trimmed_mean"], ["TrimmedMean(trim=1) needs 3", "quorum is 2; raise it to 3"]),
        (["strategy=fedadam", "strategy.beta1=1"], ["strategy.beta1 must be at least 0 and below"]),
        (["strategy=scaffold", "federation.fedprox_mu=0.1"], ["fedprox_mu is 0.1", "scaffold"]),
    ],
)
def test_it_is_refused_before_training(federate, capsys, options, words):
    code, run = federate(*options)
    message = " ".join(capsys.readouterr().err.split())
    assert code == 2
    for word in words:
        assert word in message
    assert not run.path.exists()


def test_scaffold_in_rounds_of_steps(federate, table):
    code, run = federate("strategy=scaffold", *STEPS)
    assert code == 0
    assert len(table(run.predictions("federated"))) == 24
    rows = table(run.fold("federated", 0) / "rounds.csv")
    assert sum(row["train_loss"] != "" for row in rows) == 3 * 4


def test_a_travelling_model_is_trained_by_one_hospital_a_round(federate, table):
    code, run = federate("strategy=cyclic", "federation.fedprox_mu=0.01")
    assert code == 0
    rows = table(run.fold("federated", 0) / "rounds.csv")
    trained = [(row["round"], row["site"]) for row in rows if row["train_loss"]]
    assert trained == [("1", "east"), ("2", "north"), ("3", "south")]
    assert all(row["select_loss"] for row in rows)


def test_the_pull_towards_the_rounds_model_reaches_training(federate):
    """One step a round would not feel it: the step starts at the round's model."""
    found = set()
    for mu in (0, 5):
        options = ["federation.rounds=1", "federation.epochs_per_round=3", "overwrite=true"]
        code, run = federate(*options, f"federation.fedprox_mu={mu}")
        assert code == 0
        found.add(run.predictions("federated").read_bytes())
    assert len(found) == 2
