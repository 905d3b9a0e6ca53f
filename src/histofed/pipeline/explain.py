"""``histofed explain``: raw scores per tile, and heatmaps beside the slides.

A patient's scores come from the fold that held the patient out: a model that never saw the slide.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from histofed.core.coverage import box_means
from histofed.core.metrics import auroc
from histofed.core.words import counted
from histofed.errors import ConfigError
from histofed.io.atomic import atomic_path
from histofed.io.predictions import read_predictions
from histofed.io.readers import open_slide
from histofed.io.runs import RunFolder
from histofed.io.store import ScoreStore
from histofed.mil.attribution import tile_scores
from histofed.mil.bags import load_bags
from histofed.pipeline import evaluate, terminal
from histofed.pipeline.asking import task_of
from histofed.pipeline.clinical import bags_for
from histofed.pipeline.models import fold_model, trained_models
from histofed.pipeline.study import chosen_arm, stored_cohort, stored_config
from histofed.report.overlays import heatmap_picture
from histofed.report.style import png_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from histofed.core.cohort import Cohort
    from histofed.core.types import Slide, TileScores
    from histofed.pipeline.schema import ExplainConfig

THUMBNAIL_PX = 900
"""Longer side of a heatmap's slide, at most."""

FINEST_THUMBNAIL_MPP = 2.0

LESION_SHARE = 0.25
"""A tile of which at least this much is lesion counts as lesion."""


def run(config: ExplainConfig) -> int:
    """Write scores and pictures, refresh the report; return the exit code."""
    folder = RunFolder(Path(config.run))
    arm = chosen_arm(folder, config.arm)
    stored = stored_config(folder)
    models = trained_models(folder, arm)
    cohort, features = stored_cohort(folder)
    bags = load_bags(cohort, features, scratch=Path(stored.work))
    task = task_of(stored.task)
    held_out = {p.patient_id: p for p in read_predictions(folder.predictions(arm), task=task)}
    scores = ScoreStore(folder.scores)
    dim = int(next(iter(bags.values())).features_ND.shape[1])
    with terminal.stage("Scores", len(bags), unit="patients") as step:
        for fold in sorted({prediction.fold for prediction in held_out.values()}):
            weights, module = fold_model(folder, arm, fold, dim=dim)
            digest = models[weights.parent.name]
            here = bags_for(weights, bags, stored.clinical, Path(stored.cohort))
            for patient in (p for p, found in held_out.items() if found.fold == fold):
                found = tile_scores(module, here[patient], store=features, model_digest=digest)
                for slide in found:
                    scores.write(slide)
                step(note=patient)
    chosen = _most_confident(cohort, {p: f.outputs[0] for p, f in held_out.items()})
    pictures = draw(folder, chosen[: config.pictures], config=config, scores=scores)
    if folder.metrics.exists():  # not where no label is known
        evaluate.evaluate(folder)
    facts = {
        "scores": f"{counted(len(scores.slide_ids()), 'slide')} in {folder.scores}",
        "pictures": f"{len(pictures)} in {folder.heatmaps}",
    }
    if folder.report.exists():
        facts["report"] = str(folder.report)
    terminal.closing("explain", facts, next_command=f"histofed review run={folder.path}")
    return 0


def draw(
    run: RunFolder, slides: Sequence[Slide], *, config: ExplainConfig, scores: ScoreStore
) -> list[Path]:
    """Draw the heatmap of each slide beside its thumbnail; return the pictures."""
    pictures = []
    with terminal.stage("Heatmaps", len(slides), unit="slides") as step:
        for slide in slides:
            found = scores.read(slide.slide_id)
            if config.head not in found.scores:
                msg = f"head={config.head} is not a score of this run; it has "
                msg += ", ".join(found.scores)
                raise ConfigError(msg)
            picture = run.heatmaps / f"{slide.slide_id}.png"
            _draw(slide, found, config=config, picture=picture)
            pictures.append(picture)
            step(note=slide.slide_id)
    return pictures


def _draw(slide: Slide, scores: TileScores, *, config: ExplainConfig, picture: Path) -> None:
    assert slide.path is not None  # features with positions came from a slide
    with open_slide(slide.path, mpp=slide.mpp) as reader:
        longer_um = max(reader.info.level_sizes_px[0]) * reader.info.mpp
        thumbnail_mpp = max(FINEST_THUMBNAIL_MPP, longer_um / THUMBNAIL_PX)
        thumbnail, mpp = reader.thumbnail(thumbnail_mpp), reader.info.mpp
    mask = read_mask(config.masks, slide.slide_id)
    figure = heatmap_picture(
        thumbnail,
        thumbnail_mpp=thumbnail_mpp,
        mpp=mpp,
        scores=scores,
        head=config.head,
        lesion_mask=mask,
    )
    with atomic_path(picture) as path:
        path.write_bytes(png_bytes(figure))


def lesion_aurocs(
    slides: Sequence[Slide], *, scores: ScoreStore, masks: str, masks_mpp: float, head: str
) -> dict[str, float]:
    """Return, per slide, how well a score tells lesion tiles from the others of the slide.

    A tile belongs to the lesion when at least a quarter of it does. Slides without lesion tiles,
    or with nothing else, cannot be asked and are left out.
    """
    found = {}
    for slide in slides:
        mask = read_mask(masks, slide.slide_id)
        if mask is None or slide.path is None:
            continue
        tiles = scores.read(slide.slide_id)
        with open_slide(slide.path, mpp=slide.mpp) as reader:
            px0_per_px = masks_mpp / reader.info.mpp
        share_N = box_means(mask > 0, tiles.coords_N2, tiles.side_px0, px0_per_px)
        lesion_N = (share_N >= LESION_SHARE).astype(int)
        if 0 < lesion_N.sum() < len(lesion_N):
            found[slide.slide_id] = auroc(lesion_N, tiles.scores[head].astype(np.float64))
    return found


def read_mask(folder: str | None, slide_id: str) -> NDArray[np.uint8] | None:
    """Read the known lesion of a slide, where there is one."""
    path = Path(folder) / f"{slide_id}.png" if folder else None
    if path is None or not path.exists():
        return None
    return np.asarray(Image.open(path).convert("L"))


def _most_confident(cohort: Cohort, probabilities: Mapping[str, float]) -> list[Slide]:
    """Return a slide of each patient; surest positive, surest negative, and so on in turn."""
    ranked = sorted(probabilities, key=lambda patient: -probabilities[patient])
    in_turn = [patient for pair in zip(ranked, reversed(ranked), strict=True) for patient in pair][
        : len(ranked)
    ]
    return [cohort.slides_of(patient)[0] for patient in in_turn]
