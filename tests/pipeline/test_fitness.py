"""Options that do not suit the task are refused before anything is read or written."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from histofed.errors import ConfigError
from histofed.pipeline import build
from histofed.pipeline.asking import task_of
from histofed.pipeline.config import config_dir, groups
from histofed.pipeline.fitness import check_fitness
from histofed.pipeline.schema import TrainConfig
from histofed.pipeline.schema_parts import TaskConfig, TrainerConfig

TASKS = {
    "binary": {"column": "c"},
    "multiclass": {"column": "c", "classes": ["x", "y", "z"]},
    "multilabel": {"columns": ["a", "b"]},
    "regression": {"columns": ["a"]},
    "survival": {"column": "t", "event_column": "e", "times": [12.0]},
}


def check(kind: str, aggregator: str = "abmil", *, balance: str = "none", loss: str = "hazard"):
    config = TrainConfig(
        trainer=TrainerConfig(balance=balance, survival_loss=loss),
        aggregator=OmegaConf.load(config_dir() / "aggregator" / f"{aggregator}.yaml"),
    )
    check_fitness(config, task_of(TaskConfig(name="asked", kind=kind, sense="?", **TASKS[kind])))


@pytest.mark.parametrize("kind", ["multilabel", "regression", "survival"])
def test_an_aggregator_of_classes_is_refused_with_those_that_work(kind):
    with pytest.raises(ConfigError) as caught:
        check(kind, "clam_mb")
    said, _, offered = str(caught.value).partition("aggregator=")
    assert (
        f"aggregator CLAM learns tiles by the class of their patient, and task asked ({kind})"
        in said
    )
    names = offered.split(" | ")
    assert set(names) == set(groups()["aggregator"]) - {"clam_sb", "clam_mb"}
    for name in names:
        check(kind, name)


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
@pytest.mark.parametrize("aggregator", ["clam_sb", "clam_mb"])
@pytest.mark.parametrize("balance", ["none", "weights", "sampling"])
def test_classes_suit_everything(kind, aggregator, balance):
    check(kind, aggregator, balance=balance)


@pytest.mark.parametrize("kind", ["multilabel", "regression", "survival"])
@pytest.mark.parametrize("balance", ["weights", "sampling"])
def test_without_classes_there_is_nothing_to_balance(kind, balance):
    with pytest.raises(
        ConfigError, match=rf"trainer\.balance is {balance}, and task asked \({kind}\)"
    ):
        check(kind, balance=balance)


@pytest.mark.parametrize("kind", ["binary", "multilabel"])
def test_a_loss_of_survival_is_for_survival(kind):
    with pytest.raises(
        ConfigError, match=rf"trainer\.survival_loss is cox, and task asked is {kind}"
    ):
        check(kind, loss="cox")
    check("survival", loss="cox")


def test_what_an_aggregator_needs_is_known_by_its_name():
    assert build.needs_classes("histofed.mil.aggregators.clam.CLAM")
    assert not build.needs_classes("histofed.mil.aggregators.he2rna.HE2RNA")
