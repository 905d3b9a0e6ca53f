"""How much of anything is plausible: what goes beyond is a mistake or an attack."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from histofed.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_PATIENTS = 100_000
"""More patients than any hospital has of one cancer: the number is a mistake or an attack."""

MAX_STEPS = 10_000_000
"""More optimizer steps than a round can have: months of training."""

MAX_METRICS = 1000
MAX_METRIC = 1e100
"""Beyond every loss in float32, and far from where adding up over sites overflows."""
MAX_NAME = 100
"""Characters of a metric's name: it becomes a column of tables and a word in logs."""

MAX_MOVE = 10.0
"""Times its own norm (at least 1) that the global model may move in a round.

Hospitals take no more, so an update that goes further could end the run for all.
"""

MAX_CONTROLS = 1000.0
"""Times their own norm (at least 1) that the answer to controls may have; they begin at zero."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the gate lets pass.

    Attributes
    ----------
    max_change
        A site may change the model this many times as much as the median site of the round does,
        by Euclidean norm; of an even number of sites, the smaller of the two in the middle, so that
        one of two cannot set the measure. Local steps follow the number of patients and distances
        grow more slowly than steps, so 100 refuses no hospital that is a hundred times as large as
        the median one. A change that is smaller than the model itself (or than 1)
        passes in any case: beside sites that hardly move it is no damage. For the answer to the
        round's controls the same holds.
    max_patients
        Most patients of a site.
    declared
        Site -> patients that it declared when it joined; an update that counts more is refused.
        Who has declared none, where others have, counts as many as they do together at most: who
        says nothing at first cannot own the mean later.
    """

    max_change: float = 100.0
    max_patients: int = MAX_PATIENTS
    declared: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse limits that nobody can keep."""
        if not self.max_change >= 1:
            msg = f"max_change must be at least 1 (the median site's change), got {self.max_change}"
            raise ConfigError(msg)
