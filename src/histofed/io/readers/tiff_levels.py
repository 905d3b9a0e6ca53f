"""Where the levels of a tiled TIFF lie in its file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tifffile

from histofed.errors import SlideUnreadable
from histofed.io.readers.blocks import Axis
from histofed.io.readers.decoders import JPEG_COLOURS, decoder_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from histofed.core.types import SlideInfo

VENDORS = frozenset({"aperio", "generic-tiff", "philips"})
"""Families whose levels are plain tiled directories; others overlap, stitch or hide them."""

RGB = tifffile.PHOTOMETRIC.RGB

APERIO_JPEG2000 = (tifffile.COMPRESSION.APERIO_JP2000_YCBC, tifffile.COMPRESSION.APERIO_JP2000_RGB)
"""Compressions that say the colours themselves."""


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
    SlideUnreadable
        It does not say where all blocks of a level are.
    """
    if info.vendor not in VENDORS:
        msg = f"format {info.vendor}"
        raise NotForTiffReader(msg)
    try:
        with tifffile.TiffFile(path) as tiff:
            pages = _shown([page.aspage() for page in tiff.pages], info.vendor)
            sizes_px = list(info.level_sizes_px)
            if tiff.is_ome:
                pages = [level.keyframe for level in tiff.series[0].levels]
                if any(page.parent is not tiff for page in pages):
                    msg = "its levels are in other files"
                    raise NotForTiffReader(msg)
                sizes_px += [(page.imagewidth, page.imagelength) for page in pages[len(sizes_px) :]]
            found = zip(_pages(pages, sizes_px), sizes_px, strict=True)
            levels = [_stored_level(page, size_px) for page, size_px in found]
    except SlideUnreadable:
        raise
    except (OSError, ValueError, LookupError, RuntimeError) as error:
        msg = f"its directories cannot be read ({error})"
        raise NotForTiffReader(msg) from error
    if info.vendor == "aperio" and any(0 in level.lengths_bytes for level in levels):
        msg = "blocks are missing"  # OpenSlide draws them from other levels
        raise NotForTiffReader(msg)
    return levels


def _shown(pages: list[tifffile.TiffPage], vendor: str) -> list[tifffile.TiffPage]:
    """Return the directories that OpenSlide looks at.

    Of those of Aperio it takes every tiled one; of others the first and what calls itself a
    reduced image (TIFF 6.0, NewSubfileType).
    """
    if vendor == "aperio":
        return pages
    return [page for number, page in enumerate(pages) if number == 0 or page.is_reduced]


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
    compression, colours = page.compression, page.photometric
    known = JPEG_COLOURS if compression == tifffile.COMPRESSION.JPEG else (RGB,)
    if colours not in known and compression not in APERIO_JPEG2000:
        msg = f"colours {_name(colours)} in {_name(compression)}"
        raise NotForTiffReader(msg)
    sides_px = ((page.imagewidth, page.tilewidth), (page.imagelength, page.tilelength))
    across, down = (
        Axis(length_px=length_px, block_px=block_px, n_blocks=-(-stored_px // block_px))
        for length_px, (stored_px, block_px) in zip(size_px, sides_px, strict=True)
    )
    n_blocks = across.n_blocks * down.n_blocks
    offsets, lengths = tuple(page.dataoffsets), tuple(page.databytecounts)
    if len(offsets) < n_blocks:
        msg = (
            f"slide {Path(page.parent.filename).name}: a level of {size_px[0]} x {size_px[1]} "
            f"pixels has {n_blocks:,} blocks, and the file says where {len(offsets):,} of them "
            "are; it is damaged: copy it again"
        )
        raise SlideUnreadable(msg)
    if len(lengths) < n_blocks:
        msg = f"the sizes of {len(lengths)} of {n_blocks} blocks are said"
        raise NotForTiffReader(msg)
    return StoredLevel(
        axes=(across, down), offsets_bytes=offsets, lengths_bytes=lengths, decode=decoder_of(page)
    )


def _name(value: int) -> str:
    """Return what a value of a tag is called; the number itself where it is not known."""
    return str(getattr(value, "name", value))
