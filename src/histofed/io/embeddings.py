"""Embedding files: one row per slide, all slides of a folder of features in one file.

``docs/file-formats.md`` is the specification. Suffixes: S slides, E numbers of an embedding.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from histofed.errors import StoreError
from histofed.io.h5 import atomic_h5, open_h5, read_text, write_format, write_text
from histofed.io.store import record_digest

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from histofed.io.store import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingRecipe:
    """How embeddings are made, whatever the slides.

    Attributes
    ----------
    slide_encoder
        Name, parameters and digest of the weights.
    features
        Recipe of the features they are made from.
    """

    slide_encoder: dict[str, Any]
    features: Recipe

    @property
    def digest(self) -> str:
        """Digest of every parameter."""
        return record_digest(asdict(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class Embeddings:
    """One embedding per slide.

    Attributes
    ----------
    recipe_digest
        Digest of the `EmbeddingRecipe`.
    slide_ids, features_digests
        Of each row: the slide, and the digest of the feature file it was made from.
    embeddings_SE
        Finite numbers.
    """

    recipe_digest: str
    slide_ids: tuple[str, ...]
    features_digests: tuple[str, ...]
    embeddings_SE: NDArray[np.float32]


def write_embeddings(path: Path, embeddings: Embeddings, recipe: EmbeddingRecipe) -> None:
    """Write embeddings; the file appears whole or not at all.

    Raises
    ------
    StoreError
        Rows and slides do not match, a slide comes twice, or a number is not finite.
    """
    _check(path, embeddings)
    if embeddings.recipe_digest != recipe.digest:
        msg = f"{path}: the embeddings were not made by the recipe that is to be written with them"
        raise StoreError(msg)
    with atomic_h5(path) as file:
        write_format(file, "embeddings")
        write_text(file, "record", json.dumps(asdict(recipe), sort_keys=True))
        write_text(file, "digest", recipe.digest)
        write_text(file, "slide_encoder", str(recipe.slide_encoder["name"]))
        write_text(file, "encoder", recipe.features.encoder)
        data = embeddings.embeddings_SE.astype(np.float32)
        file.create_dataset("embeddings", data=data, fletcher32=True)
        for name in ("slide_ids", "features_digests"):
            texts = [text.encode() for text in getattr(embeddings, name)]
            # Of fixed length: damage to text of variable length crashes the HDF5 library.
            file.create_dataset(name, data=np.array(texts, dtype=np.bytes_), fletcher32=True)


def read_embeddings(path: Path) -> Embeddings:
    """Read embeddings.

    Raises
    ------
    StoreError
        The file is missing, damaged, of an unknown version, or holds numbers not finite.
    """
    with open_h5(path, "embeddings") as file:
        recipe = json.loads(read_text(file, "record"))
        digest = read_text(file, "digest")
        if record_digest(recipe) != digest:
            msg = f"{path}: the record is not the one that the digest was made of; the file is "
            msg += "damaged or was edited: make it again"
            raise StoreError(msg)
        found = Embeddings(
            recipe_digest=digest,
            slide_ids=tuple(text.decode() for text in file["slide_ids"][:].tolist()),
            features_digests=tuple(text.decode() for text in file["features_digests"][:].tolist()),
            embeddings_SE=np.asarray(file["embeddings"], dtype=np.float32),
        )
    _check(path, found)
    return found


def _check(path: Path, embeddings: Embeddings) -> None:
    ids, values = embeddings.slide_ids, embeddings.embeddings_SE
    rows = {len(ids), len(embeddings.features_digests), len(values)}
    if values.ndim != 2 or 0 in values.shape or len(rows) != 1:
        msg = f"{path}: {len(ids)} slides and {len(embeddings.features_digests)} digests for "
        msg += f"embeddings {values.shape}; there must be one row for each: make the file again"
        raise StoreError(msg)
    slide, times = Counter(ids).most_common(1)[0]
    if times > 1:
        msg = f"{path}: slide {slide} has {times} rows; it must have one: make the file again"
        raise StoreError(msg)
    if not np.isfinite(values).all():
        bad = ids[int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])]
        msg = f"{path}: the embedding of slide {bad} is not finite; make the file again"
        raise StoreError(msg)
