"""The fast reader: tiled TIFF (Aperio, generic, Philips, OME), each stored block decoded once.

tifffile finds the blocks, simplejpeg and imagecodecs decode them (libjpeg-turbo, OpenJPEG) without
the interpreter's lock. Before it is used on a file, its pixels are compared with OpenSlide's on
every level: what looks alike in two headers may be coloured differently. Whether a damaged block
still counts is OpenSlide's word.
"""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Self

import numpy as np

from histofed.core.tiling import downsamples
from histofed.errors import SlideUnreadable
from histofed.io.readers.base import read_thumbnail
from histofed.io.readers.batches import Batches
from histofed.io.readers.blocks import plan_reading
from histofed.io.readers.tiff_levels import NotForTiffReader, stored_levels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from histofed.core.types import SlideInfo
    from histofed.io.readers.base import SlideReader
    from histofed.io.readers.blocks import Ints
    from histofed.io.readers.tiff_levels import StoredLevel

VISITS_AT_ONCE = 8
"""Blocks that one call of a thread decodes: enough that handing them over costs little."""

PROBE_PX = 300
MAX_DIFFERENCE = 2
"""Grey levels by which two decoders of one JPEG may differ."""
CELL_PX = 16
MAX_MEAN_DIFFERENCE = 10
"""Grey levels by which the mean colour of small squares may differ on levels above 0."""


class TiffReader:
    """A slide read block by block. Made by `histofed.io.readers.open_slide`.

    It owns the reference reader.
    """

    rule = "tiff"

    def __init__(
        self, path: Path, info: SlideInfo, levels: list[StoredLevel], *, reference: SlideReader
    ) -> None:
        self._path = path
        self._levels = levels
        self._reference = reference
        self._of_reference = Lock()
        self._file = os.open(path, os.O_RDONLY)
        self.info = info
        self.blocks_decoded = 0
        self.blocks_touched = 0

    def read(
        self, level: int, x_px: int, y_px: int, *, width_px: int, height_px: int
    ) -> NDArray[np.uint8]:
        """Read a rectangle of one level as RGB; see `SlideReader.read`."""
        corner = np.array([[x_px, y_px]])
        ((_, pixels),) = self.read_many(
            level, corner, width_px=width_px, height_px=height_px, batch_size=1
        )
        rectangle: NDArray[np.uint8] = pixels[0]
        return rectangle

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
        batches = Batches(plan, (height_px, width_px), batch_size)
        visit = partial(self._visit, level, batches, skip_damaged=skip_damaged)
        with _submitter(threads) as submit:
            running: deque[Future[range]] = deque()
            for start in range(0, len(plan.block_V), VISITS_AT_ONCE):
                visits = range(start, min(start + VISITS_AT_ONCE, len(plan.block_V)))
                batches.begin(visits)
                running.append(submit(visit, visits))
                if len(running) > 2 * threads:
                    yield from self._finish(running.popleft(), batches)
            while running:
                yield from self._finish(running.popleft(), batches)
            yield from batches.untouched()

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

    def _visit(self, level: int, batches: Batches, visits: range, *, skip_damaged: bool) -> range:
        """Decode blocks and hand their pixels over; runs on any thread."""
        for visit in visits:
            try:
                pixels = self._block(level, int(batches.plan.block_V[visit]))
            except SlideUnreadable:
                if not skip_damaged:
                    raise
                batches.lose(visit)
                continue
            for place, (top, left, y, x, height, width) in batches.plan.pairs(visit):
                target = batches.pixels(place)[top : top + height, left : left + width]
                target[:] = 255 if pixels is None else pixels[y : y + height, x : x + width]
        return visits

    def _finish(
        self, running: Future[range], batches: Batches
    ) -> Iterator[tuple[Ints, NDArray[np.uint8]]]:
        visits = running.result()
        self.blocks_decoded += len(visits)
        yield from batches.finish(visits)

    def _block(self, level: int, number: int) -> NDArray[np.uint8] | None:
        """Decode one block; None where the scanner wrote none."""
        stored = self._levels[level]
        length_bytes = stored.lengths_bytes[number]
        if length_bytes == 0:
            return None
        try:
            data = os.pread(self._file, length_bytes, stored.offsets_bytes[number])
        except OSError as error:
            raise self._unreadable(level, number, str(error)) from error
        if len(data) < length_bytes:
            raise self._unreadable(level, number, "the file ends before it")
        try:
            return stored.decode(data, number)
        except (ValueError, RuntimeError) as error:
            if (pixels := self._disputed(level, number)) is not None:
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


