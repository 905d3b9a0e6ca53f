"""Feature, tile and score files: versioned HDF5, written atomically.

``docs/file-formats.md`` is the specification. A file's identity is the digest of the whole record
of how it was made, so no parameter can be forgotten when a file is found on disk and reused.

Array suffixes: N tiles, D features.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from histofed.core.quality import FLAGS
from histofed.core.tiling import TileSpec
from histofed.core.types import TileScores
from histofed.core.words import counted
from histofed.errors import StoreError
from histofed.io.h5 import atomic_h5, open_h5, read_text, write_format, write_text

if TYPE_CHECKING:
    from pathlib import Path

    import h5py
    from numpy.typing import NDArray

    from histofed.core.types import SlideInfo

MIN_CHUNK_ROWS = 256

LATER_PARAMETERS: dict[str, Any] = {
    "tile_side_px0": None,
    "min_tissue_um2": 0.0,
    "source_digest": "",
    "quality": {},
    "stain": {},
}
"""Parts of a record that came after version 1, with the value that means "as before"."""


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
    stain
        Stain normalisation and its parameters; empty for tiles as they were scanned.
    """

    spec: TileSpec | None
    tissue: dict[str, Any] = field(default_factory=dict)
    resampling: str = ""
    encoder: str = ""
    encoder_digest: str = ""
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
        return _file_digest(self.path(slide_id), "features")

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
            return _read_record(file, slide_id)

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
            record = _read_record(file, slide_id)
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
            _write_record(file, record, "features")
            chunks = (min(MIN_CHUNK_ROWS, len(values)), values.shape[1])
            file.create_dataset("features", data=values, chunks=chunks, fletcher32=True)
            if features.coords_N2 is not None:
                _write_coords(file, record, features.coords_N2)
        return path


class TileStore:
    """A folder of tile files, ``<slide_id>.h5`` each: where the tiles of a slide are."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, slide_id: str) -> Path:
        """Return where the tiles of a slide are or would be."""
        return self.folder / f"{slide_id}.h5"

    def digest(self, slide_id: str) -> str | None:
        """Return the digest of a slide's tile file, or None where there is none."""
        return _file_digest(self.path(slide_id), "tiles")

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
                record=_read_record(file, slide_id),
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
            _write_record(file, tiles.record, "tiles")
            _write_coords(file, tiles.record, tiles.coords_N2)
            data = tiles.tissue_N.astype(np.float32)
            file.create_dataset("tissue_fraction", data=data, fletcher32=True)
            file.attrs["n_over_border"] = tiles.n_over_border
            _write_flags(file, tiles)
        return path


class ScoreStore:
    """A folder of score files, ``<slide_id>.h5`` each: raw numbers per tile and head."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, slide_id: str) -> Path:
        """Return where the scores of a slide are or would be."""
        return self.folder / f"{slide_id}.h5"

    def slide_ids(self) -> list[str]:
        """Return the slides that have scores, sorted."""
        return sorted(path.stem for path in self.folder.glob("*.h5"))

    def read(self, slide_id: str) -> TileScores:
        """Read the scores of one slide."""
        with open_h5(self.path(slide_id), "scores") as file:
            return TileScores(
                slide_id=slide_id,
                coords_N2=np.asarray(file["coords"], dtype=np.int64),
                side_px0=float(file.attrs["side_px0"]),
                scores={
                    name: np.asarray(values, dtype=np.float32)
                    for name, values in file["scores"].items()
                },
                model_digest=read_text(file, "model_digest"),
                features_digest=read_text(file, "features_digest"),
            )

    def write(self, scores: TileScores) -> Path:
        """Write the scores of one slide."""
        _check_scores(scores)
        path = self.path(scores.slide_id)
        with atomic_h5(path) as file:
            write_format(file, "scores")
            write_text(file, "slide_id", scores.slide_id)
            file.attrs["side_px0"] = scores.side_px0
            write_text(file, "model_digest", scores.model_digest)
            write_text(file, "features_digest", scores.features_digest)
            coords = scores.coords_N2.astype(np.int64)
            file.create_dataset("coords", data=coords, fletcher32=True)
            for name, values in scores.scores.items():
                data = values.astype(np.float32)
                file.create_dataset(f"scores/{name}", data=data, fletcher32=True)
        return path


def _check_scores(scores: TileScores) -> None:
    if not scores.scores:
        msg = f"{scores.slide_id}: there is no score to write; name at least one head"
        raise StoreError(msg)
    for name, values in scores.scores.items():
        if not name.isidentifier():
            msg = f"{scores.slide_id}: head {name!r} is not a plain name (letters, digits, _)"
            raise StoreError(msg)
        if values.shape != (len(scores.coords_N2),):
            msg = f"{scores.slide_id}: head {name!r} has {values.shape} scores for "
            msg += f"{counted(len(scores.coords_N2), 'tile')}; there must be one per tile"
            raise StoreError(msg)
        if not np.isfinite(values).all():
            msg = f"{scores.slide_id}: head {name!r} has scores that are not finite; train again"
            raise StoreError(msg)


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


def _write_coords(file: h5py.File, record: Record, coords: NDArray[np.int64]) -> None:
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


def _write_record(file: h5py.File, record: Record, kind: str) -> None:
    write_format(file, kind)
    write_text(file, "record", json.dumps(asdict(record), sort_keys=True))
    write_text(file, "digest", record.digest)
    write_text(file, "encoder", record.recipe.encoder)


def _read_record(file: h5py.File, slide_id: str) -> Record:
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


def record_digest(record: dict[str, Any]) -> str:
    """Return the sha256 of a record; later parameters that change nothing are left out."""
    plain = json.dumps(_without_unused(record), sort_keys=True)
    return hashlib.sha256(plain.encode()).hexdigest()


def _without_unused(record: dict[str, Any]) -> dict[str, Any]:
    """Leave out later parameters that change nothing: a file made before them keeps its digest."""
    return {
        name: _without_unused(value) if isinstance(value, dict) else value
        for name, value in record.items()
        if name not in LATER_PARAMETERS or value != LATER_PARAMETERS[name]
    }


def _file_digest(path: Path, kind: str) -> str | None:
    if not path.exists():
        return None
    with open_h5(path, kind) as file:
        return _read_record(file, path.stem).digest
