"""What making one tile of the page's viewer costs, and how near that is to what it must cost.

Run `python benchmarks/zoom_tiles.py [--quick] [--json FILE]`.

The tiles of the two finest zoom levels of synthetic slides, row by row as a screen asks for them,
in processor time of one thread. Each row of tiles is made in three ways in turn:

- *apart*: every tile decodes the blocks it touches;
- *kept*: blocks that a neighbour decoded are kept, as the page does;
- *limit*: libjpeg-turbo decodes each block of the level once, and encodes the finished pictures.

Figures, of all tiles: ``vs_apart`` and ``vs_limit``, how many times as fast *kept* is;
``make_ms_full``, ``make_ms_half``: one tile *kept* at the slide's resolution and at half of it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import simplejpeg

if TYPE_CHECKING:
    from collections.abc import Iterator

    from histofed.io.readers import SlideReader

LEVELS = ("full", "half")


def encode(pixels: Any) -> bytes:
    """Encode as the page does."""
    from histofed.review.pictures import JPEG_QUALITY

    return simplejpeg.encode_jpeg(
        pixels, quality=JPEG_QUALITY, colorspace="RGB", colorsubsampling="420"
    )


def rows(reader: SlideReader, halvings: int) -> Iterator[list[Any]]:
    """Yield the tiles of a zoom level, a row at a time."""
    from histofed.review import deepzoom

    level = deepzoom.max_level(reader.info) - halvings
    columns, n_rows = deepzoom.grid(reader.info, level)
    for row in range(n_rows):
        yield [deepzoom.zoom_tile(reader.info, level, col=col, row=row) for col in range(columns)]


def measure(path: Path, halvings: int) -> tuple[dict[str, float], int]:
    """Return the seconds of each way at one zoom level of a slide, and its number of tiles."""
    from histofed.io.readers import block_memory, open_slide
    from histofed.io.readers.tiff import TiffReader
    from histofed.review import deepzoom

    spent: dict[str, float] = defaultdict(float)
    with open_slide(path) as apart, open_slide(path, kept=block_memory(1 << 27)) as kept:
        assert isinstance(apart, TiffReader)
        across, down = apart._levels[0].axes
        n_blocks = across.n_blocks * down.n_blocks
        every = list(rows(apart, halvings))
        for number, tiles in enumerate(every):
            pictures = []
            for way, reader in (("apart", apart), ("kept", kept)):
                started = time.process_time()
                pictures = [deepzoom.read_zoom_tile(reader, tile) for tile in tiles]
                for picture in pictures:
                    encode(picture)
                spent[way] += time.process_time() - started
            started = time.process_time()
            first, last = (n_blocks * part // len(every) for part in (number, number + 1))
            for block in range(first, last):
                apart._decode(0, block)
            for picture in pictures:
                encode(picture)
            spent["limit"] += time.process_time() - started
    return spent, sum(map(len, every))


def main() -> None:
    """Parse, measure, print."""
    from histofed.synth.cohort import CohortSpec, make_cohort

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two slides instead of eight")
    parser.add_argument("--json", type=Path, help="write the result here")
    arguments = parser.parse_args()
    spent: dict[tuple[str, str], float] = defaultdict(float)
    n_tiles: dict[str, int] = defaultdict(int)
    with tempfile.TemporaryDirectory() as scratch:
        make_cohort(Path(scratch), CohortSpec(patients_per_site=1 if arguments.quick else 2))
        for path in sorted((Path(scratch) / "slides").rglob("*.svs")):
            for halvings, name in enumerate(LEVELS):
                seconds, found = measure(path, halvings)
                n_tiles[name] += found
                for way, each in seconds.items():
                    spent[way, name] += each
    of_way = {way: sum(spent[way, name] for name in LEVELS) for way in ("apart", "kept", "limit")}
    figures = {
        "vs_apart": of_way["apart"] / of_way["kept"],
        "vs_limit": of_way["limit"] / of_way["kept"],
    } | {f"make_ms_{name}": 1000 * spent["kept", name] / n_tiles[name] for name in LEVELS}
    result = {
        "figures": figures,
        "rows": [
            {"way": way, "level": name, "ms": 1000 * seconds / n_tiles[name]}
            for (way, name), seconds in spent.items()
        ],
        "environment": {
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "load": os.getloadavg()[0],
            "tiles": dict(n_tiles),
        },
    }
    for name, value in figures.items():
        print(f"{name}: {value:.2f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
