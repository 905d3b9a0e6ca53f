"""The trained models of a run: one per fold of an arm, checked before they are used."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from histofed.errors import ConfigError, WeightsError
from histofed.io.runs import read_json
from histofed.mil.weights import load_weights
from histofed.pipeline import build
from histofed.pipeline.asking import task_of
from histofed.pipeline.choosing import CHOSEN
from histofed.pipeline.clinical import encoding_in
from histofed.pipeline.config import with_options
from histofed.pipeline.study import stored_config

if TYPE_CHECKING:
    from pathlib import Path

    from histofed.io.runs import RunFolder
    from histofed.mil.module import MILModule
    from histofed.pipeline.schema import TrainConfig


def trained_models(run: RunFolder, arm: str) -> dict[str, str]:
    """Return fold folder -> digest of the model that was trained in it.

    Raises
    ------
    ConfigError
        The arm has no model.
    """
    models = read_json(run.path / arm / "models.json")
    if not models:
        others = [name for name in run.arms() if read_json(run.path / name / "models.json")]
        msg = f"arm {arm} of {run.path} is a linear regression: it has no scores per tile, and no "
        msg += f"model is kept of it; choose another of {', '.join(others)} (arm=...)"
        raise ConfigError(msg)
    return models


def weights_of(run: RunFolder, arm: str, number: int) -> Path:
    """Return the file of the model of one fold."""
    return run.fold(arm, number) / "model.safetensors"


def fold_model(run: RunFolder, arm: str, number: int, *, dim: int) -> tuple[Path, MILModule]:
    """Return the file and the model of one fold, for features of ``dim``.

    Raises
    ------
    WeightsError
        The file is missing, damaged, or not the one that training wrote.
    """
    config = _chosen(stored_config(run), run.fold(arm, number) / CHOSEN)
    weights = weights_of(run, arm, number)
    encoding = encoding_in(weights)
    n_covariates = len(encoding.names) if encoding else 0
    module = build.module(config, task_of(config.task), dim=dim, n_covariates=n_covariates)
    digest = load_weights(weights, module, of=type(module.aggregator).__name__)
    if digest != trained_models(run, arm).get(weights.parent.name):
        msg = f"{weights}: not the model that this fold was trained with; train again"
        raise WeightsError(msg)
    return weights, module


def _chosen(config: TrainConfig, file: Path) -> TrainConfig:
    """Return the options with those that the fold's inner folds chose, if they chose any."""
    if not file.exists():
        return config
    chosen: TrainConfig = with_options("train", asdict(config), read_json(file))
    return chosen
