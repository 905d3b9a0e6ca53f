"""One synthetic slide: laid out in microns, stained, marked, scanned.

The picture imitates haematoxylin and eosin well enough to exercise a pipeline; it is not tissue
and teaches nothing about a disease.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from histofed.synth import artefacts
from histofed.synth.cells import CellStock, aggregate, bland_nest, gland, lesion_nest, scatter
from histofed.synth.tissue import UM_PER_CELL, UM_PER_PX, Blob, Room, fat, noise, on_cells, outline
from histofed.synth.tissue import stroma as lay_stroma

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from histofed.synth.stain import Site
    from histofed.synth.tissue import Canvas

LESION_MPP = UM_PER_CELL
"""Microns per pixel of a lesion mask, exactly."""

GLANDS_PER_MM2 = 6.0
AGGREGATES_PER_MM2 = 4.0
FAT_PER_MM2 = 1.6
NEST_RADII_UM = (40.0, 85.0)
SMALLEST_NEST_UM = 26.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SlidePlan:
    """All that a slide follows from.

    Attributes
    ----------
    seed
        Entropy and spawn key: a slide depends on nothing made before it.
    width_um, height_um
        Field of the scanner, whole multiples of `LESION_MPP`.
    lesion_share, bland_share
        Fractions of the tissue that nests of the lesion and bland nests cover; there is a lesion
        only in mutated patients.
    pen
        Colour of a marker stroke, or None.
    """

    slide_id: str
    patient_id: str
    site: Site
    seed: tuple[int, tuple[int, ...]]
    width_um: float
    height_um: float
    tissue_mm2: float
    lesion_share: float
    bland_share: float
    pen: str | None
    blurred: bool


def render(plan: SlidePlan) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Return a slide's level 0 ``(H, W, 3)`` and its lesion mask at `LESION_MPP`."""
    entropy, spawn_key = plan.seed
    rng = np.random.default_rng(np.random.SeedSequence(entropy, spawn_key=spawn_key))
    shape = round(plan.height_um / UM_PER_PX), round(plan.width_um / UM_PER_PX)
    pieces = 2 if rng.random() < 0.2 else 1
    tissue = outline(rng, shape, area_mm2=plan.tissue_mm2, pieces=pieces)
    canvas, lesion = _lay_out(rng, tissue, plan)
    rgb = plan.site.stain.vary(rng).through(canvas.haematoxylin_HW, canvas.eosin_HW)
    if plan.blurred:
        artefacts.out_of_focus(rng, rgb, tissue)
    if plan.pen is not None:
        artefacts.pen_stroke(rng, rgb, tissue, colour=plan.pen)
    scanned = _scan(rgb, plan)
    artefacts.sensor_noise(rng, scanned, deviation=plan.site.noise)
    return scanned, on_cells(lesion) >= 0.5


def _lay_out(
    rng: np.random.Generator, tissue: NDArray[np.bool_], plan: SlidePlan
) -> tuple[Canvas, NDArray[np.bool_]]:
    """Return the dyes of a slide and where its lesion is, both on the canvas."""
    canvas, fibres = lay_stroma(rng, tissue)
    stock = CellStock.random(rng)
    density = 0.5 + 0.22 * noise(rng, tissue.shape, 160.0)
    scatter(rng, canvas, fibres=fibres, density=density, stock=stock)
    room = Room(tissue)
    tissue_um2 = float(tissue.sum()) * UM_PER_PX**2
    _benign(rng, canvas, room=room, stock=stock, tissue_mm2=tissue_um2 / 1e6)
    lesion = np.zeros_like(tissue)
    for shape in _nest_shapes(rng, room, wanted_um2=plan.lesion_share * tissue_um2):
        lesion_nest(rng, canvas, shape, stock)
        window = canvas.window(shape.x_um, shape.y_um, shape.radius_um * 1.5)
        lesion[window.where] |= shape.inside_um(window.dx, window.dy) > 0
    for shape in _nest_shapes(rng, room, wanted_um2=plan.bland_share * tissue_um2):
        bland_nest(rng, canvas, shape, stock)
    canvas.trim()
    return canvas, lesion & tissue


def _nest_shapes(rng: np.random.Generator, room: Room, *, wanted_um2: float) -> Iterator[Blob]:
    """Yield outlines of nests until they cover the area wanted, as far as there is room."""
    radius_um = 0.0
    while wanted_um2 > 500:
        if not radius_um:
            largest_um = max((wanted_um2 / np.pi) ** 0.5, SMALLEST_NEST_UM)
            radius_um = min(rng.uniform(*NEST_RADII_UM), largest_um)
        at_um = room.claim(rng, radius_um)
        if at_um is None and radius_um < SMALLEST_NEST_UM / 2:
            return
        if at_um is None:
            radius_um *= 0.85  # No room for one this large: a smaller one.
            continue
        yield Blob.random(rng, at_um, radius_um=radius_um, rough=0.14)
        wanted_um2 -= np.pi * radius_um**2
        radius_um = 0.0


def _benign(
    rng: np.random.Generator, canvas: Canvas, *, room: Room, stock: CellStock, tissue_mm2: float
) -> None:
    """Paint what both classes have alike: fat, glands, lymphoid aggregates."""
    for _ in range(rng.poisson(FAT_PER_MM2 * tissue_mm2)):
        radius_um = rng.uniform(60, 95)
        if at_um := room.claim(rng, radius_um):
            fat(rng, canvas, at_um, radius_um)
    for paint, rate, sizes_um in (
        (gland, GLANDS_PER_MM2, (34, 58)),
        (aggregate, AGGREGATES_PER_MM2, (34, 70)),
    ):
        for _ in range(rng.poisson(rate * tissue_mm2)):
            radius_um = rng.uniform(*sizes_um)
            if at_um := room.claim(rng, radius_um):
                paint(rng, canvas, Blob.random(rng, at_um, radius_um=radius_um, rough=0.13), stock)


def _scan(rgb: NDArray[np.uint8], plan: SlidePlan) -> NDArray[np.uint8]:
    """Return the picture at the scanner's resolution; the scale is exact, the rim is cut."""
    mpp = plan.site.mpp
    width_px, height_px = int(plan.width_um / mpp), int(plan.height_um / mpp)
    if mpp == UM_PER_PX:
        return rgb
    box = (0.0, 0.0, width_px * mpp / UM_PER_PX, height_px * mpp / UM_PER_PX)
    picture = Image.fromarray(rgb)
    # A copy: pictures of Pillow are read-only.
    return np.array(picture.resize((width_px, height_px), Image.Resampling.BICUBIC, box=box))
