from __future__ import annotations

import math
import random

import pytest

from histofed.core.cohort import Cohort
from histofed.core.types import Slide
from histofed.errors import CohortError


def slide(patient: str, site: str = "A", number: int = 1) -> Slide:
    return Slide(slide_id=f"{patient}-{number}", patient_id=patient, site=site)


@pytest.mark.parametrize(
    ("slides", "labels", "said"),
    [
        ([slide("P1"), slide("P1")], {"P1": (0.0,)}, "slide P1-1 appears twice"),
        (
            [slide("P1", "A"), slide("P1", "B", 2)],
            {"P1": (0.0,)},
            "patient P1 belongs to sites A and B",
        ),
        ([slide("P1"), slide("P2")], {"P1": (0.0,)}, "patients without a label: P2"),
        ([slide("P1")], {"P1": ()}, r"\[0\] numbers"),
        ([slide("P1")], {"P1": (math.inf,)}, "infinite label: P1"),
        (
            [slide("P1"), slide("P2")],
            {"P1": (0.0,), "P2": (0.0, 1.0)},
            r"\[1, 2\] numbers; they answer one task",
        ),
        ([slide("P1")], {"P1": (0.0,), "P9": (1.0,)}, "patients without a slide: P9"),
    ],
)
def test_a_cohort_that_contradicts_itself_is_refused(slides, labels, said) -> None:
    with pytest.raises(CohortError, match=said):
        Cohort(name="test", slides=tuple(slides), labels=labels)


def test_views_of_a_cohort() -> None:
    slides = (slide("P2", "B"), slide("P1", "A"), slide("P2", "B", 2), slide("P3", "B"))
    cohort = Cohort(name="test", slides=slides, labels={"P1": (0.0,), "P2": (1.0,), "P3": (0.0,)})
    assert cohort.patients == ("P2", "P1", "P3")
    assert cohort.sites == ("A", "B")
    assert cohort.slides_of("P2") == (slides[0], slides[2])
    assert cohort.subset(["P1"]).slides == (slides[1],)
    shuffled = random.Random(0).sample(cohort.patients, 3)
    assert cohort.subset(shuffled) == cohort
