"""Options of a task's labels -> the rule that makes them (``task.label.<name>``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from histofed.core.labels.base import AnyOf
from histofed.core.labels.cells import Answers, Stated
from histofed.core.labels.copy_number import CopyNumberRule
from histofed.core.labels.numbers import NumberRule
from histofed.core.labels.response import (
    PathologicalStageRule,
    ResidualBurdenRule,
    ResponseRule,
)
from histofed.core.labels.times import EventTimeRule, FollowUpRule
from histofed.core.labels.variants import VariantRule
from histofed.core.tasks import SurvivalTask
from histofed.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from histofed.core.labels.base import Available, YesNoRule
    from histofed.core.labels.cells import LabelRule
    from histofed.core.tasks import Task

YES_NO: Mapping[str, tuple[type[YesNoRule], tuple[str, ...], tuple[str, ...]]] = {
    "mutation": (VariantRule, ("genes", "variants"), ("germline",)),
    "copy_number": (CopyNumberRule, ("gene",), ("at_most", "at_least")),
    "number": (NumberRule, ("columns", "at_least", "unit"), ()),
    "response": (ResponseRule, ("columns", "criteria", "at_least"), ()),
    "residual_burden": (ResidualBurdenRule, ("columns",), ()),
    "pathological_stage": (PathologicalStageRule, ("tumour", "node"), ()),
    "any_of": (AnyOf, ("rules",), ()),
}
"""Rule -> class, options that it needs, options that it may have."""

TIMES: Mapping[str, tuple[type[EventTimeRule | FollowUpRule], tuple[str, ...]]] = {
    "survival": (EventTimeRule, ("time", "event", "unit")),
    "follow_up": (FollowUpRule, ("status", "death", "follow_up", "unit")),
}
"""Rules of tasks of survival."""


@dataclass(frozen=True)
class Chosen:
    """The rule that makes the label, and others that these tables could answer.

    Attributes
    ----------
    unchecked
        What the task means by its label, in words, where a table states it; empty elsewhere.
    """

    name: str
    rule: LabelRule
    others: tuple[str, ...]
    unchecked: str = ""


def choose(task: Task, specs: Mapping[str, Any], available: Available, by: str | None) -> Chosen:
    """Return the rule asked for, or the first that the tables can answer.

    Raises
    ------
    ConfigError
        The task has no rules, one cannot be asked, or the tables answer none.
    """
    if not specs:
        msg = f"task {task.name} says no rule of its label; write one in configs/task/{task.name}"
        msg += ".yaml (label: ...), or add the labels to a cohort table by hand"
        raise ConfigError(msg)
    if by is not None and by not in specs:
        msg = f"by={by} is no rule of task {task.name}.{did_you_mean(by, specs, prefix='by=')} "
        msg += f"Its rules are {', '.join(specs)}"
        raise ConfigError(msg)
    lacks, answerable = {}, {}
    for name, spec in specs.items():
        if unnamed := _unnamed(spec):
            lacks[name] = f"the name of a column (task.label.{name}.{unnamed[0]}=...)"
            continue
        rule = rule_of(task, name, spec)
        if lacking := rule.lacking(available):
            lacks[name] = lacking
        else:
            answerable[name] = rule
    asked = [by] if by else list(answerable)
    if not asked or asked[0] not in answerable:
        asked_for = {name: what for name, what in lacks.items() if by in (None, name)}
        said = "; ".join(f"{name} lacks {what}" for name, what in asked_for.items())
        msg = f"task {task.name}: these tables answer none of its rules ({said})"
        raise ConfigError(msg)
    others = tuple(name for name in answerable if name != asked[0])
    rule, unchecked = answerable[asked[0]], ""
    if isinstance(rule, Stated):
        made = (name for name, spec in specs.items() if spec.get("rule") != "stated")
        unchecked = next((rule_of(task, name, specs[name]).in_words for name in made), "")
    return Chosen(asked[0], rule, others, unchecked)


def _unnamed(spec: Mapping[str, Any]) -> list[str]:
    """Return the columns of a rule that the person is to name, where none is."""
    return [name for name in ("time", "event") if name in spec and spec[name] is None]


def rule_of(task: Task, name: str, spec: Mapping[str, Any]) -> LabelRule:
    """Return a rule of a task.

    Raises
    ------
    ConfigError
        It is unknown, lacks an option, has a strange one, or is not for this kind of task.
    """
    where = f"task.label.{name}"
    kind = str(spec.get("rule"))
    options = {key: value for key, value in spec.items() if key != "rule"}
    if kind == "stated":
        return _stated(task, where, options)
    if kind in TIMES:
        if not isinstance(task, SurvivalTask):
            msg = f"{where}: rule {kind} is for tasks of survival, and {task.name} is {task.kind}"
            raise ConfigError(msg)
        made, needs = TIMES[kind]
        _check(where, options, needs, ())
        return made(task=task, **options)
    if task.kind not in ("binary", "multilabel"):
        msg = f"{where}: rule {kind} answers yes or no, and task {task.name} is {task.kind}"
        raise ConfigError(msg)
    if kind == "panel":
        _check(where, options, ("answers",), ())
        answers = options["answers"]  # of more than is asked, where the columns were narrowed
        if absent := [column for column in task.columns if column not in answers]:
            msg = f"{where}.answers has no rule for {', '.join(absent)}, which the task's columns "
            msg += f"name; it has {', '.join(answers)}: give each column its rule"
            raise ConfigError(msg)
        return Answers({c: _yes_no(f"{where}.answers.{c}", answers[c]) for c in task.columns})
    return Answers({task.columns[0]: _yes_no(where, spec)})


def _stated(task: Task, where: str, options: Mapping[str, Any]) -> Stated:
    _check(where, options, (), ("columns",))
    columns = options.get("columns") or {}
    if isinstance(columns, list):
        if len(task.columns) > 1:
            msg = f"{where}.columns is a list, and the task has {len(task.columns)} columns; write "
            msg += "column: [names]"
            raise ConfigError(msg)
        columns = {task.columns[0]: columns}
    if strange := sorted(columns.keys() - set(task.columns)):
        msg = f"{where}.columns names {', '.join(strange)}; the task's columns are "
        msg += ", ".join(task.columns)
        raise ConfigError(msg)
    return Stated(task, {name: (name, *columns.get(name, ())) for name in task.columns})


def _yes_no(where: str, spec: Mapping[str, Any]) -> YesNoRule:
    kind = str(spec.get("rule"))
    if kind not in YES_NO:
        known = [*YES_NO, *TIMES, "stated", "panel"]
        msg = f"{where}.rule is {kind!r}.{did_you_mean(kind, known)} Rules are "
        msg += ", ".join(known)
        raise ConfigError(msg)
    made, needs, takes = YES_NO[kind]
    options = {key: value for key, value in spec.items() if key != "rule"}
    _check(where, options, needs, takes)
    if made is AnyOf:
        rules = enumerate(options["rules"])
        return AnyOf(tuple(_yes_no(f"{where}.rules[{i}]", each) for i, each in rules))
    if made is VariantRule:
        options["names"] = options.pop("genes")
    return made(**{k: tuple(v) if isinstance(v, list) else v for k, v in options.items()})


def _check(
    where: str, options: Mapping[str, Any], needs: tuple[str, ...], takes: tuple[str, ...]
) -> None:
    if strange := sorted(options.keys() - {*needs, *takes}):
        msg = f"{where}.{strange[0]} is not known; the rule takes {', '.join((*needs, *takes))}"
        raise ConfigError(msg)
    if absent := [name for name in needs if name not in options]:
        msg = f"{where}: {', '.join(absent)} must be given"
        raise ConfigError(msg)
