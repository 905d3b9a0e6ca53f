"""``histofed extract``: tile slides where that was not done, and encode every tile."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from histofed.core.steps import part_of
from histofed.errors import SlideUnreadable, StoreError
from histofed.extract.extract import encode_slide, encoded_recipe
from histofed.extract.feed import EncoderFeed
from histofed.extract.overview import overview
from histofed.extract.stain.base import sampled
from histofed.extract.tiles import tile_recipe, tissue_mask, without_unreadable
from histofed.io.atomic import atomic_path
from histofed.io.store import FeatureStore, SlideFeatures, TileStore
from histofed.pipeline import build, terminal
from histofed.pipeline.given_tiles import GivenTiles
from histofed.pipeline.shared_results import SharedResults
from histofed.pipeline.sharing import each_slide
from histofed.pipeline.slides import WORK_LEFT, check_same, chosen_slides, close, opened
from histofed.pipeline.tile import outcome, tiles_of, write_tiles
from histofed.report.stain import stain_picture
from histofed.report.style import jpeg_bytes

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from histofed.core.types import Slide
    from histofed.extract.encoders import TileEncoder
    from histofed.extract.feed import SlideFeed
    from histofed.extract.quality import QualitySpec
    from histofed.extract.stain import StainMethod
    from histofed.extract.stain.base import Transform
    from histofed.extract.tissue import TissueMethod
    from histofed.io.readers import SlideReader
    from histofed.io.store import Recipe, Record, SlideTiles
    from histofed.pipeline.schema_data import ExtractConfig
    from histofed.pipeline.sharing import Ended, Steps
    from histofed.pipeline.slides import Outcome

FINDING = 0.1
"""Part of a slide's time that goes into finding its tiles, more or less: for the progress shown."""

SHOWN = 6
"""Tiles of a slide on its picture of stain normalisation."""


def run(config: ExtractConfig) -> int:
    """Extract features of every slide, by every encoder; return the exit code."""
    tissue, quality = build.tissue(config.tissue), build.quality(config.quality)
    stain, slides = build.stain(config.stain), chosen_slides(config)
    given, tiles = None, tile_recipe(build.tile_spec(config.tiling), tissue, quality)
    if config.tiles is not None:
        given = GivenTiles(Path(config.tiles), slides, cards=build.encoder_cards(config.encoder))
        tiles = given.recipe
    assert tiles.spec is not None
    encoders = build.encoders(
        config.encoder,
        spec=tiles.spec,
        device=config.device,
        precision=config.precision,
        engine=config.engine,
    )
    for name, encoder in encoders.items():
        terminal.say(
            f"Encoder {name}: engine {encoder.engine}, {encoder.precision} on {encoder.device}"
        )
    stores = {name: FeatureStore(folder) for name, folder in _folders(config).items()}
    recipes = {
        name: encoded_recipe(tiles, encoder, stain=stain) for name, encoder in encoders.items()
    }
    results = {
        name: SharedResults(
            store,
            recipe_digest=recipes[name].digest,
            source_digest=tissue.source_digest if given is None else given.source_digest,
            config=config,
        )
        for name, store in stores.items()
    }
    with EncoderFeed(encoders, batch_size=config.batch_size) as feed:
        extraction = _Extraction(
            config=config,
            tissue=tissue,
            quality=quality,
            stain=stain,
            encoders=encoders,
            recipes=recipes,
            tile_store=TileStore(Path(config.work) / "tiles"),
            stores=stores,
            feed=feed,
            given=given,
        )
        outcomes = each_slide(
            "Features",
            slides,
            extraction.steps,
            results=results,
            also_in=[extraction.tile_store.folder],
            flush=feed.flush,
        )
    codes = {_close(config, name, stores, rows) for name, rows in outcomes.items()}
    return WORK_LEFT if WORK_LEFT in codes else max(codes)


def _close(
    config: ExtractConfig, name: str, stores: Mapping[str, FeatureStore], outcomes: list[Outcome]
) -> int:
    """Say what became of the slides by one encoder; return the exit code."""
    folder = stores[name].folder
    following = (
        f"histofed federate cohort={config.cohort or 'TABLE'} features={folder} cancer=... task=..."
    )
    verb = "extract" if len(stores) == 1 else f"extract, {name}"
    table = folder / "slides.csv"
    return close(verb, outcomes, folder=folder, table=table, following=following)


def _folders(config: ExtractConfig) -> dict[str, Path]:
    """Return encoder -> folder of its features; of several each has its own in ``features``."""
    names, folder = build.each_encoder(config.encoder), Path(config.features)
    return {name: folder if "_target_" in config.encoder else folder / name for name in names}


