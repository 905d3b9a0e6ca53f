"""Score files: raw numbers per tile and head."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from histofed.core.types import TileScores
from histofed.core.words import counted
from histofed.errors import StoreError
from histofed.io.h5 import atomic_h5, open_h5, read_text, write_format, write_text

if TYPE_CHECKING:
    from pathlib import Path


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
        """Read the scores of one slide.

        Raises
        ------
        StoreError
            They are of another slide than their name says, or not one per tile.
        """
        with open_h5(self.path(slide_id), "scores") as file:
            if (found := read_text(file, "slide_id")) != slide_id:
                msg = f"{file.filename}: holds the scores of slide {found} under another name; "
                msg += "restore the name, or make them again with `histofed explain`"
                raise StoreError(msg)
            scores = TileScores(
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
        _check_tiles(scores)
        return scores

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
    _check_tiles(scores)
    for name, values in scores.scores.items():
        if not name.isidentifier():
            msg = f"{scores.slide_id}: head {name!r} is not a plain name (letters, digits, _)"
            raise StoreError(msg)
        if not np.isfinite(values).all():
            msg = f"{scores.slide_id}: head {name!r} has scores that are not finite; train again"
            raise StoreError(msg)


def _check_tiles(scores: TileScores) -> None:
    if not 0 < scores.side_px0 < math.inf:
        msg = f"{scores.slide_id}: tiles have a side of {scores.side_px0} pixels; there must be "
        msg += "some, make the scores again with `histofed explain`"
        raise StoreError(msg)
    for name, values in scores.scores.items():
        if values.shape != (len(scores.coords_N2),):
            msg = f"{scores.slide_id}: head {name!r} has {values.shape} scores for "
            msg += f"{counted(len(scores.coords_N2), 'tile')}; there must be one per tile"
            raise StoreError(msg)
        if np.isinf(values).any():
            msg = f"{scores.slide_id}: head {name!r} has endless scores; train again"
            raise StoreError(msg)
