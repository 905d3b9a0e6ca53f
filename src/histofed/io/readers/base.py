"""What every slide reader offers, and how slides are found on disk."""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np
from PIL import Image

from histofed.core.tiling import downsamples, level_for_mpp
from histofed.errors import SlideUnreadable
from histofed.io.readers import dicom

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from histofed.core.types import SlideInfo

SLIDE_SUFFIXES = frozenset(
    {".svs", ".tif", ".tiff", ".ndpi", ".vms", ".vmu", ".scn", ".mrxs", ".svslide", ".bif", ".dcm"}
)

PLAIN_IMAGES = frozenset({".png", ".jpg", ".jpeg", ".bmp"})
"""Images that are no slides."""

IMAGE_SUFFIXES = PLAIN_IMAGES | {".tif", ".tiff"}
"""Images of a folder that is named as a slide; elsewhere a ``.tif`` is mostly a slide."""

THUMBNAIL_BAND_PX = 32 * 2**20

_DIGEST_CHUNK_BYTES = 1 << 20


class SlideReader(Protocol):
    """An open slide. Use as a context manager."""

    @property
    def info(self) -> SlideInfo:
        """Geometry of the slide."""

    @property
    def rule(self) -> str:
        """Which reader was chosen and, where it is the slower one, why."""

    @property
    def blocks_decoded(self) -> int:
        """Stored blocks decoded so far; 0 where the reader does not tell."""

    @property
    def blocks_touched(self) -> int:
        """Stored blocks needed for what was read, each once per call; 0 as above."""

    def read(
        self, level: int, x_px: int, y_px: int, *, width_px: int, height_px: int
    ) -> NDArray[np.uint8]:
        """Read a rectangle of one level as RGB ``(height, width, 3)``.

        ``x_px`` and ``y_px`` are pixels of that level. What the slide does not cover is white.
        """

    def read_many(
        self,
        level: int,
        corners_N2: NDArray[np.int64],
        *,
        width_px: int,
        height_px: int,
        batch_size: int,
        threads: int = 0,
        skip_damaged: bool = False,
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
        """Read many rectangles of one level, in the order that costs least.

        Parameters
        ----------
        corners_N2
            Top-left (x, y), pixels of that level.
        threads
            Threads that read beside the caller's; 0 reads on the caller's.
        skip_damaged
            Leave out the rectangles that cannot be read, and only those.

        Yields
        ------
        numbers_B, pixels_BHW3
            Which rectangles, and their pixels, until the next batch is asked for: the memory is
            used again. Each rectangle comes once. The batches do not depend on ``threads``.

        Raises
        ------
        SlideUnreadable
            A rectangle cannot be read, unless ``skip_damaged``.
        """

    def thumbnail(self, mpp: float) -> NDArray[np.uint8]:
        """Read the whole slide at about ``mpp`` as RGB; one pixel is exactly ``mpp`` microns."""

    def close(self) -> None:
        """Release the file."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc_info: object) -> None: ...


def read_one(
    reader: SlideReader, level: int, corner: tuple[int, int], *, width_px: int, height_px: int
) -> NDArray[np.uint8]:
    """Read one rectangle as many are read; see `SlideReader.read`."""
    ((_, pixels_BHW3),) = reader.read_many(
        level, np.array([corner]), width_px=width_px, height_px=height_px, batch_size=1
    )
    pixels: NDArray[np.uint8] = pixels_BHW3[0]
    return pixels


def read_thumbnail(
    reader: SlideReader, mpp: float, *, band_px: int = THUMBNAIL_BAND_PX
) -> NDArray[np.uint8]:
    """Read the whole slide at ``mpp``, band by band, so that a level without end fits in memory.

    Parameters
    ----------
    band_px
        About how many pixels of the level are read at a time.
    """
    info = reader.info
    level = level_for_mpp(info, mpp)
    width_px, height_px = info.level_sizes_px[level]
    down_x, down_y = downsamples(info, level)
    step_x, step_y = mpp / info.mpp / down_x, mpp / info.mpp / down_y
    # The last row and column hang over the border, on white: the scale is what must be exact.
    out_width = math.ceil(info.width_px0 * info.mpp / mpp)
    out_height = math.ceil(info.height_px0 * info.mpp / mpp)
    read_width_px = max(math.ceil(out_width * step_x), width_px)
    rows = max(1, int(band_px / (read_width_px * step_y)))
    bands = []
    for row in range(0, out_height, rows):
        top, bottom = row * step_y, min(row + rows, out_height) * step_y
        y_px = math.floor(top)
        height = max(math.ceil(bottom), height_px if row + rows >= out_height else 0) - y_px
        band = reader.read(level, 0, y_px, width_px=read_width_px, height_px=height)
        size = (out_width, min(rows, out_height - row))
        box = (0.0, top - y_px, out_width * step_x, bottom - y_px)
        bands.append(np.asarray(Image.fromarray(band).resize(size, Image.Resampling.BOX, box=box)))
    return np.concatenate(bands)


def find_slides(path: Path) -> list[Path]:
    """Return the slides of a folder and its sub-folders, sorted, or the one slide named.

    The ``.dcm`` files of one series in a folder are one slide, and the first stands for it. Links
    are followed, and one that leads nowhere is a slide too, which whoever opens it will miss. What
    is hidden (a name that begins with a dot) was made by a system, not by a scanner.

    Raises
    ------
    SlideUnreadable
        Nothing is there, or a folder may not be looked into.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        msg = f"{path}: no such file or folder; name a slide or a folder of slides (slides=...)"
        raise SlideUnreadable(msg)
    found: list[Path] = []
    series: set[tuple[Path, bytes]] = set()
    for file in sorted(file for folder in _folders(path) for file in _visible(folder)):
        suffix = file.suffix.lower()
        is_lost = file.is_symlink() and not file.exists()
        if suffix not in SLIDE_SUFFIXES or not (file.is_file() or is_lost):
            continue
        if suffix == dicom.SUFFIX:
            if (one := (file.parent, dicom.series_uid(file))) in series:
                continue
            series.add(one)
        found.append(file)
    return found


def _folders(path: Path) -> Iterator[Path]:
    """Yield a folder and its visible sub-folders, linked ones last, each once."""
    seen: set[Path] = set()
    own: list[Path] = [path]
    linked: list[Path] = []
    while own or linked:
        folder = (own or linked).pop()
        if (place := folder.resolve()) in seen:
            continue
        seen.add(place)
        yield folder
        for inside in _visible(folder):
            if inside.is_dir():
                (linked if inside.is_symlink() else own).append(inside)


def _visible(folder: Path) -> list[Path]:
    try:
        return [inside for inside in folder.iterdir() if not inside.name.startswith(".")]
    except OSError as error:
        msg = f"{folder}: cannot be looked into ({error.strerror}); ask for the right to read it, "
        msg += "or name the folders or slides beside it one by one (slides=..., cohort=TABLE)"
        raise SlideUnreadable(msg) from error


def image_folders(path: Path) -> list[Path]:
    """Return the folders of images among the folders in one, or that one itself, sorted.

    In such a folder are images that are no slides (`PLAIN_IMAGES`), and no slides.
    """

    def holds_images(folder: Path) -> bool:
        suffixes = {file.suffix.lower() for file in _visible(folder) if file.is_file()}
        return bool(suffixes & PLAIN_IMAGES) and not suffixes & SLIDE_SUFFIXES

    if holds_images(path):
        return [path]
    inside = [folder for folder in _visible(path) if folder.is_dir()]
    return [folder for folder in sorted(inside) if holds_images(folder)]


def images_and_others(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the images of a folder, and whatever else is in it, each sorted by name.

    What is hidden is neither.
    """
    inside = sorted(_visible(folder))
    images = [p for p in inside if p.suffix.lower() in IMAGE_SUFFIXES and not p.is_dir()]
    return images, [p for p in inside if p not in set(images)]


def slide_files(path: Path) -> list[Path]:
    """Return every file of a slide: DICOM, MIRAX, Hamamatsu VMS and folders of images have many."""
    if path.is_dir():
        return images_and_others(path)[0]
    suffix = path.suffix.lower()
    if suffix == dicom.SUFFIX:
        return dicom.series_files(path)
    if suffix == ".mrxs":
        parts = path.with_suffix("")
        return [path, *sorted(file for file in parts.glob("*") if file.is_file())]
    if suffix in (".vms", ".vmu"):
        return sorted(file for file in path.parent.iterdir() if file.name.startswith(path.stem))
    return [path]


def slide_digest(path: Path) -> str:
    """Return a digest of the size, first and last mebibyte of a slide's file, or of its files.

    Slides are gigabytes; both ends hold the headers and directories of every format read here,
    so another slide under the same name, or a truncated one, does not go unnoticed.
    """
    files = slide_files(path)
    if len(files) == 1:
        return _file_digest(files[0])
    digests = [f"{file.name} {_file_digest(file)}" for file in files]
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def _file_digest(path: Path) -> str:
    size_bytes = path.stat().st_size
    digest = hashlib.sha256(str(size_bytes).encode())
    with path.open("rb") as file:
        digest.update(file.read(_DIGEST_CHUNK_BYTES))
        if size_bytes > _DIGEST_CHUNK_BYTES:
            file.seek(max(size_bytes - _DIGEST_CHUNK_BYTES, _DIGEST_CHUNK_BYTES))
            digest.update(file.read())
    return digest.hexdigest()
