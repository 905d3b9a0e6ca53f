"""``histofed extract``: tile slides where that was not done, and encode every tile."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from histofed.errors import SlideUnreadable
from histofed.extract.extract import encode_slide, feature_recipe
from histofed.extract.tiles import without_unreadable
from histofed.io.readers import open_slide
from histofed.io.store import FeatureStore, TileStore
from histofed.pipeline import build
from histofed.pipeline.slides import (
    Outcome,
    check_same,
    chosen_slides,
    close,
    each_slide,
    slide_path,
)
from histofed.pipeline.tile import outcome, tiles_of

if TYPE_CHECKING:
    from histofed.core.types import Slide
    from histofed.io.store import SlideFeatures, SlideTiles
    from histofed.pipeline.schema import ExtractConfig


def run(config: ExtractConfig) -> int:
    """Extract features of every slide; return the exit code."""
    tile_store = TileStore(Path(config.work) / "tiles")
    store = FeatureStore(Path(config.features))
    spec, tissue = build.tile_spec(config.tiling), build.tissue(config.tissue)
    quality = build.quality(config.quality)
    slides = chosen_slides(config)
    encoder = build.encoder(config.encoder)
    recipe = feature_recipe(spec, tissue, encoder, quality)

    def work(slide: Slide) -> Outcome:
        path = slide_path(slide)
        with open_slide(path, mpp=slide.mpp, fallback_mpp=config.mpp) as reader:
            tiles, _ = tiles_of(
                reader,
                slide,
                store=tile_store,
                spec=spec,
                tissue=tissue,
                quality=quality,
                overwrite=config.overwrite,
            )
            record = replace(tiles.record, recipe=recipe)
            found = store.digest(slide.slide_id)
            if found is not None:
                check_same(
                    store.path(slide.slide_id),
                    found=found,
                    wanted=record.digest,
                    overwrite=config.overwrite,
                )

            def encode(tiles: SlideTiles) -> SlideFeatures:
                return encode_slide(
                    reader, tiles, encoder, record=record, batch_size=config.batch_size
                )

            if found == record.digest:
                return outcome(reader, tiles, status="kept")
            try:
                features = encode(tiles)
            except SlideUnreadable:
                # Damage the coarse look did not see: those tiles are flagged, the rest goes on.
                tiles = without_unreadable(reader, tiles, quality=quality)
                tile_store.write(tiles)
                features = encode(tiles)
        store.write(features)
        return outcome(reader, tiles, status="done")

    table = store.folder / "slides.csv"
    outcomes = each_slide("Features", slides, work, table=table)
    following = f"histofed train cohort={config.cohort or 'TABLE'} features={config.features}"
    return close("extract", outcomes, folder=store.folder, table=table, following=following)
