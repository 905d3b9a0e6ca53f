"""The ground: where tissue lies, its stroma, its fat, and room for structures.

Everything is laid out in microns on a canvas of two dyes at `UM_PER_PX`; scanners resample it.
Array suffixes: H height, W width of the canvas in pixels; N points.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

UM_PER_PX = 0.5
UM_PER_CELL = 4.0
"""Side of a cell of the coarse map in which room is found; also that of the ground truth."""

BORDER_UM = 44.0
"""Tissue keeps this far from the border of the slide."""


@dataclass(slots=True)
class Canvas:
    """Dye amounts of a slide (1 is a well-stained nucleus or fibre) and where tissue is."""

    haematoxylin_HW: NDArray[np.float32]
    eosin_HW: NDArray[np.float32]
    tissue_HW: NDArray[np.bool_]

    def trim(self) -> None:
        """Remove what was painted over the edge; cut edges are a micron soft, as sections are."""
        soft = ndimage.uniform_filter(self.tissue_HW.astype(np.float32), 3)
        self.haematoxylin_HW *= soft
        self.eosin_HW *= soft

    def window(self, x_um: float, y_um: float, reach_um: float) -> Window:
        """Return the square of half-side ``reach_um`` around a point, cut at the border."""
        height, width = self.tissue_HW.shape
        left, right = (round((x_um + d) / UM_PER_PX) for d in (-reach_um, reach_um))
        top, bottom = (round((y_um + d) / UM_PER_PX) for d in (-reach_um, reach_um))
        rows = slice(max(top, 0), min(bottom, height))
        columns = slice(max(left, 0), min(right, width))
        ys, xs = np.ogrid[rows, columns]
        dy = ((ys + 0.5) * UM_PER_PX - y_um).astype(np.float32)
        dx = ((xs + 0.5) * UM_PER_PX - x_um).astype(np.float32)
        return Window(where=(rows, columns), dx=dx, dy=dy)


@dataclass(frozen=True, slots=True)
class Window:
    """A part of the canvas with the offsets of its pixels from a centre, in microns."""

    where: tuple[slice, slice]
    dx: NDArray[np.float32]
    dy: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Blob:
    """A rounded, irregular outline: the radius is a short Fourier series of the angle."""

    x_um: float
    y_um: float
    radius_um: float
    waves: tuple[tuple[int, float, float], ...]

    @classmethod
    def random(
        cls, rng: np.random.Generator, at_um: tuple[float, float], *, radius_um: float, rough: float
    ) -> Blob:
        """Return a blob whose radius varies by about ``rough`` (0 is a circle)."""
        waves = tuple(
            (k, float(rng.normal(0, rough / k)), float(rng.uniform(0, 2 * np.pi)))
            for k in (2, 3, 4, 5)
        )
        return cls(*at_um, radius_um, waves)

    def inside_um(self, dx: NDArray[np.float32], dy: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return how deep offsets lie inside the outline, in microns; negative is outside."""
        angle = np.arctan2(dy, dx)
        radius = np.ones_like(angle)
        for k, amplitude, phase in self.waves:
            radius += np.float32(amplitude) * np.cos(k * angle + np.float32(phase))
        return np.asarray(self.radius_um * radius - np.hypot(dx, dy), np.float32)


class Room:
    """Free tissue on the coarse map; structures claim their place so that none overlap."""

    def __init__(self, tissue_HW: NDArray[np.bool_]) -> None:
        self._free = on_cells(tissue_HW) >= 0.99

    def claim(self, rng: np.random.Generator, radius_um: float) -> tuple[float, float] | None:
        """Return the centre (x, y) in microns of a free disc, now taken, or None if there is none.

        A little more than the disc is taken, so that stroma remains between neighbours.
        """
        depth_um = ndimage.distance_transform_edt(np.pad(self._free, 1))[1:-1, 1:-1] * UM_PER_CELL
        rows, columns = np.nonzero(depth_um >= radius_um)
        if len(rows) == 0:
            return None
        chosen = rng.integers(len(rows))
        row, column = rows[chosen], columns[chosen]
        ys, xs = np.ogrid[: self._free.shape[0], : self._free.shape[1]]
        reach = (radius_um + 10) / UM_PER_CELL
        self._free[(ys - row) ** 2 + (xs - column) ** 2 <= reach**2] = False
        return float(column + 0.5) * UM_PER_CELL, float(row + 0.5) * UM_PER_CELL


