"""Cells: nuclei of each kind, and the structures they form.

Nests of large pleomorphic nuclei with prominent nucleoli are the planted lesion. Nests of even,
bland nuclei, glands and lymphoid aggregates are confusers. A patient without the mutation has
bland nests where a mutated one has the lesion's, so neither the density of nuclei nor the amount
of haematoxylin tells the classes apart: the look of the nuclei does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from histofed.synth.tissue import UM_PER_PX, Blob, hexagonal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from histofed.synth.tissue import Canvas, Fibres

ANGLES = 12
VARIANTS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class NucleusKind:
    """How nuclei of one cell type look.

    Attributes
    ----------
    length_um, width_um
        Mean axes.
    spread
        Relative standard deviation of the size: pleomorphism.
    rough
        Irregularity of the outline.
    dye
        Haematoxylin at the rim.
    pale
        How much less there is in the middle (0 is a solid, 1 an empty nucleus).
    clumps
        Contrast of the chromatin.
    nucleolus
        Haematoxylin of the nucleolus.
    halo_um
        Width of the cleared rim around the nucleus.
    """

    length_um: float
    width_um: float
    spread: float = 0.12
    rough: float = 0.04
    dye: float = 1.1
    pale: float = 0.15
    clumps: float = 0.12
    nucleolus: float = 0.0
    halo_um: float = 0.0


SPINDLE = NucleusKind(length_um=12.0, width_um=3.4, spread=0.2)
LYMPHOCYTE = NucleusKind(length_um=6.4, width_um=6.0, spread=0.08, dye=1.35, pale=0.05)
EPITHELIUM = NucleusKind(length_um=9.0, width_um=6.2, pale=0.3)
BENIGN = NucleusKind(
    length_um=10.5,
    width_um=8.7,
    spread=0.115,
    rough=0.045,
    dye=1.26,
    pale=0.4,
    clumps=0.21,
    nucleolus=0.22,
    halo_um=1.0,
)
LESION = NucleusKind(
    length_um=10.8,
    width_um=8.6,
    spread=0.175,
    rough=0.085,
    dye=1.26,
    pale=0.4,
    clumps=0.25,
    nucleolus=0.5,
    halo_um=1.0,
)


@dataclass(frozen=True, slots=True)
class _Stamp:
    """One nucleus: what it keeps of the canvas below and what it adds."""

    keep: NDArray[np.float32]
    haematoxylin: NDArray[np.float32]
    eosin: NDArray[np.float32]


class Stamps:
    """A stock of nuclei of one kind in every direction: painting is then two sums a nucleus."""

    def __init__(self, rng: np.random.Generator, kind: NucleusKind) -> None:
        self._rng = rng
        self._stock = [
            [_stamp(rng, kind, np.pi * turn / ANGLES) for _ in range(VARIANTS)]
            for turn in range(ANGLES)
        ]

    def paint(
        self,
        canvas: Canvas,
        points_N2: NDArray[np.float32],
        angles_N: NDArray[np.float32] | None = None,
    ) -> None:
        """Paint a nucleus at each point (microns), along ``angles_N`` (radians) or at random."""
        count = len(points_N2)
        if angles_N is None:
            turns = self._rng.integers(ANGLES, size=count)
        else:
            turns = np.rint(angles_N * (ANGLES / np.pi)).astype(int) % ANGLES
        variants = self._rng.integers(VARIANTS, size=count)
        corners = np.rint(points_N2 / UM_PER_PX).astype(int)
        for (x, y), turn, variant in zip(corners, turns, variants, strict=True):
            stamp = self._stock[turn][variant]
            half = len(stamp.keep) // 2
            if y < half or x < half:
                continue
            where = slice(y - half, y + half + 1), slice(x - half, x + half + 1)
            below_h, below_e = canvas.haematoxylin_HW[where], canvas.eosin_HW[where]
            if below_h.shape != stamp.keep.shape:
                continue
            below_h *= stamp.keep
            below_h += stamp.haematoxylin
            below_e *= stamp.keep
            below_e += stamp.eosin


def _stamp(rng: np.random.Generator, kind: NucleusKind, angle: float) -> _Stamp:
    size = float(np.clip(rng.normal(1, kind.spread), 0.55, 1.7))
    length, width = kind.length_um * size / 2, kind.width_um * size / 2
    width *= float(np.clip(rng.normal(1, kind.spread / 2), 0.7, 1.3))
    half = int((length * (1 + 2 * kind.rough) + kind.halo_um) / UM_PER_PX) + 3
    ys, xs = np.mgrid[-half : half + 1, -half : half + 1].astype(np.float32) * UM_PER_PX
    along = (xs * np.cos(angle) + ys * np.sin(angle)) / length
    across = (ys * np.cos(angle) - xs * np.sin(angle)) / width
    unit = Blob.random(rng, (0, 0), radius_um=1.0, rough=kind.rough * 2)
    inside = unit.inside_um(along, across)
    depth_um = inside * width

    cover = np.clip(depth_um / 0.8 + 0.5, 0, 1)
    halo = np.clip((depth_um + kind.halo_um) / 1.6 + 0.5, 0, 1) * 0.45 if kind.halo_um else 0.0
    middle = np.clip(inside, 0, 1) ** 0.6
    texture = ndimage.gaussian_filter(rng.standard_normal(xs.shape), 1.3) * 3
    dye = kind.dye * rng.normal(1, 0.1) * (1 - kind.pale * middle + kind.clumps * texture)
    if kind.nucleolus:
        for _ in range(rng.integers(1, 3)):
            x, y = rng.normal(0, 0.18, 2) * width
            dye += kind.nucleolus * np.exp(-((xs - x) ** 2 + (ys - y) ** 2) / (2 * 0.8**2))
    return _Stamp(
        keep=((1 - cover) * (1 - halo)).astype(np.float32),
        haematoxylin=(cover * np.clip(dye, 0, None)).astype(np.float32),
        eosin=(0.18 * cover).astype(np.float32),
    )


@dataclass(frozen=True, slots=True)
class CellStock:
    """The stamps of one slide."""

    spindle: Stamps
    lymphocyte: Stamps
    epithelium: Stamps
    benign: Stamps
    lesion: Stamps

    @classmethod
    def random(cls, rng: np.random.Generator) -> CellStock:
        """Return a fresh stock."""
        kinds = (SPINDLE, LYMPHOCYTE, EPITHELIUM, BENIGN, LESION)
        return cls(*(Stamps(rng, kind) for kind in kinds))


def scatter(
    rng: np.random.Generator,
    canvas: Canvas,
    *,
    fibres: Fibres,
    density: NDArray[np.float32],
    stock: CellStock,
) -> None:
    """Strew the stroma: spindle cells along the fibres, a few lymphocytes between.

    Parameters
    ----------
    density
        ``(H, W)`` chance that a place of the lattice holds a cell.
    """
    height, width = density.shape
    points = hexagonal(rng, width * UM_PER_PX, height * UM_PER_PX, spacing_um=16.0, jitter=0.22)
    columns, rows = (points / UM_PER_PX).astype(int).T
    # No cell floats in a cleft.
    room = canvas.eosin_HW[rows, columns] > 0.3
    points = points[room & (rng.random(len(points)) < density[rows, columns])]
    is_spindle = rng.random(len(points)) < 0.8
    along = fibres.angle_at(points[is_spindle]) + rng.normal(0, 0.2, is_spindle.sum())
    stock.spindle.paint(canvas, points[is_spindle], along.astype(np.float32))
    stock.lymphocyte.paint(canvas, points[~is_spindle])


def gland(rng: np.random.Generator, canvas: Canvas, shape: Blob, stock: CellStock) -> None:
    """Paint a ring of columnar epithelium around a lumen."""
    wall_um = rng.uniform(13, 17)
    window = canvas.window(shape.x_um, shape.y_um, shape.radius_um * 1.4)
    depth = shape.inside_um(window.dx, window.dy)
    _fill(canvas, window.where, depth, haematoxylin=0.16, eosin=0.5)
    _fill(canvas, window.where, depth - wall_um, haematoxylin=0.01, eosin=0.05)
    for ring_um, spacing_um in ((4.5, 6.6), (8.0, 13.0)):
        count = int(2 * np.pi * (shape.radius_um - ring_um) / spacing_um)
        angles = np.arange(count) * (2 * np.pi / count) + rng.normal(0, 0.04, count)
        angles_N = angles.astype(np.float32)
        stock.epithelium.paint(canvas, _at_depth(shape, angles_N, ring_um), angles_N)


def aggregate(rng: np.random.Generator, canvas: Canvas, shape: Blob, stock: CellStock) -> None:
    """Paint a crowd of lymphocytes."""
    window = canvas.window(shape.x_um, shape.y_um, shape.radius_um * 1.4)
    depth = shape.inside_um(window.dx, window.dy)
    _fill(canvas, window.where, depth, haematoxylin=0.14, eosin=0.36, soft_um=8.0)
    stock.lymphocyte.paint(canvas, _within(rng, shape, spacing_um=7.0, margin_um=-2.0))


def bland_nest(rng: np.random.Generator, canvas: Canvas, shape: Blob, stock: CellStock) -> None:
    """Paint a nest that is not the lesion."""
    _nest(rng, canvas, shape, stock.benign)


def lesion_nest(rng: np.random.Generator, canvas: Canvas, shape: Blob, stock: CellStock) -> None:
    """Paint a nest of the lesion."""
    _nest(rng, canvas, shape, stock.lesion)


def _nest(rng: np.random.Generator, canvas: Canvas, shape: Blob, stamps: Stamps) -> None:
    """Paint a crowd of cells in clear cytoplasm, pulled off the stroma on one side."""
    window = canvas.window(shape.x_um, shape.y_um, shape.radius_um * 1.5)
    depth = shape.inside_um(window.dx, window.dy)
    cleft = np.clip(1 - np.abs(depth + 1.5) / 2.0, 0, 1) * (window.dx * rng.normal() > 0)
    canvas.eosin_HW[window.where] *= 1 - 0.7 * cleft
    _fill(canvas, window.where, depth, haematoxylin=0.20, eosin=0.42)
    spacing_um = rng.uniform(11.0, 13.5)
    stamps.paint(canvas, _within(rng, shape, spacing_um=spacing_um, margin_um=5.0))


def _fill(
    canvas: Canvas,
    where: tuple[slice, slice],
    depth_um: NDArray[np.float32],
    *,
    haematoxylin: float,
    eosin: float,
    soft_um: float = 1.5,
) -> None:
    """Replace the stroma inside an outline by a cytoplasm that keeps a little of its grain."""
    cover = np.clip(depth_um / soft_um + 0.5, 0, 1)
    for dye, amount in ((canvas.haematoxylin_HW, haematoxylin), (canvas.eosin_HW, eosin)):
        below = dye[where]
        grain = amount * (0.8 + 0.3 * below)
        below += cover * (grain - below)


def _within(
    rng: np.random.Generator, shape: Blob, *, spacing_um: float, margin_um: float
) -> NDArray[np.float32]:
    """Return lattice points in an outline, at least ``margin_um`` deep, in microns."""
    reach = shape.radius_um * 1.5
    offsets = hexagonal(rng, 2 * reach, 2 * reach, spacing_um=spacing_um, jitter=0.14) - reach
    kept = offsets[shape.inside_um(offsets[:, 0], offsets[:, 1]) > margin_um]
    return np.asarray(kept + np.array([shape.x_um, shape.y_um]), np.float32)


def _at_depth(shape: Blob, angles_N: NDArray[np.float32], depth_um: float) -> NDArray[np.float32]:
    """Return the points ``(N, 2)`` that lie ``depth_um`` inside the outline at these angles."""
    dx, dy = np.cos(angles_N), np.sin(angles_N)
    radius = shape.inside_um(dx, dy) + 1 - depth_um
    return np.stack([shape.x_um + radius * dx, shape.y_um + radius * dy], axis=1)
