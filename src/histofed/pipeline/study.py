"""A study: what every arm of a run shares. Cohort, bags, folds, run folder; and reading it back."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from histofed import __version__
from histofed.core.leakage import Fingerprint, patient_means
from histofed.errors import ConfigError, StoreError
from histofed.io.atomic import file_digest
from histofed.io.fingerprints import write_fingerprints
from histofed.io.runs import RunFolder
from histofed.io.splits import write_splits
from histofed.io.store import FeatureStore
from histofed.io.tables import read_cohort
from histofed.pipeline.asking import task_of
from histofed.pipeline.clinical import covariates_of
from histofed.pipeline.fitness import check_fitness
from histofed.pipeline.schema import FederateConfig, TrainConfig
from histofed.pipeline.splitting import check_twins, folds_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from histofed.core.clinical import Covariates
    from histofed.core.clinical_encoding import Encoding
    from histofed.core.cohort import Cohort
    from histofed.core.metrics.inputs import Floats
    from histofed.core.splits import Fold
    from histofed.core.tasks import Task
    from histofed.io.store import Recipe
    from histofed.mil.bags import Bag
    from histofed.mil.moments import Moments


@dataclass(frozen=True, kw_only=True)
class Study:
    """One run in the making.

    Attributes
    ----------
    bags
        Patient -> all tiles of the patient, in memory.
    recipe
        How all the features were made.
    moments
        Patient -> sums of the patient's features, to standardise with.
    fingerprints
        What each slide is known by.
    covariates
        What is known of each patient beside the image; None where nothing was asked for.
    encoding
        How covariates became the numbers of the bags, in the view of one fold; None where a model
        sees the image alone.
    """

    config: TrainConfig
    task: Task
    cohort: Cohort
    bags: Mapping[str, Bag]
    recipe: Recipe
    moments: Mapping[str, Moments]
    fingerprints: list[Fingerprint]
    folds: list[Fold]
    run: RunFolder
    covariates: Covariates | None = None
    encoding: Encoding | None = None

    @cached_property
    def mean_features(self) -> dict[str, Floats]:
        """Patient -> mean of the patient's features, ``(D,)``."""
        return patient_means(self.fingerprints)

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
        self.run.clear()
        options = absolute(asdict(self.config))
        inputs = {
            "cohort_sha256": file_digest(Path(self.config.cohort)),
            "recipe_digest": self.recipe.digest,
            "encoder": self.recipe.encoder,
        }
        yaml = OmegaConf.to_yaml(OmegaConf.create(options))
        self.run.start(options, config_yaml=yaml, inputs=inputs)
        write_splits(self.run.splits, self.folds)
        write_fingerprints(self.run.fingerprints, self.fingerprints)


def open_study(config: TrainConfig) -> Study:
    """Read everything a run needs and refuse what cannot work; nothing is written yet.

    Raises
    ------
    ConfigError
        The run folder holds a run already, or options do not suit the task.
    CohortError, StoreError
        Tables or features are at fault.
    """
    from histofed.mil.bags import load_bags
    from histofed.mil.moments import total

    run = RunFolder(Path(config.run))
    check_folder(run, overwrite=config.overwrite)
    task = task_of(config.task)
    check_fitness(config, task)
    cohort = read_cohort(Path(config.cohort), task)
    known = covariates_of(config.clinical, Path(config.cohort), cohort, task)
    federated = isinstance(config, FederateConfig)
    folds = folds_of(config.splits, cohort, task, federated=federated)
    store = FeatureStore(Path(config.features))
    bags = load_bags(cohort, store, scratch=Path(config.work))
    by_slide = moments_of(bags)
    fingerprints = fingerprints_of(cohort, store, by_slide)
    check_twins(folds, fingerprints)
    moments = {
        patient: total(by_slide[slide] for slide in bag.tiles_of) for patient, bag in bags.items()
    }
    return Study(
        config=config,
        task=task,
        cohort=cohort,
        bags=bags,
        recipe=store.record(cohort.slides[0].slide_id).recipe,
        moments=moments,
        fingerprints=fingerprints,
        folds=folds,
        run=run,
        covariates=known,
    )


