"""A study: what every arm of a run shares. Cohort, bags, folds, run folder; and reading it back."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from histofed.core.cohort import Cohort, Fold, check_no_leakage, rotate, stratified_folds
from histofed.core.types import Prediction
from histofed.errors import ConfigError
from histofed.io.runs import RunFolder
from histofed.io.store import FeatureStore
from histofed.io.tables import read_cohort, write_predictions, write_splits
from histofed.pipeline import build
from histofed.pipeline.schema import FederateConfig, TrainConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

    from histofed.core.tasks import Task
    from histofed.mil.bags import Bag
    from histofed.mil.moments import Moments


@dataclass(frozen=True, kw_only=True)
class Study:
    """One run in the making.

    Attributes
    ----------
    bags
        Patient -> all tiles of the patient, in memory.
    moments
        Patient -> sums of the patient's features, to standardise with.
    """

    config: TrainConfig
    task: Task
    cohort: Cohort
    bags: Mapping[str, Bag]
    moments: Mapping[str, Moments]
    folds: list[Fold]
    run: RunFolder

    @property
    def dim(self) -> int:
        """Features per tile."""
        return int(next(iter(self.bags.values())).features_ND.shape[1])

    @property
    def following(self) -> str:
        """What to do after training: bags without positions have nothing to draw scores on."""
        if any(bag.coords_N2 is None for bag in self.bags.values()):
            return f"open {self.run.report}"
        return f"histofed explain run={self.run.path}"

    def start(self) -> None:
        """Remove the results of an earlier run, and write how this one is made."""
        _clear(self.run)
        options = _absolute(asdict(self.config))
        self.run.start(options, config_yaml=OmegaConf.to_yaml(OmegaConf.create(options)))
        write_splits(self.run.splits, {p: fold.number for fold in self.folds for p in fold.test})

    def write_arm(self, arm: str, probabilities: Mapping[str, tuple[int, float]]) -> None:
        """Write an arm's predictions: patient -> (fold in which it was held out, probability)."""
        predictions = [
            Prediction(
                patient_id=patient,
                site=self.cohort.site_of[patient],
                fold=probabilities[patient][0],
                label=self.cohort.labels[patient],
                probability=probabilities[patient][1],
            )
            for patient in self.cohort.patients
        ]
        write_predictions(self.run.predictions(arm), predictions)


def open_study(config: TrainConfig) -> Study:
    """Read everything a run needs and refuse what cannot work; nothing is written yet.

    Raises
    ------
    ConfigError
        The run folder holds a run already.
    CohortError, StoreError
        Tables or features are at fault.
    """
    from histofed.mil.bags import load_bags
    from histofed.mil.moments import Moments

    run = RunFolder(Path(config.run))
    if (run.path / "run.json").exists() and not config.overwrite:
        msg = f"{run.path} holds a run already; name another (run=...) or replace it "
        msg += "(overwrite=true)"
        raise ConfigError(msg)
    task = build.task(config.task)
    cohort = read_cohort(Path(config.cohort), task)
    fold_of = stratified_folds(cohort, config.splits.n_folds, seed=config.splits.seed)
    folds = rotate(fold_of)
    for fold in folds:
        check_no_leakage(fold)
    bags = load_bags(cohort, FeatureStore(Path(config.features)))
    return Study(
        config=config,
        task=task,
        cohort=cohort,
        bags=bags,
        moments={patient: Moments.of(bag.features_ND) for patient, bag in bags.items()},
        folds=folds,
        run=run,
    )


def stored_config(run: RunFolder) -> TrainConfig:
    """Return the options that a run was made with."""
    stored = run.read()["config"]
    schema = FederateConfig if "strategy" in stored else TrainConfig
    options = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(schema), stored))
    assert isinstance(options, TrainConfig)
    return options


def chosen_arm(run: RunFolder, arm: str | None) -> str:
    """Return the arm asked for; without a choice the federated one, else the pooled one.

    Raises
    ------
    ConfigError
        The arm is unknown; the run's arms are named.
    """
    run.read()
    if arm is None:
        arm = "federated" if "federated" in run.arms() else "pooled"
    if arm not in run.arms():
        msg = f"{run.path} has no arm {arm!r}; its arms are {', '.join(run.arms()) or 'none yet'} "
        msg += "(arm=...)"
        raise ConfigError(msg)
    return arm


def _absolute(options: dict[str, Any]) -> dict[str, Any]:
    """Make paths absolute, so that later verbs may run from anywhere."""
    return options | {
        name: str(Path(options[name]).resolve()) for name in ("cohort", "work", "features", "run")
    }


def _clear(run: RunFolder) -> None:
    """Remove the results of an earlier run, and nothing else that may be in the folder."""
    for arm in run.arms():
        shutil.rmtree(run.path / arm)
    for folder in (run.figures, run.heatmaps, run.scores):
        shutil.rmtree(folder, ignore_errors=True)
    for file in (run.metrics, run.summary, run.report, run.splits, run.path / "run.json"):
        file.unlink(missing_ok=True)
