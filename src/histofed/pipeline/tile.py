"""``histofed tile``: find the tissue of slides and the tiles in it, with a picture of each."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from histofed.core.quality import FLAGS
from histofed.core.tiling import full_grid
from histofed.core.words import counted
from histofed.errors import NoTissue, SlideError
from histofed.extract.overview import backdrop, overview
from histofed.extract.tiles import tile_recipe, tile_steps, tissue_mask
from histofed.io.atomic import atomic_path
from histofed.io.readers import slide_digest
from histofed.io.store import Record, SlideTiles, TileStore
from histofed.io.tables import write_rows
from histofed.pipeline import build, terminal
from histofed.pipeline.shared_results import SharedResults
from histofed.pipeline.sharing import each_slide, one_result
from histofed.pipeline.slides import Outcome, check_same, chosen_slides, close, opened, slide_path
from histofed.report.contact_sheet import Thumb, contact_sheets
from histofed.report.flags import dropped_corners
from histofed.report.panels import picture_jpeg
from histofed.report.style import jpeg_bytes
from histofed.report.tile_picture import (
    LONGER_PX,
    Backdrop,
    Outline,
    problem_picture,
    tile_picture,
)

if TYPE_CHECKING:
    from collections.abc import Generator

    import numpy as np
    from numpy.typing import NDArray

    from histofed.core.tiling import TileSpec
    from histofed.core.types import Slide, SlideInfo
    from histofed.extract.quality import QualitySpec
    from histofed.extract.tissue import TissueMethod
    from histofed.io.readers import SlideReader
    from histofed.pipeline.schema_data import TileConfig


def run(config: TileConfig) -> int:
    """Tile every slide; return the exit code."""
    store = TileStore(Path(config.work) / "tiles")
    spec, tissue = build.tile_spec(config.tiling), build.tissue(config.tissue)
    quality = build.quality(config.quality)

    def work(slide: Slide) -> Generator[float, None, Outcome]:
        with opened(slide, config) as reader:
            tiles, made = yield from tiles_of(
                reader,
                slide,
                store=store,
                spec=spec,
                tissue=tissue,
                quality=quality,
                overwrite=config.overwrite,
            )
            return outcome(reader, tiles, status="done" if made else "kept")

    slides, table = chosen_slides(config), store.folder / "slides.csv"
    results = SharedResults(
        store,
        recipe_digest=tile_recipe(spec, tissue, quality).digest,
        source_digest=tissue.source_digest,
        config=config,
    )
    outcomes = each_slide("Tiles", slides, one_result(work), results={"tiles": results})["tiles"]
    write_contact_sheets(store.folder, outcomes)
    following = terminal.same_options("extract")
    return close("tile", outcomes, folder=store.folder, table=table, following=following)


def write_contact_sheets(folder: Path, outcomes: list[Outcome]) -> None:
    """Write ``contact-sheet-<page>.jpg`` from the pictures of the slides."""
    thumbs = [
        Thumb(
            slide_id=row.slide_id,
            picture=folder / f"{row.slide_id}.jpg",
            status=row.status,
            reason=row.reason,
            n_kept=row.n_tiles,
            n_dropped={name: getattr(row, name) for name in FLAGS},
        )
        for row in outcomes
    ]
    n_kept = sum(row.n_tiles for row in outcomes)
    title = f"{counted(len(outcomes), 'slide')}, {counted(n_kept, 'tile')} kept"
    number = 0
    for number, figure in enumerate(contact_sheets(title, thumbs), start=1):
        with atomic_path(folder / f"contact-sheet-{number}.jpg") as path:
            path.write_bytes(jpeg_bytes(figure))
    # Pages of an earlier, larger run. Another process may have been faster.
    while (surplus := folder / f"contact-sheet-{number + 1}.jpg").exists():
        surplus.unlink(missing_ok=True)
        number += 1


def tiles_of(
    reader: SlideReader,
    slide: Slide,
    *,
    store: TileStore,
    spec: TileSpec,
    tissue: TissueMethod,
    quality: QualitySpec,
    overwrite: bool,
) -> Generator[float, None, tuple[SlideTiles, bool]]:
    """Return the tiles of an open slide, and whether they had to be made.

    Yields which part of them is made.

    Raises
    ------
    StoreError
        A tile file is there that was made with other options.
    """
    digest = slide_digest(slide_path(slide))
    record = Record.of(
        tile_recipe(spec, tissue, quality),
        slide.slide_id,
        digest,
        reader.info,
        source_digest=tissue.source_digest(slide.slide_id),
    )
    if found := store.digest(slide.slide_id):
        check_same(
            store.path(slide.slide_id),
            found=found,
            wanted=record.digest,
            overwrite=overwrite,
            records=lambda: (store.read(slide.slide_id).record, record),
        )
        if found == record.digest:
            return store.read(slide.slide_id), False
    try:
        tiles, thumbnail, mask = yield from tile_steps(
            reader,
            slide.slide_id,
            slide_digest=digest,
            spec=spec,
            tissue=tissue,
            quality=quality,
        )
    except SlideError as problem:
        # With overwrite=true a file of other options is there. That no tile is left replaces it;
        # a slide that cannot be judged does not, and its picture stays with it.
        if isinstance(problem, NoTissue):
            store.path(slide.slide_id).unlink(missing_ok=True)
        if not store.path(slide.slide_id).exists():
            write_problem(store, reader, tissue, slide_id=slide.slide_id, problem=problem)
        raise
    write_tiles(store, tiles, thumbnail=thumbnail, mask=mask, mpp=tissue.mpp, reader=reader)
    return tiles, True


def write_tiles(
    store: TileStore,
    tiles: SlideTiles,
    *,
    thumbnail: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    mpp: float,
    reader: SlideReader,
) -> None:
    """Write the tiles of a slide and their picture; its thumbnail and tissue are at ``mpp``."""
    outline = Outline(mask_HW=mask, mpp=mpp, method=tiles.record.recipe.tissue.get("method", ""))
    figure = tile_picture(
        _backdrop(reader, thumbnail, mpp),
        tiles=tiles,
        outline=outline,
        mpp_from=reader.info.mpp_from,
    )
    with atomic_path(_picture(store, tiles.record.slide_id)) as picture:
        picture.write_bytes(picture_jpeg(figure, outline=outline))
    _write_images(store.folder / f"{tiles.record.slide_id}.images.csv", reader.info)
    store.write(tiles)  # last: where it is, the picture is too


def _write_images(path: Path, info: SlideInfo) -> None:
    """Write where each image of a folder lies, so that a tile's place can be told in its file."""
    if not info.images:
        path.unlink(missing_ok=True)  # of other options, with overwrite=true
        return
    names = ("image", "x_px0", "y_px0", "width_px0", "height_px0")
    rows = [(i.name, i.x_px0, i.y_px0, i.width_px0, i.height_px0) for i in info.images]
    write_rows(path, names, rows)