def stored_config(run: RunFolder) -> TrainConfig:
    """Return the options that a run was made with.

    Raises
    ------
    StoreError
        ``run.json`` was damaged or edited.
    """
    stored = run.read()["config"]
    schema = FederateConfig if "strategy" in stored else TrainConfig
    try:
        options = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(schema), stored))
    except OmegaConfBaseException as error:
        reason = str(error).partition("\n")[0]
        where = f" (option {error.full_key})" if getattr(error, "full_key", None) else ""
        msg = (
            f"{run.path / 'run.json'}: its options are not those of histofed {__version__}: "
            f"{reason}{where}; open the run with the version that made it, or train again"
        )
        raise StoreError(msg) from error
    assert isinstance(options, TrainConfig)
    return options


def stored_cohort(run: RunFolder) -> tuple[Cohort, FeatureStore]:
    """Return the cohort and features of a run, with every slide's resolution as it was tiled.

    Raises
    ------
    StoreError
        Table or features are not those that the run was made from.
    """
    config, inputs = stored_config(run), run.read()["inputs"]
    table, store = stored_table(run), FeatureStore(Path(config.features))
    cohort = read_cohort(table, task_of(config.task), keep_unknown="models_of" in inputs)
    slides = []
    for slide in cohort.slides:
        record = store.record(slide.slide_id)
        if record.recipe.digest != inputs["recipe_digest"]:
            msg = f"{store.path(slide.slide_id)}: extracted with other options than the features "
            msg += f"that {run.path} was made from; train again"
            raise StoreError(msg)
        slides.append(replace(slide, mpp=slide.mpp or record.mpp))
    return replace(cohort, slides=tuple(slides)), store


def stored_table(run: RunFolder) -> Path:
    """Return the cohort table of a run.

    Raises
    ------
    StoreError
        It is not as it was.
    """
    table = Path(stored_config(run).cohort)
    if not table.is_file() or file_digest(table) != run.read()["inputs"]["cohort_sha256"]:
        msg = f"{table}: not the cohort table that {run.path} was made from; restore it or train "
        msg += "again"
        raise StoreError(msg)
    return table


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


def moments_of(bags: Mapping[str, Bag]) -> dict[str, Moments]:
    """Return slide -> sums of its features."""
    from histofed.mil.moments import Moments

    return {
        slide: Moments.of(bag.features_ND[tiles])
        for bag in bags.values()
        for slide, tiles in bag.tiles_of.items()
    }


def fingerprints_of(
    cohort: Cohort, store: FeatureStore, moments: Mapping[str, Moments]
) -> list[Fingerprint]:
    """Return what each slide is known by; a digest that bags of one table share says nothing."""
    found = []
    for slide in cohort.slides:
        record = store.record(slide.slide_id)
        found.append(
            Fingerprint(
                slide_id=slide.slide_id,
                patient_id=slide.patient_id,
                digest=record.slide_digest if record.recipe.spec else "",
                mean_D=moments[slide.slide_id].mean_D.numpy(),
                n_tiles=moments[slide.slide_id].n_tiles,
            )
        )
    return found


def absolute(options: dict[str, Any]) -> dict[str, Any]:
    """Make paths absolute, so that later verbs may run from anywhere."""
    paths = ("cohort", "work", "features", "run")
    found = options | {name: str(Path(options[name]).resolve()) for name in paths}
    if file := options["splits"]["file"]:
        found["splits"] = options["splits"] | {"file": str(Path(file).resolve())}
    return found


def check_folder(run: RunFolder, *, overwrite: bool, option: str = "run") -> None:
    """Refuse to replace results without being asked to, and what is not ours in any case.

    Parameters
    ----------
    option
        What the folder is called on the command line.

    Raises
    ------
    ConfigError
        The folder holds a run, or files that a run would replace.
    """
    found = run.results()
    if not found:
        return
    if not (run.path / "run.json").exists():
        msg = f"{run.path} is not a run folder, yet holds {found[0].name}, which a run would "
        msg += f"replace; name another {option}=..."
        raise ConfigError(msg)
    if not overwrite:
        state = "a run" if run.metrics.exists() else "an unfinished run"
        msg = f"{run.path} holds {state} already; name another ({option}=...) or replace it "
        msg += "(overwrite=true)"
        raise ConfigError(msg)
