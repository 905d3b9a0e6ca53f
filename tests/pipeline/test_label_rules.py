"""Every task says rules that can be asked; wrong rules are refused by name."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from histofed.core.labels.base import Available
from histofed.core.tasks import BinaryTask, SurvivalTask
from histofed.errors import ConfigError
from histofed.pipeline.asking import task_of
from histofed.pipeline.config import compose, config_dir, groups, to_object
from histofed.pipeline.label_rules import choose, rule_of

EGFR = BinaryTask(name="egfr", column="egfr")
OS = SurvivalTask(name="os", column="t", event_column="e", times=(12,), unit="months")


def cancers_and_tasks() -> list[tuple[str, str]]:
    return [
        (cancer, task)
        for cancer in groups()["cancer"]
        for task in OmegaConf.load(config_dir() / "cancer" / f"{cancer}.yaml").tasks
    ]


@pytest.mark.parametrize(("cancer", "name"), cancers_and_tasks())
def test_every_rule_of_every_cancer_and_task_can_be_made(cancer, name):
    config = to_object(compose("cohort", [f"cancer={cancer}", f"task={name}"]))
    task = task_of(config.task)
    assert config.task.label
    for rule_name, spec in config.task.label.items():
        if rule_name == "own":  # the person names its columns
            spec = spec | {"time": "t", "event": "e", "unit": "days"}
        rule = rule_of(task, rule_name, spec)
        assert rule.in_words
        assert rule.lacking(Available())  # nothing is answered from nothing


def test_response_is_read_by_the_criteria_of_the_disease():
    found = {}
    for cancer in ("lung", "mesothelioma", "myeloma"):
        spec = to_object(compose("cohort", [f"cancer={cancer}", "task=response"])).task.label
        found[cancer] = (spec["response"]["criteria"], spec["response"]["at_least"])
    assert found == {
        "lung": ("RECIST 1.1", "PR"),
        "mesothelioma": ("mRECIST", "PR"),
        "myeloma": ("IMWG", "VGPR"),
    }


def test_the_first_rule_that_can_be_answered_is_taken_and_others_are_named():
    specs = {
        "mutation": {"rule": "mutation", "genes": ["EGFR"], "variants": ["L858R"]},
        "stated": {"rule": "stated"},
    }
    both = Available(columns=frozenset({"egfr"}), mutations=True)
    assert choose(EGFR, specs, both, None).name == "mutation"
    assert choose(EGFR, specs, both, None).others == ("stated",)
    assert choose(EGFR, specs, both, "stated").name == "stated"
    assert choose(EGFR, specs, Available(columns=frozenset({"egfr"})), None).name == "stated"
    with pytest.raises(ConfigError, match=r"mutation lacks .*MAF.*stated lacks a column egfr"):
        choose(EGFR, specs, Available(), None)
    with pytest.raises(ConfigError, match=r"none of its rules \(mutation lacks"):
        choose(EGFR, specs, Available(columns=frozenset({"egfr"})), "mutation")
    with pytest.raises(ConfigError, match="Did you mean by=stated"):
        choose(EGFR, specs, both, "statd")
    with pytest.raises(ConfigError, match="says no rule"):
        choose(EGFR, {}, both, None)


def test_a_rule_without_its_columns_waits_for_them():
    specs = {"own": {"rule": "survival", "time": None, "event": None, "unit": None}}
    with pytest.raises(ConfigError, match=r"task\.label\.own\.time="):
        choose(OS, specs, Available(columns=frozenset({"t", "e"})), None)
    specs = {"own": {"rule": "survival", "time": "T", "event": "E", "unit": None}}
    with pytest.raises(ConfigError, match="unit of time of T is not stated"):
        choose(OS, specs, Available(columns=frozenset({"t", "e"})), None)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"rule": "mutations"}, "rule is 'mutations'. Did you mean mutation?"),
        ({}, "rule is 'None'"),
        ({"rule": "mutation", "genes": ["EGFR"]}, "variants must be given"),
        ({"rule": "mutation", "genes": ["X"], "variants": ["L858R"], "x": 1}, "x is not known"),
        ({"rule": "mutation", "genes": ["X"], "variants": ["ex19"]}, "variant 'ex19' is none"),
        ({"rule": "survival", "time": "t", "event": "e", "unit": "days"}, "tasks of survival"),
        ({"rule": "stated", "columns": {"kras": ["K"]}}, "columns names kras"),
        ({"rule": "panel", "answers": {"kras": {}}}, "no rule for egfr"),
        ({"rule": "any_of", "rules": [{"rule": "?"}]}, "rules.0..rule is"),
    ],
)
def test_rules_that_cannot_be_asked_are_refused(spec, said):
    with pytest.raises(ConfigError, match=said) as caught:
        rule_of(EGFR, "mine", spec)
    assert "task.label.mine" in str(caught.value) or "variant" in str(caught.value)


def test_a_rule_of_yes_and_no_is_not_for_other_kinds():
    with pytest.raises(ConfigError, match="answers yes or no, and task os is survival"):
        rule_of(OS, "mine", {"rule": "mutation", "genes": ["X"], "variants": ["L858R"]})
