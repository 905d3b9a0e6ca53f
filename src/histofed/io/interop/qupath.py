"""QuPath: tiles with scores and drawn regions as GeoJSON, and colour maps.

Coordinates are level-0 pixels from where QuPath counts, the top left of what was scanned. Tiles are
written as objects of type ``tile``: QuPath colours those by a measurement, and annotations it does
not.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from histofed.core.types import TileScores

Feature = dict[str, Any]

COLOUR_MAPS = ("viridis", "magma", "cividis", "coolwarm")


def collection(features: Iterable[Feature], *, scanned_from_px0: tuple[int, int]) -> dict[str, Any]:
    """Return a GeoJSON feature collection.

    Parameters
    ----------
    scanned_from_px0
        Of the slide (`SlideInfo.scanned_from_px0`): QuPath counts from there.
    """
    left, top = scanned_from_px0

    def moved(feature: Feature) -> Feature:
        rings = feature["geometry"]["coordinates"]
        from_there = [[[x - left, y - top] for x, y in ring] for ring in rings]
        return feature | {"geometry": {"type": "Polygon", "coordinates": from_there}}

    return {"type": "FeatureCollection", "features": [moved(each) for each in features]}


def tiles(
    scores: TileScores,
    order_N: NDArray[np.int64],
    *,
    head: str,
    percentile: NDArray[np.float64],
) -> list[Feature]:
    """Return tiles as QuPath objects, in the order given: its first is ``rank 1``.

    Parameters
    ----------
    percentile
        Of every tile under ``head``, 0..1, ``(N,)``.
    """
    side_px0, found = scores.side_px0, []
    for rank, tile in enumerate(order_N.tolist(), start=1):
        x, y = scores.coords_N2[tile].tolist()
        measurements = {
            f"{name}_raw": _number(values[tile]) for name, values in sorted(scores.scores.items())
        }
        measurements[f"{head}_percentile"] = _number(percentile[tile])
        found.append(
            _feature(
                [(x, y), (x + side_px0, y), (x + side_px0, y + side_px0), (x, y + side_px0)],
                key=f"{scores.slide_id}/{head}/{tile}",
                properties={
                    "objectType": "tile",
                    "name": f"rank {rank}",
                    "isLocked": True,
                    "measurements": measurements,
                },
            )
        )
    return found


def annotation(
    corners_px0: Sequence[Sequence[float]], *, name: str, classification: str, key: str
) -> Feature:
    """Return a region that somebody drew, as a polygon.

    Parameters
    ----------
    key
        Tells the region from any other; it stays the same when exported again.
    """
    properties = {
        "objectType": "annotation",
        "name": name,
        "isLocked": True,
        "classification": {"name": classification},
    }
    return _feature(corners_px0, key=key, properties=properties)


def colour_map(name: str) -> str:
    """Return a colour map as QuPath reads it: red, green, blue in 0..1, a row per colour."""
    import matplotlib

    colours = matplotlib.colormaps[name](np.linspace(0, 1, 256))[:, :3]
    return "".join("\t".join(f"{value:.6f}" for value in row) + "\n" for row in colours)


def _feature(
    corners_px0: Sequence[Sequence[float]], *, key: str, properties: dict[str, Any]
) -> Feature:
    ring = [[float(x), float(y)] for x, y in corners_px0]
    return {
        "type": "Feature",
        # QuPath ignores an id that is no UUID; the same object keeps its own.
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"histofed:{key}")),
        "geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]]]},
        "properties": properties,
    }


def _number(value: float) -> float | str:
    """Return a measurement; JSON has no NaN, and QuPath reads the word."""
    return float(value) if np.isfinite(value) else "NaN"
