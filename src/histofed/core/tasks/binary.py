"""One question with two answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from histofed.core.tasks.base import ClassTask, Label, YesNo
from histofed.errors import CohortError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class BinaryTask(ClassTask):
    """A binary question. A label is 0 or 1, an output the probability of 1.

    Attributes
    ----------
    classes
        Words for the negative and the positive class, in this order.
    positive, negative
        Values of the column that mean each class, compared without regard to case.
    """

    kind: ClassVar[str] = "binary"

    classes: tuple[str, ...] = ("negative", "positive")
    positive: tuple[str, ...] = ("1",)
    negative: tuple[str, ...] = ("0",)

    def __post_init__(self) -> None:
        """Refuse a task that cannot be asked."""
        if len(self.classes) != 2:
            msg = f"task {self.name}: classes are {list(self.classes)}; a binary task names the "
            msg += "negative and the positive one (for more use kind: multiclass)"
            raise ConfigError(msg)
        if both := self._values.both:
            msg = f"task {self.name}: {both} mean both classes; a value has one meaning"
            raise ConfigError(msg)

    @property
    def output_names(self) -> tuple[str, ...]:
        """``probability`` of the positive class."""
        return ("probability",)

    def label(self, cells: Mapping[str, str], where: str) -> Label | None:
        """Return ``(1,)``, ``(0,)``, or None for "not known"."""
        cell = cells[self.column]
        if (label := self._values.read(cell)) is not None:
            return (float(label),)
        if self.is_missing(cell):
            return None
        msg = (
            f"{where}: column {self.column!r} holds {cell!r}, which is neither "
            f"{'/'.join(self.positive)} ({self.classes[1]}) nor "
            f"{'/'.join(self.negative)} ({self.classes[0]}); correct the table or the task's "
            "positive/negative/missing lists"
        )
        raise CohortError(msg)

    @property
    def _values(self) -> YesNo:
        return YesNo(positive=self.positive, negative=self.negative)
