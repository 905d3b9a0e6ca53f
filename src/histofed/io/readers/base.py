"""What every slide reader offers, and how slides are found on disk."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Protocol, Self

from histofed.errors import SlideUnreadable

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from histofed.core.types import SlideInfo

SLIDE_SUFFIXES = frozenset(
    {".svs", ".tif", ".tiff", ".ndpi", ".vms", ".vmu", ".scn", ".mrxs", ".svslide", ".bif", ".dcm"}
)

_DIGEST_CHUNK_BYTES = 1 << 20


class SlideReader(Protocol):
    """An open slide. Use as a context manager."""

    @property
    def info(self) -> SlideInfo:
        """Geometry of the slide."""

    def read(
        self, level: int, x_px: int, y_px: int, *, width_px: int, height_px: int
    ) -> NDArray[np.uint8]:
        """Read a rectangle of one level as RGB ``(height, width, 3)``.

        ``x_px`` and ``y_px`` are pixels of that level. What the slide does not cover is white.
        """

    def thumbnail(self, mpp: float) -> NDArray[np.uint8]:
        """Read the whole slide at about ``mpp`` as RGB; one pixel is exactly ``mpp`` microns."""

    def close(self) -> None:
        """Release the file."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc_info: object) -> None: ...


def find_slides(path: Path) -> list[Path]:
    """Return the slides of a folder and its sub-folders, sorted, or the one slide named.

    A folder of ``.dcm`` files is one DICOM slide and is named by its first file.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        msg = f"{path}: no such file or folder; name a slide or a folder of slides (slides=...)"
        raise SlideUnreadable(msg)
    found: list[Path] = []
    dicom_folders: set[Path] = set()
    for file in sorted(path.rglob("*")):
        suffix = file.suffix.lower()
        if suffix not in SLIDE_SUFFIXES or not file.is_file():
            continue
        if suffix == ".dcm":
            if file.parent in dicom_folders:
                continue
            dicom_folders.add(file.parent)
        found.append(file)
    return found


def slide_digest(path: Path) -> str:
    """Return a digest of a slide file's size, first and last mebibyte.

    Slides are gigabytes; both ends hold the headers and directories of every format read here,
    so another slide under the same name, or a truncated one, does not go unnoticed.
    """
    size_bytes = path.stat().st_size
    digest = hashlib.sha256(str(size_bytes).encode())
    with path.open("rb") as file:
        digest.update(file.read(_DIGEST_CHUNK_BYTES))
        if size_bytes > _DIGEST_CHUNK_BYTES:
            file.seek(max(size_bytes - _DIGEST_CHUNK_BYTES, _DIGEST_CHUNK_BYTES))
            digest.update(file.read())
    return digest.hexdigest()
