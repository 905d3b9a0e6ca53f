"""Which hospitals are connected, as the process that started the server sees them."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from histofed.io.atomic import atomic_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FRESH_S = 30.0
"""A hospital that was last heard of longer ago is not there."""


class Presence:
    """``presence.json`` of a run folder: site -> when it was last heard of, seconds since 1970."""

    def __init__(self, run: Path) -> None:
        self.file = run / "presence.json"

    def write(self, heard_of: Mapping[str, float]) -> None:
        """Write down who is there."""
        with atomic_text(self.file) as file:
            json.dump(dict(heard_of), file)

    def there(self) -> dict[str, float]:
        """Return who is there, and when it was last heard of."""
        if not self.file.is_file():
            return {}
        heard_of = json.loads(self.file.read_text(encoding="utf-8"))
        return {site: when for site, when in heard_of.items() if time.time() - when < FRESH_S}

    def returned(self, alive: Mapping[str, float], *, gone_s: float) -> list[str]:
        """Return who is there, but not in the job: its process has gone, or it came later.

        Parameters
        ----------
        alive
            Member of the job -> when its process was last heard of, seconds since 1970.
        gone_s
            A process that has not been heard of for so long is gone. A hospital that was heard of
            so much later than its process is back; one that was killed as a whole is not.
        """
        there = self.there()
        return sorted(
            site for site, when in there.items() if when > alive.get(site, -gone_s) + gone_s
        )
