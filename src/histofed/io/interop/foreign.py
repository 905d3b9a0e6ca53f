"""What every format of others becomes on its way in.

Array suffixes: N tiles, D features.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from histofed.core.tiling import MAX_ENLARGEMENT, TileSpec
from histofed.core.words import counted
from histofed.errors import ConfigError, StoreError
from histofed.io.store import Recipe, Record, SlideFeatures, SlideTiles

if TYPE_CHECKING:
    from numpy.typing import NDArray


MAX_UNDERFLOW = 0.01
"""Largest share of a slide's non-zero features that float16 may turn into zero."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Supplied:
    """What the user says of files that do not say it themselves; None means not said.

    Attributes
    ----------
    mpp
        Microns per level-0 pixel of the slide.
    tile_px
        Side of a tile in the pixels that the encoder's transform received.
    tile_px0
        The same side in level-0 pixels.
    tile_mpp
        Microns per pixel that all tiles of the cohort are to be taken as.
    overlap_px
        Shared margin of neighbouring tiles, in the pixels of ``tile_px``.
    size_px0
        Width and height of the slide in level-0 pixels, where it was opened.
    coords_unit
        ``px0``, ``um``, or ``stamp_v1`` (pixels of 256/224 microns).
    encoder
        Name of the tile encoder.
    """

    mpp: float | None = None
    tile_px: int | None = None
    tile_px0: float | None = None
    tile_mpp: float | None = None
    overlap_px: int | None = None
    size_px0: tuple[int, int] | None = None
    coords_unit: str | None = None
    encoder: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignTiles:
    """One slide as others left it, in our units.

    Attributes
    ----------
    origin
        Which software's file it was.
    source_digest
        sha256 of the file.
    features_ND
        None in a file of positions alone.
    coords_N2
        Top-left corners, int64 level-0 pixels; None where positions are given up.
    mpp
        Microns per level-0 pixel.
    size_px, tile_mpp
        Side of a tile in pixels, and microns per such pixel.
    side_px0
        Side of a tile in level-0 pixels where the file measures it there.
    made_by
        What else the file says of how it was made, the same for every slide of a run.
    """

    slide_id: str
    origin: str
    source_digest: str
    features_ND: NDArray[np.floating[Any]] | None
    coords_N2: NDArray[np.int64] | None
    encoder: str = ""
    mpp: float | None = None
    size_px: int | None = None
    tile_mpp: float | None = None
    side_px0: float | None = None
    overlap_px: int = 0
    width_px0: int | None = None
    height_px0: int | None = None
    objective_power: float | None = None
    made_by: dict[str, str | int | float] = field(default_factory=dict)

    def ours(self, *, tile_mpp: float | None = None) -> SlideFeatures | SlideTiles:
        """Return the slide as our stores take it.

        Parameters
        ----------
        tile_mpp
            Resolution that the whole cohort is taken as, so that slides of slightly different
            scanners share a recipe; the slide's own side is kept in the record.

        Raises
        ------
        StoreError
            The tiles are further from ``tile_mpp`` than `MAX_ENLARGEMENT`, or a feature is beyond
            float16, or features are too small for it.
        """
        record = Record(
            recipe=Recipe(
                spec=self._spec(tile_mpp),
                tissue={"method": "not known", "origin": self.origin, **self.made_by},
                encoder=self.encoder,
            ),
            slide_id=self.slide_id,
            slide_digest=self.source_digest,
            mpp=self.mpp,
            width_px0=self.width_px0,
            height_px0=self.height_px0,
            objective_power=self.objective_power,
            tile_side_px0=self._measured_side_px0(tile_mpp),
        )
        if self.features_ND is not None:
            values = self._float16(self.features_ND)
            return SlideFeatures(record=record, features_ND=values, coords_N2=self.coords_N2)
        assert self.coords_N2 is not None
        unknown_N = np.full(len(self.coords_N2), np.nan, np.float32)
        return SlideTiles(record=record, coords_N2=self.coords_N2, tissue_N=unknown_N)

    def _spec(self, nominal_mpp: float | None) -> TileSpec | None:
        if self.size_px is None or self.tile_mpp is None:
            return None
        found = self.tile_mpp
        if nominal_mpp and not nominal_mpp / MAX_ENLARGEMENT <= found <= (
            nominal_mpp * MAX_ENLARGEMENT
        ):
            msg = (
                f"{self.slide_id}: its tiles are at {found:.4g} microns per pixel, more than "
                f"{MAX_ENLARGEMENT - 1:.0%} from tile_mpp={nominal_mpp:g}; convert such slides "
                "apart, or correct mpp"
            )
            raise StoreError(msg)
        try:
            return TileSpec(
                size_px=self.size_px,
                mpp=nominal_mpp or found,
                overlap_px=self.overlap_px,
                min_tissue=0.0,  # nothing is known of their tissue
            )
        except ConfigError as error:
            msg = f"{self.slide_id}: impossible tiles ({error}); the file is damaged"
            raise StoreError(msg) from error

    def _measured_side_px0(self, nominal_mpp: float | None) -> float | None:
        if self.side_px0 is not None or nominal_mpp is None:
            return self.side_px0
        if self.tile_mpp is None or self.size_px is None or self.mpp is None:
            return None
        exact = nominal_mpp == self.tile_mpp
        return None if exact else self.size_px * self.tile_mpp / self.mpp

    def _float16(self, features: NDArray[np.floating[Any]]) -> NDArray[np.float16]:
        """Return the features as float16; one that does not fit is refused, not clipped."""
        limit = float(np.finfo(np.float16).max)
        for rule, wrong_N in (
            ("not finite", ~np.isfinite(features).all(axis=1)),
            (f"beyond {limit:g}", ~(np.abs(features) <= limit).all(axis=1)),
        ):
            if wrong_N.any():
                msg = (
                    f"{self.slide_id}: features of {counted(int(wrong_N.sum()), 'tile')} are "
                    f"{rule} (first: tile {np.flatnonzero(wrong_N)[0]}); encode this slide again"
                )
                raise StoreError(msg)
        values = features.astype(np.float16)
        lost_ND = (features != 0) & (values == 0)
        n_rows = int((lost_ND.any(axis=1) & ~values.any(axis=1)).sum())
        n_lost, n_before = int(lost_ND.sum()), int(np.count_nonzero(features))
        if n_rows or n_lost > MAX_UNDERFLOW * n_before:
            msg = (
                f"{self.slide_id}: {n_lost} of {counted(n_before, 'non-zero feature')}, "
                f"and {counted(n_rows, 'whole tile')}, would become zero in float16; no tile and "
                f"at most {MAX_UNDERFLOW:.0%} may; rescale the features of all slides by one "
                "factor and convert again"
            )
            raise StoreError(msg)
        return values
