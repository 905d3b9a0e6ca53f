"""Tile files: where the tiles of a slide are, and what is wrong with some.

Array suffixes: N tiles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from histofed.core.quality import FLAGS
from histofed.core.words import counted
from histofed.errors import StoreError
from histofed.io.h5 import atomic_h5, open_h5, read_text, write_text
from histofed.io.store.common import read_record, recorded_digest, write_coords, write_record

if TYPE_CHECKING:
    from pathlib import Path

    import h5py
    from numpy.typing import NDArray

    from histofed.io.store.record import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class SlideTiles:
    """The tiles kept of one slide, and those with tissue that a flaw dropped.

    Attributes
    ----------
    tissue_N
        Each tile's fraction of tissue.
    flags_N
        Quality flags of each tile as bits (`histofed.core.quality`); None if not looked for.
    dropped
        Tiles with enough tissue that were dropped for their flags.
    n_over_border
        Tiles that would hold enough tissue, but hang over the slide's border; 0 if not counted.
    """

    record: Record
    coords_N2: NDArray[np.int64]
    tissue_N: NDArray[np.float32]
    flags_N: NDArray[np.uint16] | None = None
    dropped: DroppedTiles | None = None
    n_over_border: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DroppedTiles:
    """Tiles with enough tissue that were dropped; as in `SlideTiles`."""

    coords_N2: NDArray[np.int64]
    tissue_N: NDArray[np.float32]
    flags_N: NDArray[np.uint16]


class TileStore:
    """A folder of tile files, ``<slide_id>.h5`` each: where the tiles of a slide are."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, slide_id: str) -> Path:
        """Return where the tiles of a slide are or would be."""
        return self.folder / f"{slide_id}.h5"

    def digest(self, slide_id: str) -> str | None:
        """Return the digest of a slide's tile file, or None where there is none."""
        return recorded_digest(self.path(slide_id), "tiles")

    def mark(self, slide_id: str) -> str | None:
        """Return what changes whenever a tile file does: encoding may find unreadable tiles."""
        if not self.path(slide_id).exists():
            return None
        tiles = self.read(slide_id)
        n_dropped = len(tiles.dropped.coords_N2) if tiles.dropped else 0
        return f"{tiles.record.digest} {len(tiles.coords_N2)}+{n_dropped}"

    def read(self, slide_id: str) -> SlideTiles:
        """Read the tiles of one slide."""
        with open_h5(self.path(slide_id), "tiles") as file:
            return SlideTiles(
                record=read_record(file, slide_id),
                coords_N2=np.asarray(file["coords"], dtype=np.int64),
                tissue_N=np.asarray(file["tissue_fraction"], dtype=np.float32),
                n_over_border=int(file.attrs.get("n_over_border", 0)),
                **_read_flags(file),
            )

    def write(self, tiles: SlideTiles) -> Path:
        """Write the tiles of one slide."""
        if len(tiles.coords_N2) != len(tiles.tissue_N) or not len(tiles.coords_N2):
            msg = f"{tiles.record.slide_id}: {len(tiles.coords_N2)} coords for "
            msg += f"{counted(len(tiles.tissue_N), 'tile')}; there must be as many, at least one"
            raise StoreError(msg)
        path = self.path(tiles.record.slide_id)
        with atomic_h5(path) as file:
            write_record(file, tiles.record, "tiles")
            write_coords(file, tiles.record, tiles.coords_N2)
            data = tiles.tissue_N.astype(np.float32)
            file.create_dataset("tissue_fraction", data=data, fletcher32=True)
            file.attrs["n_over_border"] = tiles.n_over_border
            _write_flags(file, tiles)
        return path


def _write_flags(file: h5py.File, tiles: SlideTiles) -> None:
    """Write the flags of the kept tiles, and the dropped tiles as a group of their own."""
    if tiles.flags_N is None:
        return
    write_text(file, "flag_names", ",".join(FLAGS))
    file.create_dataset("flags", data=tiles.flags_N.astype(np.uint16), fletcher32=True)
    if tiles.dropped is None:
        return
    columns: dict[str, NDArray[Any]] = {
        "coords": tiles.dropped.coords_N2.astype(np.int64),
        "tissue_fraction": tiles.dropped.tissue_N.astype(np.float32),
        "flags": tiles.dropped.flags_N.astype(np.uint16),
    }
    for name, data in columns.items():
        file.create_dataset(f"dropped/{name}", data=data, fletcher32=bool(len(data)))


def _read_flags(file: h5py.File) -> dict[str, Any]:
    """Read what `_write_flags` wrote, as arguments of `SlideTiles`."""
    if "flags" not in file:
        return {}
    if (found := read_text(file, "flag_names")) != ",".join(FLAGS):
        msg = f"{file.filename}: its flags are {found}, known are {','.join(FLAGS)}; tile it again"
        raise StoreError(msg)
    dropped = file.get("dropped")
    return {
        "flags_N": np.asarray(file["flags"], dtype=np.uint16),
        "dropped": dropped
        and DroppedTiles(
            coords_N2=np.asarray(dropped["coords"], dtype=np.int64).reshape(-1, 2),
            tissue_N=np.asarray(dropped["tissue_fraction"], dtype=np.float32),
            flags_N=np.asarray(dropped["flags"], dtype=np.uint16),
        ),
    }
