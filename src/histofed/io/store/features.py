"""Feature files: one vector per tile of a slide.

Array suffixes: N tiles, D features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from histofed.core.words import counted
from histofed.errors import StoreError
from histofed.io.h5 import atomic_h5, open_h5
from histofed.io.store.common import read_record, recorded_digest, write_coords, write_record

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from histofed.io.store.record import Record

MIN_CHUNK_ROWS = 256
"""Of features: fewer are slow to read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlideFeatures:
    """The features of one slide; ``coords_N2`` is None for bags that came without positions."""

    record: Record
    features_ND: NDArray[np.float16]
    coords_N2: NDArray[np.int64] | None


class FeatureStore:
    """A folder of feature files, ``<slide_id>.h5`` each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, slide_id: str) -> Path:
        """Return where the features of a slide are or would be."""
        return self.folder / f"{slide_id}.h5"

    def slide_ids(self) -> list[str]:
        """Return the slides that have features, sorted."""
        return sorted(path.stem for path in self.folder.glob("*.h5"))

    def digest(self, slide_id: str) -> str | None:
        """Return the digest of a slide's feature file, or None where there is none."""
        return recorded_digest(self.path(slide_id), "features")

    def mark(self, slide_id: str) -> str | None:
        """Return what changes whenever a feature file does: its digest covers everything."""
        return self.digest(slide_id)

    def shape(self, slide_id: str) -> tuple[int, int]:
        """Return how many tiles a slide has, and features each."""
        with open_h5(self.path(slide_id), "features") as file:
            n_tiles, dim = file["features"].shape
        return n_tiles, dim

    def record(self, slide_id: str) -> Record:
        """Return how the features of a slide were made, without reading them."""
        with open_h5(self.path(slide_id), "features") as file:
            return read_record(file, slide_id)

    def read(self, slide_id: str) -> SlideFeatures:
        """Read the features of one slide.

        Raises
        ------
        StoreError
            The file is missing, damaged, of an unknown version, or holds values not finite.
        """
        with open_h5(self.path(slide_id), "features") as file:
            features = np.asarray(file["features"], dtype=np.float16)
            coords = np.asarray(file["coords"], dtype=np.int64) if "coords" in file else None
            record = read_record(file, slide_id)
        _check_features(slide_id, features, coords)
        return SlideFeatures(record=record, features_ND=features, coords_N2=coords)

    def write(self, features: SlideFeatures) -> Path:
        """Write the features of one slide; the file appears whole or not at all."""
        record = features.record
        with np.errstate(over="ignore"):  # what does not fit becomes infinite, and is refused
            values = np.ascontiguousarray(features.features_ND, dtype=np.float16)
        _check_features(record.slide_id, values, features.coords_N2)
        path = self.path(record.slide_id)
        with atomic_h5(path) as file:
            write_record(file, record, "features")
            chunks = (min(MIN_CHUNK_ROWS, len(values)), values.shape[1])
            file.create_dataset("features", data=values, chunks=chunks, fletcher32=True)
            if features.coords_N2 is not None:
                write_coords(file, record, features.coords_N2)
        return path


def _check_features(
    slide_id: str, features: NDArray[np.float16], coords: NDArray[np.int64] | None
) -> None:
    if features.ndim != 2 or 0 in features.shape:
        msg = f"{slide_id}: features must be (tiles, dim), at least one of each, found "
        msg += f"{features.shape}; extract again"
        raise StoreError(msg)
    if not np.isfinite(features).all():
        rows = np.flatnonzero(~np.isfinite(features).all(axis=1))
        msg = (
            f"{slide_id}: features of {counted(len(rows), 'tile')} are not finite (first: tile "
            f"{rows[0]}); the encoder overflowed or the file is damaged; extract this slide again"
        )
        raise StoreError(msg)
    if coords is not None and len(coords) != len(features):
        msg = f"{slide_id}: {len(features)} features for {len(coords)} coords; extract again"
        raise StoreError(msg)
