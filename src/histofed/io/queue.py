"""Sharing work through a folder: of any number of processes, each takes the next free item.

They need not know of one another; a folder that all of them see is enough. Every try of an item is
one file, ``<item>.<number>.json``, numbered from 1. It is made with ``O_CREAT | O_EXCL``, so one
process alone gets the number. While it works it touches the file, and in the end the outcome
replaces the content. The highest number counts.

To take over a claim that is no longer touched is to make the next number. No number is used twice,
so of many that see the same dead claim one gets it. (Were the claim one fixed name that is renamed
away, a slow thief could take the fresh claim of a fast one.)

Ages are differences of modification times on the shared file system; no two clocks are compared.
A time that lies ahead says nothing: then an owner is dead if the time stays the same for so long.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from histofed.io.atomic import atomic_text, naming_output

if TYPE_CHECKING:
    from collections.abc import Sequence

RECORDS = "records"
"""Folder of the attempts, inside the folder of the results."""

WORKING = "working"

BEAT_S = 10.0
"""Longest time between two signs of life, so that processes need not agree on what is stale."""

ASK_EVERY_S = 60.0
"""How often the shared file system is asked for the time: many may wait for one slide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try of an item, as its file says.

    Attributes
    ----------
    status
        ``working``, or how it ended: a word of the caller's.
    key
        Digest of everything that the outcome depends on. An outcome of another key says nothing.
    attempts
        Tries that counted, up to and with this one.
    error, message
        Class and message of what went wrong.
    digest
        Digest of the result, to see whether the file there is the one that was made.
    process
        Machine and process, so that a process of the same machine can see whether it lives.
    began_s
        When its process began, on the clock of the shared file system.
    result
        Whatever else the caller wants to remember.
    touched_s
        Last sign of life, on the clock of the shared file system. 0: released by its owner.
    """

    number: int
    status: str = WORKING
    key: str = ""
    attempts: int = 0
    error: str = ""
    message: str = ""
    digest: str = ""
    seconds: float = 0.0
    host: str = ""
    pid: int = 0
    process: str = ""
    began_s: float = 0.0
    result: dict[str, Any] = field(default_factory=dict)
    touched_s: float = 0.0

    @property
    def released(self) -> bool:
        """Whether its owner gave it back undone: stopped, not dead."""
        return self.status == WORKING and self.touched_s == 0

    @property
    def owner(self) -> str:
        """Who works on it, for people."""
        return f"{self.host or 'an unknown machine'}, process {self.pid or 'unknown'}"


class WorkQueue:
    """The attempts of many items, in one folder.

    Parameters
    ----------
    stale_after_s
        A claim without a sign of life for so long belongs to nobody. Network file systems show
        changes up to a minute late, so it should be several minutes there.
    """

    def __init__(self, folder: Path, *, stale_after_s: float = 300.0) -> None:
        self.folder = folder
        self.stale_after_s = stale_after_s
        self._asked: tuple[float, float] | None = None
        self._first_seen_s: dict[tuple[int, str, float], float] = {}

    def path(self, item: str, number: int) -> Path:
        """Return where an attempt is or would be."""
        return self.folder / f"{item}.{number}.json"

    def attempts(self, item: str) -> list[Attempt]:
        """Return all attempts of an item, the first first."""
        found: list[Attempt] = []
        while attempt := _read(self.path(item, len(found) + 1), len(found) + 1):
            found.append(attempt)
        return found

    @cached_property
    def began_s(self) -> float:
        """When this process first asked, on the clock of the shared file system."""
        return self.now_s()

    def now_s(self) -> float:
        """Return the time on the clock of the shared file system.

        It is asked once a minute; in between the seconds that pass here are added.
        """
        if self._asked is None or time.monotonic() - self._asked[0] > ASK_EVERY_S:
            file_system_s = self._ask()
            self._asked = time.monotonic(), file_system_s
        return self._asked[1] + time.monotonic() - self._asked[0]

    def _ask(self) -> float:
        """Make a file and see how late it is there."""
        probe = self.folder / f".{uuid.uuid4().hex}.part"
        with naming_output(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                with probe.open("xb") as file:
                    return os.fstat(file.fileno()).st_mtime
            finally:
                probe.unlink(missing_ok=True)

    def is_held(self, history: Sequence[Attempt]) -> bool:
        """Whether a living process works on the item with these attempts."""
        if not history or history[-1].status != WORKING or history[-1].released:
            return False
        if _has_died(history[-1].process):
            return False
        age_s = self.now_s() - history[-1].touched_s
        if age_s < -self.stale_after_s:
            age_s = self._watched_s(history[-1])
        return age_s <= self.stale_after_s

    def _watched_s(self, attempt: Attempt) -> float:
        """Return for how long no sign of life was seen here, which some clock dated ahead."""
        sign = (attempt.number, attempt.process, attempt.touched_s)
        return time.monotonic() - self._first_seen_s.setdefault(sign, time.monotonic())

    def claim(self, item: str, key: str, *, history: Sequence[Attempt]) -> Claim | None:
        """Claim an item whose attempts were ``history`` and is not held; None if another was first.

        Raises
        ------
        OutputUnwritable
            Nothing can be written in the folder.
        """
        number = len(history) + 1
        path = self.path(item, number)
        attempt = Attempt(
            number=number,
            key=key,
            host=socket.gethostname(),
            pid=os.getpid(),
            process=_process_name(os.getpid()),
            began_s=self.began_s,
        )
        with naming_output(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                file = path.open("x", encoding="utf-8")
            except FileExistsError:
                return None
            claim = Claim(path, attempt, beat_s=min(BEAT_S, self.stale_after_s / 5))
            try:
                with file:
                    json.dump(_content(attempt), file)
            except OSError:
                claim.release()
                raise
        return claim


class Claim:
    """An item that this process alone works on; a thread touches it meanwhile.

    Use as a context manager: whatever ends the block before `finish` releases the item.
    """

    def __init__(self, path: Path, attempt: Attempt, *, beat_s: float) -> None:
        self._path = path
        self._attempt = attempt
        self._beat_s = beat_s
        self._finished = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._started_s = time.monotonic()

    def __enter__(self) -> Self:
        self._started_s = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        if not self._finished:
            self.release()

    def finish(self, status: str, **facts: Any) -> None:
        """Replace the claim by its outcome.

        Parameters
        ----------
        facts
            Further attributes of the `Attempt`.
        """
        seconds = round(time.monotonic() - self._started_s, 2)
        attempt = replace(self._attempt, status=status, seconds=seconds, **facts)
        self._stop()
        with atomic_text(self._path) as file:
            json.dump(_content(attempt), file, indent=1)
            file.write("\n")
        self._finished = True

    def release(self) -> None:
        """Give the item back undone: anybody may take it at once."""
        self._stop()
        # The start of time is the one sign that a full disk has room for.
        with suppress(OSError):
            os.utime(self._path, (0, 0))

    def _stop(self) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _beat(self) -> None:
        while not self._ended.wait(self._beat_s):
            with suppress(OSError):  # the next one may succeed; others decide by age
                os.utime(self._path)


def _read(path: Path, number: int) -> Attempt | None:
    """Read an attempt; one that is being written, or was damaged, belongs to somebody unknown."""
    try:
        # Opening a file makes a network file system ask the server how old it is.
        with path.open("rb") as file:
            touched_s = os.fstat(file.fileno()).st_mtime
            data = file.read()
    except FileNotFoundError:
        return None
    except IsADirectoryError:
        touched_s, data = path.stat().st_mtime, b""
    unknown = Attempt(number=number, touched_s=touched_s)
    try:
        content = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        return unknown
    defaults = _content(unknown)
    facts = content if isinstance(content, dict) else {}
    stored = {name: facts[name] for name in facts.keys() & defaults.keys() - {"number"}}
    sound = all(is_like(value, defaults[name]) for name, value in stored.items())
    return replace(unknown, **stored) if sound else unknown


def is_like(value: object, default: object) -> bool:
    """Whether a value out of JSON is of a default's type; a whole number is a float too."""
    return type(value) is type(default) or (type(value) is int and type(default) is float)


def _content(attempt: Attempt) -> dict[str, Any]:
    return {name: value for name, value in asdict(attempt).items() if name != "touched_s"}


def _process_name(pid: int) -> str:
    """Return a name that no other process has had: boot, container, number, start; or nothing."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        container = Path("/proc/self/ns/pid").readlink()
        # The name of the program, in brackets, may hold spaces; state and start come after it.
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return ""
    return "" if state in "ZX" else f"{boot} {container} {pid} {rest[18]}"


def _has_died(process: str) -> bool:
    """Whether a process of this machine and container is known to have ended."""
    here, there = _process_name(os.getpid()).split()[:2], process.split()
    if len(here) < 2 or len(there) != 4 or there[:2] != here or not there[2].isdecimal():
        return False  # elsewhere or damaged: only its age tells
    return _process_name(int(there[2])) != process