def on_cells(map_HW: NDArray[np.generic]) -> NDArray[np.float32]:
    """Return the mean of a canvas map over each cell of `UM_PER_CELL`."""
    k = round(UM_PER_CELL / UM_PER_PX)
    rows, columns = map_HW.shape[0] // k, map_HW.shape[1] // k
    cells = map_HW.reshape(rows, k, columns, k)
    return np.asarray(cells.mean(axis=(1, 3), dtype=np.float32))


def noise(
    rng: np.random.Generator,
    shape: tuple[int, int],
    scale_um: float,
    *,
    um_per_px: float = UM_PER_PX,
) -> NDArray[np.float32]:
    """Return smooth noise, of unit variance at its knots ``scale_um`` apart."""
    knots = [max(round(n * um_per_px / scale_um), 1) + 2 for n in shape]
    coarse = rng.standard_normal(knots, dtype=np.float32)
    return np.asarray(Image.fromarray(coarse).resize(shape[::-1], Image.Resampling.BICUBIC))


def hexagonal(
    rng: np.random.Generator, width_um: float, height_um: float, *, spacing_um: float, jitter: float
) -> NDArray[np.float32]:
    """Return points ``(N, 2)`` of a disturbed hexagonal lattice over a rectangle, in microns."""
    row_um = spacing_um * np.sqrt(0.75)
    columns, rows = int(width_um / spacing_um) + 2, int(height_um / row_um) + 2
    xs, ys = np.meshgrid(np.arange(columns) * spacing_um, np.arange(rows) * row_um)
    xs[1::2] += spacing_um / 2
    points = np.stack([xs, ys], axis=-1).reshape(-1, 2)
    points += rng.normal(0, jitter * spacing_um, points.shape)
    kept = (points >= 0).all(1) & (points < (width_um, height_um)).all(1)
    return points[kept].astype(np.float32)


def outline(
    rng: np.random.Generator, shape: tuple[int, int], *, area_mm2: float, pieces: int
) -> NDArray[np.bool_]:
    """Return a tissue mask ``(H, W)`` of the area asked, in one or two irregular pieces."""
    # The relief is smooth: laid out on the coarse map, cut on the canvas.
    k = round(UM_PER_CELL / UM_PER_PX)
    cells = shape[0] // k, shape[1] // k
    height_um, width_um = cells[0] * UM_PER_CELL, cells[1] * UM_PER_CELL
    ys, xs = ((grid + np.float32(0.5)) * UM_PER_CELL for grid in np.ogrid[: cells[0], : cells[1]])
    relief_um = np.full(cells, -np.inf, np.float32)
    for piece in range(pieces):
        shift = (piece - (pieces - 1) / 2) * 0.5
        x_um = width_um * (0.5 + shift + rng.normal(0, 0.015))
        y_um = height_um * (0.5 + rng.normal(0, 0.02))
        radius_um = min(width_um / pieces, height_um) / 2
        blob = Blob.random(rng, (x_um, y_um), radius_um=radius_um, rough=0.16)
        flatten = 2 * radius_um / height_um
        np.maximum(relief_um, blob.inside_um(xs - x_um, (ys - y_um) * flatten), out=relief_um)
    relief_um += 11 * noise(rng, cells, 60.0, um_per_px=UM_PER_CELL)
    relief_um += 4 * noise(rng, cells, 18.0, um_per_px=UM_PER_CELL)
    border_um = np.minimum(np.minimum(xs, width_um - xs), np.minimum(ys, height_um - ys))
    np.minimum(relief_um, 2 * (border_um - BORDER_UM), out=relief_um)
    # Whatever the shape, its area is the one asked: cut the relief at that level.
    share = area_mm2 * 1e6 / (height_um * width_um)
    level_um = np.quantile(relief_um, 1 - share)
    fine_um = Image.fromarray(relief_um).resize(shape[::-1], Image.Resampling.BICUBIC)
    return np.asarray(fine_um) > level_um


