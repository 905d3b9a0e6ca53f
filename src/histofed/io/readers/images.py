"""A folder of images read as one slide: fields of a smear or a trephine, or single cells.

The images, sorted by name, lie in rows in a plane (`histofed.core.areas`); that plane is level 0,
the only level. To the walk over blocks (`histofed.io.readers.blocks`) an image is a block, so each
is decoded once for all tiles in it. Pixels are those of the file: neither its note on orientation
nor its colour profile is applied.

Suffixes: N rectangles, P pairs of a rectangle and an image that share pixels.
"""

from __future__ import annotations

import struct
import zlib
from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Self

import numpy as np
from PIL import Image

from histofed.core.areas import arranged
from histofed.core.types import PlacedImage, SlideInfo
from histofed.core.words import counted
from histofed.errors import SlideUnreadable
from histofed.io.readers.base import SLIDE_SUFFIXES, images_and_others, read_one, read_thumbnail
from histofed.io.readers.batches import Batches
from histofed.io.readers.blocks import Plan
from histofed.io.readers.openslide import on_white
from histofed.io.readers.resolution import slide_mpp
from histofed.io.readers.walking import walk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from histofed.io.readers.blocks import Ints

MAX_IMAGE_PX = 2**26
"""Pixels of the largest image: it is decoded whole. What is larger is a slide."""

CACHE_BYTES = 128 * 2**20
"""Decoded images that are kept for the next rectangle that is asked for, at least the last one."""

MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA"})
"""Kinds of pixels that are 8-bit colours, or grey, without a guess."""

DAMAGE = (
    OSError, ValueError, TypeError, SyntaxError, EOFError, LookupError, struct.error, zlib.error,
    Image.DecompressionBombError,
)  # fmt: skip
"""What Pillow raises at a file that is no image or a damaged one."""

NAMED = 3
"""Files that are not read, which `ImagesReader.rule` names."""


class ImagesReader:
    """A folder of images. Made by `open_images`."""

    def __init__(self, folder: Path, info: SlideInfo, *, rule: str) -> None:
        self._folder = folder
        self._kept: OrderedDict[int, NDArray[np.uint8]] = OrderedDict()
        self._of_kept = Lock()
        self.info = info
        self.rule = rule
        self.blocks_decoded = self.blocks_touched = 0

    def read(
        self, level: int, x_px: int, y_px: int, *, width_px: int, height_px: int
    ) -> NDArray[np.uint8]:
        """Read a rectangle as RGB; see `SlideReader.read`."""
        return read_one(self, level, (x_px, y_px), width_px=width_px, height_px=height_px)

    def read_many(
        self,
        level: int,
        corners_N2: Ints,
        *,
        width_px: int,
        height_px: int,
        batch_size: int,
        threads: int = 0,
        skip_damaged: bool = False,
    ) -> Iterator[tuple[Ints, NDArray[np.uint8]]]:
        """Read many rectangles, image by image; see `SlideReader.read_many`."""
        assert level == 0
        plan = plan_images(corners_N2, (width_px, height_px), np.array(self.info.areas_px0))
        self.blocks_touched += plan.touched
        yield from walk(
            Batches(plan, (height_px, width_px), batch_size),
            self._image,
            threads=threads,
            at_once=1,
            skip_damaged=skip_damaged,
            decoded=lambda _: None,
        )

    def thumbnail(self, mpp: float) -> NDArray[np.uint8]:
        """Read the whole plane; see `SlideReader.thumbnail`."""
        return read_thumbnail(self, mpp)

    def close(self) -> None:
        """Forget what was decoded; no file is open."""
        self._kept.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _image(self, number: int) -> NDArray[np.uint8]:
        """Return an image; runs on any thread."""
        with self._of_kept:
            if (pixels := self._kept.get(number)) is not None:
                self._kept.move_to_end(number)
                return pixels
            self.blocks_decoded += 1
        placed = self.info.images[number]
        pixels = _decoded(self._folder / placed.name)
        if pixels.shape[:2] != (placed.height_px0, placed.width_px0):
            msg = f"slide {self._folder.name}: {placed.name} was replaced by an image of another "
            msg += "size while it was read; run again when the folder is copied whole"
            raise SlideUnreadable(msg)
        with self._of_kept:
            self._kept[number] = pixels
            while len(self._kept) > 1 and sum(e.nbytes for e in self._kept.values()) > CACHE_BYTES:
                self._kept.popitem(last=False)
        return pixels


def plan_images(corners_N2: Ints, size_px: tuple[int, int], areas_A4: Ints) -> Plan:
    """Plan the reading of rectangles of one size, image by image; see `plan_reading`.

    Parameters
    ----------
    areas_A4
        Left, top, width and height of each image.
    """
    size_2 = np.array(size_px)
    numbers, rectangles, windows = [], [], []
    first_N = np.full(len(corners_N2), len(areas_A4))
    for number, area in enumerate(areas_A4):
        low_N2 = np.maximum(corners_N2, area[:2])
        shared_N2 = np.minimum(corners_N2 + size_2, area[:2] + area[2:]) - low_N2
        (found,) = np.nonzero((shared_N2 > 0).all(axis=1))
        first_N[found] = np.minimum(first_N[found], number)
        rectangles.append(found)
        numbers.append(np.full(len(found), number))
        parts = (low_N2[found] - corners_N2[found], low_N2[found] - area[:2], shared_N2[found])
        windows.append(np.concatenate([part[:, ::-1] for part in parts], axis=1))
    order_N = np.lexsort((corners_N2[:, 0], corners_N2[:, 1], first_N))
    place_of_N = np.argsort(order_N)
    block_P, place_P = np.concatenate(numbers), place_of_N[np.concatenate(rectangles)]
    by_visit_P = np.lexsort((place_P, block_P))
    block_V, start_V = np.unique(block_P, return_index=True)  # block_P ascends
    return Plan(
        order_N=order_N,
        block_V=block_V,
        place_P=place_P[by_visit_P],
        window_P6=np.concatenate(windows)[by_visit_P],
        start_V=np.append(start_V, len(block_P)),
        touched=len(block_V),
    )


