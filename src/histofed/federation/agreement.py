"""The agreement: what all sites of a run must have in common, and what differs, by name.

A mean over models of different features, tiles or labels is a model of nothing, and no number shows
it. So sites say what they have before round 1.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from histofed.errors import FederationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

REMEDIES = {
    "package": "install the same version of histofed",
    "config_digest": "use the same options of task, aggregator, trainer, clinical and federation",
    "encoder": "extract with the same encoder, or ask for a plan with this one (encoder.name=...)",
    "weights_digest": "extract with the same weights of the encoder",
    "recipe_digest": "extract with the same options (tissue, quality, stain, resampling)",
    "tile_mpp": "tile with the same tiling.mpp",
    "tile_size_px": "tile with the same tiling.size_px",
    "dim": "extract with the same encoder",
    "task": "ask the same task",
    "task_kind": "ask the same task",
    "labels": "give classes, questions or times in the same order",
    "aggregator": "choose the same aggregator",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What one site has; None is what it does not know, as a plan says nothing of weights.

    Attributes
    ----------
    package
        Version of histofed.
    config_digest
        Digest of the options that shape training.
    encoder, weights_digest
        Name of the tile encoder, and digest of its weights with their preprocessing.
    recipe_digest
        Digest of everything that features depend on.
    tile_mpp, tile_size_px
        Microns per pixel, and side of a tile in pixels; None for bags that came without tiles.
    dim
        Features per tile.
    task, task_kind
        Name and kind of the question.
    labels
        What the numbers of a label mean, in their order.
    aggregator
        Class of the model.
    """

    package: str | None
    config_digest: str | None
    encoder: str | None
    weights_digest: str | None
    recipe_digest: str | None
    tile_mpp: float | None
    tile_size_px: int | None
    dim: int | None
    task: str | None
    task_kind: str | None
    labels: tuple[str, ...] | None
    aggregator: str | None

    def record(self) -> dict[str, Any]:
        """Return the facts as what JSON can carry."""
        return asdict(self)

    @classmethod
    def of(cls, record: Any) -> Facts:
        """Return the facts of a record; one that another version does not tell is None.

        Of what is no record, none is told. What another version tells beyond these is left out:
        its version differs, and is named.
        """
        record = record if isinstance(record, dict) else {}
        told: dict[str, Any] = {each.name: _plain(record.get(each.name)) for each in fields(cls)}
        return cls(**told)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One fact in which a site is not like the others."""

    site: str
    fact: str
    found: Any
    expected: Any

    def __str__(self) -> str:
        return (
            f"site {self.site}: {self.fact} is {_shown(self.found)}, expected "
            f"{_shown(self.expected)}; {REMEDIES[self.fact]}"
        )


def differences(sites: Mapping[str, Facts], *, expected: Facts | None = None) -> list[Difference]:
    """Return every fact in which a site differs, by site and in the order of the facts.

    Parameters
    ----------
    expected
        What the plan states. A fact of which it says nothing is what most sites have (of equally
        many, the first site by name).
    """
    found = []
    for each in fields(Facts):
        values = {site: getattr(sites[site], each.name) for site in sorted(sites)}
        wanted = None if expected is None else getattr(expected, each.name)
        if wanted is None and values:
            # The first of equals is the first counted.
            wanted = Counter(values.values()).most_common(1)[0][0]
        found += [
            Difference(site=site, fact=each.name, found=value, expected=wanted)
            for site, value in values.items()
            if value != wanted
        ]
    return sorted(found, key=lambda difference: difference.site)


class Disagreement(FederationError):
    """Sites have not in common what they must share.

    Attributes
    ----------
    reasons
        Site at fault -> its differences, a line each.
    """

    def __init__(self, found: Sequence[Difference]) -> None:
        lines = "".join(f"\n  {difference}" for difference in found)
        super().__init__(f"the sites do not have in common what one model needs:{lines}")
        self.reasons = {
            site: "\n".join(str(each) for each in found if each.site == site)
            for site in sorted({each.site for each in found})
        }


def check_agreement(sites: Mapping[str, Facts], *, expected: Facts | None = None) -> None:
    """Refuse sites that have not everything in common.

    Raises
    ------
    Disagreement
        One line a difference: site, fact, what it has, what was expected, and the remedy.
    """
    if found := differences(sites, expected=expected):
        raise Disagreement(found)


def _plain(value: Any) -> Any:
    """Return what a site told as something that can be compared, whatever it is."""
    if isinstance(value, (list, tuple)):
        return tuple(str(each) for each in value)
    return value if value is None or isinstance(value, (str, int, float)) else str(value)


def _shown(value: Any) -> str:
    if value is None:
        return "not told"
    if isinstance(value, tuple):
        return f"({', '.join(map(_shown, value))})"
    is_digest = isinstance(value, str) and len(value) == 64
    if is_digest:
        return str(value[:12])
    words = str(value)[:100]
    return words if words.isprintable() else repr(words)
