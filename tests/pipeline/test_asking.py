"""Options of a task: each kind takes its own, and every other is refused by name."""

from __future__ import annotations

import pytest

from histofed.core.tasks import (
    BinaryTask,
    MulticlassTask,
    MultilabelTask,
    RegressionTask,
    SurvivalTask,
)
from histofed.errors import ConfigError
from histofed.pipeline.asking import KINDS, REQUIRED, task_of
from histofed.pipeline.schema_parts import TaskConfig

SURVIVAL = {"column": "t", "event_column": "e", "times": [12.0, 24.0]}

LEAST = {
    "binary": {"column": "c"},
    "multiclass": {"column": "c", "classes": ["x", "y", "z"]},
    "multilabel": {"columns": ["a", "b"]},
    "regression": {"columns": ["a"]},
    "survival": SURVIVAL,
}


def ask(kind: str, **options):
    return task_of(TaskConfig(name="asked", kind=kind, sense="Is it?", **options))


def refusal(kind: str, **options) -> str:
    with pytest.raises(ConfigError) as caught:
        ask(kind, **options)
    assert "task asked" in str(caught.value)
    return str(caught.value)


def test_every_kind_from_the_least_that_it_needs():
    made = {kind: ask(kind, **options) for kind, options in LEAST.items()}
    assert made.keys() == KINDS.keys() == REQUIRED.keys()
    assert made == {
        "binary": BinaryTask(name="asked", column="c"),
        "multiclass": MulticlassTask(name="asked", column="c", classes=("x", "y", "z")),
        "multilabel": MultilabelTask(name="asked", questions=("a", "b")),
        "regression": RegressionTask(name="asked", quantities=("a",)),
        "survival": SurvivalTask(name="asked", column="t", event_column="e", times=(12, 24)),
    }


def test_every_option_arrives():
    assert ask(
        "binary",
        column="c",
        classes=["no", "yes"],
        positive=["y"],
        negative=["n"],
        missing=["?"],
    ) == BinaryTask(
        name="asked",
        column="c",
        classes=("no", "yes"),
        positive=("y",),
        negative=("n",),
        missing=("?",),
    )
    assert ask("multiclass", **LEAST["multiclass"], values={"x": ["1", "one"]}).values == {
        "x": ("1", "one")
    }
    assert ask("regression", columns=["a"], unit="cm").unit == "cm"
    survival = ask("survival", **SURVIVAL, event=["dead"], censored=["alive"], unit="months")
    assert (survival.event, survival.censored, survival.unit) == (("dead",), ("alive",), "months")


def test_an_unknown_kind_is_refused_with_those_there_are():
    message = refusal("ordinal", column="c")
    assert "'ordinal'" in message
    assert all(kind in message for kind in KINDS)


@pytest.mark.parametrize(
    ("kind", "lacking"), [(kind, name) for kind, names in REQUIRED.items() for name in names]
)
@pytest.mark.parametrize("empty", [False, True])
def test_what_a_kind_needs_is_asked_for(kind, lacking, empty):
    options = {name: value for name, value in LEAST[kind].items() if name != lacking}
    given = {lacking: type(LEAST[kind][lacking])()} if empty else {}
    assert f"a {kind} task needs {lacking} (task.{lacking}=...)" in refusal(
        kind, **options, **given
    )


STRANGE = {
    "binary": {"times": [12.0]},
    "multiclass": {"positive": ["1"]},
    "multilabel": {"column": "c"},
    "regression": {"classes": ["x", "y"]},
    "survival": {"columns": ["a"]},
}


@pytest.mark.parametrize("kind", KINDS)
def test_an_option_of_another_kind_is_refused_with_those_it_takes(kind):
    [name] = STRANGE[kind]
    message = refusal(kind, **LEAST[kind], **STRANGE[kind])
    assert f"a {kind} task has no {name}; it takes {', '.join(KINDS[kind][1])}" in message


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        ("binary", {"column": "c", "classes": ["x", "y", "z"]}, "use kind: multiclass"),
        ("binary", {"column": "c", "positive": ["1"], "negative": ["1"]}, "mean both classes"),
        ("multiclass", {"column": "c", "classes": ["x", "y"]}, "use kind: binary"),
        ("multilabel", {"columns": ["a"]}, "use kind: binary"),
        ("multilabel", {"columns": ["a", "a"]}, "each once"),
        ("regression", {"columns": ["a", "a"]}, "each once"),
        ("survival", SURVIVAL | {"times": [24.0, 12.0]}, "rising"),
        ("survival", SURVIVAL | {"event_column": "t"}, "are both 't'"),
    ],
)
def test_what_cannot_be_asked_is_refused(kind, options, said):
    assert said in refusal(kind, **options)
