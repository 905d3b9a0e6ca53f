"""Tiles that somebody else chose: ``histofed extract tiles=FOLDER`` encodes exactly these.

Positions of TRIDENT, CLAM and STAMP become our files with ``histofed convert``; files of tiles and
of features will do, as both say where tiles lie.

Array suffixes: N tiles.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from histofed.core.words import counted
from histofed.errors import ConfigError, SlideError, StoreError
from histofed.extract.resampling import RESAMPLING
from histofed.io.interop import detect
from histofed.io.readers import slide_digest
from histofed.io.store import FeatureStore, Recipe, Record, SlideTiles, TileStore
from histofed.pipeline import terminal
from histofed.pipeline.slides import slide_path

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from histofed.core.types import Slide
    from histofed.extract.encoders import EncoderCard
    from histofed.io.readers import SlideReader

SAME_MPP = 1e-3
"""Relative difference up to which two say the same microns per pixel."""

CHOSEN_ELSEWHERE = ("tiling", "tissue", "quality")
"""Options that say which tiles there are; given tiles say it themselves."""

STORES: dict[str, type[TileStore | FeatureStore]] = {
    "histofed/tiles": TileStore,
    "histofed/features": FeatureStore,
}


class GivenTiles:
    """The tiles of a folder, one file per slide.

    Attributes
    ----------
    recipe
        What all of them share, and a feature file says of its tiles: size, resolution, origin.

    Raises
    ------
    ConfigError
        No file is of these slides, their tiles are of several kinds, the encoder takes other ones,
        or options choose tiles too.
    """

    def __init__(
        self, folder: Path, slides: Sequence[Slide], *, cards: Sequence[EncoderCard]
    ) -> None:
        self._folder = folder
        self._cards = cards
        _refuse_options(folder)
        self.recipe = self._one_recipe(slides)
        spec = self.recipe.spec
        assert spec is not None  # without positions there is no recipe
        for card in cards:
            if spec.size_px != card.size_px or not card.takes(spec.mpp):
                msg = (
                    f"encoder {card.name} takes tiles of {_kind(card.size_px, card.mpp)}; those of "
                    f"tiles={folder} are of {_kind(spec.size_px, [spec.mpp])}: choose an encoder "
                    "for such tiles, or leave tiles=... out and have others made"
                )
                raise ConfigError(msg)

    def source_digest(self, slide_id: str) -> str:
        """Return the digest of where the tiles of a slide are: features depend on it."""
        record, coords_N2 = self._read(slide_id)
        digest = hashlib.sha256(f"{record.side_px0!r} {record.mpp!r} ".encode())
        digest.update(coords_N2.astype("<i8").tobytes())
        return digest.hexdigest()

    def tiles(self, reader: SlideReader, slide: Slide) -> SlideTiles:
        """Return the given tiles of an open slide, to be read from it.

        Raises
        ------
        SlideError
            There are none, or they are of another slide or at a resolution that does not suit.
        """
        given, coords_N2 = self._read(slide.slide_id)
        digest = slide_digest(slide_path(slide))
        self._check_same_slide(given, coords_N2, reader, digest)
        record = replace(
            Record.of(
                self.recipe,
                slide.slide_id,
                digest,
                reader.info,
                source_digest=self.source_digest(slide.slide_id),
            ),
            tile_side_px0=given.tile_side_px0,
        )
        for card in self._cards:
            if not card.takes(record.reading_spec.mpp):
                msg = (
                    f"slide {slide.slide_id}: its given tiles are {given.side_px0:g} level-0 "
                    f"pixels of {reader.info.mpp:g} microns a side, so they are read at "
                    f"{record.reading_spec.mpp:.4g} microns per pixel; encoder "
                    f"{card.name} takes {_kind(card.size_px, card.mpp)}: leave the slide out, or "
                    "choose another encoder"
                )
                raise SlideError(msg)
        unknown_N = np.full(len(coords_N2), np.nan, np.float32)
        return SlideTiles(record=record, coords_N2=coords_N2, tissue_N=unknown_N)

    def _read(self, slide_id: str) -> tuple[Record, NDArray[np.int64]]:
        path = self._folder / f"{slide_id}.h5"
        try:
            if not path.is_file():
                msg = f"{path} is not there; convert the tiles of this slide too, or leave it out"
                raise StoreError(msg)
            if (kind := detect(path)) not in STORES:
                msg = f"{path} is a file of {kind}; bring it in with histofed convert"
                raise StoreError(msg)
            found = STORES[kind](self._folder).read(slide_id)
            if found.coords_N2 is None or found.record.recipe.spec is None:
                msg = f"{path}: its tiles have no positions; name files that have (tiles=...)"
                raise StoreError(msg)
        except StoreError as error:
            msg = f"slide {slide_id}: no tiles are given: {error}"
            raise SlideError(msg) from error
        return found.record, found.coords_N2

    def _one_recipe(self, slides: Sequence[Slide]) -> Recipe:
        found: dict[str, tuple[str, Recipe]] = {}
        for slide in slides:
            try:
                recipe = _tile_recipe(self._read(slide.slide_id)[0])
            except SlideError:  # said when its turn comes
                continue
            found.setdefault(recipe.digest, (slide.slide_id, recipe))
        if not found:
            wanted = f"{counted(len(slides), 'slide')} (first: {slides[0].slide_id}.h5)"
            msg = (
                f"tiles={self._folder} holds the tiles of none of {wanted}; name the folder of "
                "tiles or features that histofed convert or histofed tile wrote"
            )
            raise ConfigError(msg)
        if len(found) > 1:
            each = "; ".join(f"{name}: {_described(recipe)}" for name, recipe in found.values())
            msg = (
                f"tiles={self._folder} holds {len(found)} kinds of tiles ({each}), and features of "
                "a cohort are of one: convert them with tile_mpp=..., or extract them apart"
            )
            raise ConfigError(msg)
        ((_, recipe),) = found.values()
        return recipe

    def _check_same_slide(
        self, given: Record, coords_N2: NDArray[np.int64], reader: SlideReader, digest: str
    ) -> None:
        """Refuse tiles of another slide than the open one."""
        info, where = reader.info, f"slide {given.slide_id}: its given tiles"
        asked = (given.width_px0, given.height_px0)
        size = (info.width_px0, info.height_px0)
        ours = "origin" not in given.recipe.tissue  # else the digest is of the converted file
        beyond_N = (coords_N2 + given.side_px0 > np.array(size) + 0.5).any(axis=1)
        beyond_N |= (coords_N2 < 0).any(axis=1)
        if None not in asked and asked != size:
            msg = (
                f"{where} are of a slide of {asked[0]} x {asked[1]} pixels, this one has {size[0]} "
            )
            msg += f"x {size[1]}"
        elif ours and given.slide_digest != digest:
            msg = f"{where} are of another slide of this name (its digest is "
            msg += f"{given.slide_digest[:8]}, this one's {digest[:8]})"
        elif beyond_N.any():
            x, y = coords_N2[beyond_N][0]
            msg = f"{where} are not all inside of it: {beyond_N.sum()} of {len(coords_N2)} end "
            msg += f"beyond its {size[0]} x {size[1]} pixels (first: at {x}, {y}; side "
            msg += f"{given.side_px0:g})"
        elif given.mpp is not None and abs(given.mpp - info.mpp) > SAME_MPP * info.mpp:
            msg = f"{where} were placed at {given.mpp:g} microns per pixel, {info.mpp_source} says "
            msg += f"{info.mpp:g}; correct one (mpp_table=..., or convert them with cohort=TABLE)"
            raise SlideError(msg)
        else:
            return
        msg += f"; name the folder with the tiles of this very slide (tiles={self._folder})"
        raise SlideError(msg)


def _refuse_options(folder: Path) -> None:
    """Refuse options that would choose tiles, as they would be without effect."""
    for typed in terminal.options_typed:
        if typed.lstrip("+~").partition("=")[0].partition(".")[0] in CHOSEN_ELSEWHERE:
            msg = f"{typed} was given and tiles={folder} too, which says which tiles there are; "
            msg += "leave one of them out"
            raise ConfigError(msg)


def _tile_recipe(given: Record) -> Recipe:
    """Return the recipe of given tiles: nobody looked for tissue here."""
    origin = {"origin": "histofed", **given.recipe.tissue}
    if "origin" in given.recipe.tissue:
        known = {name: value for name, value in origin.items() if name != "method"}
    else:  # how tissue was found then is told by that file
        known = {"origin": "histofed"}
    return Recipe(
        spec=given.recipe.spec, tissue={"method": "given", **known}, resampling=RESAMPLING
    )


def _described(recipe: Recipe) -> str:
    assert recipe.spec is not None
    return f"{_kind(recipe.spec.size_px, [recipe.spec.mpp])}, of {recipe.tissue['origin']}"


def _kind(size_px: int, mpps: Sequence[float]) -> str:
    known = " or ".join(f"{mpp:.4g}" for mpp in mpps)
    return f"{size_px} px" + (f" at {known} microns per pixel" if known else "")
