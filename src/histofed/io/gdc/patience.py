"""How often a portal is asked again, and how long is waited between."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from histofed.core.words import counted
from histofed.errors import PortalSilent

if TYPE_CHECKING:
    import threading


class Stopped(Exception):
    """The work was asked to stop; whatever has come stays to be gone on with."""


class Trouble(Exception):
    """Something that may be better in a while: a broken connection, an overloaded portal.

    Parameters
    ----------
    asked_s
        How long the portal asks to be left alone, in seconds; 0 where it does not say.
    """

    def __init__(self, message: str, *, asked_s: float = 0.0) -> None:
        super().__init__(message)
        self.asked_s = asked_s


class RangeRefused(Trouble):
    """The portal has no such part of the file: what is here may be of another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How often and how long.

    Attributes
    ----------
    attempts
        Failures in a row after which a file is given up; one that brought more is the first of a
        new row.
    first_s, longest_s
        Wait after the first failure, doubled with each further one, and the longest of these.
    most_asked_s
        A portal that asks for a longer wait than this is not waited for.
    """

    attempts: int = 5
    first_s: float = 1.0
    longest_s: float = 60.0
    most_asked_s: float = 600.0

    def wait_s(self, n_failed: int, asked_s: float) -> float:
        """Return the wait after this many failures: half of it or more by chance.

        So connections that broke together do not come back together.
        """
        full_s = min(self.longest_s, self.first_s * 2.0 ** min(n_failed - 1, 30))
        return max(asked_s, full_s * random.uniform(0.5, 1.0))


class Retries:
    """The failures in a row of one task."""

    def __init__(self, patience: Patience, stop: threading.Event) -> None:
        self._patience = patience
        self._stop = stop
        self._n_failed = 0

    def reset(self) -> None:
        """Say that something was gained."""
        self._n_failed = 0

    def wait(self, trouble: Trouble) -> None:
        """Wait before the next attempt.

        Raises
        ------
        PortalSilent
            There have been enough attempts, or the portal asks for too long a wait.
        Stopped
            The work is to stop.
        """
        self._n_failed += 1
        if self._n_failed >= self._patience.attempts:
            times = counted(self._n_failed, "attempt")
            msg = f"{trouble}; given up after {times} in a row (attempts=...)"
            raise PortalSilent(msg) from trouble
        if trouble.asked_s > self._patience.most_asked_s:
            msg = f"{trouble}, and the portal asks for {trouble.asked_s:.0f} s of rest; try then"
            raise PortalSilent(msg) from trouble
        if self._stop.wait(self._patience.wait_s(self._n_failed, trouble.asked_s)):
            raise Stopped


def asked_wait_s(header: str | None) -> float:
    """Return the seconds that a header ``Retry-After`` asks for (RFC 9110, 10.2.3); 0 for none.

    It holds seconds or a date; one that holds neither asks for nothing.
    """
    text = (header or "").strip()
    if text.isascii() and text.isdecimal():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return 0.0