@dataclass(frozen=True, slots=True)
class Fibres:
    """The course of the stroma's fibres."""

    angle_cells: NDArray[np.float32]
    """Direction in radians on the coarse map."""

    def angle_at(self, points_N2: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the direction of the fibres at points in microns."""
        columns, rows = (points_N2 / UM_PER_CELL).astype(int).T
        last_row, last_column = (n - 1 for n in self.angle_cells.shape)
        return self.angle_cells[np.minimum(rows, last_row), np.minimum(columns, last_column)]


def stroma(rng: np.random.Generator, tissue_HW: NDArray[np.bool_]) -> tuple[Canvas, Fibres]:
    """Return a canvas filled with wavy eosinophilic fibres, split by clefts."""
    shape = tissue_HW.shape
    ys, xs = np.ogrid[: shape[0], : shape[1]]
    course = rng.uniform(0, np.pi)
    across_um = (xs * np.cos(course) + ys * np.sin(course)).astype(np.float32) * UM_PER_PX
    across_um = across_um + 55 * noise(rng, shape, 210.0)
    gradient_y, gradient_x = np.gradient(on_cells(across_um))
    fibres = Fibres(np.arctan2(gradient_x, -gradient_y).astype(np.float32))

    across_um += 5 * noise(rng, shape, 24.0)
    bundles = noise(rng, shape, 75.0)
    turn = np.float32(2 * np.pi)
    # Two periods that are no multiple of one another: fibres, not a fingerprint.
    wave = np.sin(across_um * (turn / 7.3)) + np.sin(across_um * (turn / 11.9) + 2 * bundles)
    eosin = 0.60 + 0.05 * wave * (0.6 + bundles)
    eosin += 0.12 * noise(rng, shape, 130.0) + 0.05 * noise(rng, shape, 2.0)
    cleft = np.sin(across_um * (turn / 31.0) + 3 * bundles) - 0.8
    torn = noise(rng, shape, 48.0) - 0.7
    eosin *= 1 - np.clip(cleft * np.clip(torn, 0, 1) * 14, 0, 0.95)
    np.clip(eosin, 0, None, out=eosin)
    haematoxylin = 0.05 + 0.03 * eosin
    return Canvas(haematoxylin, eosin, tissue_HW), fibres


def fat(
    rng: np.random.Generator, canvas: Canvas, at_um: tuple[float, float], radius_um: float
) -> None:
    """Empty a cluster of round fat cells; thin membranes remain between them."""
    cell_um = rng.uniform(19, 27)
    offsets = hexagonal(rng, 2 * radius_um, 2 * radius_um, spacing_um=2 * cell_um, jitter=0.05)
    for dx, dy in offsets - radius_um:
        if np.hypot(dx, dy) > radius_um - cell_um * 0.7:
            continue
        x_um, y_um = at_um[0] + float(dx), at_um[1] + float(dy)
        size_um = cell_um * rng.uniform(0.85, 1.0)
        cell = Blob.random(rng, (x_um, y_um), radius_um=size_um, rough=0.05)
        window = canvas.window(x_um, y_um, size_um * 1.3)
        kept = 1 - np.clip(cell.inside_um(window.dx, window.dy) / 1.2 + 0.5, 0, 1)
        canvas.eosin_HW[window.where] *= kept
        canvas.haematoxylin_HW[window.where] *= kept
