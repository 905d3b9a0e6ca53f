"""``histofed extract``: tile slides where that was not done, and encode every tile."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from histofed.errors import SlideUnreadable
from histofed.extract.extract import encode_slide, feature_recipe
from histofed.extract.overview import overview
from histofed.extract.stain.base import sampled
from histofed.extract.tiles import tissue_mask, without_unreadable
from histofed.io.atomic import atomic_path
from histofed.io.store import FeatureStore, TileStore
from histofed.pipeline import build
from histofed.pipeline.sharing import each_slide
from histofed.pipeline.slides import Outcome, check_same, chosen_slides, close, opened
from histofed.pipeline.tile import outcome, tiles_of, write_tiles
from histofed.report.stain import stain_picture
from histofed.report.style import png_bytes

if TYPE_CHECKING:
    from histofed.core.types import Slide
    from histofed.extract.stain import StainMethod
    from histofed.io.readers import SlideReader
    from histofed.io.store import SlideTiles
    from histofed.pipeline.schema import ExtractConfig

SHOWN = 6
"""Tiles of a slide on its picture of stain normalisation."""


def run(config: ExtractConfig) -> int:
    """Extract features of every slide; return the exit code."""
    tile_store = TileStore(Path(config.work) / "tiles")
    store = FeatureStore(Path(config.features))
    spec, tissue = build.tile_spec(config.tiling), build.tissue(config.tissue)
    quality, stain = build.quality(config.quality), build.stain(config.stain)
    slides = chosen_slides(config)
    encoder = build.encoder(
        config.encoder, spec=spec, device=config.device, precision=config.precision
    )
    recipe = feature_recipe(spec, tissue, encoder, quality, stain=stain)

    def work(slide: Slide) -> Outcome:
        with opened(slide, config) as reader:
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
            if found := store.digest(slide.slide_id):
                path = store.path(slide.slide_id)
                check_same(path, found=found, wanted=record.digest, overwrite=config.overwrite)
            if found == record.digest:
                return outcome(reader, tiles, status="kept")
            encode = partial(
                encode_slide,
                reader,
                encoder=encoder,
                stain=stain,
                record=record,
                batch_size=config.batch_size,
                # One thread reads ahead in any case; more share its work.
                threads=config.read_threads if config.read_threads > 1 else 0,
            )
            try:
                features = encode(tiles)
            except SlideUnreadable:
                # Damage the coarse look did not see: those tiles are flagged, the rest goes on.
                tiles = without_unreadable(reader, tiles, quality=quality)
                thumbnail, _ = overview(reader, tissue.mpp)
                mask = tissue_mask(tissue, thumbnail, slide_id=slide.slide_id, info=reader.info)
                write_tiles(
                    tile_store,
                    tiles,
                    thumbnail=thumbnail,
                    mask=mask,
                    mpp=tissue.mpp,
                    reader=reader,
                )
                features = encode(tiles)
            write_stain_picture(store, reader, tiles, stain)
            store.write(features)  # last: where it is, the picture is too
            return outcome(reader, tiles, status="done")

    outcomes = each_slide(
        "Features",
        slides,
        work,
        store=store,
        recipe_digest=recipe.digest,
        source_digest=tissue.source_digest,
        config=config,
        also_in=[tile_store.folder],
    )
    following = (
        f"histofed federate cohort={config.cohort or 'TABLE'} features={config.features} "
        "cancer=... task=..."
    )
    table = store.folder / "slides.csv"
    return close("extract", outcomes, folder=store.folder, table=table, following=following)


def write_stain_picture(
    store: FeatureStore, reader: SlideReader, tiles: SlideTiles, stain: StainMethod
) -> None:
    """Write ``<slide_id>.png``: tiles before and after, where stains are normalised."""
    slide_id = tiles.record.slide_id
    path = store.folder / f"{slide_id}.png"
    if not stain.record:
        path.unlink(missing_ok=True)  # of other options, with overwrite=true
        return
    before = sampled(reader, tiles, n_tiles=SHOWN)
    # Learned a second time: that costs as much as reading n_tiles tiles.
    after = stain.fit(reader, tiles)(before)
    figure = stain_picture(before, after, slide_id=slide_id, method=stain.record["method"])
    with atomic_path(path) as part:
        part.write_bytes(png_bytes(figure))
