"""Files that appear whole or not at all: write beside, close, fsync, rename; and their digest."""

from __future__ import annotations

import errno
import hashlib
import os
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING

from histofed.errors import OutputUnwritable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import TextIO

PART = ".part"
"""Suffix of files that are being written."""

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def file_digest(path: Path) -> str:
    """Return the sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def naming_output(path: Path) -> Iterator[None]:
    """Name what could not be written, and what helps.

    Raises
    ------
    OutputUnwritable
        The block raised an ``OSError``: full disk, no permission, a file where a folder should be.
    """
    try:
        yield
    except OutputUnwritable:
        raise
    except OSError as error:
        full = error.errno in FULL
        remedy = "free space there" if full else "check the folder and who may write there"
        msg = f"{path} cannot be written ({error.strerror or error}); {remedy}, or name another"
        raise OutputUnwritable(msg) from error


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary name in the same folder; on success it becomes ``path``.

    The caller must have closed the file when the block ends. On any error nothing is left.

    Raises
    ------
    OutputUnwritable
        The file cannot be written.
    """
    temporary = path.parent / f".{path.stem}.{uuid.uuid4().hex}{PART}"
    with naming_output(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_text(path: Path) -> Iterator[TextIO]:
    """Yield a text file that becomes ``path`` when the block ends well."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        yield file


def sweep(folder: Path, *, before_s: float) -> None:
    """Remove what killed processes left of files they were writing.

    Parameters
    ----------
    before_s
        Modification time, in the file system's own seconds, before which nobody writes any more.
    """
    for path in folder.glob(f".*{PART}"):
        try:
            if path.stat().st_mtime < before_s:
                path.unlink()
        except FileNotFoundError:  # finished, or swept by another process
            continue