def open_images(
    folder: Path, *, mpp: float | None = None, fallback_mpp: float | None = None
) -> ImagesReader:
    """Open a folder of images as one slide.

    Hidden files are not looked at; files that are no images, and folders, are left aside, and
    `ImagesReader.rule` names them. Images of different sizes lie side by side as they are.

    Parameters
    ----------
    mpp, fallback_mpp
        As `histofed.io.readers.open_slide`; images do not say it.

    Raises
    ------
    SlideUnreadable
        There is no image, one cannot be opened or is no 8-bit picture, or there is a slide.
    MissingMpp
        No microns per pixel were supplied.
    ConfigError
        They are no positive number.
    """
    files, others = images_and_others(folder)
    slides = [file for file in others if file.suffix.lower() in SLIDE_SUFFIXES]
    if slides:
        msg = f"slide {folder.name}: the folder holds a slide, {slides[0].name}, and a folder is "
        msg += "read as one slide of images; name the slide itself, or take it out"
        raise SlideUnreadable(msg)
    if not files:
        msg = f"slide {folder.name}: no image in the folder {folder} (PNG, JPEG, TIFF, BMP), "
        msg += f"which holds {counted(len(others), 'other file')}; correct its path"
        raise SlideUnreadable(msg)
    found_mpp, mpp_from = slide_mpp({}, folder.name, mpp=mpp, fallback_mpp=fallback_mpp)
    sizes = [_size_px(file) for file in files]
    corners_A2, size_px = arranged(sizes)
    placed = tuple(
        PlacedImage(name=file.name, x_px0=x, y_px0=y, width_px0=width, height_px0=height)
        for file, (x, y), (width, height) in zip(files, corners_A2.tolist(), sizes, strict=True)
    )
    info = SlideInfo(
        mpp=found_mpp, mpp_from=mpp_from, level_sizes_px=(size_px,), vendor="images", images=placed
    )
    return ImagesReader(folder, info, rule=_rule(sizes, others))


def _rule(sizes: list[tuple[int, int]], others: list[Path]) -> str:
    """Return what was read of a folder, and what was not."""
    rule = f"images: {len(sizes)}"
    if len(set(sizes)) > 1:
        least, most = (f"{w} x {h}" for w, h in (min(sizes), max(sizes)))
        rule += f" of {len(set(sizes))} sizes ({least} to {most})"
    if others:
        more = f" and {len(others) - NAMED} more" * (len(others) > NAMED)
        rule += f"; left aside: {', '.join(file.name for file in others[:NAMED])}{more}"
    return rule


def _size_px(path: Path) -> tuple[int, int]:
    """Return width and height of an image, from its header.

    Raises
    ------
    SlideUnreadable
        It is no image, or none that can be read as it is meant.
    """
    where = f"slide {path.parent.name}: {path.name}"
    too_large = f"pixels, and at most {MAX_IMAGE_PX:,} are read as an image; save it as a tiled "
    too_large += "TIFF and name that as a slide"
    try:
        with Image.open(path) as image:
            width, height, mode = image.width, image.height, image.mode
            n_pictures = getattr(image, "n_frames", 1)
    except Image.DecompressionBombError as error:  # Pillow does not open it at all
        msg = f"{where} is of very many {too_large}"
        raise SlideUnreadable(msg) from error
    except DAMAGE as error:
        msg = f"{where} cannot be opened as an image ({error}); copy it again, or take it out of "
        msg += "the folder"
        raise SlideUnreadable(msg) from error
    if n_pictures > 1:
        msg = f"{where} holds {n_pictures} pictures; save the one that counts alone, or name the "
        msg += "file as a slide if it is a pyramid"
    elif mode not in MODES:
        msg = f"{where} has pixels of the kind {mode}, not colours of 8 bits; save it as RGB"
    elif width * height > MAX_IMAGE_PX:
        msg = f"{where} is of {width} x {height} {too_large}"
    else:
        return width, height
    raise SlideUnreadable(msg)


def _decoded(path: Path) -> NDArray[np.uint8]:
    """Return an image as RGB ``(H, W, 3)``, on white where it is transparent."""
    try:
        with Image.open(path) as image:
            if image.has_transparency_data:
                return on_white(image.convert("RGBA"))
            return np.asarray(image.convert("RGB"))
    except DAMAGE as error:
        msg = f"slide {path.parent.name}: {path.name} cannot be read ({error}); the file is "
        msg += "damaged: copy it again"
        raise SlideUnreadable(msg) from error
