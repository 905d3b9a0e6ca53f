"""Which patients and slides a cohort has: drawn from its specification, before any pixel."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from histofed.errors import ConfigError
from histofed.synth.artefacts import PEN_COLOURS
from histofed.synth.slide import LESION_MPP, SlidePlan
from histofed.synth.stain import SITES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from histofed.synth.stain import Site

GENERATOR_VERSION = 1
"""Raise it with every change that alters a pixel: cohorts of another version are not reused."""

LESION_SHARES = (0.06, 0.16)
"""Fraction of the tissue that nests of the lesion cover in a mutated patient."""

BLAND_SHARES = (0.04, 0.18)
"""The same of bland nests, in everybody: they mean nothing, and vary so much that the amount of
nests hardly tells."""

DISPLACED = 0.5
"""How much of its area a lesion takes from the bland nests."""


@dataclass(frozen=True, kw_only=True)
class CohortSpec:
    """What cohort to make.

    Attributes
    ----------
    patients_per_site
        One number for all hospitals, or one for each.
    mutated_per_site
        How many of them are mutated; None follows the hospitals' prevalence.
    width_um, height_um
        Field of each slide, multiples of `LESION_MPP`.
    tissue_mm2
        Area of the tissue on each slide.
    """

    seed: int = 20
    patients_per_site: int | tuple[int, ...] = 14
    mutated_per_site: tuple[int, ...] | None = None
    width_um: float = 1300.0
    height_um: float = 1200.0
    tissue_mm2: float = 0.75

    def __post_init__(self) -> None:
        """Spell out the numbers and refuse impossible ones."""
        patients = self.patients_per_site
        if isinstance(patients, int):
            patients = (patients,) * len(SITES)
        mutated = self.mutated_per_site
        if mutated is None:
            shares = zip(patients, SITES, strict=False)
            mutated = tuple(round(count * site.prevalence) for count, site in shares)
        object.__setattr__(self, "patients_per_site", tuple(patients))
        object.__setattr__(self, "mutated_per_site", tuple(mutated))
        self._check(tuple(patients), tuple(mutated))

    def _check(self, patients: tuple[int, ...], mutated: tuple[int, ...]) -> None:
        for name, counts in (("patients_per_site", patients), ("mutated_per_site", mutated)):
            if len(counts) != len(SITES):
                msg = f"{name} needs one number for each of {len(SITES)} hospitals, got {counts}"
                raise ConfigError(msg)
        for site, count, positive in zip(SITES, patients, mutated, strict=True):
            if not (1 <= count <= 999 and 0 <= positive <= count):
                msg = f"{site.name}: {positive} mutated of {count} patients is impossible; "
                msg += "there are 1 to 999 patients, and no more mutated than that"
                raise ConfigError(msg)
        if self.width_um % LESION_MPP or self.height_um % LESION_MPP:
            msg = f"width_um and height_um must be multiples of {LESION_MPP:g}, got "
            msg += f"{self.width_um:g} x {self.height_um:g}"
            raise ConfigError(msg)
        share = self.tissue_mm2 * 1e6 / (self.width_um * self.height_um)
        if not 0.05 <= share <= 0.6:
            msg = f"tissue_mm2={self.tissue_mm2:g} is {share:.0%} of the field; 5% to 60% fits"
            raise ConfigError(msg)

    @classmethod
    def small(cls, seed: int = 20) -> CohortSpec:
        """Return a cohort for tests: four patients a hospital, two mutated, small slides."""
        return cls(
            seed=seed,
            patients_per_site=4,
            mutated_per_site=(2,) * len(SITES),
            width_um=740.0,
            height_um=680.0,
            tissue_mm2=0.26,
        )

    @property
    def record(self) -> dict[str, Any]:
        """What `cohort.json` holds."""
        spec: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return {"generator_version": GENERATOR_VERSION, "spec": spec}


@dataclass(frozen=True, slots=True)
class Patient:
    """One patient and the slides to be made."""

    patient_id: str
    site: Site
    mutated: bool
    age: int
    sex: str
    plans: tuple[SlidePlan, ...]


def draw_patients(spec: CohortSpec) -> Iterator[Patient]:
    """Yield the patients of every hospital; the same spec yields the same patients."""
    assert isinstance(spec.patients_per_site, tuple)
    assert spec.mutated_per_site is not None
    per_site = zip(spec.patients_per_site, spec.mutated_per_site, strict=True)
    for index, (count, positive) in enumerate(per_site):
        rng = np.random.default_rng(np.random.SeedSequence(spec.seed, spawn_key=(index,)))
        order = rng.permutation(count)
        # One patient of each class meets the pen: it tells nothing about the class.
        marked = {int(order[0]), int(order[-1])}
        twice = set(rng.permutation(count)[: max(round(count / 7), 1)].tolist())
        for number in range(count):
            yield _patient(
                spec,
                (index, number),
                mutated=number in order[:positive],
                n_slides=2 if number in twice else 1,
                marked=number in marked,
            )


def _patient(
    spec: CohortSpec, key: tuple[int, int], *, mutated: bool, n_slides: int, marked: bool
) -> Patient:
    site = SITES[key[0]]
    rng = np.random.default_rng(np.random.SeedSequence(spec.seed, spawn_key=key))
    patient_id = f"{site.name[0].upper()}-{key[1] + 1:03d}"
    lesion = float(rng.uniform(*LESION_SHARES)) * mutated
    bland = max(float(rng.uniform(*BLAND_SHARES)) - DISPLACED * lesion, 0.02)
    age, sex = int(np.clip(rng.normal(64, 9), 30, 90)), str(rng.choice(["F", "M"]))
    plans = tuple(
        SlidePlan(
            slide_id=f"{patient_id}-{number + 1}",
            patient_id=patient_id,
            site=site,
            seed=(spec.seed, (*key, number)),
            width_um=spec.width_um,
            height_um=spec.height_um,
            tissue_mm2=spec.tissue_mm2,
            lesion_share=lesion,
            bland_share=bland,
            pen=str(rng.choice(sorted(PEN_COLOURS))) if marked and number == 0 else None,
            blurred=bool(rng.random() < 0.25),
        )
        for number in range(n_slides)
    )
    return Patient(patient_id, site, mutated, age, sex, plans)
