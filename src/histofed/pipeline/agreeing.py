"""What a hospital has, said so that it can be compared with the others before training."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import histofed
from histofed.federation.agreement import Facts

if TYPE_CHECKING:
    from histofed.core.tasks import Task
    from histofed.pipeline.schema import TrainConfig
    from histofed.pipeline.study import Study

SHARED = ("aggregator", "trainer", "clinical", "federation", "splits", "seed")
"""Options that shape training. Where files are is each hospital's own; the task is a fact itself,
because hospitals may call a column or a value of it otherwise.
"""

OWN = {
    "trainer": ("accelerator",),
    "federation": ("min_patients", "min_steps"),
    "splits": ("file",),
    "clinical": ("missing",),
}
"""What of these each hospital chooses for itself: its machine, its policy, its words."""


def planned_facts(config: TrainConfig, task: Task) -> Facts:
    """Return what the options fix; of the features no more than who made them."""
    return Facts(
        package=histofed.__version__,
        config_digest=config_digest(config),
        encoder=config.encoder.get("name"),
        weights_digest=None,
        recipe_digest=None,
        tile_mpp=None,
        tile_size_px=None,
        dim=None,
        task=task.name,
        task_kind=task.kind,
        labels=(*task.label_names, *task.output_names, *getattr(task, "classes", ())),
        aggregator=str(config.aggregator["_target_"]),
    )


def facts_of(study: Study) -> Facts:
    """Return what a hospital has: the options of the study, and the features that lie there."""
    recipe, spec = study.recipe, study.recipe.spec
    return replace(
        planned_facts(study.config, study.task),
        encoder=recipe.encoder,
        weights_digest=recipe.encoder_digest,
        recipe_digest=recipe.digest,
        tile_mpp=spec.mpp if spec else None,
        tile_size_px=spec.size_px if spec else None,
        dim=study.dim,
    )


def config_digest(config: TrainConfig) -> str:
    """Return the sha256 of the options that shape training."""
    options: dict[str, Any] = asdict(config)
    shared = {name: options[name] for name in SHARED if name in options}
    for group, own in OWN.items():
        if group in shared:
            shared[group] = {k: v for k, v in shared[group].items() if k not in own}
    return hashlib.sha256(json.dumps(shared, sort_keys=True).encode()).hexdigest()
