"""Who and what was left out on the way to a cohort, step by step, each with its reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from histofed.core.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A row of ``attrition.csv``; ``slide_id`` is empty where the patient is left out."""

    step: str
    patient_id: str
    slide_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one step left.

    Attributes
    ----------
    reasons
        Reason -> how many patients (or slides) were left out by it.
    """

    name: str
    unit: str
    n_patients: int
    n_slides: int
    reasons: Mapping[str, int]

    @property
    def n_out(self) -> int:
        """How many the step left out."""
        return sum(self.reasons.values())


class Attrition:
    """Patients and slides that are still in, and every one that is not.

    Parameters
    ----------
    patients
        Of the clinical table.
    slides
        ``slide_id`` -> its patient, who need not be in the clinical table; empty for a cohort
        without slides.
    """

    def __init__(self, patients: Iterable[str], slides: Mapping[str, str]) -> None:
        self.patients = list(dict.fromkeys(patients))
        self.slides = dict(slides)
        self.left_out: list[LeftOut] = []
        self.steps = [self._step("in the tables", "patient", {})]

    def leave_patients(self, step: str, reasons: Mapping[str, str]) -> None:
        """Leave out patients, each for a reason, and with them their slides."""
        self.left_out += [
            LeftOut(step=step, patient_id=patient, slide_id="", reason=reasons[patient])
            for patient in self.patients
            if patient in reasons
        ]
        gone = {slide: patient for slide, patient in self.slides.items() if patient in reasons}
        self.left_out += [
            LeftOut(step=step, patient_id=patient, slide_id=slide, reason="patient left out")
            for slide, patient in gone.items()
        ]
        counts = Counter(reasons[patient] for patient in self.patients if patient in reasons)
        self.patients = [patient for patient in self.patients if patient not in reasons]
        self.slides = {slide: p for slide, p in self.slides.items() if slide not in gone}
        self.steps.append(self._step(step, "patient", counts))

    def leave_slides(self, step: str, reasons: Mapping[str, str]) -> None:
        """Leave out slides, each for a reason; a patient may remain without any."""
        gone = {slide: p for slide, p in self.slides.items() if slide in reasons}
        self.left_out += [
            LeftOut(step=step, patient_id=patient, slide_id=slide, reason=reasons[slide])
            for slide, patient in gone.items()
        ]
        self.slides = {slide: p for slide, p in self.slides.items() if slide not in gone}
        counts = Counter(reasons[slide] for slide in gone)
        self.steps.append(self._step(step, "slide", counts))

    def _step(self, name: str, unit: str, reasons: Mapping[str, int]) -> Step:
        return Step(
            name=name,
            unit=unit,
            n_patients=len(self.patients),
            n_slides=len(self.slides),
            reasons=dict(reasons),
        )

    def flow(self, most: int = 6) -> list[tuple[str, str]]:
        """Return the flow for people: what is left after each step, and why others are not.

        Parameters
        ----------
        most
            Reasons that a step names; the others are counted together.
        """
        lines = []
        for step in (self.steps[0], *(each for each in self.steps[1:] if each.n_out)):
            left = counted(step.n_patients, "patient")
            if self.steps[0].n_slides:
                left += f", {counted(step.n_slides, 'slide')}"
            ranked = sorted(step.reasons.items(), key=lambda item: (-item[1], item[0]))
            said = [f"{counted(n, step.unit)}: {reason}" for reason, n in ranked[:most]]
            if more := sum(n for _, n in ranked[most:]):
                said.append(f"{counted(more, step.unit)}: other reasons, see attrition.csv")
            lines.append((step.name, f"{left}{''.join(f'{chr(10)}  - {each}' for each in said)}"))
        return lines
