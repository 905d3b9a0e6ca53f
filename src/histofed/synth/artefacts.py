"""What glass and scanner add: pen, blur, and the noise of the sensor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from scipy import ndimage

from histofed.synth.tissue import UM_PER_CELL, UM_PER_PX

if TYPE_CHECKING:
    from numpy.typing import NDArray

PEN_COLOURS = {"green": (0.22, 0.68, 0.42), "blue": (0.24, 0.38, 0.76)}
"""Light that passes a stroke, per channel."""

PEN_WIDTH_UM = 62.0
NOISE_PX = 512


def pen_stroke(
    rng: np.random.Generator,
    rgb_HW3: NDArray[np.uint8],
    tissue_HW: NDArray[np.bool_],
    *,
    colour: str,
) -> None:
    """Draw a marker stroke, in place, on the glass beside the tissue and just over its edge."""
    ys, xs = np.nonzero(tissue_HW[::8, ::8])
    points_um = np.stack([xs, ys], axis=1) * (8 * UM_PER_PX)
    outward = rng.uniform(0, 2 * np.pi)
    normal = np.array([np.cos(outward), np.sin(outward)])
    tangent = np.array([-normal[1], normal[0]])
    rim_um = points_um[np.argmax(points_um @ normal)]
    along = np.linspace(-1, 1, 120) * rng.uniform(140, 200)
    wobble = 7 * np.sin(along / 60 + rng.uniform(0, 6)) + rng.uniform(4, 14)
    path_um = rim_um + np.outer(along, tangent) + np.outer(wobble, normal)

    size = tissue_HW.shape[1], tissue_HW.shape[0]
    coarse = Image.new("L", (size[0] // 8, size[1] // 8))
    draw = ImageDraw.Draw(coarse)
    for x, y in (path_um / UM_PER_CELL).tolist():
        draw.circle((x, y), PEN_WIDTH_UM / UM_PER_CELL / 2, fill=255)
    smooth = coarse.filter(ImageFilter.GaussianBlur(1.2))
    ink = np.asarray(smooth.resize(size, Image.Resampling.BICUBIC), np.float32) / 255
    # Ink is uneven: the felt leaves streaks.
    streaks = 0.9 + 0.12 * np.sin(np.arange(size[0]) / 9 + rng.uniform(0, 6)).astype(np.float32)
    rows, columns = (slice(n.min(), n.max() + 1) for n in np.nonzero(ink > 0))
    strength = ink[rows, columns] * streaks[columns]
    for channel, passed in enumerate(PEN_COLOURS[colour]):
        light = rgb_HW3[rows, columns, channel]
        light[...] = light * np.float32(passed) ** strength


def out_of_focus(
    rng: np.random.Generator, rgb_HW3: NDArray[np.uint8], tissue_HW: NDArray[np.bool_]
) -> None:
    """Blur a round area of the tissue, in place, with a gradual border."""
    ys, xs = np.nonzero(tissue_HW[::8, ::8])
    chosen = rng.integers(len(ys))
    row, column = int(ys[chosen]) * 8, int(xs[chosen]) * 8
    radius = round(rng.uniform(110, 150) / UM_PER_PX)
    rows = slice(max(row - radius, 0), row + radius)
    columns = slice(max(column - radius, 0), column + radius)
    sharp = rgb_HW3[rows, columns].astype(np.float32)
    y, x = np.ogrid[
        rows.start : rows.start + len(sharp), columns.start : columns.start + sharp.shape[1]
    ]
    distance = np.hypot(y - row, x - column) / radius
    weight = np.clip((1 - distance) * 4, 0, 1)[..., None].astype(np.float32)
    sigma = 2.8 / UM_PER_PX
    blurred = ndimage.gaussian_filter(sharp, (sigma, sigma, 0), truncate=2.5)
    rgb_HW3[rows, columns] = sharp + weight * (blurred - sharp)


def sensor_noise(rng: np.random.Generator, rgb_HW3: NDArray[np.uint8], *, deviation: float) -> None:
    """Add the sensor's noise, in place: one field of it, laid again and again; nobody sees it."""
    field = rng.standard_normal((NOISE_PX, NOISE_PX, 3), dtype=np.float32) * np.float32(deviation)
    grain = np.rint(field).astype(np.int16)
    height, width = rgb_HW3.shape[:2]
    for top in range(0, height, NOISE_PX):
        for left in range(0, width, NOISE_PX):
            block = rgb_HW3[top : top + NOISE_PX, left : left + NOISE_PX]
            noisy = block + grain[: block.shape[0], : block.shape[1]]
            block[...] = np.clip(noisy, 0, 255, out=noisy)
