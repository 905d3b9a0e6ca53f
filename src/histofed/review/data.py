"""What the page shows: the patients of one task, their slides and the scores of each tile."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from histofed.errors import ReviewError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from histofed.core.types import Slide
    from histofed.io.store import ScoreStore


@dataclass(frozen=True, slots=True)
class Output:
    """One number of a prediction.

    Attributes
    ----------
    name
        As in ``Task.output_names``.
    words
        For people: ``chance of “mutated”``.
    """

    name: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One patient as the reviewer meets them.

    Attributes
    ----------
    label
        In the task's words (``mutated``), or None where it is not known.
    outputs
        One number per output of the run; NaN where the model has none.
    intervals
        Output's name -> low and high; empty where nothing honest can be said.
    possible
        Words of the classes that cannot be ruled out; None where that was not asked.
    unusual
        Part of the patients trained on that are more usual than this one, in [0, 1], or None.
    discordant
        Whether the prediction speaks against the label; None where that cannot be told.
    against
        How strongly it does, in [0, 1], or None.
    uncertainty
        0 sure, 1 undecided; None for a prediction that does not say.
    slide_ids
        In the order in which they are shown.
    clinical
        Names and values of what else the table says.
    """

    patient_id: str
    site: str
    label: str | None
    outputs: tuple[float, ...]
    slide_ids: tuple[str, ...]
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    possible: tuple[str, ...] | None = None
    unusual: float | None = None
    discordant: bool | None = None
    against: float | None = None
    uncertainty: float | None = None
    clinical: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class ReviewData:
    """Everything the page may show; a slide that is not in ``slides`` cannot be asked for.

    Attributes
    ----------
    title
        Heading of the page, such as the name of the run.
    question
        What is predicted, as a sentence.
    kind
        Of the task: binary, multiclass, multilabel, regression or survival.
    outputs
        What a prediction is made of.
    positive
        Name of the positive class of a binary task, else None.
    slides
        ``slide_id`` -> slide.
    models
        Digests of the models whose predictions are shown; scores of others are refused.
    arm
        The way of training whose predictions are shown.
    model_digest
        One name for all of them: verdicts say what they were given on.
    """

    title: str
    question: str
    kind: str
    outputs: tuple[Output, ...]
    positive: str | None
    cases: tuple[Case, ...]
    slides: Mapping[str, Slide]
    scores: ScoreStore
    models: frozenset[str]
    arm: str
    model_digest: str

    def __post_init__(self) -> None:
        """Refuse cases that contradict themselves or name slides that are not there."""
        seen: set[str] = set()
        for case in self.cases:
            if case.patient_id in seen:
                msg = f"patient {case.patient_id} is listed twice; give each patient one case"
                raise ReviewError(msg)
            seen.add(case.patient_id)
            self._check_outputs(case)
            if missing := [each for each in case.slide_ids if each not in self.slides]:
                msg = (
                    f"patient {case.patient_id}: slide {missing[0]} is not among the slides; "
                    "add it or leave it out of the case"
                )
                raise ReviewError(msg)

    @cached_property
    def case_of(self) -> dict[str, Case]:
        """``patient_id`` -> case."""
        return {case.patient_id: case for case in self.cases}

    @cached_property
    def patient_of(self) -> dict[str, str]:
        """``slide_id`` -> patient who has it among those shown."""
        return {slide_id: case.patient_id for case in self.cases for slide_id in case.slide_ids}

    @cached_property
    def sites(self) -> tuple[str, ...]:
        """Sites of the cases, sorted."""
        return tuple(sorted({case.site for case in self.cases}))

    def _check_outputs(self, case: Case) -> None:
        if len(case.outputs) != len(self.outputs):
            msg = (
                f"patient {case.patient_id}: {len(case.outputs)} numbers predicted, this task has "
                f"{len(self.outputs)}; predict again"
            )
            raise ReviewError(msg)
        for output, value in zip(self.outputs, case.outputs, strict=True):
            if output.name.startswith("probability") and not 0 <= value <= 1:
                msg = (
                    f"patient {case.patient_id}: the probability must be in 0..1, got "
                    f"{value}; predict again"
                )
                raise ReviewError(msg)
            if math.isinf(value):
                msg = f"patient {case.patient_id}: {output.name} is infinite; predict again"
                raise ReviewError(msg)
