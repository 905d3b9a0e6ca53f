"""Options of a task -> the task that they describe."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from histofed.core.tasks import (
    BinaryTask,
    MulticlassTask,
    MultilabelTask,
    RegressionTask,
    SurvivalTask,
)
from histofed.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from histofed.core.tasks import Task
    from histofed.pipeline.schema_parts import TaskConfig

KINDS: Mapping[str, tuple[type[Task], Mapping[str, str]]] = {
    "binary": (
        BinaryTask,
        {name: name for name in ("column", "classes", "positive", "negative")},
    ),
    "multiclass": (MulticlassTask, {name: name for name in ("column", "classes", "values")}),
    "multilabel": (
        MultilabelTask,
        {"columns": "questions", "positive": "positive", "negative": "negative"},
    ),
    "regression": (RegressionTask, {"columns": "quantities", "unit": "unit"}),
    "survival": (
        SurvivalTask,
        {name: name for name in ("column", "event_column", "times", "event", "censored", "unit")},
    ),
}
"""Kind -> class, and option -> argument."""

REQUIRED = {
    "binary": ("column",),
    "multiclass": ("column", "classes"),
    "multilabel": ("columns",),
    "regression": ("columns",),
    "survival": ("column", "event_column", "times"),
}


def task_of(config: TaskConfig) -> Task:
    """Return the task that the options describe.

    Raises
    ------
    ConfigError
        The kind is unknown, an option is missing or not of this kind, or the task cannot be asked.
    """
    if config.kind not in KINDS:
        msg = f"task {config.name}: kind {config.kind!r} is not one of {', '.join(KINDS)}"
        raise ConfigError(msg)
    made, argument_of = KINDS[config.kind]
    always = ("name", "kind", "sense", "missing", "label", "before_treatment")
    given = {
        name: value
        for name, value in asdict(config).items()
        if value is not None and name not in always
    }
    if strange := sorted(given.keys() - argument_of.keys()):
        msg = f"task {config.name}: a {config.kind} task has no {', '.join(strange)}; it takes "
        msg += ", ".join(argument_of)
        raise ConfigError(msg)
    if lacking := [name for name in REQUIRED[config.kind] if not given.get(name)]:
        msg = f"task {config.name}: a {config.kind} task needs {', '.join(lacking)} "
        msg += f"(task.{lacking[0]}=...)"
        raise ConfigError(msg)
    arguments = {argument_of[name]: _frozen(value) for name, value in given.items()}
    return made(name=config.name, missing=tuple(config.missing), **arguments)


def _frozen(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(value)
    if isinstance(value, dict):
        return {key: tuple(words) for key, words in value.items()}
    return value
