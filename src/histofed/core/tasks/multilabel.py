"""Many binary questions of the same patients, some not answered: a mutation panel."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from histofed.core.tasks.base import Label, Task, YesNo
from histofed.errors import CohortError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


@dataclass(frozen=True, kw_only=True)
class MultilabelTask(Task):
    """A panel. A label holds 0, 1 or NaN per question, an output a probability per question.

    A gene that was not sequenced is not a gene without mutation: it is NaN, and counts neither in
    training nor in a metric. A patient of whom nothing is known is left out.

    Attributes
    ----------
    questions
        Columns of the cohort table, one per question.
    positive, negative
        Values that mean yes and no, compared without regard to case.
    """

    kind: ClassVar[str] = "multilabel"

    questions: tuple[str, ...]
    positive: tuple[str, ...] = ("1",)
    negative: tuple[str, ...] = ("0",)

    def __post_init__(self) -> None:
        """Refuse a task that cannot be asked."""
        if len(self.questions) < 2 or len(set(self.questions)) < len(self.questions):
            msg = f"task {self.name}: columns are {list(self.questions)}; a multilabel task has at "
            msg += "least two, each once (for one use kind: binary)"
            raise ConfigError(msg)
        if both := self._values.both:
            msg = f"task {self.name}: {both} mean yes and no; a value has one meaning"
            raise ConfigError(msg)

    @property
    def columns(self) -> tuple[str, ...]:
        """One column per question."""
        return self.questions

    @property
    def label_names(self) -> tuple[str, ...]:
        """``label_<question>``: 0, 1, or empty where not known."""
        return tuple(f"label_{name}" for name in self.questions)

    @property
    def output_names(self) -> tuple[str, ...]:
        """``probability_<question>``."""
        return tuple(f"probability_{name}" for name in self.questions)

    def label(self, cells: Mapping[str, str], where: str) -> Label | None:
        """Return 0, 1 or NaN per question; None where none is known."""
        found = tuple(self._one(name, cells[name], where) for name in self.questions)
        return None if all(math.isnan(value) for value in found) else found

    def strata(self, labels: Mapping[str, Label]) -> dict[str, int]:
        """Return each patient's rarest positive answer, counted from 1, or 0 for none.

        Spreading the rarest first is what iterative stratification does (Sechidis et al. 2011).
        """
        n_positive = [
            sum(label[question] == 1 for label in labels.values())
            for question in range(len(self.questions))
        ]
        rarest_first = sorted(range(len(self.questions)), key=lambda q: (n_positive[q], q))
        return {
            patient: next((q + 1 for q in rarest_first if label[q] == 1), 0)
            for patient, label in labels.items()
        }

    def lacking(self, labels: Collection[Label]) -> tuple[str, ...]:
        """Return the answers that nobody has, question by question."""
        return tuple(
            f"{word} of {name}"
            for question, name in enumerate(self.questions)
            for value, word in ((1, "a yes"), (0, "a no"))
            if all(label[question] != value for label in labels)
        )

    def in_words(self, label: Label) -> str:
        """Return the questions answered with yes."""
        found = [name for name, value in zip(self.questions, label, strict=True) if value == 1]
        return ", ".join(found) or "none"

    @property
    def _values(self) -> YesNo:
        return YesNo(positive=self.positive, negative=self.negative)

    def _one(self, column: str, cell: str, where: str) -> float:
        if (label := self._values.read(cell)) is not None:
            return float(label)
        if self.is_missing(cell):
            return math.nan
        msg = (
            f"{where}: column {column!r} holds {cell!r}, which is neither "
            f"{'/'.join(self.positive)} (yes) nor {'/'.join(self.negative)} (no); correct the "
            "table or the task's positive/negative/missing lists"
        )
        raise CohortError(msg)
