"""``histofed extract``: tile slides where that was not done, and encode every tile."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from histofed.extract.extract import encode_slide, feature_recipe
from histofed.io.readers import open_slide
from histofed.io.store import FeatureStore, Record, TileStore
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
    from histofed.pipeline.schema import ExtractConfig


def run(config: ExtractConfig) -> int:
    """Extract features of every slide; return the exit code."""
    tile_store = TileStore(Path(config.work) / "tiles")
    store = FeatureStore(Path(config.features))
    spec, tissue = build.tile_spec(config.tiling), build.tissue_spec(config.tissue)
    slides = chosen_slides(config)
    encoder = build.encoder(
        config.encoder, spec=spec, device=config.device, precision=config.precision
    )
    recipe = feature_recipe(spec, tissue, encoder)

    def work(slide: Slide) -> Outcome:
        path = slide_path(slide)
        with open_slide(path, mpp=slide.mpp, fallback_mpp=config.mpp) as reader:
            tiles, _ = tiles_of(
                reader,
                slide,
                store=tile_store,
                spec=spec,
                tissue=tissue,
                overwrite=config.overwrite,
            )
            record = Record.of(recipe, slide.slide_id, tiles.record.slide_digest, reader.info)
            found, n_tiles = store.digest(slide.slide_id), len(tiles.coords_N2)
            if found is not None:
                check_same(
                    store.path(slide.slide_id),
                    found=found,
                    wanted=record.digest,
                    overwrite=config.overwrite,
                )
            if found == record.digest:
                return outcome(slide, record, status="kept", n_tiles=n_tiles)
            features = encode_slide(
                reader, tiles, encoder, record=record, batch_size=config.batch_size
            )
        store.write(features)
        return outcome(slide, record, status="done", n_tiles=n_tiles)

    table = store.folder / "slides.csv"
    outcomes = each_slide("Features", slides, work, table=table)
    following = (
        f"histofed federate cohort={config.cohort or 'TABLE'} features={config.features} "
        "cancer=... task=..."
    )
    return close("extract", outcomes, folder=store.folder, table=table, following=following)
