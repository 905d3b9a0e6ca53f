"""What is known of a patient before it is a label, and rules that answer yes, no or unknown."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from histofed.core.labels.variants import Variant


@dataclass(frozen=True)
class Unknown:
    """No answer, and why: the reason that ``attrition.csv`` gives."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Available:
    """Which sources a study has.

    Attributes
    ----------
    columns
        Of the tables of patients, in lower case.
    mutations, copy_number
        Whether there is a table of either.
    """

    columns: frozenset[str] = frozenset()
    mutations: bool = False
    copy_number: bool = False

    def lacking(self, *columns: str) -> str:
        """Return which of some columns there are not, in words; empty if all are there."""
        absent = [name for name in columns if name.lower() not in self.columns]
        return f"a column {', '.join(absent)}" if absent else ""

    def first(self, columns: tuple[str, ...]) -> str | None:
        """Return the first of some columns that there is."""
        return next((name for name in columns if name.lower() in self.columns), None)


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is known of one patient.

    Attributes
    ----------
    cells
        Column in lower case -> cell.
    where
        Row and patient, for errors.
    variants
        Of the patient's tumour samples.
    profiled
        Genes for which at least one of these samples was sequenced.
    levels
        Gene -> discrete copy number, one per sample in which it is known.
    """

    patient_id: str
    where: str
    cells: Mapping[str, str] = field(default_factory=dict)
    variants: tuple[Variant, ...] = ()
    profiled: frozenset[str] = frozenset()
    levels: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def cell(self, columns: tuple[str, ...]) -> tuple[str, str] | None:
        """Return name and cell of the first of some columns that the patient's row has."""
        for name in columns:
            if name.lower() in self.cells:
                return name, self.cells[name.lower()].strip()
        return None


class YesNoRule(ABC):
    """A rule that answers a question of one patient."""

    @abstractmethod
    def lacking(self, available: Available) -> str:
        """Return, in words, which source the rule lacks; empty if it can be asked."""

    @abstractmethod
    def answer(self, case: Case) -> bool | Unknown:
        """Return yes, no, or unknown with its reason.

        Raises
        ------
        CohortError
            A value has no meaning for the rule.
        """

    @property
    @abstractmethod
    def in_words(self) -> str:
        """The positive rule, for people."""

    @property
    def genes(self) -> tuple[str, ...]:
        """Genes that the rule asks for."""
        return ()

    @property
    def reads(self) -> tuple[str, ...]:
        """Names of columns that it may read."""
        return ()


@dataclass(frozen=True)
class AnyOf(YesNoRule):
    """Yes if one rule says yes; no only if every rule says no (Kleene's strong "or")."""

    rules: tuple[YesNoRule, ...]

    def lacking(self, available: Available) -> str:
        """Return what any of the rules lacks: without it nobody could be called negative."""
        return " and ".join(filter(None, (rule.lacking(available) for rule in self.rules)))

    def answer(self, case: Case) -> bool | Unknown:
        """Return yes, no, or the first reason why it is unknown."""
        answers = [rule.answer(case) for rule in self.rules]
        if any(each is True for each in answers):
            return True
        return next((each for each in answers if isinstance(each, Unknown)), False)

    @property
    def in_words(self) -> str:
        """The rules, joined by or."""
        return " or ".join(rule.in_words for rule in self.rules)

    @property
    def genes(self) -> tuple[str, ...]:
        """Genes of all the rules."""
        return tuple(dict.fromkeys(gene for rule in self.rules for gene in rule.genes))

    @property
    def reads(self) -> tuple[str, ...]:
        """Columns of all the rules."""
        return tuple(dict.fromkeys(name for rule in self.rules for name in rule.reads))
