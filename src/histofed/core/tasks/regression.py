"""One or many numbers per patient: a score, or the expression of genes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from histofed.core.tasks.base import Label, Task
from histofed.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

PATIENTS_PER_STRATUM = 20


@dataclass(frozen=True, kw_only=True)
class RegressionTask(Task):
    """Numbers to predict; NaN where one of several is not known.

    Attributes
    ----------
    quantities
        Columns of the cohort table, one per number.
    unit
        Of the numbers, for figures.
    """

    kind: ClassVar[str] = "regression"

    quantities: tuple[str, ...]
    unit: str = ""

    def __post_init__(self) -> None:
        """Refuse a task that cannot be asked."""
        if not self.quantities or len(set(self.quantities)) < len(self.quantities):
            msg = f"task {self.name}: columns are {list(self.quantities)}; a regression has at "
            msg += "least one, each once"
            raise ConfigError(msg)

    @property
    def columns(self) -> tuple[str, ...]:
        """One column per number."""
        return self.quantities

    @property
    def label_names(self) -> tuple[str, ...]:
        """``label_<quantity>``; empty where not known."""
        return tuple(f"label_{name}" for name in self.quantities)

    @property
    def output_names(self) -> tuple[str, ...]:
        """``predicted_<quantity>``."""
        return tuple(f"predicted_{name}" for name in self.quantities)

    def label(self, cells: Mapping[str, str], where: str) -> Label | None:
        """Return the numbers; None where none is known."""
        found = tuple(self.number(name, cells[name], where) for name in self.quantities)
        return None if all(math.isnan(value) for value in found) else found

    def strata(self, labels: Mapping[str, Label]) -> dict[str, int]:
        """Return each patient's quarter of the first number; fewer parts for few patients.

        Patients of whom the first is not known are a part of their own.
        """
        known = sorted(
            (p for p in labels if not math.isnan(labels[p][0])), key=lambda p: (labels[p][0], p)
        )
        n_parts = max(1, min(4, len(known) // PATIENTS_PER_STRATUM))
        part_of = {
            patient: number
            for number, part in enumerate(np.array_split(np.array(known, dtype=object), n_parts))
            for patient in part
        }
        return {patient: part_of.get(patient, n_parts) for patient in labels}

    def lacking(self, labels: Collection[Label]) -> tuple[str, ...]:
        """Return the numbers that are not known of anybody, or the same of everybody."""
        return tuple(
            f"two different values of {name}"
            for number, name in enumerate(self.quantities)
            if len({label[number] for label in labels if not math.isnan(label[number])}) < 2
        )

    def in_words(self, label: Label) -> str:
        """Return the first numbers."""
        shown = ", ".join(
            f"{name} {value:g}"
            for name, value in list(zip(self.quantities, label, strict=True))[:3]
        )
        return f"{shown} {self.unit}".strip()
