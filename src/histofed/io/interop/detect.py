"""Which files there are, which slide each is of, and whose format it has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histofed.errors import CohortError, ConfigError, StoreError
from histofed.io.h5 import read_text
from histofed.io.interop.reading import dataset, open_foreign
from histofed.io.tables import check_name

if TYPE_CHECKING:
    from pathlib import Path

    import h5py

HISTOFED = "histofed"
"""What the formats of our own files begin with."""

FEATURES = ("features", "feats", "patch_embeddings")
"""What features are called in the files of others."""

CONTENTS = (*FEATURES, "embeddings", "coords", "patches")
"""Names of files that say what is in them, not which slide they are of."""

NO_POSITIONS = "format=features_only converts the features without positions"


def find_files(source: Path) -> list[Path]:
    """Return the HDF5 files that a path names: itself, or those in its folders, sorted.

    Raises
    ------
    ConfigError
        Nothing is there, or only files without positions, or two files are of one slide.
    """
    if source.suffix == ".pt":
        raise _no_torch(source)
    if source.is_file():
        return [source]
    if not source.is_dir():
        msg = f"source={source} is not there; name a file or a folder"
        raise ConfigError(msg)
    inside = (path.relative_to(source) for path in source.rglob("*.h5"))
    visible = sorted(path for path in inside if not any(part[0] == "." for part in path.parts))
    files = [source / path for path in visible]
    if not files:
        if torch_file := next(source.rglob("*.pt"), None):
            raise _no_torch(torch_file)
        msg = f"source={source} holds no .h5 file"
        raise ConfigError(msg)
    _refuse_twins(files)
    return files


def is_nameless(path: Path) -> bool:
    """Whether a file is called by what it holds; then its folder is called like the slide."""
    return path.stem in CONTENTS


def slide_id_of(path: Path) -> str:
    """Return the slide that a file is of.

    TRIDENT, CLAM and STAMP name the file after it (TRIDENT adds a word to its files of positions);
    others the folder, and every file ``features.h5``.

    Raises
    ------
    StoreError
        The name would not do as the name of a slide.
    """
    stem = path.resolve().parent.name if is_nameless(path) else path.stem
    if stem in CONTENTS:
        msg = f"{path}: neither the file nor its folder is called like a slide; rename the file"
        raise StoreError(msg)
    slide_id = stem.removesuffix("_patches") if path.parent.name == "patches" else stem
    try:
        check_name("slide_id", slide_id, str(path))
    except CohortError as error:
        msg = f"{error}; rename the file"
        raise StoreError(msg) from error
    return slide_id


def detect(path: Path) -> str:
    """Return the format of a file.

    Returns
    -------
    format
        ``trident``, ``clam``, ``stamp``, or of ours ``histofed/features``, ``histofed/tiles``.

    Raises
    ------
    StoreError
        It is damaged, or of a format that is not read: what can be done is said.
    """
    with open_foreign(path) as file:
        if "format" in file.attrs:
            return _ours(file, path)
        coords = dataset(file, "coords")
        if any(name in file for name in ("feats", "patch_embeddings")):
            return "stamp"
        if coords is None:
            names = ", ".join(sorted(file)) or "nothing"
            msg = f"{path}: it holds {names} and no coords, so no tile has a place; {NO_POSITIONS}"
            raise StoreError(msg)
        if coords.ndim == 2 and coords.shape[1] == 5:
            msg = f"{path}: coords of five columns are AtlasPatch's, which is not read; "
            msg += NO_POSITIONS
            raise StoreError(msg)
        if "native_mpp" in coords.attrs:
            msg = f"{path}: this is a file of Mussel, which is not read; {NO_POSITIONS}"
            raise StoreError(msg)
        if "patch_size_level0" in coords.attrs:
            return "trident"
        if "patch_level" in coords.attrs and "downsample" not in coords.attrs:
            return "trident"  # its older files; CLAM always says the downsample of the level
        return "clam"


def holds(path: Path) -> set[str]:
    """Return which of ``features`` and ``positions`` a file holds, ours or of others."""
    with open_foreign(path) as file:
        found = set()
        if dataset(file, "coords") is not None:
            found.add("positions")
        if any(dataset(file, name) is not None for name in FEATURES):
            found.add("features")
        return found


def _ours(file: h5py.File, path: Path) -> str:
    kind = read_text(file, "format")
    if kind not in ("histofed/features", "histofed/tiles"):
        msg = f"{path}: it has format {kind!r}; features and tiles can be converted"
        raise StoreError(msg)
    return kind


def _refuse_twins(files: list[Path]) -> None:
    first: dict[str, Path] = {}
    for path in files:
        slide_id = slide_id_of(path)
        if slide_id in first:
            msg = (
                f"{first[slide_id]} and {path} would both be slide {slide_id}; convert one of "
                "their folders (source=...), or rename one"
            )
            raise ConfigError(msg)
        first[slide_id] = path


def _no_torch(path: Path) -> ConfigError:
    return ConfigError(
        f"{path}: .pt files hold features without positions and are not read; CLAM writes the same "
        "features with positions to h5_files/ beside pt_files/: name that folder"
    )
