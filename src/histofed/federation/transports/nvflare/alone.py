"""One process at a time in a folder: a run's, or a kit's."""

from __future__ import annotations

import fcntl
import time
from typing import IO, TYPE_CHECKING

from histofed.errors import ConfigError
from histofed.io.atomic import naming_output

if TYPE_CHECKING:
    from pathlib import Path


def alone_in(folder: Path, *, wait_s: float, remedy: str) -> IO[str]:
    """Return an open file that holds the folder until it is closed, or its process is gone.

    Parameters
    ----------
    wait_s
        How long a former process may take to leave.
    remedy
        What to do instead of ending the other process.

    Raises
    ------
    ConfigError
        Another process still works in this folder.
    OutputUnwritable
        Nothing can be written there.
    """
    with naming_output(folder):
        folder.mkdir(parents=True, exist_ok=True)
        held = (folder / "running.lock").open("w", encoding="utf-8")
    until = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < until:
                time.sleep(0.2)
                continue
            held.close()
            msg = f"{folder}: another process works with it; end that one, or {remedy}"
            raise ConfigError(msg) from None
        return held
