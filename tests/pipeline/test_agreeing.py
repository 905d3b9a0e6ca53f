from __future__ import annotations

from dataclasses import replace

import pytest

import histofed
from histofed.federation.agreement import differences
from histofed.pipeline.agreeing import facts_of
from histofed.pipeline.asking import task_of
from histofed.pipeline.config import compose, to_object
from histofed.pipeline.study import open_study


@pytest.fixture(scope="module")
def study(toy_study, tmp_path_factory):
    given = toy_study.options(tmp_path_factory.mktemp("agreeing") / "run")
    return open_study(to_object(compose("federate", given)))


def facts_with(toy_study, study, *options: str):
    """Return the facts of a hospital that runs with other options."""
    config = to_object(compose("federate", toy_study.options(study.run.path, *options)))
    return facts_of(replace(study, config=config, task=task_of(config.task)))


def test_a_hospital_says_what_it_has(study):
    found = facts_of(study)
    assert (found.package, found.encoder, found.dim) == (histofed.__version__, "toy", 16)
    assert (found.task, found.task_kind) == ("mutated", "binary")
    assert found.labels[-2:] == ("wild type", "mutated")
    assert found.aggregator.endswith(".GatedABMIL")
    assert found.tile_mpp is None  # bags of a table have no tiles
    assert len(found.config_digest) == 64


@pytest.mark.parametrize(
    ("options", "differ"),
    [
        ([], []),
        (["trainer.learning_rate=0.01"], ["config_digest"]),
        (["federation.rounds=7"], ["config_digest"]),
        (["aggregator.dropout=0.5"], ["config_digest"]),
        (["aggregator=abmil"], ["config_digest", "aggregator"]),
        (["task.classes=[mutated,other]"], ["labels"]),
        (["seed=3"], ["config_digest"]),
        # A hospital's own: its policy, its words for the same labels.
        (["federation.min_patients=9", "federation.min_steps=2"], []),
        (["task.positive=[1,ja]"], []),
    ],
)
def test_what_shapes_training_is_compared_and_what_is_the_hospitals_own_is_not(
    toy_study, study, options, differ
):
    mine, other = facts_of(study), facts_with(toy_study, study, *options)
    found = differences({"a": mine, "b": other, "c": mine})
    assert [each.fact for each in found] == differ
    assert {each.site for each in found} <= {"b"}
