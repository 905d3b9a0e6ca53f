"""Regions that people drew: GeoJSON polygons as QuPath writes them, or a picture of the slide.

Coordinates of a GeoJSON file are level-0 pixels (QuPath's export; geometry as in RFC 7946), from
where QuPath counts: the corner of what was scanned. A ring that is not closed is closed by a
straight line. Inside of a ring that crosses itself is what a line from far away reaches after an
odd number of crossings: of an eight, both halves. A mask picture covers the whole slide at any
size; above 0 is inside.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from skimage.draw import polygon as pixels_in_polygon

from histofed.errors import SlideError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from histofed.core.types import SlideInfo

SUFFIXES = (".geojson", ".png")

MAX_MASK_STRETCH = 0.02
"""A mask picture's shape may differ by rounding from the slide's; more is another slide's."""


def find_region(folder: Path, slide_id: str) -> Path:
    """Return the region file of a slide: ``<slide_id>.geojson`` or ``<slide_id>.png``.

    Raises
    ------
    SlideError
        There is none, or both.
    """
    found = [path for suffix in SUFFIXES if (path := folder / f"{slide_id}{suffix}").is_file()]
    names = " or ".join(f"{slide_id}{suffix}" for suffix in SUFFIXES)
    if not found:
        msg = f"slide {slide_id}: no region in {folder}; put {names} there (tissue.folder=...)"
        raise SlideError(msg)
    if len(found) > 1:
        msg = f"slide {slide_id}: both {names.replace(' or ', ' and ')} are in {folder}; which one "
        msg += "counts is not said: remove one"
        raise SlideError(msg)
    return found[0]


def region_mask(
    path: Path,
    shape: tuple[int, int],
    *,
    mpp: float,
    info: SlideInfo,
    classes: Collection[str] = (),
) -> NDArray[np.bool_]:
    """Return the region as a mask ``shape`` of ``mpp`` microns per pixel from the slide's corner.

    A pixel is inside where its centre is.

    Parameters
    ----------
    classes
        Names of QuPath classifications to take; empty takes every polygon.

    Raises
    ------
    SlideError
        The file is not a region, or of another slide.
    """
    if path.suffix == ".png":
        return _picture_mask(path, shape, mpp=mpp, info=info)
    mask = np.zeros(shape, dtype=np.bool_)
    px_per_px0 = info.mpp / mpp
    for drawn in read_polygons(path, classes=classes):
        rings = [ring + info.scanned_from_px0 for ring in drawn]
        if (rings[0].min(axis=0) >= (info.width_px0, info.height_px0)).any():
            msg = f"{path}: a polygon starts at {rings[0].min(axis=0).round().tolist()}, outside "
            msg += f"of the slide's {info.width_px0} x {info.height_px0} level-0 pixels; it is of "
            msg += "another slide or not in level-0 pixels"
            raise SlideError(msg)
        outer, *holes = (_pixels(ring * px_per_px0, shape) for ring in rings)
        inside = np.zeros(shape, dtype=np.bool_)
        inside[outer] = True
        for hole in holes:
            inside[hole] = False
        mask |= inside
    return mask


def read_polygons(
    path: Path, *, classes: Collection[str] = ()
) -> Iterator[list[NDArray[np.float64]]]:
    """Yield each polygon as its rings ``(n, 2)`` of (x, y) in level-0 pixels: outline, then holes.

    Raises
    ------
    SlideError
        The file is not GeoJSON, holds what is no area, or has no polygon of the ``classes``.
    """
    try:
        # Editors of some systems put a mark before the text; it is no content.
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        msg = f"{path}: not GeoJSON ({error}); export the annotations again"
        raise SlideError(msg) from error
    seen: set[str] = set()
    taken = 0
    for number, feature in enumerate(_features(content, path), start=1):
        where = f"{path}, feature {number}"
        name = _class_name(feature, where)
        seen.add(name)
        if classes and name not in classes:
            continue
        for rings in _rings(feature, where):
            taken += 1
            yield rings
    if not taken:
        wanted = f" of {', '.join(sorted(classes))}" if classes else ""
        names = ", ".join(sorted(name or "unclassified" for name in seen))
        found = f"; it has {names}" if seen else ""
        msg = f"{path}: there is no polygon{wanted}{found}; draw one, or name its class "
        msg += "(tissue.classes=[...])"
        raise SlideError(msg)


