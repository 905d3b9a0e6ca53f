"""Slide -> features: read tiles, and have them encoded on another thread meanwhile."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from histofed.errors import ConfigError
from histofed.extract.reading import read_batches
from histofed.extract.stain.base import AsScanned, unchanged
from histofed.extract.tiles import tile_recipe

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from histofed.core.tiling import TileSpec
    from histofed.extract.encoders import EncoderCard, TileEncoder
    from histofed.extract.feed import EncoderFeed, SlideFeed
    from histofed.extract.quality import QualitySpec
    from histofed.extract.stain import StainMethod
    from histofed.extract.stain.base import Transform
    from histofed.extract.tissue import TissueMethod
    from histofed.io.readers import SlideReader
    from histofed.io.store import Recipe, SlideTiles

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
    return encoded_recipe(tile_recipe(spec, tissue, quality), encoder, stain=stain)


def encoded_recipe(tiles: Recipe, encoder: TileEncoder, *, stain: StainMethod) -> Recipe:
    """Return the recipe of features of such tiles; refuses what the encoder was not trained for."""
    assert tiles.spec is not None  # tiles have positions
    encoder.card.check(tiles.spec)
    return replace(
        tiles,
        encoder=encoder.card.name,
        encoder_digest=encoder.digest,
        weights_digest=encoder.weights_digest,
        stain=stain.record,
    )


def check_one_grid(cards: Sequence[EncoderCard]) -> None:
    """Refuse encoders that no tile suits all of.

    Raises
    ------
    ConfigError
        Sizes differ, or no resolution is one of all of them; two that differ are named.
    """
    for number, card in enumerate(cards):
        for other in cards[:number]:
            if card.size_px != other.size_px:
                theirs = f"{other.size_px} px and of {card.size_px} px"
            elif not _share_mpp(other, card):
                theirs = f"{_listed(other.mpp)} and of {_listed(card.mpp)} microns per pixel"
            else:
                continue
            msg = (
                f"encoders {other.name} and {card.name} take different tiles, of {theirs}; extract "
                "them by two commands, with a work folder each"
            )
            raise ConfigError(msg)


def encode_slide(
    reader: SlideReader,
    tiles: SlideTiles,
    feed: EncoderFeed,
    *,
    names: Sequence[str],
    transform: Transform = unchanged,
    threads: int = 0,
) -> Generator[float, None, SlideFeed]:
    """Read the kept tiles, each once, and hand them to the encoders of these names.

    Yields after every batch, which part of the tiles was read, so that other things can be seen to.

    Parameters
    ----------
    transform
        What a stain method learned of this slide, applied to every tile.

    Returns
    -------
    SlideFeed
        What will hold the features of the tiles, in their order. They do not depend on the tiles of
        other slides, and on ``feed.batch_size`` only by the rounding of the encoder's arithmetic.

    Raises
    ------
    SlideUnreadable
        A tile cannot be read.
    """
    n_read, n_tiles = 0, len(tiles.coords_N2)
    awaited = feed.expect(n_tiles, names)
    for numbers_B, tiles_BHW3 in read_batches(
        reader,
        tiles.record.reading_spec,
        tiles.coords_N2,
        batch_size=feed.batch_size,
        threads=threads,
    ):
        feed.add(awaited, numbers_B, transform(tiles_BHW3))
        n_read += len(numbers_B)
        yield n_read / n_tiles
    return awaited


def _share_mpp(one: EncoderCard, other: EncoderCard) -> bool:
    """Whether a resolution suits both; a card without any takes all."""
    known = (*one.mpp, *other.mpp)
    return not known or any(one.takes(mpp) and other.takes(mpp) for mpp in known)


def _listed(mpps: tuple[float, ...]) -> str:
    return ", ".join(f"{mpp:g}" for mpp in mpps)
