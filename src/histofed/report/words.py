"""Words of the report that several sections need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histofed.core.metrics.intervals import Interval

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from histofed.core.evaluation.arms import ArmEvaluation

POINT_NOTE = (
    "An interval without width means that every resample gave the same number, as where the "
    "classes are separated perfectly: too few patients to show the uncertainty, not certainty."
)

FOLDS_NOTE = (
    "Each fold has a model of its own, and the answers of two models have no common scale: "
    "patients are compared with those of the same fold only, and every fold counts by its pairs."
)


def folds_note(arms: Sequence[ArmEvaluation]) -> str:
    """Return that patients are compared within folds; nothing where one model speaks of all."""
    return FOLDS_NOTE if any(len(set(each.rows.folds_P.tolist())) > 1 for each in arms) else ""


def sentences(*parts: str) -> str:
    """Return those that there are, as one paragraph."""
    return " ".join(part for part in parts if part)


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
