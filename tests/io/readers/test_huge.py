"""A slide of 100,000 x 100,000 pixels, in little memory.

The file is small: every block of its directories is the same compressed picture.
"""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

SIDE_PX0, BLOCK_PX = 100_000, 256

PROGRAM = """
import json, re, sys
from pathlib import Path
from histofed.core.tiling import TileSpec
from histofed.extract.reading import read_batches
from histofed.extract.tiles import tile_slide
from histofed.extract.tissue import OtsuSaturation
from histofed.io.readers import open_slide

spec = TileSpec(min_tissue=0)
with open_slide(Path(sys.argv[1])) as slide:
    tiles = tile_slide(slide, "huge", slide_digest="x", spec=spec, tissue=OtsuSaturation())[0]
    n_read = 0
    for numbers, _ in read_batches(slide, spec, tiles.coords_N2, batch_size=64, threads=2):
        n_read += len(numbers)
        if n_read > 5000:  # twenty rows: memory no longer grows
            break
    # Of this process alone: the peak in getrusage counts the parent's memory at the fork too.
    status = Path("/proc/self/status").read_text()
    peak_mb = int(re.search(r"VmHWM:\\s+(\\d+) kB", status)[1]) / 1024
    n_tiles = len(tiles.coords_N2)
    print(json.dumps({"peak_mb": peak_mb, "n_tiles": n_tiles, "rule": slide.rule}))
"""


def write_huge(path: Path, downsamples: tuple[int, ...]) -> Path:
    """Write an Aperio slide whose blocks all lie at the same place of the file."""
    tissue = np.random.default_rng(0).integers(0, 60, (16, 16, 3)) + np.array([150, 60, 140])
    picture = Image.fromarray(tissue.astype(np.uint8)).resize((BLOCK_PX, BLOCK_PX))
    one = path.with_suffix(".tif")
    tifffile.imwrite(
        one, np.asarray(picture), tile=(BLOCK_PX,) * 2, photometric="rgb", compression="jpeg"
    )
    with tifffile.TiffFile(one) as file:
        page = file.pages[0].aspage()
        (block, _) = next(file.filehandle.read_segments(page.dataoffsets, page.databytecounts))
        assert page.jpegtables is None  # the block holds its own
        photometric, subsampling = int(page.photometric), page.subsampling
    content = bytearray(struct.pack("<2sHI", b"II", 42, 0))
    block_at = len(content)
    content += block + bytes(len(block) % 2)
    link_at = 4
    for downsample in downsamples:
        side_px = SIDE_PX0 // downsample
        n_blocks = (-(-side_px // BLOCK_PX)) ** 2
        text = f"Aperio Image Library v1\r\n{side_px}x{side_px} JPEG/YCC Q=75|MPP = 0.25\0".encode()
        tags = [
            (254, 4, [int(downsample > 1)]),
            (256, 4, [side_px]),
            (257, 4, [side_px]),
            (258, 3, [8, 8, 8]),
            (259, 3, [7]),
            (262, 3, [photometric]),
            (270, 2, text),
            (277, 3, [3]),
            (284, 3, [1]),
            (322, 4, [BLOCK_PX]),
            (323, 4, [BLOCK_PX]),
            (324, 4, [block_at] * n_blocks),
            (325, 4, [len(block)] * n_blocks),
            *([(530, 3, list(subsampling))] if subsampling else []),
        ]
        struct.pack_into("<I", content, link_at, len(content))
        directory_at = len(content)
        content += bytes(2 + 12 * len(tags) + 4)
        struct.pack_into("<H", content, directory_at, len(tags))
        for number, (code, kind, values) in enumerate(tags):
            letter = {2: "B", 3: "H", 4: "I", 7: "B"}[kind]
            data = struct.pack(f"<{len(values)}{letter}", *values)
            if len(data) <= 4:
                where = data.ljust(4, b"\0")
            else:
                where = struct.pack("<I", len(content))
                content += data + bytes(len(data) % 2)
            entry_at = directory_at + 2 + 12 * number
            struct.pack_into("<HHI4s", content, entry_at, code, kind, len(values), where)
        link_at = directory_at + 2 + 12 * len(tags)
    path.write_bytes(content)
    return path


@pytest.mark.slow
@pytest.mark.timeout(900)  # the overview of one level alone decodes 150,000 blocks
@pytest.mark.parametrize("downsamples", [(1, 4, 16), (1,)], ids=["pyramid", "one-level"])
def test_a_huge_slide_fits_in_a_gigabyte(tmp_path, downsamples) -> None:
    path = write_huge(tmp_path / "huge.svs", downsamples)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["rule"] == "tiff"
    assert found["n_tiles"] == 223**2  # 100,000 / 448 = 223.2
    assert found["peak_mb"] < 1000