def write_problem(
    store: TileStore,
    reader: SlideReader,
    tissue: TissueMethod,
    *,
    slide_id: str,
    problem: SlideError,
) -> None:
    """Write the picture of a slide that can be read and has no tiles, with the reason."""
    info = reader.info
    mpp = tissue.mpp
    if mpp < info.mpp:  # that may be the problem; the whole slide would not fit in memory so
        mpp = info.mpp * max(*info.level_sizes_px[0], LONGER_PX) / LONGER_PX
    thumbnail, _ = overview(reader, mpp)
    outline = None
    if mpp == tissue.mpp:
        # Without a mask no tissue is known: that may be the very problem.
        with suppress(SlideError):
            mask = tissue_mask(tissue, thumbnail, slide_id=slide_id, info=info)
            outline = Outline(mask_HW=mask, mpp=mpp, method=tissue.record.get("method", ""))
    figure = problem_picture(
        _backdrop(reader, thumbnail, mpp),
        slide_id=slide_id,
        reason=str(problem),
        outline=outline,
    )
    with atomic_path(_picture(store, slide_id)) as picture:
        picture.write_bytes(picture_jpeg(figure, outline=outline, problem=str(problem)))


def _backdrop(reader: SlideReader, thumbnail: NDArray[np.uint8], mpp: float) -> Backdrop:
    pixels, picture_mpp = backdrop(reader, thumbnail, thumbnail_mpp=mpp, longer_px=LONGER_PX)
    return Backdrop(pixels_HW3=pixels, mpp=picture_mpp)


def _picture(store: TileStore, slide_id: str) -> Path:
    return store.folder / f"{slide_id}.jpg"


def outcome(reader: SlideReader, tiles: SlideTiles, *, status: str) -> Outcome:
    """Return the row of a slide that went well."""
    record, info = tiles.record, reader.info
    assert record.recipe.spec is not None
    n_tiles = len(tiles.coords_N2)
    given = record.recipe.tissue.get("method") == "given"  # of others, who know of the other places
    n_grid = n_tiles if given else len(full_grid(record.recipe.spec, info))
    row = Outcome(
        slide_id=record.slide_id,
        status=status,
        n_tiles=n_tiles,
        no_tissue=n_grid - n_tiles - (len(tiles.dropped.coords_N2) if tiles.dropped else 0),
        over_border=tiles.n_over_border,
        flagged=int((tiles.flags_N > 0).sum()) if tiles.flags_N is not None else 0,
        width_px0=info.width_px0,
        height_px0=info.height_px0,
        mpp=info.mpp,
        reader=reader.rule,
        decoded_per_touched=round(reader.blocks_decoded / max(reader.blocks_touched, 1), 3),
    )
    dropped: dict[str, Any] = {name: len(each) for name, each in dropped_corners(tiles).items()}
    return replace(row, **dropped)
