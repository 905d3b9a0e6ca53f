"""Features alone: whatever a file says of positions is given up, because the user said so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histofed.errors import StoreError
from histofed.io.atomic import file_digest
from histofed.io.interop.detect import slide_id_of
from histofed.io.interop.foreign import ForeignTiles, Supplied
from histofed.io.interop.reading import dataset, encoder_of, features_of, open_foreign, text

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("features", "feats", "patch_embeddings")


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
        found = [name for name in NAMES if dataset(file, name) is not None]
        if len(found) != 1:
            msg = f"{path}: it holds {', '.join(sorted(file)) or 'nothing'}; exactly one of "
            msg += f"{', '.join(NAMES)} must be there"
            raise StoreError(msg)
        features = features_of(file, found[0])
        named = text(file[found[0]], "encoder") or text(file, "extractor")
        encoder = encoder_of(path, named, supplied)
    return ForeignTiles(
        slide_id=slide_id_of(path),
        origin="features_only",
        source_digest=file_digest(path),
        features_ND=features,
        coords_N2=None,
        encoder=encoder,
    )
