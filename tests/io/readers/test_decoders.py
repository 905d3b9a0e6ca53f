"""A block is shown in the colours that the directory's tag says, whatever the block itself says."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
import pytest
import simplejpeg
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from histofed.errors import SlideUnreadable
from histofed.io.pyramid import write_pyramid
from histofed.io.readers import open_slide
from histofed.io.readers.decoders import APPLICATION, JPEG_START, without_application

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SIDE_PX = 1024
JFIF = bytes.fromhex("ffe000104a46494600010100000100010000")
ADOBE_RGB, ADOBE_YCBCR = (
    bytes.fromhex(f"ffee000e41646f6265006400000000{transform}") for transform in ("00", "01")
)


def picture(side_px: int = SIDE_PX) -> np.ndarray:
    """A colour that differs everywhere, and a white middle."""
    ramp = np.linspace(20, 235, side_px)
    channels = [ramp[None] + 0 * ramp[:, None], ramp[:, None] + 0 * ramp[None]]
    pixels = np.stack([*channels, np.full((side_px, side_px), 90.0)], axis=-1).astype(np.uint8)
    pixels[side_px // 4 : -side_px // 4, side_px // 4 : -side_px // 4] = 255
    return pixels


def rewritten(path: Path, block: Callable[[bytes], bytes], *, of: int, colours: int = 2) -> Path:
    """Write the first blocks of level 0 anew, at the end, and what the directory says of colours.

    Parameters
    ----------
    of
        So many blocks.
    colours
        PhotometricInterpretation: 2 is RGB, 6 YCbCr.
    """
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        places = list(zip(page.dataoffsets, page.databytecounts, strict=True))[:of]
        starts, lengths, tag = (page.tags[code] for code in (324, 325, 262))
    content[tag.valueoffset : tag.valueoffset + 2] = colours.to_bytes(2, "little")
    for number, (start, length) in enumerate(places):
        new = block(bytes(content[start : start + length]))
        for each, value in ((starts, len(content)), (lengths, len(new))):
            at = each.valueoffset + 4 * number
            content[at : at + 4] = value.to_bytes(4, "little")
        content += new
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("colours", [2, 6])
@pytest.mark.parametrize("said", [JFIF, ADOBE_RGB, ADOBE_YCBCR, JFIF + ADOBE_RGB])
def test_what_a_block_says_of_its_colours_does_not_count(tmp_path, said, colours) -> None:
    path = rewritten(
        write_pyramid(tmp_path / "s.svs", picture(), mpp=0.5),
        lambda block: JPEG_START + said + block.removeprefix(JPEG_START),
        of=3,
        colours=colours,
    )
    with open_slide(path) as fast, open_slide(path, fast=False) as slow:
        assert fast.rule == "tiff"
        size = {"width_px": SIDE_PX, "height_px": SIDE_PX}
        np.testing.assert_array_equal(fast.read(0, 0, 0, **size), slow.read(0, 0, 0, **size))


def test_a_grey_block_is_damage_as_for_openslide(tmp_path) -> None:
    grey = simplejpeg.encode_jpeg(np.full((256, 256, 1), 128, np.uint8), colorspace="GRAY")
    path = write_pyramid(tmp_path / "s.svs", picture(), mpp=0.5)
    with open_slide(rewritten(path, lambda _: grey, of=1)) as reader:
        assert reader.rule == "tiff"
        with pytest.raises(SlideUnreadable, match="no JPEG of three colours"):
            reader.read(0, 0, 0, width_px=9, height_px=9)


SEGMENTS = st.lists(st.tuples(st.sampled_from(APPLICATION), st.binary(max_size=9)), max_size=4)


@settings(max_examples=50)
@given(SEGMENTS, st.binary(max_size=20))
def test_segments_of_applications_are_left_out_and_nothing_else(segments, rest) -> None:
    said = b"".join(
        bytes([0xFF, marker]) + (len(payload) + 2).to_bytes(2, "big") + payload
        for marker, payload in segments
    )
    tables = b"\xff\xdb\x00\x04ab"
    scan = b"\xff\xda" + rest
    found = without_application(JPEG_START + said + tables + said + scan)
    assert found == tables + scan


@given(st.binary(max_size=40))
def test_damage_is_no_other_error(data) -> None:
    with suppress(ValueError):
        assert len(without_application(JPEG_START + data)) <= len(data)
