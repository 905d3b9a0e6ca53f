"""Directories that lie or are damaged: OpenSlide's pixels are shown, or it is left to OpenSlide."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from PIL import Image

from histofed.errors import SlideUnreadable
from histofed.io.pyramid import write_pyramid
from histofed.io.readers import open_slide
from histofed.io.readers.openslide import MAX_BLOCK_PX

if TYPE_CHECKING:
    from pathlib import Path

TAGS = {"resolution": (20_000, 20_000), "resolutionunit": "CENTIMETER"}
STORED = {"tile": (256, 256), "photometric": "rgb", "compression": "jpeg", **TAGS}


def speckled(side_px: int = 1024) -> np.ndarray:
    """Noise around a white middle."""
    pixels = np.random.default_rng(0).integers(0, 200, (side_px // 8, side_px // 8, 3), np.uint8)
    pixels = pixels.repeat(8, axis=0).repeat(8, axis=1)
    pixels[side_px // 5 : -side_px // 5, side_px // 5 : -side_px // 5] = 255
    return pixels


def patched(path: Path, code: int, *, count: int | None = None, value: int | None = None) -> Path:
    """Change how many values a tag of the first directory has, or its value, to a 4-byte number."""
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        at = file.pages[0].tags[code].offset
    if count is not None:
        content[at + 4 : at + 8] = count.to_bytes(4, "little")
    if value is not None:
        content[at + 2 : at + 12] = b"\x04\0" + b"\x01\0\0\0" + value.to_bytes(4, "little")
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("order", ["before", "after"])
def test_a_picture_of_the_size_of_a_level_is_not_taken_for_it(tmp_path, order) -> None:
    """A directory that is no reduced image: a label, a mask, another stain."""
    pixels = speckled()
    small = np.asarray(Image.fromarray(pixels).reduce(2))
    other = (255 - small[::-1], {})
    level = (small, {"subfiletype": 1})
    path = tmp_path / "s.tif"
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(pixels, **STORED)
        for picture, said in (other, level) if order == "before" else (level, other):
            tiff.write(picture, **STORED, **said)
    with open_slide(path) as fast, open_slide(path, fast=False) as slow:
        assert fast.rule == "tiff"
        assert len(fast.info.level_sizes_px) == 2
        size = {"width_px": 512, "height_px": 512}
        np.testing.assert_array_equal(fast.read(1, 0, 0, **size), slow.read(1, 0, 0, **size))


@pytest.mark.parametrize(
    ("code", "change"),
    [(324, {"count": 3}), (256, {"value": 100_000}), (322, {"value": 128})],
    ids=["offsets", "width", "block"],
)
def test_a_level_of_more_blocks_than_the_file_is_refused_by_name(tmp_path, code, change) -> None:
    """Read with OpenSlide, the file would be looked through block by block, for an hour."""
    path = patched(write_pyramid(tmp_path / "s.svs", speckled(), mpp=0.5), code, **change)
    with pytest.raises(SlideUnreadable, match=r"slide s\.svs: a level of .* where \d+ of them are"):
        open_slide(path)


def test_blocks_of_unknown_size_are_left_to_openslide(tmp_path) -> None:
    path = patched(write_pyramid(tmp_path / "s.svs", speckled(), mpp=0.5), 325, count=3)
    with open_slide(path) as reader:
        assert reader.rule == "openslide: the sizes of 3 of 16 blocks are said"


def test_a_huge_block_is_refused_before_memory_is_taken_for_it(tmp_path) -> None:
    path = write_pyramid(tmp_path / "s.svs", speckled(), mpp=0.5)
    for code in (322, 323):
        patched(path, code, value=65_536)
    for fast in (True, False):
        with pytest.raises(SlideUnreadable, match=rf"65536 x 65536 pixels.*{MAX_BLOCK_PX:,}"):
            open_slide(path, fast=fast)


def test_a_block_beyond_the_file_takes_no_memory(tmp_path, monkeypatch) -> None:
    path = write_pyramid(tmp_path / "s.svs", speckled(), mpp=0.5)
    with tifffile.TiffFile(path) as file:
        at = file.pages[0].tags[325].valueoffset
    content = bytearray(path.read_bytes())
    content[at : at + 4] = (2**31 - 1).to_bytes(4, "little")
    path.write_bytes(content)
    with open_slide(path) as reader:
        assert reader.rule == "tiff"
        monkeypatch.setattr("os.pread", None)
        with pytest.raises(SlideUnreadable, match="the file ends before it"):
            reader.read(0, 0, 0, width_px=9, height_px=9)


def test_colours_that_only_openslide_converts_are_left_to_it(tmp_path) -> None:
    path = tmp_path / "s.tif"
    tifffile.imwrite(path, speckled(), **{**STORED, "compression": "deflate"})
    with tifffile.TiffFile(path) as file:
        at = file.pages[0].tags[262].valueoffset
    content = bytearray(path.read_bytes())
    content[at] = 6
    path.write_bytes(content)
    with open_slide(path) as reader:
        assert reader.rule == "openslide: colours YCBCR in DEFLATE"
