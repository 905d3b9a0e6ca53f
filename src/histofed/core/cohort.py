"""A cohort: patients, their slides and labels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from histofed.errors import CohortError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from histofed.core.tasks import Label
    from histofed.core.types import Slide


@dataclass(frozen=True)
class Cohort:
    """Patients with at least one slide and a known label.

    Attributes
    ----------
    slides
        In the order of the table.
    labels
        ``patient_id`` -> what the table says (see `histofed.core.tasks`); NaN throughout for
        patients who are only predicted.
    """

    name: str
    slides: tuple[Slide, ...]
    labels: Mapping[str, Label]

    def __post_init__(self) -> None:
        """Refuse a cohort that contradicts itself."""
        sites: dict[str, str] = {}
        seen: set[str] = set()
        for slide in self.slides:
            if slide.slide_id in seen:
                msg = f"slide {slide.slide_id} appears twice; give every slide its own slide_id"
                raise CohortError(msg)
            seen.add(slide.slide_id)
            if sites.setdefault(slide.patient_id, slide.site) != slide.site:
                msg = (
                    f"patient {slide.patient_id} belongs to sites {sites[slide.patient_id]} and "
                    f"{slide.site}; a patient has one site"
                )
                raise CohortError(msg)
        n_numbers = {len(label) for label in self.labels.values()}
        if len(n_numbers) > 1 or 0 in n_numbers:
            msg = f"labels of one cohort hold {sorted(n_numbers)} numbers; they answer one task"
            raise CohortError(msg)
        if strange := sorted(p for p, label in self.labels.items() if math.inf in map(abs, label)):
            msg = f"patients with an infinite label: {some(strange)}; correct the table"
            raise CohortError(msg)
        if unlabelled := sorted(sites.keys() - self.labels.keys()):
            msg = f"patients without a label: {some(unlabelled)}; leave them out or label them"
            raise CohortError(msg)
        if slideless := sorted(self.labels.keys() - sites.keys()):
            msg = f"patients without a slide: {some(slideless)}; leave them out or add a slide"
            raise CohortError(msg)

    @property
    def patients(self) -> tuple[str, ...]:
        """Patients in the order of their first slide."""
        return tuple(dict.fromkeys(slide.patient_id for slide in self.slides))

    @cached_property
    def site_of(self) -> dict[str, str]:
        """``patient_id`` -> site."""
        return {slide.patient_id: slide.site for slide in self.slides}

    @property
    def sites(self) -> tuple[str, ...]:
        """Sites, sorted."""
        return tuple(sorted({slide.site for slide in self.slides}))

    def slides_of(self, patient_id: str) -> tuple[Slide, ...]:
        """Return the slides of one patient, in the order of the table."""
        return tuple(slide for slide in self.slides if slide.patient_id == patient_id)

    def subset(self, patients: Iterable[str]) -> Cohort:
        """Return the cohort of some of the patients."""
        keep = set(patients)
        return Cohort(
            name=self.name,
            slides=tuple(slide for slide in self.slides if slide.patient_id in keep),
            labels={patient: label for patient, label in self.labels.items() if patient in keep},
        )


def some(names: Sequence[str], most: int = 5) -> str:
    """Name the first few, and say how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
