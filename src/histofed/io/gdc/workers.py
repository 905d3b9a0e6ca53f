"""Several files at a time, each on a thread of its own."""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from histofed.errors import DownloadError
from histofed.io.gdc.patience import Stopped

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from histofed.io.gdc.manifest import GdcFile

BEAT_S = 0.2
"""How often whoever waits is told that nothing has ended."""

LEAVE_S = 2.0
"""How long threads have to end when they are to stop. One that waits for the network may need
longer; it is left to the end of the process, and what it had written stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How the work on a file ended.

    Attributes
    ----------
    status
        What the work returned; ``failed``, or ``left`` where it was to stop.
    error
        Why it failed.
    """

    file: GdcFile
    status: str
    seconds: float = 0.0
    error: Exception | None = None


def each_file(
    files: Sequence[GdcFile],
    work: Callable[[GdcFile], str],
    *,
    n_threads: int,
    stop: threading.Event,
) -> Generator[Ended | None, None, None]:
    """Have the work done on every file, and yield each that ended; None where nothing did.

    When ``stop`` is set, no file is begun any more; those that never were are not yielded.
    However the loop over this ends, the threads are told to stop.
    """
    todo: queue.SimpleQueue[GdcFile] = queue.SimpleQueue()
    for file in files:
        todo.put(file)
    ended: queue.SimpleQueue[Ended] = queue.SimpleQueue()
    # Daemons: whoever presses Ctrl-C shall not wait until the network is given up.
    threads = [
        threading.Thread(
            target=_work_off, args=(todo, ended, work, stop), name=f"download {n}", daemon=True
        )
        for n in range(min(n_threads, len(files)))
    ]
    try:
        for thread in threads:
            thread.start()
        n_left = len(files)
        while n_left:
            alive = any(thread.is_alive() for thread in threads)
            try:
                one = ended.get(timeout=BEAT_S if alive else 0)
            except queue.Empty:
                if not alive:
                    break
                yield None
            else:
                n_left -= 1
                yield one
        assert not n_left or stop.is_set(), "a thread ended before its work did"
    finally:
        stop.set()
        until_s = time.monotonic() + LEAVE_S
        for thread in threads:
            thread.join(max(0.0, until_s - time.monotonic()))


def _work_off(
    todo: queue.SimpleQueue[GdcFile],
    ended: queue.SimpleQueue[Ended],
    work: Callable[[GdcFile], str],
    stop: threading.Event,
) -> None:
    while not stop.is_set():
        try:
            file = todo.get_nowait()
        except queue.Empty:
            return
        began_s = time.monotonic()
        error = None
        try:
            status = work(file)
        except Stopped:
            status = "left"
        except (DownloadError, OSError) as refusal:
            status, error = "failed", refusal
        seconds = round(time.monotonic() - began_s, 2)
        ended.put(Ended(file=file, status=status, seconds=seconds, error=error))
