"""Who takes part in a job, whose process is gone, and for whom the run pauses."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from histofed.federation.transports.nvflare.presence import Presence
from histofed.io.atomic import atomic_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

START_S = 60.0
"""What a site's process may take before it first says that it is there."""
GONE_S = 15.0
"""A site's process that has not been heard of for so long is gone."""
CRASHES = 3
"""So often in a row the run pauses for a site whose process ends before it has answered a round."""
FORGIVE_S = 3600.0
"""After so long it pauses for such a site once more: somebody may have looked."""


class Members:
    """The sites of a job.

    Parameters
    ----------
    run
        Folder of the run. ``pauses.json`` is there: site -> how often in a row the run paused for
        it, and when it last did. It outlives the job.
    """

    def __init__(self, run: Path) -> None:
        self._presence = Presence(run)
        self._file = run / "pauses.json"
        self._pauses: dict[str, list[float]] = (
            json.loads(self._file.read_text(encoding="utf-8")) if self._file.is_file() else {}
        )
        self._alive: dict[str, float] = {}
        self._names: list[str] = []

    def gather(self, names: Iterable[str]) -> list[str]:
        """Begin with those who are in the job; return them sorted."""
        self._names = sorted(names)
        self._alive = dict.fromkeys(self._names, time.time() + START_S)
        return self._names

    def hear(self, site: str) -> None:
        """Note that a site's process is there."""
        self._alive[site] = max(time.time(), self._alive.get(site, 0.0))

    def left(self) -> set[str]:
        """Return the members whose process has gone."""
        now = time.time()
        return {site for site in self._names if now - self._alive[site] > GONE_S}

    def returned(self) -> list[str]:
        """Return who is back whose process had gone, and is worth a pause."""
        back = self._presence.returned(self._alive, gone_s=GONE_S)
        return [site for site in back if not self._is_given_up(site)]

    def pause_for(self, sites: Iterable[str]) -> list[str]:
        """Note a pause; return the sites for which it was the last for a while."""
        for site in sites:
            times, _ = self._pauses.get(site, [0, 0.0])
            self._pauses[site] = [times + 1, time.time()]
        self._write()
        return [site for site in sites if self._is_given_up(site)]

    def answered(self, sites: Collection[str]) -> None:
        """Forget the pauses for sites that have answered a round."""
        if known := self._pauses.keys() & set(sites):
            for site in known:
                del self._pauses[site]
            self._write()

    def _is_given_up(self, site: str) -> bool:
        times, when = self._pauses.get(site, [0, 0.0])
        return times >= CRASHES and time.time() - when < FORGIVE_S

    def _write(self) -> None:
        with atomic_text(self._file) as file:
            json.dump(self._pauses, file)
