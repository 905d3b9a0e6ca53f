"""How a file was made, and the digest of that: no parameter can be forgotten when it is reused."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from histofed.errors import StoreError

if TYPE_CHECKING:
    from histofed.core.tiling import TileSpec
    from histofed.core.types import SlideInfo

LATER_PARAMETERS: dict[str, Any] = {
    "tile_side_px0": None,
    "min_tissue_um2": 0.0,
    "source_digest": "",
    "quality": {},
    "stain": {},
    "images": "fields",
}
"""Parts of a record that came after version 1, with the value that means "as before"."""

IN_ANOTHER_DIGEST = ("weights_digest",)
"""Parts of a record that are told for people and decide nothing: another part covers them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How features are made, whatever the slide. Bags without slides have no ``spec``.

    Attributes
    ----------
    tissue
        Tissue method and its parameters.
    resampling
        Filter that brings a tile to its size.
    quality
        What was looked for in the tiles and which flags dropped one; empty if nothing was.
    encoder, encoder_digest
        Name, and digest of weights and preprocessing.
    weights_digest
        Digest of the encoder's weights alone, covered by ``encoder_digest``.
    stain
        Stain normalisation and its parameters; empty for tiles as they were scanned.
    """

    spec: TileSpec | None
    tissue: dict[str, Any] = field(default_factory=dict)
    resampling: str = ""
    encoder: str = ""
    encoder_digest: str = ""
    weights_digest: str = ""
    quality: dict[str, Any] = field(default_factory=dict)
    stain: dict[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Digest of every parameter; two files of one cohort must share it."""
        return record_digest(asdict(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """How one file was made: the recipe and the slide it was applied to.

    Attributes
    ----------
    tile_side_px0
        Side of a tile in level-0 pixels where others measured it on the slide; None where it
        follows from the recipe and the slide's resolution, as in all that is made here.
    source_digest
        Digest of what a person drew for this slide, or of the tiles given for it; empty if none.
    """

    recipe: Recipe
    slide_id: str
    slide_digest: str
    mpp: float | None
    width_px0: int | None
    height_px0: int | None
    objective_power: float | None = None
    tile_side_px0: float | None = None
    source_digest: str = ""

    @classmethod
    def of(
        cls,
        recipe: Recipe,
        slide_id: str,
        slide_digest: str,
        info: SlideInfo,
        *,
        source_digest: str = "",
    ) -> Record:
        """Return the record of applying ``recipe`` to an open slide."""
        return cls(
            recipe=recipe,
            slide_id=slide_id,
            slide_digest=slide_digest,
            mpp=info.mpp,
            width_px0=info.width_px0,
            height_px0=info.height_px0,
            objective_power=info.objective_power,
            source_digest=source_digest,
        )

    @property
    def digest(self) -> str:
        """The cache key of the file."""
        return record_digest(asdict(self))

    @property
    def side_px0(self) -> float:
        """Side of a tile in level-0 pixels."""
        if self.tile_side_px0 is not None:
            return self.tile_side_px0
        if self.recipe.spec is None or self.mpp is None:
            msg = f"{self.slide_id}: these features have no positions, so no tile has a place"
            raise StoreError(msg)
        return self.recipe.spec.side_px0(self.mpp)

    @property
    def reading_spec(self) -> TileSpec:
        """The tile as it is read from this slide: exactly the side that others measured there."""
        spec = self.recipe.spec
        if spec is None or self.mpp is None:
            msg = f"{self.slide_id}: these features have no positions, so no tile can be read"
            raise StoreError(msg)
        if self.tile_side_px0 is None:
            return spec
        return replace(spec, mpp=self.tile_side_px0 * self.mpp / spec.size_px)


def record_digest(record: dict[str, Any]) -> str:
    """Return the sha256 of a record; later parameters that change nothing are left out."""
    plain = json.dumps(_without_unused(record), sort_keys=True)
    return hashlib.sha256(plain.encode()).hexdigest()


def _without_unused(record: dict[str, Any]) -> dict[str, Any]:
    """Leave out later parameters that change nothing: a file made before them keeps its digest."""
    return {
        name: _without_unused(value) if isinstance(value, dict) else value
        for name, value in record.items()
        if name not in IN_ANOTHER_DIGEST
        and (name not in LATER_PARAMETERS or value != LATER_PARAMETERS[name])
    }
