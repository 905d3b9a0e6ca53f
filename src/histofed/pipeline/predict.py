"""``histofed predict``: the models of a run on other patients, as a run of its own.

Every patient gets the mean of what the models of all folds say. Thresholds, temperatures and sets
of classes are those of the run that made the models: nothing is learned from the new patients.
"""

from __future__ import annotations

import math
import shutil
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import OmegaConf

from histofed.core.cohort import some
from histofed.core.leakage import check_no_leakage, find_twins, patient_means
from histofed.core.splits import Fold
from histofed.errors import CohortError, ConfigError, StoreError
from histofed.io.atomic import file_digest
from histofed.io.fingerprints import read_fingerprints, write_fingerprints
from histofed.io.predictions import read_predictions
from histofed.io.runs import LOCAL, RunFolder
from histofed.io.splits import read_splits, write_splits
from histofed.io.store import FeatureStore
from histofed.io.tables import one_spelling, read_cohort
from histofed.pipeline import evaluate, terminal
from histofed.pipeline.arms import Arm, ood
from histofed.pipeline.asking import task_of
from histofed.pipeline.choosing import CHOSEN
from histofed.pipeline.clinical import bags_for
from histofed.pipeline.models import fold_model, trained_models, weights_of
from histofed.pipeline.study import (
    absolute,
    check_folder,
    chosen_arm,
    fingerprints_of,
    moments_of,
    stored_config,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from histofed.core.cohort import Cohort
    from histofed.core.leakage import Fingerprint
    from histofed.core.tasks import Task
    from histofed.core.types import Prediction
    from histofed.mil.bags import Bag
    from histofed.pipeline.schema import PredictConfig, TrainConfig


@dataclass(frozen=True, kw_only=True)
class NewPatients:
    """Patients whom the models have not seen, and what their slides are known by.

    Attributes
    ----------
    seen
        Fold -> bags as its model takes them, with covariates where it has some.
    """

    cohort: Cohort
    bags: Mapping[str, Bag]
    fingerprints: Sequence[Fingerprint]
    seen: Mapping[int, Mapping[str, Bag]] = field(default_factory=dict)


def run(config: PredictConfig) -> int:
    """Predict, and evaluate where labels are known; return the exit code."""
    source, out = RunFolder(Path(config.run)), RunFolder(Path(config.out))
    arm = chosen_arm(source, config.arm)
    trained_models(source, arm)  # refused where there are none
    check_trained_here(source)
    check_folder(out, overwrite=config.overwrite, option="out")
    stored = stored_config(source)
    task = task_of(stored.task)
    patients = new_patients(config, task, source)
    trained = read_fingerprints(source.fingerprints)
    check_unseen(trained, patients.fingerprints)
    patients = replace(patients, seen=_as_models_see(patients, source, config, arm=arm))
    _start(config, stored, source=source, out=out, patients=patients)
    _predict(source, out, arm=arm, task=task, patients=patients, trained=trained)
    if any(not all(map(math.isnan, label)) for label in patients.cohort.labels.values()):
        summary = evaluate.evaluate(out)
        evaluate.show(summary, out, following=f"histofed explain run={out.path}")
        return 0
    facts = {
        "patients": f"{len(patients.bags)}, none with a known {', '.join(task.columns)}",
        "predictions": str(out.predictions(arm)),
    }
    following = f"histofed explain run={out.path}"
    terminal.closing("predicted", facts, next_command=following)
    return 0


def check_trained_here(source: RunFolder) -> None:
    """Refuse a run of `predict` itself: it does not know whom its models were trained on.

    Raises
    ------
    ConfigError
        The run to name in its place is told.
    """
    if origin := source.read()["inputs"].get("models_of"):
        msg = f"{source.path} holds predictions of other patients, by the models of another run; "
        msg += f"name that one (run={origin})"
        raise ConfigError(msg)


def new_patients(config: PredictConfig, task: Task, source: RunFolder) -> NewPatients:
    """Read the new cohort and its features.

    Raises
    ------
    CohortError, StoreError
        Table or features are at fault, or made otherwise than those that the models know.
    """
    from histofed.mil.bags import load_bags

    cohort = read_cohort(Path(config.cohort), task, keep_unknown=True)
    store = FeatureStore(Path(config.features))
    bags = load_bags(cohort, store, scratch=Path(config.features))
    recipe, inputs = store.record(cohort.slides[0].slide_id).recipe, source.read()["inputs"]
    if recipe.digest != inputs["recipe_digest"]:
        msg = (
            f"{config.features}: made otherwise than the features that the models of {source.path} "
            f"were trained on (encoders {recipe.encoder} and {inputs['encoder']}); extract the new "
            "slides with the options of that run"
        )
        raise StoreError(msg)
    fingerprints = fingerprints_of(cohort, store, moments_of(bags))
    return NewPatients(cohort=cohort, bags=bags, fingerprints=fingerprints)


def _as_models_see(
    patients: NewPatients, source: RunFolder, config: PredictConfig, *, arm: str
) -> dict[int, Mapping[str, Bag]]:
    """Return fold -> bags as its model takes them."""
    clinical, table = stored_config(source).clinical, Path(config.cohort)
    return {
        fold.number: bags_for(weights_of(source, arm, fold.number), patients.bags, clinical, table)
        for fold in read_splits(source.splits)
    }


def check_unseen(trained: Sequence[Fingerprint], new: Sequence[Fingerprint]) -> None:
    """Refuse patients whom the models were trained or picked on.

    Raises
    ------
    CohortError
        A patient's name, or a slide's image, is in both cohorts.
    """
    old_patients = {slide.patient_id for slide in trained}
    new_patients = {slide.patient_id for slide in new}
    old_names = {one_spelling(name) for name in old_patients}
    if both := sorted(name for name in new_patients if one_spelling(name) in old_names):
        msg = (
            f"patients {some(both)} are also in the cohort that the models were trained on; leave "
            "them out, or rename them if they are other people"
        )
        raise CohortError(msg)
    fold = Fold(
        number=0,
        train=tuple(sorted(old_patients)),
        select=(),
        test=tuple(sorted(new_patients)),
    )
    check_no_leakage([fold], find_twins([*trained, *new]))


def _start(
    config: PredictConfig,
    stored: TrainConfig,
    *,
    source: RunFolder,
    out: RunFolder,
    patients: NewPatients,
) -> None:
    """Write the record of the new run: options of the old one, other patients."""
    other = replace(
        stored,
        cohort=config.cohort,
        features=config.features,
        run=config.out,
        overwrite=config.overwrite,
    )
    options = absolute(asdict(other))
    inputs = source.read()["inputs"] | {
        "cohort_sha256": file_digest(Path(config.cohort)),
        "models_of": str(source.path.resolve()),
    }
    out.clear()
    out.start(options, config_yaml=OmegaConf.to_yaml(OmegaConf.create(options)), inputs=inputs)
    tested = tuple(sorted(patients.bags))
    folds = [replace(fold, test=tested) for fold in read_splits(source.splits)]
    write_splits(out.splits, folds)
    write_fingerprints(out.fingerprints, patients.fingerprints)


def _predict(
    source: RunFolder,
    out: RunFolder,
    *,
    arm: str,
    task: Task,
    patients: NewPatients,
    trained: Sequence[Fingerprint],
) -> None:
    """Write the arm: predictions, the models, and what thresholds are set on."""
    from histofed.mil.bags import BagDataset
    from histofed.mil.data import in_order
    from histofed.mil.module import predict

    means, new_means = patient_means(trained), patient_means(patients.fingerprints)
    picked: dict[int, list[Prediction]] = {}
    if source.selection(arm).exists():
        for each in read_predictions(source.selection(arm), task=task):
            picked.setdefault(each.fold, []).append(each)
    site_of = {p.patient_id: p.site for p in read_predictions(source.predictions(arm), task=task)}
    batch_size, dim = stored_config(source).trainer.batch_size, len(trained[0].mean_D)
    folds = read_splits(source.splits)
    made = Arm(arm, task, patients.cohort, out)
    with terminal.stage("Predictions", len(folds), unit="models") as step:
        for fold in folds:
            own = arm.removeprefix(LOCAL) if arm.startswith(LOCAL) else None
            knows = [p for p in fold.train if own in (None, site_of.get(p))]
            weights, module = fold_model(source, arm, fold.number, dim=dim)
            _copy_model(weights, out.fold(arm, fold.number))
            bags = BagDataset(patients.seen[fold.number].values())
            made.add(
                fold.number,
                tested=predict(module, in_order(bags, batch_size)),
                picked=picked.get(fold.number, []),
                unlike=ood({p: means[p] for p in knows}, new_means),
            )
            step(note=f"{arm}, fold {fold.number}")
    made.write()


def _copy_model(weights: Path, folder: Path) -> None:
    """Copy a fold's model, with the options that were chosen for it where some were."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in (weights, weights.with_name(CHOSEN)):
        if file.exists():
            shutil.copyfile(file, folder / file.name)
