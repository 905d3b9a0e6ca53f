from __future__ import annotations

import pytest

from histofed.core.tasks import MulticlassTask
from histofed.errors import CohortError, ConfigError

KINDS = MulticlassTask(
    name="histology",
    column="type",
    classes=("epithelioid", "biphasic", "sarcomatoid"),
    values={"biphasic": ("biphasic", "mixed", "2")},
)


@pytest.mark.parametrize(
    ("cell", "label"),
    [("epithelioid", 0), ("Mixed ", 1), ("2", 1), ("2.0", 1), ("SARCOMATOID", 2)],
)
def test_a_value_means_its_class(cell, label) -> None:
    assert KINDS.label({"type": cell}, "row 2") == (label,)


def test_not_known_is_no_class() -> None:
    assert KINDS.label({"type": "NA"}, "row 2") is None


def test_another_value_is_refused_with_what_is_allowed() -> None:
    with pytest.raises(CohortError) as refused:
        KINDS.label({"type": "epitheloid"}, "table.csv, line 7")
    for said in ("line 7", "'type'", "'epitheloid'", "epithelioid, biphasic/mixed/2, sarcomatoid"):
        assert said in str(refused.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"classes": ("a", "b")}, "at least three"),
        ({"classes": ("a", "b", "b")}, "of different names"),
        ({"classes": ("a", "b", "c"), "values": {"d": ("x",)}}, "given for d"),
        ({"classes": ("a", "b", "c"), "values": {"a": ("B",)}}, "['b'] mean more than one class"),
    ],
)
def test_a_task_that_cannot_be_asked_is_refused(options, said) -> None:
    with pytest.raises(ConfigError) as refused:
        MulticlassTask(name="t", column="c", **options)
    assert said in str(refused.value)


def test_names_of_outputs_and_words() -> None:
    assert KINDS.output_names[1] == "probability_biphasic"
    assert KINDS.in_words((2.0,)) == "sarcomatoid"
    assert KINDS.strata({"P": (2.0,)}) == {"P": 2}
    assert KINDS.needed == (0, 1, 2)


def test_what_labels_cannot_teach_is_named() -> None:
    every = [(float(number),) for number in range(len(KINDS.classes))]
    assert KINDS.lacking(every) == ()
    assert KINDS.lacking(every[1:]) == KINDS.classes[:1]
    assert KINDS.lacking([]) == KINDS.classes
