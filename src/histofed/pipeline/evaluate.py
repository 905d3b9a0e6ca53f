"""``histofed evaluate``: metrics with intervals, figures and the report of a run.

Every number is per patient and out of fold: the model that made it was neither trained nor picked
on that patient. What a number means for each kind of task is in `histofed.core.evaluation`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from histofed.core.evaluation import measures_of
from histofed.core.evaluation.arms import ArmEvaluation, against, against_chance, by_value
from histofed.core.evaluation.base import Resampling, attempt
from histofed.core.evaluation.rows import Rows
from histofed.core.evaluation.thirds import grouped
from histofed.core.evaluation.trust import trust
from histofed.core.metrics.groups import stratified_auroc
from histofed.core.tasks import BinaryTask
from histofed.core.words import counted
from histofed.errors import CohortError, ConfigError
from histofed.io.columns import NOT_KNOWN, read_columns
from histofed.io.metrics import write_metrics
from histofed.io.runs import LOCAL, RunFolder, read_json
from histofed.pipeline import terminal
from histofed.pipeline.asking import task_of
from histofed.pipeline.cohort_facts import site_from_features
from histofed.pipeline.over_hospitals import simulated
from histofed.pipeline.predicted import read_arms, read_selection
from histofed.pipeline.reporting import make_report
from histofed.pipeline.study import stored_config, stored_table
from histofed.report.model import ArmSummary

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from histofed.core.evaluation.base import Measures, Result
    from histofed.core.evaluation.picked import Picked
    from histofed.core.metrics.groups import StratifiedAuroc
    from histofed.core.metrics.intervals import Interval
    from histofed.core.tasks import Task
    from histofed.core.types import Prediction
    from histofed.pipeline.schema import EvaluateConfig

LOCAL_MEAN = "local-only, mean of"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Options of an evaluation, as ``configs/evaluate.yaml`` explains them."""

    n_resamples: int = 2000
    seed: int = 0
    sensitivity: float | None = None
    permutations: int = 0
    groups: tuple[str, ...] = ()
    confounder: str | None = None


@dataclass(frozen=True)
class Summary:
    """The rows of the first table, and what their numbers are."""

    measures: Measures
    rows: Sequence[ArmSummary]


def run(config: EvaluateConfig) -> int:
    """Evaluate a run; return the exit code."""
    folder = RunFolder(Path(config.run))
    options = {each.name: getattr(config, each.name) for each in fields(Asked)}
    asked = Asked(**options | {"groups": tuple(config.groups)})
    show(evaluate(folder, asked), folder, following=f"open {folder.report}")
    return 0


def evaluate(run: RunFolder, asked: Asked | None = None) -> Summary:
    """Compute the metrics of every arm; write ``metrics.json``, figures and the report.

    Parameters
    ----------
    asked
        None: what the run's last evaluation was asked, else the defaults.

    Returns
    -------
    summary
        One row per way of training; the local-only models are one row, their mean.

    Raises
    ------
    CohortError, ConfigError
        As `read_arms`; or a column that was asked for is not there, or not for this task.
    """
    run.read()
    asked = asked or _last_asked(run)
    task = task_of(stored_config(run).task)
    predicted = read_arms(run)
    evaluator = _Evaluator.of(run, asked, task, predicted)
    arms = [
        evaluator.arm(arm, predictions, picked=read_selection(run, arm, task))
        for arm, predictions in predicted.items()
    ]
    measures, (summary, local_mean) = evaluator.measures, evaluator.summary(arms)
    site_known = site_from_features(run, evaluator.reference)
    about = {
        "task": {"name": task.name, "kind": task.kind},
        "asked": asdict(asked),
        "site_from_features": site_known,
        "over_hospitals": simulated(stored_config(run), task, predicted),
    }
    write_metrics(run.metrics, about=about, arms=arms, local_mean=local_mean)
    make_report(
        run,
        task=task,
        measures=measures,
        arms=arms,
        summary=summary,
        site_known=site_known,
        confounder=asked.confounder,
    )
    return Summary(measures, summary)


def show(summary: Summary, run: RunFolder, *, following: str) -> None:
    """Print the table of arms and the closing panel."""
    measures, first = summary.measures, summary.rows[0].result
    main, *others = measures.metrics
    kinds = measures.in_words(first.counts)
    terminal.table(
        counted(first.counts["n_patients"], "held-out patient") + (f", {kinds}" if kinds else ""),
        ("trained", f"{main.title} (95% interval)", *(metric.title for metric in others)),
        [
            (
                row.arm,
                str(row.result.numbers[main.name] or "cannot be told"),
                *(_short(row.result.numbers[metric.name]) for metric in others),
            )
            for row in summary.rows
        ],
    )
    if few := measures.few(first.counts):
        terminal.say(few)
    for reason in dict.fromkeys(r for row in summary.rows for r in row.result.reasons.values()):
        terminal.say(f"cannot be told: {reason}")
    facts = {"run": str(run.path), "numbers": str(run.metrics), "report": str(run.report)}
    terminal.closing("evaluated", facts, next_command=following)


