"""Quality flags of tiles: unreadable, off stain, pen, blur, dark, fat.

Tiles are looked at once, at a fixed and coarse resolution, so that flags mean the same on every
scanner and cost little. A flag is a finding, not a deletion: every tile with tissue is stored with
its flags, and ``quality.drop`` says which of them keep a tile from the encoder.

Array suffixes: N tiles, H x W pixels, 3 RGB or hue, saturation, value.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage
from skimage.color import rgb2hsv

from histofed.core.quality import FLAGS, bits
from histofed.errors import ConfigError
from histofed.extract.tissue.ink import INK_HUES, INK_MIN_SATURATION, is_ink

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

REBLUR_UM = 1.4
"""The tile is blurred once more by this much to learn how blurred it was."""

MIN_CONTRAST = 2.0
"""Deviation in grey levels below which a tile has nothing that could be sharp: glass."""

DENSITY_WINDOW_UM = 16.0
"""Wider than a nucleus, narrower than a fold: a dense nucleus is not a dark area."""

GLASS_MAX_SATURATION, GLASS_MIN_VALUE = 0.08, 0.75
"""Greyer and brighter than this is glass or the inside of a fat cell."""

STAIN_HUES = (0.62, 0.985)
"""Blue-violet to red: what haematoxylin, eosin and Giemsa let through."""

FOREIGN_HUES, FOREIGN_MIN_SATURATION = (0.14, 0.58), 0.12
"""Yellow, green and teal: no stain read here lets them through (brown DAB is at 0.05 to 0.12)."""

DARK_VALUE = 0.15
"""Darker than this is no light: transmitted light that strong a stain does not stop."""

LIGHT_SHARE, LIGHT_MIN_VALUE, LIGHT_MAX_SATURATION = 0.01, 0.5, 0.25
"""The brightest hundredth of a slide shows its light, which through glass is bright and grey."""

WHOLE_LIGHT, STOPPED_LIGHT, MAX_MAGENTA = 253, 191, 0.05
"""Red and blue as bright as can be, green weakened by a quarter: what stops green stops some of the
others too. RGB pixels whose file calls them YCbCr show glass so, in a hue that stains have."""

MIN_BLUR_PX = 0.75
"""Sharp tissue reads as blurred by half a pixel; a limit closer than this would drop it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QualitySpec:
    """What counts as a flaw, and which flaws keep a tile from the encoder.

    The measured false-positive rates and sensitivities are in ``docs/benchmarks.md``.

    Attributes
    ----------
    mpp
        Resolution at which tiles are looked at, microns per pixel.
    drop
        Flags that drop a tile; the others are only stored.
    max_blur_um
        Edges blurred by more than this (the sigma of a Gaussian) are out of focus. A nucleus is 6
        to 10 um wide: its outline is lost at about 2. What is sharp counts most, so a tile is
        flagged only if nearly all of it is blurred: on real tiles 19 of 20 parts blurred by 4 um
        flag one tile in seven, half of it none.
    max_ink
        Share of the tile in the colour of a marker pen. Surgical ink on a margin stays below.
    max_density, max_dark
        A fold is tissue twice, so it absorbs twice: the share of the tile whose mean density over
        16 um exceeds ``max_density`` (decades of light).
    max_fat
        Share of the tile that the mask counts as tissue but that is as light as glass: fat cells,
        lumens.
    max_off_stain
        Share of the tile in colours that no stain has, or without light.
    max_unreadable
        Share of the tiles with tissue that may be unreadable before the slide is.
    allow_off_stain
        Let a slide through that was not seen in white light through a stain.
    """

    mpp: float = 2.0
    drop: tuple[str, ...] = ("unreadable", "pen", "blur")
    max_blur_um: float = 2.0
    max_ink: float = 0.05
    max_density: float = 0.7
    max_dark: float = 0.1
    max_fat: float = 0.25
    max_off_stain: float = 0.5
    max_unreadable: float = 0.2
    allow_off_stain: bool = False

    def __post_init__(self) -> None:
        """Refuse what would flag everything or nothing."""
        if unknown := sorted(set(self.drop) - set(FLAGS)):
            msg = f"quality.drop names {', '.join(unknown)}; flags are {', '.join(FLAGS)}"
            raise ConfigError(msg)
        # In one order: the same choice has the same digest.
        object.__setattr__(self, "drop", tuple(name for name in FLAGS if name in self.drop))
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type != "float":
                continue
            if not 0 < value < float("inf"):
                msg = f"quality.{field.name} must be positive, got {value}"
                raise ConfigError(msg)
            object.__setattr__(self, field.name, float(value))
        if self.max_blur_um < MIN_BLUR_PX * self.mpp:
            msg = (
                f"quality.max_blur_um={self.max_blur_um:g} cannot be told from the pixels of "
                f"quality.mpp={self.mpp:g}; use at least {MIN_BLUR_PX * self.mpp:g}, or finer ones"
            )
            raise ConfigError(msg)

    @property
    def record(self) -> dict[str, Any]:
        """Every parameter, for the feature file."""
        return {
            **asdict(self),
            "drop": list(self.drop),
            "reblur_um": REBLUR_UM,
            "min_contrast": MIN_CONTRAST,
            "density_window_um": DENSITY_WINDOW_UM,
            "ink": [*INK_HUES, INK_MIN_SATURATION],
            "glass": [GLASS_MAX_SATURATION, GLASS_MIN_VALUE],
            "foreign": [*FOREIGN_HUES, FOREIGN_MIN_SATURATION, DARK_VALUE],
        }


