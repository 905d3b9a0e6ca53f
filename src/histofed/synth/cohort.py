"""The embedded cohort on disk: slides, ground truth, table.

Everything follows from one seed, slide by slide, so slides may be made in any order and in any
number of processes.
"""

from __future__ import annotations

import csv
import json
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from histofed.core.words import counted
from histofed.errors import CohortError
from histofed.io.atomic import atomic_path, atomic_text
from histofed.io.pyramid import write_pyramid
from histofed.synth.patients import CohortSpec, draw_patients
from histofed.synth.slide import LESION_MPP, render

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from histofed.synth.slide import SlidePlan

__all__ = ["COLUMNS", "LESION_MPP", "CohortSpec", "make_cohort", "read_lesion_mask"]

COLUMNS = ("patient_id", "slide_id", "site", "path", "mutated", "age", "sex")


def make_cohort(
    folder: Path,
    spec: CohortSpec,
    *,
    workers: int | None = None,
    on_slide: Callable[[int, int], None] | None = None,
) -> Path:
    """Make a cohort, or what is missing of it, and return its table ``cohort.csv``.

    Writes ``slides/``, ``masks/`` (lesion masks, see `read_lesion_mask`), ``cohort.json`` and
    ``cohort.csv``. The bytes do not depend on ``workers``.

    Parameters
    ----------
    workers
        Processes; None takes one per core, 1 stays in this process.
    on_slide
        Told ``(done, total)`` after each slide made.

    Raises
    ------
    CohortError
        The folder holds a cohort of another specification, or slides that are not of this one.
    """
    table, marker = folder / "cohort.csv", folder / "cohort.json"
    if marker.exists():
        _check_same(marker, spec)
    plans = [plan for patient in draw_patients(spec) for plan in patient.plans]
    missing = [
        plan for plan in plans if not (marker.exists() and table.exists() and _made(folder, plan))
    ]
    if not missing:
        return table
    _check_strays(folder, plans)
    for done in _made_in_turn(folder, missing, workers=workers or os.cpu_count() or 1):
        if on_slide is not None:
            on_slide(done, len(missing))
    # Last: an interrupted run is not mistaken for a whole cohort.
    _write_table(table, spec)
    with atomic_text(marker) as file:
        json.dump(spec.record, file, indent=2)
    return table


def read_lesion_mask(folder: Path, slide_id: str) -> NDArray[np.bool_]:
    """Return where a slide's lesion is; one pixel is exactly ``LESION_MPP`` microns.

    Parameters
    ----------
    folder
        That of `make_cohort`.

    Raises
    ------
    CohortError
        There is no mask of this slide.
    """
    path = folder / "masks" / f"{slide_id}.png"
    if not path.is_file():
        msg = f"slide {slide_id}: no lesion mask at {path}; only the embedded cohort has them"
        raise CohortError(msg)
    with Image.open(path) as picture:
        return np.asarray(picture) > 127


def _slide_path(plan: SlidePlan) -> str:
    return f"slides/{plan.slide_id}{plan.site.suffix}"


def _made(folder: Path, plan: SlidePlan) -> bool:
    mask = folder / "masks" / f"{plan.slide_id}.png"
    return (folder / _slide_path(plan)).is_file() and mask.is_file()


def _make_slide(plan: SlidePlan, *, folder: Path) -> None:
    rgb, lesion = render(plan)
    with atomic_path(folder / "masks" / f"{plan.slide_id}.png") as path:
        Image.fromarray(lesion.astype(np.uint8) * 255).save(path, "PNG")
    site = plan.site
    write_pyramid(
        folder / _slide_path(plan),
        rgb,
        mpp=site.mpp,
        objective_power=site.objective_power,
        vendor=site.vendor,
    )


def _made_in_turn(folder: Path, plans: list[SlidePlan], *, workers: int) -> Iterator[int]:
    """Make slides and count them."""
    make = partial(_make_slide, folder=folder)
    if workers == 1 or len(plans) == 1:
        for done, plan in enumerate(plans, start=1):
            make(plan)
            yield done
        return
    # Spawned, not forked: the parent may hold threads of torch or a progress bar.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(plans)), mp_context=context) as pool:
        futures = [pool.submit(make, plan) for plan in plans]
        try:
            for done, future in enumerate(as_completed(futures), start=1):
                future.result()
                yield done
        finally:
            pool.shutdown(cancel_futures=True)


def _write_table(path: Path, spec: CohortSpec) -> None:
    with atomic_text(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for patient in draw_patients(spec):
            for plan in patient.plans:
                writer.writerow(
                    [
                        patient.patient_id,
                        plan.slide_id,
                        patient.site.name,
                        _slide_path(plan),
                        int(patient.mutated),
                        patient.age,
                        patient.sex,
                    ]
                )


def _check_same(marker: Path, spec: CohortSpec) -> None:
    try:
        found = json.loads(marker.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        msg = f"{marker}: damaged ({error}); delete the folder {marker.parent} and make it again"
        raise CohortError(msg) from error
    if found != spec.record:
        msg = (
            f"{marker.parent} holds another cohort: asked for {spec.record}, found {found}; "
            "name another folder, or delete this one"
        )
        raise CohortError(msg)


def _check_strays(folder: Path, plans: list[SlidePlan]) -> None:
    """Refuse to mix with slides of another, interrupted cohort: nothing would tell them apart."""
    ours = {_slide_path(plan) for plan in plans}
    found = sorted(path.name for path in (folder / "slides").glob("[!.]*"))
    if strays := [name for name in found if f"slides/{name}" not in ours]:
        msg = (
            f"{folder / 'slides'} holds {counted(len(strays), 'slide')} of something else (first: "
            f"{strays[0]}); name another folder, or delete this one"
        )
        raise CohortError(msg)
