"""The files of one download command: what is there is left, what is missing is fetched."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from histofed.errors import DownloadError, OutputUnwritable, PortalSilent
from histofed.io.atomic import FULL
from histofed.io.gdc import (
    TABLE,
    Patience,
    Row,
    State,
    each_file,
    fetch,
    look,
    md5_of,
    read_table,
    write_table,
)
from histofed.pipeline import terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from histofed.io.gdc import Ended, GdcFile, Portal
    from histofed.pipeline.schema_data import DownloadConfig

MOST_SILENT = 10
"""Files in a row that the portal was silent about, after which no further one is asked for."""

TABLE_EVERY_S = 10.0
"""How often the table is written meanwhile, so that a killed process is believed in what it did."""

MB = 10**6


class Downloading:
    """The work on a folder, which nobody else works in.

    Attributes
    ----------
    rows
        Id -> what became of each file of the command, so far.
    """

    def __init__(
        self,
        config: DownloadConfig,
        files: Sequence[GdcFile],
        *,
        portal: Portal,
        stop: threading.Event,
    ) -> None:
        self._config = config
        self._files = files
        self._portal = portal
        self._stop = stop
        self._out = Path(config.out)
        self._patience = Patience(attempts=config.attempts)
        self._earlier = read_table(self._out / TABLE)
        self._written_s = time.monotonic()
        self._moved = 0
        self._lock = threading.Lock()
        self._n_silent = 0
        self.rows = {file.id: self._row(file, "left", reason="not tried") for file in files}

    def run(self) -> None:
        """Work on every file, and write the table however that ends.

        Raises
        ------
        OutputUnwritable
            The disk is full.
        """
        total = sum(file.size for file in self._files if self._look(file) is not State.KEPT)
        n_threads, shown = self._config.connections, 0
        working = each_file(self._files, self._work, n_threads=n_threads, stop=self._stop)
        try:
            with terminal.stage("Download", -(-total // MB), unit="MB") as step, closing(working):
                for ended in working:
                    if ended is not None:
                        self._note(ended)
                    now = -(-total // MB) if self._moved >= total else self._moved // MB
                    step(max(0, now - shown), self._so_far())
                    shown = max(shown, now)
        finally:
            self._write_table()

    def _note(self, ended: Ended) -> None:
        """Take down how a file ended."""
        error = ended.error
        reason = f"{type(error).__name__}: {error}" if error else ""
        reason = "stopped" if ended.status == "left" else reason
        row = self._row(ended.file, ended.status, seconds=ended.seconds, reason=reason)
        self.rows[row.id] = row
        if time.monotonic() - self._written_s >= TABLE_EVERY_S:
            self._write_table()
        if error and _is_full(error):
            raise error

    def _look(self, file: GdcFile) -> State:
        return look(file, self._out, self._earlier, verify=self._config.verify)

    def _work(self, file: GdcFile) -> str:
        """Get one file, on a thread of its own; begin no other where it could fare no better.

        That is decided here, before the thread takes its next file.
        """
        error: Exception | None = None
        try:
            return self._get(file)
        except (DownloadError, OSError) as refusal:
            error = refusal
            raise
        finally:
            with self._lock:
                self._n_silent = self._n_silent + 1 if isinstance(error, PortalSilent) else 0
                if self._n_silent >= MOST_SILENT or (error and _is_full(error)):
                    self._stop.set()

    def _get(self, file: GdcFile) -> str:
        """Get one file, unless it is there."""
        state, target = self._look(file), self._out / file.path
        if state is State.KEPT:
            return "kept"
        found = "of another size or kind"
        if state is State.UNREAD:
            md5 = md5_of(target, stop=self._stop)
            if md5 == file.md5:
                self._gain(file.size)
                return "kept"
            state, found = State.OTHER, f"of md5 {md5}"
        if state is State.OTHER and not self._config.overwrite:
            msg = f"{target} is there, {found}, and is not the portal's file; replace it "
            msg += "(overwrite=true) or name another folder (out=...)"
            raise DownloadError(msg)
        fetch(
            file,
            self._out,
            portal=self._portal,
            patience=self._patience,
            stop=self._stop,
            moved=self._gain,
        )
        return "done"

    def _gain(self, n_bytes: int) -> None:
        with self._lock:
            self._moved += n_bytes

    def _row(self, file: GdcFile, status: str, *, seconds: float = 0.0, reason: str = "") -> Row:
        there = status in ("done", "kept")
        return Row(
            id=file.id,
            filename=file.name,
            path=file.path,
            status=status,
            size=file.size,
            md5=file.md5,
            seconds=seconds,
            modified_ns=(self._out / file.path).stat().st_mtime_ns if there else 0,
            reason=reason,
        )

    def _so_far(self) -> str:
        """Return the line beside the bar."""
        statuses = [row.status for row in self.rows.values()]
        n_failed = statuses.count("failed")
        n_there = statuses.count("done") + statuses.count("kept")
        return f"{n_there}/{len(statuses)} files{f', {n_failed} failed' * (n_failed > 0)}"

    def _write_table(self) -> None:
        """Write the table; rows of files that this command does not name stay as they were."""
        write_table(self._out / TABLE, (self._earlier | self.rows).values())
        self._written_s = time.monotonic()


def _is_full(error: Exception) -> bool:
    """Whether the disk is: other files would fare no better."""
    cause = error.__cause__ if isinstance(error, OutputUnwritable) else None
    return isinstance(cause, OSError) and cause.errno in FULL