def flags_of(
    tiles_NHW3: NDArray[np.uint8], tissue_N: NDArray[np.floating], *, mpp: float, spec: QualitySpec
) -> NDArray[np.uint16]:
    """Return the flags of tiles that could be read.

    Parameters
    ----------
    tiles_NHW3
        RGB at ``mpp`` microns per pixel, about ``spec.mpp``.
    tissue_N
        Fraction of each tile that the tissue mask holds.
    """
    hsv = rgb2hsv(tiles_NHW3.astype(np.float32) / 255)  # twice as fast as in 64 bits
    hue, saturation, value = hsv[..., 0], hsv[..., 1], hsv[..., 2]
    light = (saturation < GLASS_MAX_SATURATION) & (value > GLASS_MIN_VALUE)
    foreign = (hue > FOREIGN_HUES[0]) & (hue < FOREIGN_HUES[1])
    foreign &= saturation > FOREIGN_MIN_SATURATION
    found: Mapping[str, NDArray[np.bool_]] = {
        "off_stain": _share(foreign | (value < DARK_VALUE)) > spec.max_off_stain,
        "pen": _share(is_ink(hsv)) > spec.max_ink,
        "blur": (edge_blur_um(tiles_NHW3, mpp=mpp) > spec.max_blur_um)
        & (tiles_NHW3.mean(axis=-1).std(axis=(1, 2)) > MIN_CONTRAST),
        "dark": dark_share(tiles_NHW3, mpp=mpp, above=spec.max_density) > spec.max_dark,
        # Glass beside the tissue is no hole in it: as much as the mask leaves out is expected.
        "fat": _share(light) - (1 - tissue_N) > spec.max_fat,
    }
    flags = np.zeros(len(tiles_NHW3), dtype=np.uint16)
    for name, flagged in found.items():
        flags |= np.where(flagged, bits([name]), 0).astype(np.uint16)
    return flags


