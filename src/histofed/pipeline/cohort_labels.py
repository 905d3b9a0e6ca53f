"""Labels of `histofed cohort`: the rule's answer per patient, and what makes it unfit to learn."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from histofed.core.labels.audit import label_table
from histofed.core.labels.base import Unknown
from histofed.core.labels.cells import Answers
from histofed.core.labels.numbers import NumberRule, looks_like_fractions
from histofed.errors import CohortError
from histofed.pipeline.cohort_sources import first_cell

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from histofed.core.labels.base import Case
    from histofed.core.labels.cells import LabelRule
    from histofed.core.tasks import Label, Task
    from histofed.pipeline.cohort_sources import PatientRow


def answer_of(rule: LabelRule, cases: Sequence[Case]) -> dict[str, str] | Unknown:
    """Return the answer of a patient's rows.

    Raises
    ------
    CohortError
        Two rows contradict one another.
    """
    first: tuple[Case, dict[str, str]] | None = None
    unknown = Unknown("no row")
    for case in cases:
        answer = rule.answer(case)
        if isinstance(answer, Unknown):
            unknown = answer
        elif first is None:
            first = case, answer
        elif answer != first[1]:
            said, before = (" ".join(each.values()) for each in (answer, first[1]))
            msg = f"{case.where}: the label is {said!r} by this row and {before!r} by "
            msg += f"{first[0].where}; it is per patient: correct one"
            raise CohortError(msg)
    return unknown if first is None else first[1]


def label_of(task: Task, cells: dict[str, str], row: PatientRow) -> Label:
    """Return the label that cells of a rule are."""
    label = task.label(cells, row.where)
    assert label is not None  # a rule answers with what the task can read
    return label


def check_units(rule: LabelRule, patients: Mapping[str, Sequence[PatientRow]]) -> None:
    """Refuse percentages that are all below 1: they are fractions.

    Raises
    ------
    CohortError
        No number of a column in percent is above 1.
    """
    rules = rule.rules.values() if isinstance(rule, Answers) else ()
    for each in rules:
        if not isinstance(each, NumberRule) or each.unit != "percent":
            continue
        rows = [row for of_patient in patients.values() for row in of_patient]
        found = [(row, first_cell(row, each.columns)[1]) for row in rows]
        if looks_like_fractions([cell for _, cell in found]):
            row, cell = next((row, cell) for row, cell in found if cell)
            msg = f"{row.where}: {each.columns[0]} is {cell!r}, and no row is above 1: these are "
            msg += "fractions, and the rule reads percent; state task.label.<rule>.unit=fraction "
            msg += "and the cut-off in it"
            raise CohortError(msg)


def check_constant(
    task: Task, labels: Mapping[str, Label], patients: Mapping[str, Sequence[PatientRow]]
) -> None:
    """Refuse a label that all patients have in common.

    Raises
    ------
    CohortError
        A column of the label has one value; in survival, nobody had the event.
    """
    first = patients[next(iter(labels))][0].where
    for index, column in enumerate(task.columns):
        known = {label[index] for label in labels.values() if not math.isnan(label[index])}
        ended = task.kind == "survival"
        if len(known) > 1 or (ended and (index == 0 or known == {1.0})):
            continue
        said = f"{known.pop():g}" if known else "not known"
        others = ",".join(name for name in task.columns if name != column)
        without = f", or leave the column out (task.columns=[{others}])"
        msg = (
            f"{first}: column {column!r} is {said} here and for all {len(labels)} patients of the "
            "cohort; nothing can be learned from a constant label: take more patients, another "
            f"rule (by=...){without * (task.kind in ('multilabel', 'regression') and bool(others))}"
        )
        raise CohortError(msg)


def counted_answers(task: Task, labels: Mapping[str, Label]) -> str:
    """Return how many patients have which answer, in words."""
    table = label_table("all", dict.fromkeys(labels, "all"), labels, task)
    ((n, counts),) = table.rows.values()
    return ", ".join(
        f"{answer} {count} ({count / n:.1%})"
        for answer, count in zip(table.answers, counts, strict=True)
    )
