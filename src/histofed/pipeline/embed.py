"""``histofed embed``: one embedding per slide from the features of its tiles, in one file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from histofed.core.words import counted
from histofed.errors import ConfigError, SlideError, StoreError
from histofed.extract.slide_encoders.base import embedding_of
from histofed.io.embeddings import EmbeddingRecipe, Embeddings, read_embeddings, write_embeddings
from histofed.io.store import FeatureStore
from histofed.pipeline import build, terminal
from histofed.pipeline.slides import WORK_LEFT, check_same

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from histofed.extract.slide_encoders import SlideEncoder
    from histofed.io.store import Recipe, SlideFeatures
    from histofed.pipeline.schema_data import EmbedConfig

Row = tuple[str, "NDArray[np.float32]"]
"""Digest of the features, and the embedding made from them."""


def run(config: EmbedConfig) -> int:
    """Embed every slide of a folder of features; return the exit code."""
    store, encoder = FeatureStore(Path(config.features)), build.slide_encoder(config.slide_encoder)
    slide_ids = store.slide_ids()
    features = _recipe(store, slide_ids)
    folder = store.folder.resolve()  # so that "features=." has a name
    out = Path(config.out or folder.with_name(f"{folder.name}-{encoder.card.name}.h5"))
    if out.resolve().parent == folder:
        msg = f"out={out} is in the folder of the features, where every file is a slide; name "
        msg += "another folder"
        raise ConfigError(msg)
    encoder.card.check(features)
    recipe = EmbeddingRecipe(slide_encoder=encoder.record, features=features)
    before = _rows(out, recipe, overwrite=config.overwrite)
    rows, failed = _embed(slide_ids, store, encoder, recipe=features, before=before)
    changed = rows.keys() != before.keys() or any(rows[each] is not before[each] for each in rows)
    if rows and changed:
        embeddings = Embeddings(
            recipe_digest=recipe.digest,
            slide_ids=tuple(rows),
            features_digests=tuple(digest for digest, _ in rows.values()),
            embeddings_SE=np.stack([embedding for _, embedding in rows.values()]),
        )
        write_embeddings(out, embeddings, recipe)
    _close(rows, failed, before=before, out=out)
    return WORK_LEFT if failed else 0


def _recipe(store: FeatureStore, slide_ids: list[str]) -> Recipe:
    """Return the recipe of the first feature file that can be read.

    Raises
    ------
    ConfigError
        There is no file, or there are only folders of them.
    StoreError
        None can be read; the first file's fault is named.
    """
    first: StoreError | None = None
    for slide_id in slide_ids:
        try:
            return store.read(slide_id).record.recipe
        except StoreError as error:
            first = first or error
    folders = [each for each in store.folder.glob("*/") if FeatureStore(each).slide_ids()]
    if folders:
        choices = " or ".join(f"features={each}" for each in sorted(folders))
        msg = f"features={store.folder} holds the features of each encoder in a folder of its own; "
        msg += f"name one: {choices}"
        raise ConfigError(msg)
    if first is None:
        msg = f"features={store.folder} holds no feature file; name the folder that `histofed "
        msg += "extract` wrote, as in features=work/features/uni"
        raise ConfigError(msg)
    raise first


def _rows(out: Path, recipe: EmbeddingRecipe, *, overwrite: bool) -> dict[str, Row]:
    """Return what an earlier run wrote with the same options: slide -> row.

    Raises
    ------
    StoreError
        The file is damaged or was made with other options, and is not to be overwritten.
    """
    if not out.exists():
        return {}
    try:
        before = read_embeddings(out)
        check_same(
            out,
            found=before.recipe_digest,
            wanted=recipe.digest,
            overwrite=overwrite,
            option="out",
        )
    except StoreError:
        if overwrite:
            return {}
        raise
    if before.recipe_digest != recipe.digest:
        return {}
    rows = zip(before.features_digests, before.embeddings_SE, strict=True)
    return dict(zip(before.slide_ids, rows, strict=True))


def _embed(
    slide_ids: list[str],
    store: FeatureStore,
    encoder: SlideEncoder,
    *,
    recipe: Recipe,
    before: dict[str, Row],
) -> tuple[dict[str, Row], dict[str, Exception]]:
    """Return slide -> row, rows from before where their features are the same, and the failures."""
    rows: dict[str, Row] = {}
    failed: dict[str, Exception] = {}
    with terminal.stage("Embeddings", len(slide_ids), unit="slides") as step:
        for slide_id in slide_ids:
            try:
                old = before.get(slide_id)
                if old and store.digest(slide_id) == old[0]:
                    rows[slide_id] = old
                else:
                    slide = store.read(slide_id)
                    _check_alike(slide, recipe, store)
                    rows[slide_id] = (slide.record.digest, embedding_of(encoder, slide))
            except (StoreError, SlideError) as error:
                failed[slide_id] = error
            step(note=slide_id)
    return rows, failed


def _check_alike(slide: SlideFeatures, recipe: Recipe, store: FeatureStore) -> None:
    """Refuse a folder of several recipes.

    Raises
    ------
    ConfigError
        This slide's features were made otherwise.
    """
    other = slide.record.recipe
    if other.digest != recipe.digest:
        msg = (
            f"{store.folder}: its files were not made by one recipe; slide {slide.record.slide_id} "
            f"has features of {other.encoder or 'an unknown encoder'}, tiles {other.spec}, the "
            f"first of {recipe.encoder or 'an unknown encoder'}, tiles {recipe.spec}; extract all "
            "slides with the same options"
        )
        raise ConfigError(msg)


def _close(
    rows: dict[str, Row], failed: dict[str, Exception], *, before: dict[str, Row], out: Path
) -> None:
    """Show failures and the closing panel."""
    for slide_id, error in failed.items():
        terminal.say(f"failed {slide_id}: {type(error).__name__}: {error}")
    n_kept = sum(1 for slide_id, row in rows.items() if before.get(slide_id) is row)
    counts = {
        "done": len(rows) - n_kept,
        "kept": n_kept,
        "failed": len(failed),
        "gone": len(before.keys() - rows.keys()),
    }
    said = {
        "done": counted(counts["done"], "slide"),
        "kept": f"{counted(counts['kept'], 'slide')} done before, with the same options",
        "failed": f"{counted(counts['failed'], 'slide')}, named above",
        "gone": f"{counted(counts['gone'], 'slide')} whose features are not there any more",
    }
    facts = {name: text for name, text in said.items() if counts[name]}
    if rows:
        length = len(next(iter(rows.values()))[1])
        facts |= {"embeddings": f"{len(rows)} of {length} numbers", "output": str(out)}
    terminal.closing("embed", facts)