@dataclass(frozen=True)
class _Evaluator:
    """What the evaluations of all arms of a run have in common.

    ``reference`` are the predictions of the first arm, ``columns`` the values of the cohort
    table's columns, in the order of its patients.
    """

    measures: Measures
    how: Resampling
    asked: Asked
    reference: Rows
    first: str
    columns: Mapping[str, NDArray[np.str_]]

    @classmethod
    def of(
        cls, run: RunFolder, asked: Asked, task: Task, predicted: Mapping[str, list[Prediction]]
    ) -> _Evaluator:
        """Return the evaluator of a run.

        Raises
        ------
        CohortError, ConfigError
            Nobody's label is known; or as `_columns`.
        """
        first = next(iter(predicted))
        if not predicted[first]:
            msg = f"{run.path}: of no patient predicted is the label known, so there is nothing "
            msg += "to evaluate; add labels to the cohort table"
            raise CohortError(msg)
        reference = Rows.of(predicted[first])
        return cls(
            measures=measures_of(task),
            how=Resampling(asked.n_resamples, asked.seed),
            asked=asked,
            reference=reference,
            first=first,
            columns=_columns(run, asked, task, reference),
        )

    def arm(
        self, arm: str, predictions: Sequence[Prediction], *, picked: Picked | None
    ) -> ArmEvaluation:
        """Return everything that is told of an arm."""
        rows, measures, how, asked = Rows.of(predictions), self.measures, self.how, self.asked
        confounded, no_confounder = self._confounded(rows)
        permuted, no_permutation = None, ""
        if asked.permutations:
            permuted, no_permutation = against_chance(
                measures, rows, n_permutations=asked.permutations, seed=asked.seed
            )
        return ArmEvaluation(
            arm=arm,
            rows=rows,
            result=measures.result(rows, how),
            details=measures.details(rows, picked, how, sensitivity=asked.sensitivity),
            sites=by_value(measures, rows, rows.sites_P, how),
            groups={
                name: by_value(measures, rows, self.columns[name], how) for name in asked.groups
            },
            trust=trust(measures, rows, predictions, how),
            against=None
            if arm == self.first
            else against(measures, rows, self.reference, how, name=self.first),
            confounder=confounded,
            confounder_reason=no_confounder,
            permutation=permuted,
            permutation_reason=no_permutation,
        )

    def _confounded(self, rows: Rows) -> tuple[StratifiedAuroc | None, str]:
        if self.asked.confounder is None:
            return None, ""
        values = self.columns[self.asked.confounder]
        return attempt(
            lambda: stratified_auroc(
                rows.label_P,
                rows.output_P,
                values,
                within_P=rows.folds_P,
                n_resamples=self.how.n_resamples,
                seed=self.how.seed,
            )
        )

    def summary(
        self, arms: Sequence[ArmEvaluation]
    ) -> tuple[list[ArmSummary], tuple[str, Result] | None]:
        """Return a row per way of training, and the mean over the hospitals' own models."""
        rows = [
            ArmSummary(arm=each.arm, result=each.result)
            for each in arms
            if not each.arm.startswith(LOCAL)
        ]
        local = [each.rows for each in arms if each.arm.startswith(LOCAL)]
        if not local:
            return rows, None
        n_sites = len(set(self.reference.sites_P.tolist()))
        of_all = "" if len(local) == n_sites else f" of {n_sites}"
        name = f"{LOCAL_MEAN} {len(local)}{of_all} hospitals"
        result = self.measures.mean_of(local, self.how)
        place = sum(row.arm in ("federated", "pooled") for row in rows)
        rows.insert(place, ArmSummary(arm=name, result=result))
        return rows, (name, result)


def _columns(run: RunFolder, asked: Asked, task: Task, rows: Rows) -> dict[str, NDArray[np.str_]]:
    """Return column -> value or third of each patient, of the columns that were asked for.

    Raises
    ------
    ConfigError
        The task has no threshold to set, or no AUROC to compare within a confounder.
    CohortError
        A column is missing, or as `grouped`.
    """
    if asked.sensitivity is not None and not isinstance(task, BinaryTask):
        msg = f"sensitivity={asked.sensitivity:g}: a threshold is set for binary tasks, and "
        msg += f"{task.name} is {task.kind}; leave it out"
        raise ConfigError(msg)
    if asked.confounder is not None and not isinstance(task, BinaryTask):
        msg = f"confounder={asked.confounder}: pairs are compared within a confounder for binary "
        msg += f"tasks, and {task.name} is {task.kind}; look at groups=[{asked.confounder}]"
        raise ConfigError(msg)
    names = list(dict.fromkeys([*asked.groups, *([asked.confounder] if asked.confounder else [])]))
    found, columns = read_columns(stored_table(run), names) if names else {}, {}
    for name, cell_of in found.items():
        here = {patient: cell_of[patient] for patient in rows.patients_P.tolist()}
        columns[name] = np.array(list(grouped(name, here, unknown=NOT_KNOWN).values()))
    return columns


def _last_asked(run: RunFolder) -> Asked:
    """Return what the last evaluation of a run was asked: drawing heatmaps must not lose it."""
    if not run.metrics.is_file():
        return Asked()
    stored = read_json(run.metrics).get("asked", {})
    known = {each.name: stored[each.name] for each in fields(Asked) if each.name in stored}
    return Asked(**known | {"groups": tuple(known.get("groups", ()))})


def _short(found: Interval | None) -> str:
    return "-" if found is None else f"{found.value:.3f}"
