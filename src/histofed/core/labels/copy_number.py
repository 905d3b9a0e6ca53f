"""Discrete copy number of a gene against a level.

Levels are those of GISTIC 2.0 (Mermel et al. 2011, Genome Biology 12:R41) as cBioPortal writes
them: -2 deep deletion (homozygous), -1 shallow deletion, 0 diploid, 1 gain, 2 amplification.
"""

from __future__ import annotations

from dataclasses import dataclass

from histofed.core.labels.base import Available, Case, Unknown, YesNoRule
from histofed.errors import ConfigError

LEVELS = (-2, -1, 0, 1, 2)


@dataclass(frozen=True, kw_only=True)
class CopyNumberRule(YesNoRule):
    """Yes if a gene is at most, or at least, at a level in one of the patient's samples.

    Attributes
    ----------
    gene
        Its HUGO symbol.
    at_most, at_least
        One of them: -2 asks for a deep deletion, 2 for an amplification.
    """

    gene: str
    at_most: int | None = None
    at_least: int | None = None

    def __post_init__(self) -> None:
        """Refuse a rule without a level, or with two."""
        level = self.at_least if self.at_most is None else self.at_most
        if (self.at_most is None) == (self.at_least is None) or level not in LEVELS:
            msg = f"copy number of {self.gene}: at_most={self.at_most}, at_least={self.at_least}; "
            msg += f"give one of them, of {', '.join(map(str, LEVELS))}"
            raise ConfigError(msg)

    @property
    def genes(self) -> tuple[str, ...]:
        """The gene."""
        return (self.gene,)

    @property
    def in_words(self) -> str:
        """Gene and level."""
        return f"{self.gene} copy number {_limit(self.at_most, self.at_least)}"

    def lacking(self, available: Available) -> str:
        """Return that there is no table of copy numbers, if so."""
        return "" if available.copy_number else "a table of copy numbers (copy_number=FILE)"

    def answer(self, case: Case) -> bool | Unknown:
        """Return whether the level is reached; unknown where the gene was not measured."""
        levels = case.levels.get(self.gene, ())
        if not levels:
            return Unknown(f"the copy number of {self.gene} was not measured")
        if self.at_most is not None:
            return min(levels) <= self.at_most
        assert self.at_least is not None
        return max(levels) >= self.at_least


def _limit(at_most: float | None, at_least: float | None) -> str:
    return f"at most {at_most:g}" if at_most is not None else f"at least {at_least:g}"
