"""Features alone: whatever a file says of positions is given up, because the user said so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histofed.errors import StoreError
from histofed.io.atomic import file_digest
from histofed.io.interop.asking import Asked
from histofed.io.interop.detect import FEATURES, slide_id_of
from histofed.io.interop.foreign import ForeignTiles
from histofed.io.interop.reading import dataset, features_of, open_foreign, text

if TYPE_CHECKING:
    from pathlib import Path

    import h5py

    from histofed.io.interop.foreign import Supplied


def read(path: Path, supplied: Supplied) -> ForeignTiles:
    """Read features without positions.

    Raises
    ------
    StoreError
        Damaged, or without one data set of features.
    NoTissue
        There is no tile.
    """
    with open_foreign(path) as file:
        asked = Asked(path, supplied)
        encoder = ask(file, asked)
        asked.refuse()
        features = features_of(file, _name(file))
    return ForeignTiles(
        slide_id=slide_id_of(path),
        origin="features_only",
        source_digest=file_digest(path),
        features_ND=features,
        coords_N2=None,
        encoder=encoder,
    )


def ask(file: h5py.File, asked: Asked) -> str:
    """Ask for the encoder, if the file does not say it; return it."""
    return asked.encoder(text(file[_name(file)], "encoder") or text(file, "extractor"))


def _name(file: h5py.File) -> str:
    """Return what the one data set of features is called."""
    found = [name for name in FEATURES if dataset(file, name) is not None]
    if len(found) != 1:
        msg = f"{file.filename}: it holds {', '.join(sorted(file)) or 'nothing'}; exactly one of "
        msg += f"{', '.join(FEATURES)} must be there"
        raise StoreError(msg)
    return found[0]
