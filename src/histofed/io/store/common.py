"""What files of tiles and of features share: their record and their coords.

Array suffixes: N tiles.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from histofed.core.tiling import TileSpec
from histofed.errors import StoreError
from histofed.io.h5 import open_h5, read_text, write_format, write_text
from histofed.io.store.record import Recipe, Record

if TYPE_CHECKING:
    from pathlib import Path

    import h5py
    from numpy.typing import NDArray


def write_record(file: h5py.File, record: Record, kind: str) -> None:
    """Write what the file is, and how it was made."""
    write_format(file, kind)
    write_text(file, "record", json.dumps(asdict(record), sort_keys=True))
    write_text(file, "digest", record.digest)
    write_text(file, "encoder", record.recipe.encoder)


def read_record(file: h5py.File, slide_id: str) -> Record:
    """Read how a file was made.

    Raises
    ------
    StoreError
        It is of another slide than its name says, or the record was changed.
    """
    stored = json.loads(read_text(file, "record"))
    recipe = stored.pop("recipe")
    spec = recipe.pop("spec")
    record = Record(
        recipe=Recipe(spec=None if spec is None else TileSpec(**spec), **recipe), **stored
    )
    if record.slide_id != slide_id:
        msg = f"{file.filename}: holds slide {record.slide_id} under another name; restore the name"
        raise StoreError(msg)
    if record.digest != read_text(file, "digest"):
        msg = f"{file.filename}: the record is not the one that the digest was made of; the file "
        msg += "is damaged or was edited: make it again"
        raise StoreError(msg)
    return record


def recorded_digest(path: Path, kind: str) -> str | None:
    """Return the digest of the record of a file; None where there is no file."""
    if not path.exists():
        return None
    with open_h5(path, kind) as file:
        return read_record(file, path.stem).digest


def write_coords(file: h5py.File, record: Record, coords: NDArray[np.int64]) -> None:
    """Write ``coords`` with the attributes that TRIDENT-lineage tools read."""
    data = file.create_dataset("coords", data=coords.astype(np.int64), fletcher32=True)
    data.attrs.update(trident_attributes(record))


def trident_attributes(record: Record) -> dict[str, Any]:
    """Return what TRIDENT says of ``coords``; nothing where the tiles have no known size."""
    spec = record.recipe.spec
    if spec is None or record.mpp is None:
        return {}
    power = record.objective_power
    attributes = {
        "patch_size": spec.size_px,
        "patch_size_level0": round(record.side_px0),
        "level0_magnification": None if power is None else round(power),
        "target_magnification": round(10 / spec.mpp),
        "overlap": spec.overlap_px,
        "name": record.slide_id,
        "savetodir": ".",
        "level0_width": record.width_px0,
        "level0_height": record.height_px0,
    }
    return {name: "None" if value is None else value for name, value in attributes.items()}
