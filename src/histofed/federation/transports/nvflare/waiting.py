"""Words while somebody waits: after half a minute, then ever more rarely."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_S = 30.0
RAREST_S = 900.0


class Reminder:
    """Says from time to time that something is still waited for.

    Parameters
    ----------
    say
        Takes the words.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self.restart()

    def restart(self) -> None:
        """Note that something has happened."""
        self._since, self._due_s = time.monotonic(), FIRST_S

    def remind(self, words: str) -> None:
        """Say the words if it is time for that; each silence is twice as long as the last."""
        if (silent_s := time.monotonic() - self._since) >= self._due_s:
            self._due_s = silent_s + min(silent_s, RAREST_S)
            self._say(words)
