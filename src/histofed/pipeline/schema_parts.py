"""The blocks of options that several verbs share, typed (`histofed.pipeline.schema`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING


@dataclass
class TilingConfig:
    """See `histofed.core.tiling.TileSpec`."""

    size_px: int = MISSING
    mpp: float = MISSING
    overlap_px: int = MISSING
    min_tissue: float = MISSING
    min_tissue_um2: float = MISSING
    images: str = MISSING


@dataclass
class QualityConfig:
    """See `histofed.extract.quality.QualitySpec`."""

    mpp: float = MISSING
    drop: list[str] = MISSING
    max_blur_um: float = MISSING
    max_ink: float = MISSING
    max_density: float = MISSING
    max_dark: float = MISSING
    max_fat: float = MISSING
    max_off_stain: float = MISSING
    max_unreadable: float = MISSING
    allow_off_stain: bool = MISSING


@dataclass
class SharingConfig:
    """How processes that run the same command share its slides."""

    wait: bool = MISSING
    stale_after_s: float = MISSING
    attempts: int = MISSING


@dataclass
class CancerConfig:
    """Facts about one cancer; ``tissue`` is the choice of ``configs/tissue/`` that suits it.

    ``mpp`` is the coarsest resolution of a slide that shows what is asked, ``response`` how a
    response is read (criteria, at_least), ``select`` how a person takes those who have it from a
    table of more. The others are columns and genes that ``histofed cohort`` holds labels against
    and takes along.
    """

    name: str = MISSING
    title: str = MISSING
    cohorts: list[str] = field(default_factory=list)
    tasks: list[str] = MISSING
    tissue: str = "otsu"
    mpp: float = 0.5
    response: dict[str, str] = field(
        default_factory=lambda: {"criteria": "RECIST 1.1", "at_least": "PR"}
    )
    confounders: list[str] = field(default_factory=list)
    select: str = ""
    covariates: list[str] = field(default_factory=list)
    genes: list[str] = field(default_factory=list)


@dataclass
class TaskConfig:
    """See `histofed.core.tasks`; ``sense`` is the clinical question in one sentence.

    Each kind of task takes some of the options; one that it does not take is refused. Only
    ``histofed cohort`` reads ``label``, the rules that make the label from other tables, and
    ``before_treatment``, whether slides from after it would give the answer away.
    """

    name: str = MISSING
    kind: str = MISSING
    sense: str = MISSING
    missing: list[str] = field(default_factory=lambda: ["", "na", "nan", "unknown"])
    column: str | None = None
    columns: list[str] | None = None
    event_column: str | None = None
    classes: list[str] | None = None
    values: dict[str, list[str]] | None = None
    positive: list[str] | None = None
    negative: list[str] | None = None
    event: list[str] | None = None
    censored: list[str] | None = None
    times: list[float] | None = None
    unit: str | None = None
    label: dict[str, Any] | None = None
    before_treatment: bool = False


@dataclass
class SplitsConfig:
    """How patients are dealt into folds."""

    scheme: str = MISSING
    n_folds: int = MISSING
    inner_folds: int = MISSING
    seed: int = MISSING
    file: str | None = MISSING


@dataclass
class TrainerConfig:
    """How one model is fitted."""

    max_epochs: int = MISSING
    patience: int = MISSING
    learning_rate: float = MISSING
    weight_decay: float = MISSING
    batch_size: int = MISSING
    tiles_per_bag: int | None = MISSING
    balance: str = MISSING
    survival_loss: str = MISSING
    accelerator: str = MISSING
    precision: str = MISSING


@dataclass
class ClinicalConfig:
    """Clinical covariates beside the image."""

    columns: list[str] = MISSING
    fusion: str = MISSING
    words: list[str] = MISSING
    missing: list[str] = MISSING


@dataclass
class FederationConfig:
    """How the hospitals work together."""

    rounds: int = MISSING
    epochs_per_round: int | None = MISSING
    steps_per_round: int | None = MISSING
    fedprox_mu: float = MISSING
    keep_optimizer: bool = MISSING
    update_dtype: str = MISSING
    min_sites: int = MISSING
    max_change: float = MISSING
    min_patients: int = MISSING
    min_steps: int = MISSING
