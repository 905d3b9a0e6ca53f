"""The scores of slides as they are shown: read once, checked, and refused in words where wrong."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from histofed.core.memory import Memory
from histofed.errors import StoreError
from histofed.io.atomic import file_digest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from histofed.core.types import TileScores
    from histofed.review.data import ReviewData

SCORES_BYTES = 256 << 20
"""Memory for scores; ten million tiles of one head, or some two hundred usual slides."""

_log = logging.getLogger(__name__)


class NoHeatMap(Exception):
    """The scores of a slide cannot be shown; the message is for people."""


class HeatMapRefused(NoHeatMap):
    """There are scores, but they are damaged, or of another slide or model."""


@dataclass(frozen=True)
class Scored:
    """The scores of a slide.

    Attributes
    ----------
    digest
        sha256 of the file.
    """

    scores: TileScores
    digest: str

    @cached_property
    def _ranks(self) -> dict[str, NDArray[np.int64]]:
        return {}

    def order_N(self, head: str) -> NDArray[np.int64]:
        """Return the tiles that have a score, the highest first; ties in the order of the file."""
        if head not in self._ranks:
            values_N = self.scores.scores[head]
            order_N = np.argsort(-values_N, kind="stable")  # NaN comes last
            self._ranks[head] = order_N[: int(np.isfinite(values_N).sum())]
        return self._ranks[head]

    def percentiles_N(self, head: str) -> NDArray[np.float64]:
        """Return the part of the slide's tiles that score lower, ties counting one half."""
        values_N = self.scores.scores[head]
        finite_N = np.sort(values_N[np.isfinite(values_N)])
        lower_N = np.searchsorted(finite_N, values_N, side="left")
        not_higher_N = np.searchsorted(finite_N, values_N, side="right")
        part_N = (lower_N + not_higher_N) / 2 / max(len(finite_N), 1)
        return np.where(np.isfinite(values_N), part_N, np.nan)

    def lower_K(self, head: str, tiles_K: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the part of the slide's tiles that score lower than each of some, in [0, 1)."""
        values_N = self.scores.scores[head]
        lowest_first_N = values_N[self.order_N(head)][::-1]
        return np.searchsorted(lowest_first_N, values_N[tiles_K]) / max(len(lowest_first_N), 1)

    @property
    def n_bytes(self) -> int:
        """Memory in use, orders included."""
        n_tiles = len(self.scores.coords_N2)
        return n_tiles * (16 + 12 * len(self.scores.scores))


class ScoreReader:
    """Reads the scores of slides of a run; a file that has changed is read again."""

    def __init__(self, site: ReviewData) -> None:
        self._site = site
        self._memory: Memory[tuple[str, int, int], Scored] = Memory(
            SCORES_BYTES, size=lambda scored: scored.n_bytes
        )

    def read(self, slide_id: str) -> Scored:
        """Return the scores of a slide.

        Raises
        ------
        NoHeatMap
            There are none.
        HeatMapRefused
            They are damaged, or of another slide or model.
        """
        path = self._site.scores.path(slide_id)
        try:
            state = path.stat()
            key = (slide_id, state.st_mtime_ns, state.st_size)
            return self._memory.get(key, lambda: self._read(slide_id))
        except FileNotFoundError as error:
            msg = "No heat map was made for this slide."
            raise NoHeatMap(msg) from error
        except (StoreError, OSError, KeyError, ValueError) as error:
            _log.warning("scores of slide %s: %s", slide_id, error)
            msg = "The heat map of this slide is damaged and cannot be shown."
            raise HeatMapRefused(msg) from error

    def _read(self, slide_id: str) -> Scored:
        scores = self._site.scores.read(slide_id)
        if scores.model_digest not in self._site.models:
            msg = (
                "The heat map of this slide was made by another model than the predictions shown "
                "here, and is not shown. Whoever runs this page can make it again with "
                "“histofed explain”."
            )
            raise HeatMapRefused(msg)
        return Scored(scores, file_digest(self._site.scores.path(slide_id)))