def edge_blur_um(tiles_NHW3: NDArray[np.uint8], *, mpp: float) -> NDArray[np.float64]:
    """Return how far edges are blurred: the sigma of a Gaussian, in microns.

    A tile blurred once more loses little of its gradients if it was blurred before and much if it
    was sharp (re-blurring: Zhuo & Sim 2011, Pattern Recognition 44:1852-1858). Pictures have power
    that falls with the square of the frequency (Field 1987, J Opt Soc Am A 4:2379-2394), so that
    the energy of their gradients falls with the square of the blur, and from the ratio R of the two
    energies follows sigma = REBLUR_UM / sqrt(R - 1). On real tissue blurred by 2.8 um it reads 2.2
    to 3.2.
    """
    grey = tiles_NHW3.mean(axis=-1, dtype=np.float32)
    sigma_px = REBLUR_UM / mpp
    reblurred = ndimage.gaussian_filter(grey, (0, sigma_px, sigma_px), mode="nearest")
    ratio = _gradient_energy(grey) / np.maximum(_gradient_energy(reblurred), 1e-6)
    return np.asarray(REBLUR_UM / np.sqrt(np.maximum(ratio - 1, 1e-3)), dtype=np.float64)


def dark_share(tiles_NHW3: NDArray[np.uint8], *, mpp: float, above: float) -> NDArray[np.float64]:
    """Return the share of each tile whose mean optical density over 16 um exceeds ``above``.

    Folds are darker and more saturated than a single layer (Kothari et al. 2013, J Pathol Inform
    4:22); density says both in one number, by Beer-Lambert.
    """
    density = np.log10(256 / (tiles_NHW3.astype(np.float32) + 1)).mean(axis=-1)
    window_px = max(round(DENSITY_WINDOW_UM / mpp), 1)
    smooth = ndimage.uniform_filter(density, (0, window_px, window_px), mode="nearest")
    return _share(smooth > above)


def foreign_light(thumbnail_HW3: NDArray[np.uint8]) -> str:
    """Return why a slide was not seen in white light through a stain; empty where it was.

    Fluorescence is dark between its signals. A slide decoded in the wrong colours has coloured
    glass. A slide that shows no glass at all is judged by the hue of its brightest tissue.
    """
    seen = thumbnail_HW3[: max(len(thumbnail_HW3) - 1, 1), : max(thumbnail_HW3.shape[1] - 1, 1)]
    pixels = seen.reshape(-1, 3)
    dark = float((pixels.max(axis=1) < 255 * DARK_VALUE).mean())
    if dark > 0.5:
        return f"{dark:.0%} of it is black, as in fluorescence"
    magenta = (pixels[:, [0, 2]].min(axis=1) >= WHOLE_LIGHT) & (pixels[:, 1] < STOPPED_LIGHT)
    if (share := float(magenta.mean())) > MAX_MAGENTA:
        return f"{share:.0%} of it is glass in magenta, as where RGB is taken for YCbCr"
    brightness = pixels @ np.array([0.299, 0.587, 0.114])
    brightest = pixels[brightness >= np.quantile(brightness, 1 - LIGHT_SHARE)]
    colour = np.median(brightest, axis=0)
    hue, saturation, value = rgb2hsv(colour[None, None] / 255)[0, 0]
    if value < LIGHT_MIN_VALUE:
        return f"its brightest parts are only {value:.0%} bright"
    if saturation > LIGHT_MAX_SATURATION and not STAIN_HUES[0] < hue < STAIN_HUES[1]:
        red, green, blue = colour.round().astype(int).tolist()
        return f"its brightest parts are not grey glass but RGB {red}, {green}, {blue}"
    return ""


def _share(which_NHW: NDArray[np.bool_]) -> NDArray[np.float64]:
    return np.asarray(which_NHW.mean(axis=(1, 2)), dtype=np.float64)


def _gradient_energy(grey_NHW: NDArray[np.float32]) -> NDArray[np.float32]:
    along_x, along_y = np.diff(grey_NHW, axis=2), np.diff(grey_NHW, axis=1)
    energy = (along_x**2).sum(axis=(1, 2)) + (along_y**2).sum(axis=(1, 2))
    return np.asarray(energy, dtype=np.float32)
