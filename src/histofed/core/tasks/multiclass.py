"""One question with several answers that exclude one another."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from histofed.core.tasks.base import Label, Task, plain
from histofed.errors import CohortError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


@dataclass(frozen=True, kw_only=True)
class MulticlassTask(Task):
    """A question with several answers. A label is the number of a class, outputs are probabilities.

    Attributes
    ----------
    column
        Column of the cohort table that answers it.
    classes
        Names of the classes, in the order in which they are numbered from 0.
    values
        Class -> values of the column that mean it, compared without regard to case; a class that is
        not here is meant by its own name.
    """

    kind: ClassVar[str] = "multiclass"

    column: str
    classes: tuple[str, ...]
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a task that cannot be asked."""
        if len(self.classes) < 3 or len(set(self.classes)) < len(self.classes):
            msg = f"task {self.name}: classes are {list(self.classes)}; a multiclass task has at "
            msg += "least three, of different names (for two use kind: binary)"
            raise ConfigError(msg)
        if strange := sorted(set(self.values) - set(self.classes)):
            msg = f"task {self.name}: values are given for {', '.join(strange)}, which is not one "
            msg += f"of its classes {', '.join(self.classes)}"
            raise ConfigError(msg)
        meant = Counter(plain(word) for name in self.classes for word in self._words(name))
        if several := sorted(word for word, count in meant.items() if count > 1):
            msg = f"task {self.name}: {several} mean more than one class; a value has one meaning"
            raise ConfigError(msg)

    @property
    def columns(self) -> tuple[str, ...]:
        """The one column."""
        return (self.column,)

    @property
    def label_names(self) -> tuple[str, ...]:
        """``label``: the number of the class, from 0."""
        return ("label",)

    @property
    def output_names(self) -> tuple[str, ...]:
        """``probability_<class>`` of each class; they sum to one."""
        return tuple(f"probability_{name}" for name in self.classes)

    @property
    def needed(self) -> tuple[int, ...]:
        """Every class."""
        return tuple(range(len(self.classes)))

    def label(self, cells: Mapping[str, str], where: str) -> Label | None:
        """Return the number of the class, or None for "not known"."""
        cell = cells[self.column]
        for number, name in enumerate(self.classes):
            if plain(cell) in {plain(word) for word in self._words(name)}:
                return (float(number),)
        if self.is_missing(cell):
            return None
        words = ", ".join("/".join(self._words(name)) for name in self.classes)
        msg = f"{where}: column {self.column!r} holds {cell!r}, which is none of {words}; correct "
        msg += "the table or the task's classes/values/missing lists"
        raise CohortError(msg)

    def strata(self, labels: Mapping[str, Label]) -> dict[str, int]:
        """Return each patient's class."""
        return {patient: int(label[0]) for patient, label in labels.items()}

    def lacking(self, labels: Collection[Label]) -> tuple[str, ...]:
        """Return the classes of nobody."""
        found = {int(label[0]) for label in labels}
        return tuple(name for number, name in enumerate(self.classes) if number not in found)

    def in_words(self, label: Label) -> str:
        """Return the class's name."""
        return self.classes[int(label[0])]

    def _words(self, name: str) -> tuple[str, ...]:
        return tuple(self.values.get(name, ())) or (name,)
