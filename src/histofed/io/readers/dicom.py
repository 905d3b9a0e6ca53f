"""Which DICOM files make one slide: those of one series in one folder (DICOM PS3.3, A.32.8)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SUFFIX = ".dcm"

HEAD_BYTES = 64 * 1024
"""The series stands near the beginning: elements are in the order of their tags."""

SERIES = re.compile(rb"\x20\x00\x0e\x00(?:UI(?P<explicit>..)|(?P<implicit>..)\x00\x00)", re.DOTALL)
"""Tag of the series' UID (0020,000E) and its length, little endian (DICOM PS3.5, 7.1)."""


def series_files(path: Path) -> list[Path]:
    """Return the DICOM files in the folder of ``path`` that are of its series, sorted."""
    series = series_uid(path)
    return [file for file in dicom_files(path.parent) if series_uid(file) == series]


def slide_name(path: Path) -> str:
    """Return the name of a slide: its file's, or its folder's if that is the slide.

    A folder is, if it is one of images, or if one series is alone in it.
    """
    if path.is_dir():
        return path.resolve().name
    if path.suffix.lower() != SUFFIX:
        return path.stem
    series = series_uid(path)
    alone = all(series_uid(file) == series for file in dicom_files(path.parent))
    return (alone and path.resolve().parent.name) or path.stem


def dicom_files(folder: Path) -> list[Path]:
    """Return the DICOM files of a folder, sorted."""
    return sorted(file for file in folder.iterdir() if file.suffix.lower() == SUFFIX)


def series_uid(path: Path) -> bytes:
    """Return what the file says its series is; nothing where it does not say."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except FileNotFoundError:  # a link that leads nowhere
        return b""
    found = SERIES.search(head)
    if found is None:
        return b""
    length = int.from_bytes(found["explicit"] or found["implicit"], "little")
    return head[found.end() : found.end() + length].rstrip(b"\0 ")
