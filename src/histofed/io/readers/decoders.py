"""Compressed blocks of a tiled TIFF -> pixels, in the colours that OpenSlide shows."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING

import numpy as np
import simplejpeg
import tifffile

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

JPEG_START, JPEG_END = b"\xff\xd8", b"\xff\xd9"
"""The markers "start of image" and "end of image" (ITU T.81, table B.1)."""

APPLICATION = range(0xE0, 0xF0)
"""Second bytes of the markers of application segments (ITU T.81, table B.1)."""

FRAME = frozenset({0xC0, 0xC1, 0xC2})
"""The same of frames: baseline, extended and progressive Huffman coding."""

JPEG_COLOURS = {
    tifffile.PHOTOMETRIC.RGB: b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00",
    tifffile.PHOTOMETRIC.YCBCR: b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x01",
}
"""The application segment 14 by which a JPEG says whether its colours are transformed (ITU T.872,
6.5.3)."""

SCAN = 0xDA
"""The same of the compressed pixels."""

J2K_START = b"\xff\x4f\xff\x51"
"""The markers that begin a JPEG 2000 codestream; its size follows (ITU T.800, A.5.1)."""


def decoder_of(page: tifffile.TiffPage) -> Callable[[bytes, int], NDArray[np.uint8]]:
    """Return what `StoredLevel.decode` is for a directory."""
    if page.compression == tifffile.COMPRESSION.JPEG:
        return _jpeg_decoder(page)
    return _other_decoder(page)


def _jpeg_decoder(page: tifffile.TiffPage) -> Callable[[bytes, int], NDArray[np.uint8]]:
    shape = (page.tilelength, page.tilewidth, 3)
    # OpenSlide goes by the directory's tag: what a block says of its colours may be wrong, and is
    # in some scanners' files.
    start = JPEG_START + JPEG_COLOURS[tifffile.PHOTOMETRIC(page.photometric)]
    if page.jpegtables:
        start += without_application(page.jpegtables.removesuffix(JPEG_END))

    def pixels(data: bytes, _number: int) -> NDArray[np.uint8]:
        # libjpeg only warns of most damage, and makes pixels up: strict refuses.
        block = simplejpeg.decode_jpeg(
            start + without_application(data), buffer=cached_memory(shape), strict=True
        )
        if block.shape != shape:
            msg = f"it is {block.shape[1]} x {block.shape[0]} pixels, not {shape[1]} x {shape[0]}"
            raise ValueError(msg)
        return np.asarray(block)

    return pixels


def without_application(data: bytes) -> bytes:
    """Return a JPEG without its start and what applications wrote before the picture.

    Raises
    ------
    ValueError
        It is no JPEG of three colours.
    """
    if not data.startswith(JPEG_START):
        msg = "no JPEG is there"
        raise ValueError(msg)
    kept, at = [], len(JPEG_START)
    while data[at : at + 1] == b"\xff" and len(data) >= at + 4:
        marker, length = data[at + 1], 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker in FRAME:
            if data[at + 9 : at + 10] != b"\x03":
                msg = "it is no JPEG of three colours"
                raise ValueError(msg)
            break
        if marker < 0xC0 or marker in (SCAN, 0xFF):  # libjpeg sees to what comes now
            break
        if marker not in APPLICATION:
            kept.append(data[at : at + length])
        at += length
    return b"".join([*kept, data[at:]])


def cached_memory(shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Return memory for decoded pixels that begins between two multiples of 32 bytes.

    On a multiple, libjpeg-turbo stores past the processor's caches (jdcolext-avx2.asm), as suits
    pixels that nobody wants soon. These are copied at once: so, they are decoded faster.
    """
    size_bytes = math.prod(shape)
    memory = np.empty(size_bytes + 32, dtype=np.uint8)
    start = (16 - memory.ctypes.data) % 32
    return memory[start : start + size_bytes].reshape(shape)


def _other_decoder(page: tifffile.TiffPage) -> Callable[[bytes, int], NDArray[np.uint8]]:
    decode, tables = page.decode, page.jpegtables

    def pixels(data: bytes, number: int) -> NDArray[np.uint8]:
        if data.startswith(J2K_START):
            _check_j2k_size(data, page)
        block, _, _ = decode(data, number, jpegtables=tables)
        assert block is not None  # only empty data gives none
        return np.asarray(block[0])

    return pixels


def _check_j2k_size(data: bytes, page: tifffile.TiffPage) -> None:
    """Refuse a damaged size before memory is taken for it; edges of the slide may be cut."""
    right, bottom, left, top = struct.unpack_from(">4I", data.ljust(24, b"\0"), 8)
    if not (0 < right - left <= page.tilewidth and 0 < bottom - top <= page.tilelength):
        msg = f"it is {right - left} x {bottom - top} pixels, not {page.tilewidth} x "
        msg += f"{page.tilelength}"
        raise ValueError(msg)
