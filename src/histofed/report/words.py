"""Words of the report that several sections need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histofed.core.metrics.intervals import Interval

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

POINT_NOTE = (
    "An interval without width means that every resample gave the same number, as where the "
    "classes are separated perfectly: too few patients to show the uncertainty, not certainty."
)

FOLDS_NOTE = (
    "Patients of all folds are compared with one another. A model has seen less of what the "
    "patients held out from it have more of, and folds are not balanced in each of these; with few "
    "patients the numbers are therefore somewhat too low, and below chance where there is nothing "
    "to find."
)


def cannot(found: Iterable[tuple[str, str | None]]) -> str:
    """Return why cells are empty, each reason once, with the first of whom it is said."""
    first: dict[str, str] = {}
    for who, reason in found:
        if reason:
            first.setdefault(reason, who)
    return " ".join(f"Cannot be told for {who}: {reason}." for reason, who in first.items())


def is_point(interval: object) -> bool:
    """Whether an interval has no width; other cells have none to miss."""
    return isinstance(interval, Interval) and interval.low == interval.high


def fixed(values: Sequence[float]) -> str:
    """Return one number, or the least and the greatest of several in rising order."""
    low, high = f"{values[0]:.2f}", f"{values[-1]:.2f}"
    return low if low == high else f"{low} to {high}"


def p_words(p_value: float | None) -> str | None:
    """Return a p-value; None where there is no test."""
    if p_value is None:
        return None
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"
