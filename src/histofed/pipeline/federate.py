"""``histofed federate``: train over hospitals, and compare with local and pooled training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histofed.errors import ConfigError, FederationError
from histofed.federation.strategies.base import check_strategy
from histofed.io.runs import LOCAL
from histofed.pipeline import build, evaluate, terminal
from histofed.pipeline.arms import Arm
from histofed.pipeline.clinical import say_new_words, with_covariates
from histofed.pipeline.fit import fit_alone, fit_federated
from histofed.pipeline.local_training import check_federation
from histofed.pipeline.study import open_study
from histofed.pipeline.train import (
    CLINICAL,
    FUSED,
    add_fold,
    fit_baseline,
    fit_clinical,
    fit_pooled,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from histofed.core.splits import Fold
    from histofed.federation.history import RoundRecord
    from histofed.pipeline.schema import FederateConfig
    from histofed.pipeline.study import Study

FEDERATED, FEDERATED_FUSED = "federated", "federated-fused"


def run(config: FederateConfig) -> int:
    """Train, compare and evaluate; return the exit code."""
    if config.choose:
        msg = "choose: hospitals cannot choose options together yet; choose them with `histofed "
        msg += "train`, or give one value each"
        raise ConfigError(msg)
    check_federation(config)
    study = open_study(config)
    check_sites(study)
    study.start()
    work = {"federated": len(study.folds)} | {
        name: len(study.folds) * (len(study.cohort.sites) if name == "local" else 1)
        for name in config.compare
    }
    if study.covariates:
        work[FEDERATED_FUSED] = work[CLINICAL] = len(study.folds)
        work[FUSED] = work.get("pooled", 0)
    with terminal.stage("Training", sum(work.values()), unit="models") as step:
        fit_over_sites(study, step)
        if study.covariates:
            fit_over_sites(study, step, fused=True)
            fit_clinical(study, step)
        if "local" in config.compare:
            fit_each_site(study, step)
        if "pooled" in config.compare:
            fit_pooled(study, step)
            if study.covariates:
                fit_pooled(study, step, fused=True)
        if "baseline" in config.compare:
            fit_baseline(study, step)
    summary = evaluate.evaluate(study.run)
    evaluate.show(summary, study.run, following=study.following)
    return 0


def check_sites(study: Study) -> None:
    """Refuse a federation that could not finish, before anything is written.

    Raises
    ------
    ConfigError
        The cohort has a single site, or some fold has too few sites that train (for the quorum, or
        for the strategy), or none that picks the round.
    """
    if len(study.cohort.sites) < 2:
        msg = (
            f"cohort {study.cohort.name} has one site ({study.cohort.sites[0]}); a federation "
            "needs two or more in column site; for one hospital use `histofed train`"
        )
        raise ConfigError(msg)
    config: FederateConfig = study.config  # type: ignore[assignment]
    site_of = study.cohort.site_of
    strategy = build.strategy(config.strategy)
    for fold in study.folds:
        training = {site_of[patient] for patient in fold.train}
        if len(training) < config.federation.min_sites:
            msg = (
                f"fold {fold.number}: only {', '.join(sorted(training))} have training "
                f"patients, federation.min_sites is {config.federation.min_sites}; lower it, or "
                "use fewer folds (splits.n_folds)"
            )
            raise ConfigError(msg)
        check_strategy(strategy, config.federation.min_sites, sites=training)
        if not training & {site_of[patient] for patient in fold.select}:
            msg = (
                f"fold {fold.number}: no hospital that trains has a patient to pick the round "
                "on; use fewer folds (splits.n_folds) or more patients per hospital"
            )
            raise ConfigError(msg)


def fit_over_sites(study: Study, step: Callable[..., None], *, fused: bool = False) -> None:
    """Fit one federated model a fold; write the arm.

    Parameters
    ----------
    fused
        Take clinical covariates in beside the image.
    """
    name = FEDERATED_FUSED if fused else FEDERATED
    arm = Arm.of(study, name)
    for fold in study.folds:
        seen = with_covariates(study, fold) if fused else study
        say_new_words(seen, fold)

        def say_round(record: RoundRecord, fold: Fold = fold) -> None:
            line = round_line(record, fold.number)
            terminal.say(f"fused  {line}" if fused else line)

        folder = study.run.fold(name, fold.number)
        try:
            module = fit_federated(seen, fold, folder=folder, on_round=say_round)
        except FederationError as error:
            msg = f"{name}, fold {fold.number}: {error}"
            raise FederationError(msg) from error
        add_fold(seen, arm, fold, module)
        step(note=f"{name}, fold {fold.number}")
    arm.write()


def fit_each_site(study: Study, step: Callable[..., None]) -> None:
    """Fit one model a fold and hospital, on that hospital's patients alone; write the arms.

    Every model is tested on the held-out patients of all hospitals, as the federated one is. A
    hospital that cannot train alone is said to be left out.
    """
    for site in study.cohort.sites:
        bags = {patient: bag for patient, bag in study.bags.items() if bag.site == site}
        if reason := cannot_train_alone(study, site):
            terminal.say(f"{site} is left out of the local arms: {reason}")
            step(len(study.folds), note=f"{LOCAL}{site}")
            continue
        arm = Arm.of(study, LOCAL + site)
        for fold in study.folds:
            folder = study.run.fold(LOCAL + site, fold.number)
            module = fit_alone(study, fold, bags=bags, folder=folder)
            add_fold(study, arm, fold, module, site=site)
            step(note=f"{LOCAL}{site}, fold {fold.number}")
        arm.write()


def cannot_train_alone(study: Study, site: str) -> str:
    """Return why a hospital cannot train alone, or nothing if it can."""
    patients = {patient for patient, bag in study.bags.items() if bag.site == site}
    for fold in study.folds:
        train = [study.cohort.labels[patient] for patient in fold.train if patient in patients]
        if not train:
            return f"in fold {fold.number} it has no patient to train on"
        # Of a panel or several numbers, a hospital learns what it has.
        if study.task.needed and (lacking := study.task.lacking(train)):
            which = ", ".join(lacking)
            return f"in fold {fold.number} its {len(train)} training patients lack {which}"
        if not patients & set(fold.select):
            return f"in fold {fold.number} it has no patient to pick the checkpoint on"
    return ""


def round_line(record: RoundRecord, fold: int) -> str:
    """Return one round as a line: each hospital's loss of the global model, and their mean."""
    losses = "  ".join(
        f"{site} {metrics['select_loss']:.3f}"
        for site, metrics in sorted(record.metrics.items())
        if "select_loss" in metrics
    )
    mean = "" if record.score is None else f"  mean {record.score:.3f}"
    left_out = record.refused | record.absent
    without = "".join(f"  left out: {left_out[site]}" for site in sorted(left_out))
    which = "final" if record.final else f"{record.number:>3}/{record.total}"
    return f"fold {fold}  round {which:>7}  loss: {losses}{mean}{without}"
