"""Rules that fill the columns of a task: what `histofed cohort` writes beside each slide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from histofed.core.labels.base import Available, Case, Unknown, YesNoRule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from histofed.core.tasks import Task


class LabelRule(Protocol):
    """What makes a label of what is known of a patient."""

    @property
    def in_words(self) -> str:
        """The rule, for people."""

    @property
    def genes(self) -> tuple[str, ...]:
        """Genes that the rule asks for."""

    @property
    def reads(self) -> tuple[str, ...]:
        """Names of columns that it may read: no covariate may be one of them."""

    def lacking(self, available: Available) -> str:
        """Return, in words, which source the rule lacks; empty if it can be asked."""

    def answer(self, case: Case) -> dict[str, str] | Unknown:
        """Return column -> cell of the task, or why the label is not known."""


@dataclass(frozen=True)
class Answers:
    """Columns of yes and no, a rule each. A question without answer is an empty cell."""

    rules: Mapping[str, YesNoRule]

    @property
    def in_words(self) -> str:
        """All rules."""
        return "; ".join(rule.in_words for rule in self.rules.values())

    @property
    def genes(self) -> tuple[str, ...]:
        """Genes of all rules."""
        return tuple(dict.fromkeys(gene for rule in self.rules.values() for gene in rule.genes))

    @property
    def reads(self) -> tuple[str, ...]:
        """Columns of all rules."""
        return tuple(name for rule in self.rules.values() for name in rule.reads)

    def lacking(self, available: Available) -> str:
        """Return what the rules lack."""
        lacks = (rule.lacking(available) for rule in self.rules.values())
        return ", ".join(dict.fromkeys(filter(None, lacks)))

    def answer(self, case: Case) -> dict[str, str] | Unknown:
        """Return a cell per column, or the first reason where no question has an answer."""
        answers = {column: rule.answer(case) for column, rule in self.rules.items()}
        unknown = [each for each in answers.values() if isinstance(each, Unknown)]
        if len(unknown) == len(answers):
            return unknown[0]
        return {
            column: "" if isinstance(each, Unknown) else str(int(each))
            for column, each in answers.items()
        }


@dataclass(frozen=True)
class Stated:
    """Columns of a table that state the label in words of the task.

    Attributes
    ----------
    columns
        The task's column -> names that it may have in the table.
    """

    task: Task
    columns: Mapping[str, tuple[str, ...]]

    @property
    def in_words(self) -> str:
        """The columns."""
        return f"as stated in {', '.join('/'.join(names) for names in self.columns.values())}"

    @property
    def genes(self) -> tuple[str, ...]:
        """None: the table has the answer."""
        return ()

    @property
    def reads(self) -> tuple[str, ...]:
        """All names that the columns may have."""
        return tuple(name for names in self.columns.values() for name in names)

    def lacking(self, available: Available) -> str:
        """Return the columns that are not there; of a panel one is enough."""
        absent = [names[0] for names in self.columns.values() if not available.first(names)]
        enough = self.task.kind in ("multilabel", "regression") and len(absent) < len(self.columns)
        return "" if enough else available.lacking(*absent)

    def answer(self, case: Case) -> dict[str, str] | Unknown:
        """Return the cells as they are, yes and no as 1 and 0.

        Raises
        ------
        CohortError
            A cell has no meaning for the task.
        """
        cells = {
            column: found[1] if (found := case.cell(names)) else ""
            for column, names in self.columns.items()
        }
        label = self.task.label(cells, case.where)
        if label is None:
            stated = [found for names in self.columns.values() if (found := case.cell(names))]
            return Unknown(", ".join(f"{name} is {cell or 'empty'}" for name, cell in stated[:3]))
        if self.task.kind not in ("binary", "multilabel"):
            return cells
        return {
            column: "" if number != number else f"{number:g}"  # NaN: not known
            for column, number in zip(cells, label, strict=True)
        }
