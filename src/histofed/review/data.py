"""What the page shows: the patients of one task, their slides and the scores of each tile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from histofed.errors import ReviewError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from histofed.core.types import Slide
    from histofed.io.store import ScoreStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One patient as the reviewer meets them.

    Attributes
    ----------
    label
        In the task's words (``mutated``), or None where it is not known.
    probability
        Of the positive class, in [0, 1].
    slide_ids
        In the order in which they are shown.
    """

    patient_id: str
    site: str
    label: str | None
    probability: float
    slide_ids: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse what could not be sorted."""
        if not 0 <= self.probability <= 1:
            msg = (
                f"patient {self.patient_id}: the probability must be in 0..1, got "
                f"{self.probability}; predict again"
            )
            raise ReviewError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewData:
    """Everything the page may show; a slide that is not in ``slides`` cannot be asked for.

    Attributes
    ----------
    title
        Heading of the page, such as the name of the run.
    question
        What is predicted, as a sentence.
    positive
        Name of the positive class.
    slides
        ``slide_id`` -> slide.
    """

    title: str
    question: str
    positive: str
    cases: tuple[Case, ...]
    slides: Mapping[str, Slide]
    scores: ScoreStore

    def __post_init__(self) -> None:
        """Refuse cases that contradict themselves or name slides that are not there."""
        seen: set[str] = set()
        for case in self.cases:
            if case.patient_id in seen:
                msg = f"patient {case.patient_id} is listed twice; give each patient one case"
                raise ReviewError(msg)
            seen.add(case.patient_id)
            if missing := [each for each in case.slide_ids if each not in self.slides]:
                msg = (
                    f"patient {case.patient_id}: slide {missing[0]} is not among the slides; "
                    "add it or leave it out of the case"
                )
                raise ReviewError(msg)

    def uncertain_first(self) -> list[Case]:
        """Return the cases, the most uncertain first; ties keep their order."""
        return sorted(self.cases, key=lambda case: abs(case.probability - 0.5))