def _features(content: Any, path: Path) -> list[dict[str, Any]]:
    """Return the features of a collection, a list of features, one feature, or one geometry."""
    if isinstance(content, dict) and content.get("type") == "FeatureCollection":
        content = content.get("features")
    if isinstance(content, dict):
        content = [content if content.get("type") == "Feature" else {"geometry": content}]
    if not isinstance(content, list) or not all(isinstance(each, dict) for each in content):
        msg = f"{path}: not a GeoJSON feature collection; export the annotations again"
        raise SlideError(msg)
    return content


def _class_name(feature: dict[str, Any], where: str) -> str:
    """Return the name of a feature's QuPath classification, or nothing."""
    properties = feature.get("properties") or {}
    if not isinstance(properties, dict):
        msg = f"{where}: its properties are no object but {type(properties).__name__}; "
        msg += "export the annotations again"
        raise SlideError(msg)
    found = properties.get("classification") or {}
    return str(found.get("name", "")) if isinstance(found, dict) else str(found)


def _rings(feature: dict[str, Any], where: str) -> Iterator[list[NDArray[np.float64]]]:
    geometry = feature.get("geometry")
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    if kind not in ("Polygon", "MultiPolygon"):
        name = (feature.get("properties") or {}).get("name") or _class_name(feature, where)
        called = f" ({name})" if name else ""
        msg = f"{where}{called}: a region is a Polygon or MultiPolygon, found {kind}; remove it in "
        msg += "QuPath and export again, or take only the classes of regions (tissue.classes=[...])"
        raise SlideError(msg)
    assert isinstance(geometry, dict)
    polygons = geometry.get("coordinates") or []
    if not isinstance(polygons, list):
        msg = f"{where}: its coordinates are not a list of rings; export it again"
        raise SlideError(msg)
    for polygon in [polygons] if kind == "Polygon" else polygons:
        try:
            rings = [np.asarray(ring, dtype=np.float64)[:, :2] for ring in polygon]
        except (ValueError, TypeError, IndexError, OverflowError) as error:
            msg = f"{where}: its coordinates are not rings of (x, y) ({error}); export it again"
            raise SlideError(msg) from error
        if not rings or any(
            ring.shape[1:] != (2,) or len(ring) < 3 or not np.isfinite(ring).all() for ring in rings
        ):
            msg = f"{where}: a ring needs at least three finite points (x, y); draw it again"
            raise SlideError(msg)
        yield rings


def _pixels(ring: NDArray[np.float64], shape: tuple[int, int]) -> tuple[NDArray[np.intp], ...]:
    """Return the pixels whose centre lies inside a ring in pixels of the mask."""
    columns, rows = ring.T - 0.5  # the centre of a pixel is at half of it
    found: tuple[NDArray[np.intp], ...] = pixels_in_polygon(rows, columns, shape)
    return found


def _picture_mask(
    path: Path, shape: tuple[int, int], *, mpp: float, info: SlideInfo
) -> NDArray[np.bool_]:
    try:
        with Image.open(path) as picture:
            drawn = np.asarray(picture)
    except (OSError, Image.DecompressionBombError) as error:
        msg = f"{path}: not a picture of a mask ({error}); save it as PNG of at most 8000 pixels"
        raise SlideError(msg) from error
    if drawn.ndim != 2:
        msg = f"{path}: a mask has one channel (grey or palette), found {drawn.shape}; convert it"
        raise SlideError(msg)
    height, width = drawn.shape
    stretch = (width / info.width_px0) / (height / info.height_px0)
    pixel = 1 / min(height, width)  # half a pixel of rounding at each end
    if not math.isclose(stretch, 1, rel_tol=MAX_MASK_STRETCH + pixel):
        msg = (
            f"{path}: {width} x {height} is not the shape of the slide, "
            f"{info.width_px0} x {info.height_px0}; a mask covers the whole slide"
        )
        raise SlideError(msg)
    rows, columns = (
        _nearest(n, mpp=mpp, length_um=length_px0 * info.mpp, n_drawn=n_drawn)
        for n, length_px0, n_drawn in zip(
            shape, (info.height_px0, info.width_px0), drawn.shape, strict=True
        )
    )
    inside = drawn[np.minimum(rows, height - 1)][:, np.minimum(columns, width - 1)] > 0
    return np.asarray(inside & (rows < height)[:, None] & (columns < width)[None, :])


def _nearest(n: int, *, mpp: float, length_um: float, n_drawn: int) -> NDArray[np.int64]:
    """Return which pixel of the drawn mask each pixel's centre falls on, along one axis."""
    centres_um = (np.arange(n) + 0.5) * mpp
    return np.asarray(np.floor(centres_um / length_um * n_drawn), dtype=np.int64)
