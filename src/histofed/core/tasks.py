"""What is predicted: a column of the cohort table and the meaning of its values."""

from __future__ import annotations

from dataclasses import dataclass

from histofed.errors import CohortError, ConfigError

TASK_KINDS = ("binary",)
"""Kinds that can be trained today."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A binary question asked of every patient.

    Attributes
    ----------
    name
        Short name, as on the command line.
    column
        Column of the cohort table that answers it.
    classes
        Words for the negative and the positive class, in this order.
    positive, negative
        Values of the column that mean each class, compared without regard to case.
    missing
        Values that mean "not known"; such patients are left out and counted.
    """

    name: str
    column: str
    kind: str = "binary"
    classes: tuple[str, str] = ("negative", "positive")
    positive: tuple[str, ...] = ("1",)
    negative: tuple[str, ...] = ("0",)
    missing: tuple[str, ...] = ("", "na", "nan", "unknown")

    def __post_init__(self) -> None:
        """Refuse a task that cannot be asked."""
        if self.kind not in TASK_KINDS:
            msg = f"task {self.name}: kind {self.kind!r} is not one of {', '.join(TASK_KINDS)}"
            raise ConfigError(msg)
        both = {value.lower() for value in self.positive} & {
            value.lower() for value in self.negative
        }
        if both:
            msg = f"task {self.name}: {sorted(both)} mean both classes; a value has one meaning"
            raise ConfigError(msg)

    def label(self, value: str, where: str) -> int | None:
        """Return 1, 0, or None for "not known".

        Parameters
        ----------
        value
            The cell of the table.
        where
            Row and patient, for the error.

        Raises
        ------
        CohortError
            The value means neither class.
        """
        text = value.strip().lower()
        if text in ("0.0", "1.0"):  # what spreadsheets make of 0 and 1
            text = text[0]
        if text in {word.lower() for word in self.positive}:
            return 1
        if text in {word.lower() for word in self.negative}:
            return 0
        if text in {word.lower() for word in self.missing}:
            return None
        msg = (
            f"{where}: column {self.column!r} holds {value!r}, which is neither "
            f"{'/'.join(self.positive)} ({self.classes[1]}) nor "
            f"{'/'.join(self.negative)} ({self.classes[0]}); correct the table or the task's "
            "positive/negative/missing lists"
        )
        raise CohortError(msg)
