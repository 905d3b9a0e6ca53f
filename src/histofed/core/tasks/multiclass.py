"""One question with several answers that exclude one another."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from histofed.core.tasks.base import ClassTask, Label, plain
from histofed.errors import CohortError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class MulticlassTask(ClassTask):
    """A question with several answers. Outputs are the classes' probabilities.

    Attributes
    ----------
    values
        Class -> values of the column that mean it, compared without regard to case; a class that is
        not here is meant by its own name.
    """

    kind: ClassVar[str] = "multiclass"

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
    def output_names(self) -> tuple[str, ...]:
        """``probability_<class>`` of each class; they sum to one."""
        return tuple(f"probability_{name}" for name in self.classes)

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

    def _words(self, name: str) -> tuple[str, ...]:
        return tuple(self.values.get(name, ())) or (name,)
