"""The fast reader: tiled TIFF (Aperio, generic, Philips, OME), each stored block decoded once.

tifffile finds the blocks, simplejpeg and imagecodecs decode them (libjpeg-turbo, OpenJPEG) without
the interpreter's lock. Before it is used on a file, its pixels are compared with OpenSlide's on
every level: what looks alike in two headers may be coloured differently. Whether a damaged block
still counts is OpenSlide's word.
"""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Self, TypeAlias

import numpy as np

from histofed.core.memory import Memory
from histofed.errors import SlideUnreadable
from histofed.io.readers.base import read_one, read_thumbnail
from histofed.io.readers.batches import Batches
from histofed.io.readers.blocks import plan_reading
from histofed.io.readers.comparison import compare
from histofed.io.readers.tiff_levels import stored_levels
from histofed.io.readers.walking import walk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from histofed.core.types import SlideInfo
    from histofed.io.readers.base import SlideReader
    from histofed.io.readers.blocks import Ints
    from histofed.io.readers.tiff_levels import StoredLevel

VISITS_AT_ONCE = 8
"""Blocks that one call of a thread decodes: enough that handing them over costs little."""

ENTRY_BYTES = 400
"""What a block takes in a memory beside its pixels; one that was never written has none."""

BlockMemory: TypeAlias = "Memory[tuple[object, int, int], NDArray[np.uint8] | None]"
"""Decoded blocks of any number of open slides."""


def block_memory(max_bytes: int) -> BlockMemory:
    """Return room for so many bytes of decoded blocks."""
    return Memory(
        max_bytes, size=lambda block: ENTRY_BYTES + (0 if block is None else block.nbytes)
    )


class TiffReader:
    """A slide read block by block. Made by `histofed.io.readers.open_slide`.

    It owns the reference reader.

    Parameters
    ----------
    kept
        Where decoded blocks are kept and looked for; then `blocks_decoded` counts these again.

    Attributes
    ----------
    blocks_disputed
        How many of the decoded blocks OpenSlide had to read.
    """

    rule = "tiff"

    def __init__(
        self,
        path: Path,
        info: SlideInfo,
        levels: list[StoredLevel],
        *,
        reference: SlideReader,
        kept: BlockMemory | None = None,
    ) -> None:
        self._path = path
        self._levels = levels
        self._reference = reference
        self._kept = kept
        self._name = object()  # of this file as it was opened now
        self._of_reference = Lock()
        self._file = os.open(path, os.O_RDONLY)
        self._file_bytes = os.fstat(self._file).st_size
        self.info = info
        self.blocks_decoded = 0
        self.blocks_touched = 0
        self.blocks_disputed = 0

    def read(
        self, level: int, x_px: int, y_px: int, *, width_px: int, height_px: int
    ) -> NDArray[np.uint8]:
        """Read a rectangle of one level as RGB; see `SlideReader.read`."""
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
        """Read many rectangles of one level; see `SlideReader.read_many`."""
        stored = self._levels[level]
        plan = plan_reading(corners_N2, (width_px, height_px), stored.axes)
        self.blocks_touched += plan.touched
        yield from walk(
            Batches(plan, (height_px, width_px), batch_size),
            partial(self._block, level),
            threads=threads,
            at_once=VISITS_AT_ONCE,
            skip_damaged=skip_damaged,
            decoded=self._count,
        )

    def richest_place_px(self, level: int) -> tuple[int, int]:
        """Return the middle of the block of a level that has the most bytes, in its pixels."""
        stored = self._levels[level]
        across, down = stored.axes
        n_blocks = across.n_blocks * down.n_blocks
        row, column = divmod(int(np.argmax(stored.lengths_bytes[:n_blocks])), across.n_blocks)
        return int((column + 0.5) * across.block_px), int((row + 0.5) * down.block_px)

    def thumbnail(self, mpp: float) -> NDArray[np.uint8]:
        """Read the whole slide; see `SlideReader.thumbnail`."""
        return read_thumbnail(self, mpp)

    def close(self) -> None:
        """Release the file, and the reference reader."""
        self.close_alone()
        self._reference.close()

    def close_alone(self) -> None:
        """Release the file; the reference reader stays open."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _count(self, n_blocks: int) -> None:
        self.blocks_decoded += n_blocks

    def _block(self, level: int, number: int) -> NDArray[np.uint8] | None:
        """Return one block; None where the scanner wrote none."""
        decode = partial(self._decode, level, number)
        return self._kept.get((self._name, level, number), decode) if self._kept else decode()

    def _decode(self, level: int, number: int) -> NDArray[np.uint8] | None:
        stored = self._levels[level]
        start_bytes, length_bytes = stored.offsets_bytes[number], stored.lengths_bytes[number]
        if length_bytes == 0:
            return None
        is_inside = start_bytes + length_bytes <= self._file_bytes  # else no memory is taken for it
        try:
            data = os.pread(self._file, length_bytes, start_bytes) if is_inside else b""
        except OSError as error:
            raise self._unreadable(level, number, str(error)) from error
        if len(data) < length_bytes:
            raise self._unreadable(level, number, "the file ends before it")
        try:
            return stored.decode(data, number)
        except (ValueError, RuntimeError) as error:
            if (pixels := self._disputed(level, number)) is not None:
                self.blocks_disputed += 1
                return pixels
            raise self._unreadable(level, number, str(error)) from error

    def _disputed(self, level: int, number: int) -> NDArray[np.uint8] | None:
        """Read a block with OpenSlide, which does not look at what comes after the last pixel.

        None where it cannot be read either.
        """
        if level >= len(self._reference.info.level_sizes_px):
            return None
        across, down = self._levels[level].axes
        row, column = divmod(number, across.n_blocks)
        with self._of_reference:
            try:
                return self._reference.read(
                    level,
                    column * across.block_px,
                    row * down.block_px,
                    width_px=across.block_px,
                    height_px=down.block_px,
                )
            except SlideUnreadable:
                return None

    def _unreadable(self, level: int, number: int, reason: str) -> SlideUnreadable:
        across, down = self._levels[level].axes
        row, column = divmod(number, across.n_blocks)
        x_px0 = round(column * across.block_px * self.info.width_px0 / across.length_px)
        y_px0 = round(row * down.block_px * self.info.height_px0 / down.length_px)
        return SlideUnreadable(
            f"slide {self._path.name}: the region at x={x_px0}, y={y_px0} (level 0 pixels) cannot "
            f"be read ({reason}); the file is damaged: copy it again"
        )


def open_tiff(path: Path, reference: SlideReader, *, kept: BlockMemory | None = None) -> TiffReader:
    """Open a slide that OpenSlide has opened; the reader closes the reference with itself.

    Raises
    ------
    NotForTiffReader
        The file is no tiled TIFF of a known family, or its pixels are not the reference's.
    """
    levels = stored_levels(path, reference.info)
    sizes_px = tuple((each.axes[0].length_px, each.axes[1].length_px) for each in levels)
    info = replace(reference.info, level_sizes_px=sizes_px)
    reader = TiffReader(path, info, levels, reference=reference, kept=kept)
    try:
        for level in range(len(levels)):
            compare(reader, reference, level)
    except BaseException:
        reader.close_alone()
        raise
    reader.blocks_decoded = reader.blocks_touched = reader.blocks_disputed = 0
    return reader
