"""A damaged region costs its tiles, not the slide; and is never whitened."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from histofed.core.quality import bits
from histofed.core.tiling import TileSpec, full_grid
from histofed.errors import SlideUnreadable
from histofed.extract.overview import overview
from histofed.extract.quality import QualitySpec
from histofed.extract.reading import read_batches, read_tile
from histofed.extract.tiles import tile_slide, without_unreadable
from histofed.extract.tissue import MaskRules
from histofed.io.pyramid import write_pyramid
from histofed.io.readers import open_slide

if TYPE_CHECKING:
    from pathlib import Path

LOST = bits(["unreadable"])


def slide_with_damage(path: Path, *, pages: tuple[int, ...], n_blocks: int = 1) -> Path:
    """A slide of 1792 px (8 x 8 tiles of 224), with compressed tiles of some levels zeroed."""
    picture = np.random.default_rng(0).integers(90, 220, (112, 112, 3)).astype(np.uint8)
    picture[..., 1] //= 2
    write_pyramid(path, picture.repeat(16, axis=0).repeat(16, axis=1), mpp=0.5)
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tiff:
        for page in pages:
            starts, lengths = tiff.pages[page].dataoffsets, tiff.pages[page].databytecounts
            for offset, length in list(zip(starts, lengths, strict=True))[:n_blocks]:
                content[offset : offset + length] = bytes(length)
    path.write_bytes(content)
    return path


class Everywhere(MaskRules):
    """Tissue all over the slide, whatever is seen."""

    record = {"method": "everywhere"}  # noqa: RUF012

    def mask(self, thumbnail_HW3, *, slide_id, info):
        return np.ones(thumbnail_HW3.shape[:2], dtype=bool)


def tiled(path: Path, quality: QualitySpec | None = None):
    with open_slide(path) as slide:
        return tile_slide(
            slide,
            "S1",
            slide_digest="x",
            spec=TileSpec(),
            tissue=Everywhere(),
            quality=quality,
        )[0]


LOOSE = QualitySpec(drop=("unreadable",))


def test_a_reader_goes_on_after_an_error(tmp_path) -> None:
    path = slide_with_damage(tmp_path / "s.svs", pages=(0,))
    with open_slide(path) as slide:
        for _ in range(2):
            with pytest.raises(SlideUnreadable, match="x=0, y=0"):
                slide.read(0, 0, 0, width_px=64, height_px=64)
            assert slide.read(0, 1000, 1000, width_px=64, height_px=64).std() > 5


def test_damage_in_the_level_that_is_looked_at_flags_its_tiles(tmp_path) -> None:
    # Level 1 is 448 px of 2 um in 2 x 2 blocks of 256 px: the first covers 1024 px of level 0.
    path = slide_with_damage(tmp_path / "s.svs", pages=(1,))
    tiles = tiled(path, QualitySpec(drop=("unreadable",), max_unreadable=0.5))
    expected = [[x, y] for y in range(0, 1120, 224) for x in range(0, 1120, 224)]
    assert tiles.dropped.coords_N2.tolist() == expected
    assert (tiles.dropped.flags_N & LOST > 0).all()
    assert len(tiles.coords_N2) == 64 - 25
    assert (tiles.flags_N & LOST == 0).all()
    with pytest.raises(SlideUnreadable, match=r"39% of its tiles .*max_unreadable=0\.2"):
        tiled(path, LOOSE)


def test_damage_in_the_overview_is_seen_and_not_taken_for_glass(tmp_path) -> None:
    # The whole pyramid but level 0 is lost, and of level 0 one block of 256 px.
    path = slide_with_damage(tmp_path / "s.svs", pages=(0,))
    with tifffile.TiffFile(path) as tiff:
        picture = path.with_name("flat.tif")
        levels = [page.dataoffsets[0] for page in tiff.pages]
    assert len(levels) == 3
    with open_slide(path) as slide:
        shown, unreadable = overview(slide, 0.6)  # only level 0 is fine enough
        assert unreadable.any()
        assert (shown[unreadable] == 255).all()
        rows, columns = np.nonzero(unreadable)
        assert max(rows.max(), columns.max()) * 0.6 <= 256 * 0.5 + 128 + 1
        whole = slide_with_damage(picture.with_suffix(".svs"), pages=())
        with open_slide(whole) as clean:
            expected = clean.thumbnail(0.6)
        difference = np.abs(shown.astype(int) - expected)[~unreadable]
        assert difference.mean() < 2  # the same picture elsewhere, by another way


def test_damage_only_the_encoder_would_meet_is_flagged_when_met(tmp_path) -> None:
    path = slide_with_damage(tmp_path / "s.svs", pages=(0,))
    found = tiled(path, LOOSE)
    assert len(found.coords_N2) == 64  # the coarse look read level 1
    with open_slide(path) as slide:
        tiles = without_unreadable(slide, found, quality=LOOSE)
        assert tiles.dropped.coords_N2.tolist() == [[0, 0], [224, 0], [0, 224], [224, 224]]
        assert len(tiles.coords_N2) == 60
        assert tiles.record == found.record
        for x, y in tiles.coords_N2.tolist():
            read_tile(slide, TileSpec(), x, y)


@pytest.mark.parametrize("fast", [True, False])
def test_damage_does_not_slow_the_rest(tmp_path, fast) -> None:
    """What can be read comes in batches, each block decoded once."""
    path = slide_with_damage(tmp_path / "s.svs", pages=(0,))
    with open_slide(path, fast=fast) as slide:
        coords = full_grid(TileSpec(), slide.info)
        batches = read_batches(slide, TileSpec(), coords, batch_size=8, skip_damaged=True)
        found = [numbers for numbers, tiles in batches if len(tiles) == len(numbers)]
        assert [len(numbers) for numbers in found] == [6, 6, 8, 8, 8, 8, 8, 8]
        assert set(range(64)) - set(np.concatenate(found).tolist()) == {0, 1, 8, 9}
        assert slide.blocks_decoded == slide.blocks_touched
        with pytest.raises(SlideUnreadable, match="x=0, y=0"):
            list(read_batches(slide, TileSpec(), coords, batch_size=8))


def test_without_quality_damage_fails_the_slide(tmp_path) -> None:
    path = slide_with_damage(tmp_path / "s.svs", pages=(0, 1, 2))
    with pytest.raises(SlideUnreadable, match="S1"):
        tiled(path)