@dataclass(frozen=True, kw_only=True)
class _Extraction:
    """What the work on every slide needs; recipes and stores by the name of the encoder."""

    config: ExtractConfig
    tissue: TissueMethod
    quality: QualitySpec
    stain: StainMethod
    encoders: Mapping[str, TileEncoder]
    recipes: Mapping[str, Recipe]
    tile_store: TileStore
    stores: Mapping[str, FeatureStore]
    feed: EncoderFeed
    given: GivenTiles | None

    def steps(self, slide: Slide, names: Sequence[str]) -> Steps:
        """Make the features of a slide by the encoders of these names."""
        ended: dict[str, Ended] = {}
        with opened(slide, self.config) as reader:
            tiles = yield from self._tiles(reader, slide)
            records = {name: replace(tiles.record, recipe=self.recipes[name]) for name in names}
            for name, record in records.items():
                try:
                    if self._is_there(name, record):
                        ended[name] = outcome(reader, tiles, status="kept")
                except StoreError as error:
                    ended[name] = error
            lacking = [name for name in names if name not in ended]
            if not lacking:
                return ended
            tiles, awaited, transform = yield from self._read(reader, tiles, lacking)
            done = outcome(reader, tiles, status="done")
            self._write_pictures(reader, tiles, lacking, transform)
        yield awaited.features
        for name, features_ND in awaited.features.result().items():
            features = SlideFeatures(
                record=records[name], features_ND=features_ND, coords_N2=tiles.coords_N2
            )
            try:
                self.stores[name].write(features)
            except StoreError as error:
                ended[name] = error
            else:
                ended[name] = replace(done, engine=self.encoders[name].engine)
        return ended

    def _tiles(self, reader: SlideReader, slide: Slide) -> Generator[float, None, SlideTiles]:
        if self.given is not None:
            return self.given.tiles(reader, slide)
        spec = next(iter(self.recipes.values())).spec
        assert spec is not None
        finding = tiles_of(
            reader,
            slide,
            store=self.tile_store,
            spec=spec,
            tissue=self.tissue,
            quality=self.quality,
            overwrite=self.config.overwrite,
        )
        tiles, _ = yield from part_of(finding, start=0.0, end=FINDING)
        return tiles

    def _is_there(self, name: str, record: Record) -> bool:
        """Whether the features that would be made are there; others are refused."""
        store = self.stores[name]
        found = store.digest(record.slide_id)
        if found:
            path, overwrite = store.path(record.slide_id), self.config.overwrite
            check_same(
                path,
                found=found,
                wanted=record.digest,
                overwrite=overwrite,
                records=lambda: (store.record(record.slide_id), record),
            )
        return found == record.digest

    def _read(
        self, reader: SlideReader, tiles: SlideTiles, names: Sequence[str]
    ) -> Generator[float, None, tuple[SlideTiles, SlideFeed, Transform]]:
        """Hand over all tiles that can be read; return them, their feed and what was done to them.

        Raises
        ------
        StainUnclear
            The stains are to be normalised and cannot be told apart.
        """
        try:
            return (yield from self._hand_over(reader, tiles, names))
        except SlideUnreadable:
            if self.given is not None:
                raise  # all of these tiles were asked for
            # Damage the coarse look did not see: those tiles are flagged, the rest goes on.
            tiles = without_unreadable(reader, tiles, quality=self.quality)
            thumbnail, _ = overview(reader, self.tissue.mpp)
            slide_id, info = tiles.record.slide_id, reader.info
            mask = tissue_mask(self.tissue, thumbnail, slide_id=slide_id, info=info)
            write_tiles(
                self.tile_store,
                tiles,
                thumbnail=thumbnail,
                mask=mask,
                mpp=self.tissue.mpp,
                reader=reader,
            )
            return (yield from self._hand_over(reader, tiles, names))

    def _hand_over(
        self, reader: SlideReader, tiles: SlideTiles, names: Sequence[str]
    ) -> Generator[float, None, tuple[SlideTiles, SlideFeed, Transform]]:
        # Tiles are read beside the encoder in any case; more threads share that work.
        threads = self.config.read_threads if self.config.read_threads > 1 else 0
        transform = self.stain.fit(reader, tiles, device=self.feed.device)
        encoding = encode_slide(
            reader, tiles, self.feed, names=names, transform=transform, threads=threads
        )
        awaited = yield from part_of(encoding, start=FINDING, end=1.0)
        return tiles, awaited, transform

    def _write_pictures(
        self, reader: SlideReader, tiles: SlideTiles, names: Sequence[str], transform: Transform
    ) -> None:
        """Write ``<slide_id>.jpg``: tiles before and after, where stains are normalised."""
        slide_id = tiles.record.slide_id
        paths = [self.stores[name].folder / f"{slide_id}.jpg" for name in names]
        method = self.stain.record.get("method")
        if method is None:
            for path in paths:
                path.unlink(missing_ok=True)  # of other options, with overwrite=true
            return
        before = sampled(reader, tiles, n_tiles=SHOWN)
        figure = stain_picture(before, transform(before), slide_id=slide_id, method=method)
        picture = jpeg_bytes(figure)
        for path in paths:
            with atomic_path(path) as part:
                part.write_bytes(picture)
