"""One file from the portal to the disk: gone on with where it broke off, right when it is there.

What has come is in ``.<name>.<md5>.part`` beside where the file belongs. It gets its name when its
md5 is that of the manifest, and not before. The md5 is of the bytes on their way to the disk; of a
part that an earlier process left, what is there is read first.
"""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from histofed.core.words import sized
from histofed.errors import DownloadError, OutputUnwritable
from histofed.io.atomic import PART, naming_output
from histofed.io.gdc.patience import Patience, RangeRefused, Retries, Stopped, Trouble

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator
    from http.client import HTTPResponse
    from io import FileIO
    from pathlib import Path
    from typing import NoReturn

    from histofed.io.gdc.manifest import GdcFile
    from histofed.io.gdc.portal import Portal

BLOCK_BYTES = 2**18

CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.ASCII)


def fetch(
    file: GdcFile,
    folder: Path,
    *,
    portal: Portal,
    patience: Patience,
    stop: threading.Event,
    moved: Callable[[int], None],
) -> None:
    """Download a file; what is there of it is gone on with.

    Parameters
    ----------
    folder
        Of all downloads; the file comes to ``file.path`` in it. Nobody else may work there.
    moved
        Called with the bytes that were gained; fewer than 0 where some had to be given up.

    Raises
    ------
    DownloadError
        The portal does not give the file, or gives another one. Of another one nothing is kept.
    OutputUnwritable
        It cannot be written; what has come stays.
    Stopped
        The work is to stop; what has come stays.
    """
    with _part(file, folder, stop=stop, moved=moved) as part:
        retries = Retries(patience, stop)
        again = True  # a file of several pieces may be wrong where they meet
        while True:
            part.complete(portal, retries)
            if part.md5 == file.md5:
                part.keep()
                return
            found, in_one = part.md5, part.in_one
            part.discard()
            if in_one or not again:
                break
            again = False
    msg = f"its md5 is {found}, the manifest says {file.md5}; nothing of it was kept. Make the "
    msg += "manifest anew; if it stays so, tell the portal"
    raise DownloadError(msg)


def part_path(file: GdcFile, folder: Path) -> Path:
    """Return where the file is until it is whole."""
    target = folder / file.path
    return target.parent / f".{target.name}.{file.md5}{PART}"


def begun_bytes(file: GdcFile, folder: Path) -> int | None:
    """Return how many bytes of a file have come; None if it is not begun."""
    try:
        return part_path(file, folder).stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return None


def md5_of(path: Path, *, stop: threading.Event) -> str:
    """Return the md5 of a file.

    Raises
    ------
    Stopped
        The work is to stop.
    """
    with path.open("rb", buffering=0) as opened:
        return _md5_so_far(opened, stop).hexdigest()


