"""Where the levels of a tiled TIFF lie in its file."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import simplejpeg
import tifffile

from histofed.io.readers.blocks import Axis

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from histofed.core.types import SlideInfo

VENDORS = frozenset({"aperio", "generic-tiff", "philips"})
"""Families whose levels are plain tiled directories; others overlap, stitch or hide them."""


JPEG_START, JPEG_END = b"\xff\xd8", b"\xff\xd9"
"""The markers "start of image" and "end of image" (ITU T.81, table B.1)."""

J2K_START = b"\xff\x4f\xff\x51"
"""The markers that begin a JPEG 2000 codestream; its size follows (ITU T.800, A.5.1)."""

JPEG_IS_RGB = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"
"""The application segment 14 by which a JPEG says that its colours are not transformed (ITU T.872,
6.5.3)."""


class NotForTiffReader(Exception):
    """Why a file is left to the reference reader, in a few words. Never shown as an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredLevel:
    """A level as it lies in the file.

    Attributes
    ----------
    axes
        The level along x and along y.
    offsets_bytes, lengths_bytes
        Where each block is, row by row; length 0 is a block that was never written.
    decode
        Compressed bytes and number of a block -> pixels ``(height, width, 3)``. It raises
        `ValueError` or `RuntimeError` for damage.
    """

    axes: tuple[Axis, Axis]
    offsets_bytes: tuple[int, ...]
    lengths_bytes: tuple[int, ...]
    decode: Callable[[bytes, int], NDArray[np.uint8]]


def stored_levels(path: Path, info: SlideInfo) -> list[StoredLevel]:
    """Find the levels of a slide in its TIFF directories, those that OpenSlide sees first.

    OME-TIFF keeps coarser levels in sub-directories, of which OpenSlide does not know.

    Raises
    ------
    NotForTiffReader
        The file is no tiled TIFF of a known family.
    """
    if info.vendor not in VENDORS:
        msg = f"format {info.vendor}"
        raise NotForTiffReader(msg)
    try:
        with tifffile.TiffFile(path) as tiff:
            pages = [page.aspage() for page in tiff.pages]
            sizes_px = list(info.level_sizes_px)
            if tiff.is_ome:
                pages = [level.keyframe for level in tiff.series[0].levels]
                sizes_px += [(page.imagewidth, page.imagelength) for page in pages[len(sizes_px) :]]
            found = zip(_pages(pages, sizes_px), sizes_px, strict=True)
            levels = [_stored_level(page, size_px) for page, size_px in found]
    except (OSError, ValueError, LookupError, RuntimeError) as error:
        msg = f"its directories cannot be read ({error})"
        raise NotForTiffReader(msg) from error
    if info.vendor == "aperio" and any(0 in level.lengths_bytes for level in levels):
        msg = "blocks are missing"  # OpenSlide draws them from other levels
        raise NotForTiffReader(msg)
    return levels


def _pages(
    pages: list[tifffile.TiffPage], sizes_px: list[tuple[int, int]]
) -> Iterator[tifffile.TiffPage]:
    """Yield the directory of each level: of its size, or padded to whole blocks as Philips does.

    No directory is taken for two levels.
    """
    left = [page for page in pages if page.is_tiled]
    for size_px in sizes_px:
        exact = [page for page in left if (page.imagewidth, page.imagelength) == size_px]
        padded = [page for page in left if _is_padded(page, size_px)]
        if not exact and not padded:
            msg = f"no tiles of level {size_px[0]} x {size_px[1]}"
            raise NotForTiffReader(msg)
        page = (exact or padded)[0]
        left = [other for other in left if other is not page]
        yield page


def _is_padded(page: tifffile.TiffPage, size_px: tuple[int, int]) -> bool:
    return (page.imagewidth, page.imagelength) == tuple(
        -(-length_px // block_px) * block_px
        for length_px, block_px in zip(size_px, (page.tilewidth, page.tilelength), strict=True)
    )


def _stored_level(page: tifffile.TiffPage, size_px: tuple[int, int]) -> StoredLevel:
    if page.imagedepth != 1 or page.planarconfig != tifffile.PLANARCONFIG.CONTIG:
        msg = "colours or depths stored apart"
        raise NotForTiffReader(msg)
    if page.dtype != np.uint8 or page.samplesperpixel != 3:
        msg = f"pixels of {page.samplesperpixel} x {page.dtype}, not 8-bit RGB"
        raise NotForTiffReader(msg)
    is_jpeg = page.compression == tifffile.COMPRESSION.JPEG
    sides_px = ((page.imagewidth, page.tilewidth), (page.imagelength, page.tilelength))
    across, down = (
        Axis(length_px=length_px, block_px=block_px, n_blocks=-(-stored_px // block_px))
        for length_px, (stored_px, block_px) in zip(size_px, sides_px, strict=True)
    )
    return StoredLevel(
        axes=(across, down),
        offsets_bytes=tuple(page.dataoffsets),
        lengths_bytes=tuple(page.databytecounts),
        decode=_jpeg_decoder(page) if is_jpeg else _other_decoder(page),
    )


def _jpeg_decoder(page: tifffile.TiffPage) -> Callable[[bytes, int], NDArray[np.uint8]]:
    shape = (page.tilelength, page.tilewidth, 3)
    tables = (page.jpegtables or JPEG_START).removesuffix(JPEG_END)
    if page.photometric == tifffile.PHOTOMETRIC.RGB and not page.is_jfif:
        tables += JPEG_IS_RGB  # some scanners store RGB as it is, and say so in the tag only

    def pixels(data: bytes, _number: int) -> NDArray[np.uint8]:
        if not data.startswith(JPEG_START):
            msg = "no JPEG is there"
            raise ValueError(msg)
        # libjpeg only warns of most damage, and makes pixels up: strict refuses.
        block = simplejpeg.decode_jpeg(
            tables + data.removeprefix(JPEG_START), buffer=cached_memory(shape), strict=True
        )
        if block.shape != shape:
            msg = f"it is {block.shape[1]} x {block.shape[0]} pixels, not {shape[1]} x {shape[0]}"
            raise ValueError(msg)
        return np.asarray(block)

    return pixels


def cached_memory(shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Return memory for decoded pixels that begins between two multiples of 32 bytes.

    On a multiple, libjpeg-turbo stores past the processor's caches (jdcolext-avx2.asm), as suits
    pixels that nobody wants soon. These are copied at once: so, they are decoded faster.
    """
    size_bytes = math.prod(shape)
    memory = np.empty(size_bytes + 32, dtype=np.uint8)
    start = (16 - memory.ctypes.data) % 32
    return memory[start : start + size_bytes].reshape(shape)


def _other_decoder(page: tifffile.TiffPage) -> Callable[[bytes, int], NDArray[np.uint8]]:
    decode, tables = page.decode, page.jpegtables

    def pixels(data: bytes, number: int) -> NDArray[np.uint8]:
        if data.startswith(J2K_START):
            _check_j2k_size(data, page)
        block, _, _ = decode(data, number, jpegtables=tables)
        assert block is not None  # only empty data gives none
        return np.asarray(block[0])

    return pixels


def _check_j2k_size(data: bytes, page: tifffile.TiffPage) -> None:
    """Refuse a damaged size before memory is taken for it; edges of the slide may be cut."""
    right, bottom, left, top = struct.unpack_from(">4I", data.ljust(24, b"\0"), 8)
    if not (0 < right - left <= page.tilewidth and 0 < bottom - top <= page.tilelength):
        msg = f"it is {right - left} x {bottom - top} pixels, not {page.tilewidth} x "
        msg += f"{page.tilelength}"
        raise ValueError(msg)