@contextmanager
def _submitter(threads: int) -> Iterator[Callable[..., Future[range]]]:
    """Yield what runs a function on one of several threads or, with none, at once."""
    if threads == 0:
        yield _at_once
        return
    pool = ThreadPoolExecutor(threads, thread_name_prefix="blocks")
    try:
        yield pool.submit
    finally:
        pool.shutdown(cancel_futures=True)


def _at_once(function: Callable[[range], range], visits: range) -> Future[range]:
    done: Future[range] = Future()
    done.set_result(function(visits))
    return done


def open_tiff(path: Path, reference: SlideReader) -> TiffReader:
    """Open a slide that OpenSlide has opened; the reader closes the reference with itself.

    Raises
    ------
    NotForTiffReader
        The file is no tiled TIFF of a known family, or its pixels are not the reference's.
    """
    levels = stored_levels(path, reference.info)
    sizes_px = tuple((each.axes[0].length_px, each.axes[1].length_px) for each in levels)
    info = replace(reference.info, level_sizes_px=sizes_px)
    reader = TiffReader(path, info, levels, reference=reference)
    try:
        for level in range(len(levels)):
            _compare(reader, reference, level)
    except BaseException:
        reader.close_alone()
        raise
    reader.blocks_decoded = reader.blocks_touched = 0
    return reader


def _compare(reader: TiffReader, reference: SlideReader, level: int) -> None:
    """Refuse a level whose pixels are not the reference's, in the middle of the slide."""
    known = level < len(reference.info.level_sizes_px)
    down = (1.0, 1.0) if known else downsamples(reader.info, level)
    size_px = reader.info.level_sizes_px[level]
    width_px, height_px = (
        max(1, min(side_px, round(PROBE_PX / d))) for side_px, d in zip(size_px, down, strict=True)
    )
    x_px, y_px = (size_px[0] - width_px) // 2, (size_px[1] - height_px) // 2
    try:
        found = reader.read(level, x_px, y_px, width_px=width_px, height_px=height_px)
        wanted = reference.read(
            level if known else 0,
            round(x_px * down[0]),
            round(y_px * down[1]),
            width_px=round(width_px * down[0]),
            height_px=round(height_px * down[1]),
        )
    except SlideUnreadable as error:
        msg = f"level {level} cannot be compared: {error}"
        raise NotForTiffReader(msg) from error
    # On level 0 each pixel is compared. On others OpenSlide places a region by level-0 pixels, and
    # blends neighbours where that is between two: there the means of small squares are compared,
    # and of levels that OpenSlide does not have the mean colour.
    cell_px = (1, 1) if level == 0 else (CELL_PX, CELL_PX) if known else None
    difference = float(np.abs(_means(found, cell_px) - _means(wanted, cell_px)).max())
    if difference > (MAX_DIFFERENCE if level == 0 else MAX_MEAN_DIFFERENCE):
        msg = f"level {level} differs from OpenSlide by {difference:.0f} grey levels"
        raise NotForTiffReader(msg)


def _means(pixels_HW3: NDArray[np.uint8], cell_px: tuple[int, int] | None) -> NDArray[np.float64]:
    """Return the mean colour of each whole cell; of everything where no cell fits, or for None."""
    height_px, width_px = pixels_HW3.shape[:2]
    if cell_px is None or height_px < cell_px[0] or width_px < cell_px[1]:
        return np.asarray(pixels_HW3.mean(axis=(0, 1), keepdims=True), dtype=np.float64)
    rows, columns = height_px // cell_px[0], width_px // cell_px[1]
    whole = pixels_HW3[: rows * cell_px[0], : columns * cell_px[1]]
    cells = whole.reshape(rows, cell_px[0], columns, cell_px[1], 3)
    return np.asarray(cells.mean(axis=(1, 3)), dtype=np.float64)