@contextmanager
def _part(
    file: GdcFile, folder: Path, *, stop: threading.Event, moved: Callable[[int], None]
) -> Iterator[_Part]:
    """Open what is there of a file, or an empty one."""
    path = part_path(file, folder)
    with naming_output(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not through a link: whoever may write here could have it lead to another file.
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        opened = open(os.open(path, flags, 0o666), "r+b", buffering=0)  # noqa: PTH123, SIM115
    with opened:
        part = _Part(file, opened, path=path, target=folder / file.path, stop=stop, moved=moved)
        try:
            yield part
        finally:
            part.tidy()


class _Part:
    """What has come of one file.

    Attributes
    ----------
    in_one
        Whether all of it came in one answer, and in this process.
    """

    def __init__(
        self,
        file: GdcFile,
        opened: FileIO,
        *,
        path: Path,
        target: Path,
        stop: threading.Event,
        moved: Callable[[int], None],
    ) -> None:
        self._file = file
        self._opened = opened
        self._path = path
        self._target = target
        self._stop = stop
        self._moved = moved
        with naming_output(path):
            self._md5 = _md5_so_far(opened, stop)
            self._n_bytes = self._furthest = opened.tell()
        self.in_one = False
        moved(self._n_bytes)

    @property
    def md5(self) -> str:
        """Of all that is there."""
        return self._md5.hexdigest()

    def complete(self, portal: Portal, retries: Retries) -> None:
        """Get what is missing, however often the connection breaks, as long as it brings more.

        Raises
        ------
        DownloadError
            The portal refuses or is silent, or has a file of another size.
        """
        while self._n_bytes < self._file.size:
            try:
                with portal.file(self._file.id, start=self._n_bytes) as response:
                    self._begin(response)
                    self._take(response)
            except Trouble as trouble:
                # Who begins anew each time, and breaks off at the same place, gains nothing.
                if self._n_bytes > self._furthest:
                    self._furthest = self._n_bytes
                    retries.reset()
                if isinstance(trouble, RangeRefused):
                    self.discard()
                retries.wait(trouble)

    def keep(self) -> None:
        """Give the file its name, now that it is right.

        Raises
        ------
        OutputUnwritable
            The name cannot be given, or another process has taken over meanwhile.
        """
        with naming_output(self._target):
            os.fsync(self._opened.fileno())
            if not os.path.samestat(os.fstat(self._opened.fileno()), self._path.stat()):
                msg = f"{self._path} was replaced while it was written; let one process work there"
                raise OutputUnwritable(msg)
            self._path.replace(self._target)

    def discard(self) -> None:
        """Begin anew; nothing of what has come is left under any name."""
        with naming_output(self._path):
            self._opened.seek(0)
            self._opened.truncate()
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._moved(-self._n_bytes)
        self._n_bytes = 0

    def tidy(self) -> None:
        """Leave no empty part behind, nor an empty folder."""
        # What the file holds, not what was counted: a disk may fill within the first block.
        if not os.fstat(self._opened.fileno()).st_size:
            with suppress(OSError):  # the folder holds another file, or all is gone already
                self._path.unlink()
                self._path.parent.rmdir()

    def _begin(self, response: HTTPResponse) -> None:
        """Check what the answer is a part of, before its first byte."""
        if response.status not in (200, 206):
            msg = f"it answers {response.status} where a file was asked for; try later"
            raise DownloadError(msg)
        coding = response.headers.get("Content-Encoding", "identity")
        if coding != "identity":
            msg = f"it comes packed ({coding}), though that was not asked for; no md5 can be "
            msg += "compared. Use a connection without a proxy that packs"
            raise DownloadError(msg)
        if response.status == 206:
            self._check_range(response.headers.get("Content-Range", ""))
        elif self._n_bytes:  # a range was asked for, and the whole comes
            self.discard()
        coming = response.length
        if coming is not None and self._n_bytes + coming != self._file.size:
            self._refuse_size(self._n_bytes + coming)
        self.in_one = not self._n_bytes

    def _check_range(self, said: str) -> None:
        found = CONTENT_RANGE.fullmatch(said)
        if found is None or int(found[1]) != self._n_bytes:
            msg = f"bytes from {self._n_bytes} on were asked for, and others came ({said[:60]!r})"
            raise Trouble(msg)
        if found[3] != "*" and int(found[3]) != self._file.size:
            self._refuse_size(int(found[3]))

    def _refuse_size(self, size: int) -> NoReturn:
        self.discard()
        msg = f"it has {size} bytes, the manifest says {self._file.size}; make the manifest anew"
        raise DownloadError(msg)

    def _take(self, response: HTTPResponse) -> None:
        """Write what comes, as it comes: a connection that breaks costs nothing that came."""
        while block := response.read1(BLOCK_BYTES):
            if self._n_bytes + len(block) > self._file.size:
                self._refuse_size(self._n_bytes + len(block))
            with naming_output(self._path):
                _write_all(self._opened, block)
            self._md5.update(block)
            self._n_bytes += len(block)
            self._moved(len(block))
            if self._stop.is_set():
                raise Stopped
        if self._n_bytes < self._file.size:
            msg = f"the connection ended after {sized(self._n_bytes)} of {sized(self._file.size)}"
            raise Trouble(msg)


def _md5_so_far(opened: FileIO, stop: threading.Event) -> hashlib._Hash:
    """Return the md5 of a file, whose end is then where it stands."""
    md5 = hashlib.md5(usedforsecurity=False)
    while block := opened.read(BLOCK_BYTES):
        md5.update(block)
        if stop.is_set():
            raise Stopped
    return md5


def _write_all(opened: FileIO, block: bytes) -> None:
    """Write a block; a file without a buffer may take less of it at once."""
    left = memoryview(block)
    while left:
        left = left[opened.write(left) :]
