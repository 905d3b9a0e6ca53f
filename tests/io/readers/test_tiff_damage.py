"""Which blocks a damaged file loses does not depend on the reader."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from PIL import Image

from histofed.errors import SlideUnreadable
from histofed.io.pyramid import write_pyramid
from histofed.io.readers import open_slide

if TYPE_CHECKING:
    from pathlib import Path

REAL = {
    "jpeg": "slides/CMU-1-Small-Region.svs",
    "jpeg2000": "slides/tcga-cr-7395-01a-01-ts1.svs",
}
SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 12))]
HEADER_BYTES = 12
PROBE_PX = 400
"""Opening compares this much of the middle with OpenSlide; damage there chooses the reader."""


def hurt(content: bytearray, start: int, length: int, random: np.random.Generator) -> None:
    """Damage one block in a random way, or not at all."""
    at = start + int(random.integers(HEADER_BYTES, length - 8))
    n = int(min(random.choice([1, 4, 30, 300, 3000]), start + length - at))
    match random.choice(["nothing", "noise", "zeros", "bit", "gap", "marker", "end"]):
        case "noise":
            content[at : at + n] = random.bytes(n)
        case "zeros":
            content[at : at + n] = bytes(n)
        case "bit":
            content[at] ^= 1 << int(random.integers(8))
        case "gap":
            content[at : start + length] = content[at + n : start + length] + bytes(n)
        case "marker":
            content[at : at + 2] = bytes([0xFF, int(random.integers(1, 255))])
        case "end":
            content[start + length - 2 : start + length] = bytes(2)


def hurt_slide(source: Path, path: Path, seed: int) -> np.ndarray:
    """Damage the blocks of level 0 around the middle; return the corners of its blocks."""
    random = np.random.default_rng(seed)
    content = bytearray(source.read_bytes())
    with tifffile.TiffFile(source) as file:
        page = file.pages[0]
    corners = []
    for number, (start, length) in enumerate(
        zip(page.dataoffsets, page.databytecounts, strict=True)
    ):
        row, column = divmod(number, -(-page.imagewidth // page.tilewidth))
        corner = np.array([column * page.tilewidth, row * page.tilelength])
        corners.append(corner)
        middle = corner + page.tilewidth / 2 - np.array([page.imagewidth, page.imagelength]) / 2
        if np.abs(middle).max() > (PROBE_PX + page.tilewidth) / 2:
            hurt(content, start, length, random)
    path.write_bytes(content)
    return np.array(corners)


def what_is_read(path: Path, corners: np.ndarray, *, fast: bool) -> dict[int, np.ndarray]:
    """Return the pixels of every block that can be read."""
    found = {}
    with open_slide(path, fast=fast, fallback_mpp=0.25) as reader:
        assert reader.rule == ("tiff" if fast else "openslide")
        for numbers, pixels in reader.read_many(
            0, corners, width_px=120, height_px=120, batch_size=16, threads=2, skip_damaged=True
        ):
            found |= {int(n): block.copy() for n, block in zip(numbers, pixels, strict=True)}
    return found


def check_the_same_is_lost(source: Path, path: Path, seed: int) -> None:
    corners = hurt_slide(source, path, seed)
    fast, slow = (what_is_read(path, corners, fast=each) for each in (True, False))
    assert 0 < len(slow) < len(corners)
    assert fast.keys() == slow.keys()
    for number, pixels in slow.items():
        assert np.abs(fast[number].astype(int) - pixels).max() <= 2


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("codec", REAL)
def test_a_real_slide_loses_what_openslide_cannot_read(test_data, tmp_path, codec, seed) -> None:
    check_the_same_is_lost(test_data / REAL[codec], tmp_path / "hurt.svs", seed)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("stored", ["aperio", "generic", "halved colours", "rgb"])
def test_a_made_slide_loses_what_openslide_cannot_read(tmp_path, stored, seed) -> None:
    source = tmp_path / "s.svs"
    cells = np.random.default_rng(seed).integers(60, 250, (100, 100, 3)).astype(np.uint8)
    picture = np.asarray(Image.fromarray(cells).resize((1200, 1200), Image.Resampling.BICUBIC))
    if stored in ("aperio", "generic"):
        write_pyramid(source, picture, mpp=0.25, vendor=stored)
    else:
        colours = {"photometric": "ycbcr", "subsampling": (2, 2)}
        if stored == "rgb":
            colours = {"photometric": "rgb", "compressionargs": {"outcolorspace": "rgb"}}
        tifffile.imwrite(source, picture, tile=(128, 128), compression="jpeg", **colours)
    check_the_same_is_lost(source, tmp_path / "hurt.svs", seed)


def test_a_damaged_size_takes_no_memory(test_data, tmp_path) -> None:
    source = test_data / REAL["jpeg2000"]
    content = bytearray(source.read_bytes())
    with tifffile.TiffFile(source) as file:
        at = file.pages[0].dataoffsets[0] + 8  # after SOC, SIZ, its length and its profile
    assert content[at : at + 8] == (256).to_bytes(4, "big") * 2
    content[at : at + 8] = (60_000).to_bytes(4, "big") * 2
    path = tmp_path / "hurt.svs"
    path.write_bytes(content)
    with open_slide(path, fallback_mpp=0.25) as slide:
        assert slide.rule == "tiff"
        with pytest.raises(SlideUnreadable, match="it is 60000 x 60000 pixels, not 256 x 256"):
            slide.read(0, 0, 0, width_px=9, height_px=9)
