"""What a cohort's labels go together with: hospitals, confounders, other mutations."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from histofed.core.tasks import ClassTask, MultilabelTask, SurvivalTask
from histofed.core.tasks.base import is_number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from histofed.core.tasks import Label, Task

NOT_KNOWN = "not known"
MOST_VALUES = 12
"""Values of a confounder that are numbers: with more, they are parted at their median."""


@dataclass(frozen=True, kw_only=True)
class LabelTable:
    """Labels by the values of something.

    Attributes
    ----------
    answers
        Names of the columns: classes, event and censored, or ``yes`` of each question.
    rows
        Value -> (patients, patients per answer).
    exclusive
        Whether every patient has exactly one of the answers.
    """

    by: str
    answers: tuple[str, ...]
    rows: Mapping[str, tuple[int, tuple[int, ...]]]
    exclusive: bool

    @property
    def one_sided(self) -> tuple[str, ...]:
        """Values of which all of at least two patients have one and the same class.

        There a model that tells the value apart tells the label, without looking at the tumour.
        """
        if not self.exclusive or len(self.rows) < 2:
            return ()
        return tuple(value for value, (n, counts) in self.rows.items() if n >= 2 and n in counts)

    @property
    def beyond_chance(self) -> tuple[str, ...]:
        """Those of them that chance alone would make in fewer than one of twenty cohorts."""
        in_all = sum(n for n, _ in self.rows.values())
        share = [
            sum(column) / in_all for column in zip(*(c for _, c in self.rows.values()), strict=True)
        ]
        return tuple(
            value
            for value in self.one_sided
            if share[self.rows[value][1].index(self.rows[value][0])] ** self.rows[value][0] < 0.05
        )


def label_table(
    by: str, value_of: Mapping[str, str], labels: Mapping[str, Label], task: Task
) -> LabelTable:
    """Return patients and answers for each value.

    Parameters
    ----------
    value_of
        ``patient_id`` -> value; an empty one is `NOT_KNOWN`. Many numbers are parted at their
        median.
    """
    values = _parted({patient: value_of.get(patient, "") for patient in labels})
    answers = answers_of(task)
    rows: dict[str, tuple[int, tuple[int, ...]]] = {}
    for value in sorted(set(values.values()), key=lambda each: (each == NOT_KNOWN, each)):
        inside = [_answers(task, label) for p, label in labels.items() if values[p] == value]
        rows[value] = (len(inside), tuple(map(sum, zip(*inside, strict=True))))
    return LabelTable(
        by=by, answers=answers, rows=rows, exclusive=isinstance(task, ClassTask | SurvivalTask)
    )


def answers_of(task: Task) -> tuple[str, ...]:
    """Return what is counted of a task's labels."""
    if isinstance(task, ClassTask):
        return task.classes
    if isinstance(task, SurvivalTask):
        return ("censored", "event")
    return (
        tuple(f"{name} yes" for name in task.columns)
        if isinstance(task, MultilabelTask)
        else tuple(f"{name} known" for name in task.columns)
    )


def _answers(task: Task, label: Label) -> tuple[bool, ...]:
    if isinstance(task, ClassTask):
        return tuple(label[0] == number for number in range(len(task.classes)))
    if isinstance(task, SurvivalTask):
        return (label[1] == 0, label[1] == 1)
    if isinstance(task, MultilabelTask):
        return tuple(value == 1 for value in label)
    return tuple(not math.isnan(value) for value in label)


def _parted(values: Mapping[str, str]) -> dict[str, str]:
    """Return values, with many numbers parted at their median."""
    named = {patient: value.strip() or NOT_KNOWN for patient, value in values.items()}
    known = [value for value in named.values() if value != NOT_KNOWN]
    if len(set(known)) <= MOST_VALUES or not all(map(is_number, known)):
        return named
    middle = median(map(float, known))

    def part(value: str) -> str:
        if value == NOT_KNOWN:
            return value
        return f"below {middle:g}" if float(value) < middle else f"from {middle:g}"

    return {patient: part(value) for patient, value in named.items()}


@dataclass(frozen=True, kw_only=True)
class Association:
    """Two yes-or-no answers of the same patients.

    Attributes
    ----------
    both, only_first, only_second, neither
        Patients.
    """

    first: str
    second: str
    both: int
    only_first: int
    only_second: int
    neither: int

    @property
    def odds_ratio(self) -> tuple[float, float, float] | None:
        """Odds ratio with its 95% interval (Woolf 1955), 0.5 added to each count.

        The addition (Haldane 1956, Anscombe 1956) keeps it finite where a count is 0. None where
        all patients have one and the same answer to a question: then there is nothing to compare.
        """
        of_first = (self.both + self.only_first, self.only_second + self.neither)
        of_second = (self.both + self.only_second, self.only_first + self.neither)
        if 0 in (*of_first, *of_second):
            return None
        a, b, c, d = (n + 0.5 for n in (self.both, self.only_first, self.only_second, self.neither))
        middle = math.log(a * d / (b * c))
        half = 1.96 * math.sqrt(1 / a + 1 / b + 1 / c + 1 / d)
        return math.exp(middle), math.exp(middle - half), math.exp(middle + half)


def associations(
    asked: Sequence[str], answers: Mapping[str, Mapping[str, bool]]
) -> tuple[Association, ...]:
    """Return each asked question against every other one, in patients who answered both.

    Parameters
    ----------
    asked
        Names of questions.
    answers
        Question -> ``patient_id`` -> answer, where known.
    """
    found, seen = [], set()
    for first in asked:
        for second in answers:
            if second == first or frozenset((first, second)) in seen:
                continue
            seen.add(frozenset((first, second)))
            one, other = answers[first], answers[second]
            counts = Counter((one[p], other[p]) for p in one if p in other)
            if counts:
                found.append(
                    Association(
                        first=first,
                        second=second,
                        both=counts[True, True],
                        only_first=counts[True, False],
                        only_second=counts[False, True],
                        neither=counts[False, False],
                    )
                )
    return tuple(found)
