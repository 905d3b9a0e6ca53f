"""Slide -> features: read tiles on one thread while the encoder works on another."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from histofed.extract.reading import read_batches
from histofed.extract.stain import AsScanned
from histofed.extract.tiles import tile_recipe
from histofed.io.store import SlideFeatures

if TYPE_CHECKING:
    from collections.abc import Iterator

    from histofed.core.tiling import TileSpec
    from histofed.extract.encoders import TileEncoder
    from histofed.extract.quality import QualitySpec
    from histofed.extract.stain import StainMethod
    from histofed.extract.tissue import TissueMethod
    from histofed.io.readers import SlideReader
    from histofed.io.store import Recipe, Record, SlideTiles

T = TypeVar("T")

AS_SCANNED = AsScanned()


def feature_recipe(
    spec: TileSpec,
    tissue: TissueMethod,
    encoder: TileEncoder,
    quality: QualitySpec | None = None,
    *,
    stain: StainMethod = AS_SCANNED,
) -> Recipe:
    """Return the recipe of a feature file; refuses tiles the encoder was not trained for."""
    encoder.card.check(spec)
    tiles = tile_recipe(spec, tissue, quality)
    return replace(
        tiles, encoder=encoder.card.name, encoder_digest=encoder.digest, stain=stain.record
    )


def encode_slide(
    reader: SlideReader,
    tiles: SlideTiles,
    encoder: TileEncoder,
    *,
    stain: StainMethod = AS_SCANNED,
    record: Record,
    batch_size: int,
    threads: int = 0,
) -> SlideFeatures:
    """Return the features of the kept tiles, in their order.

    The result does not depend on ``batch_size`` beyond the rounding of the encoder's arithmetic.

    Raises
    ------
    StainUnclear
        The stains are to be normalised and cannot be told apart.
    SlideUnreadable
        A tile cannot be read.
    """
    spec = record.recipe.spec
    assert spec is not None  # tiles have positions
    transform = stain.fit(reader, tiles, device=encoder.device)
    batches = read_batches(reader, spec, tiles.coords_N2, batch_size=batch_size, threads=threads)
    features_ND = np.empty((len(tiles.coords_N2), encoder.card.dim), dtype=np.float16)
    for numbers_B, tiles_BHW3 in _ahead(batches):
        features_ND[numbers_B] = encoder.encode(transform(tiles_BHW3))
    return SlideFeatures(record=record, features_ND=features_ND, coords_N2=tiles.coords_N2)


def _ahead(items: Iterator[T]) -> Iterator[T]:
    """Yield the items while the next one is being made on another thread."""
    end = object()
    with ThreadPoolExecutor(1, thread_name_prefix="tiles") as pool:
        upcoming = pool.submit(next, items, end)
        while (item := upcoming.result()) is not end:
            upcoming = pool.submit(next, items, end)
            yield item  # type: ignore[misc]  # it is not the sentinel
