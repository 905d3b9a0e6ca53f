"""Metrics over hospitals from counts and sums: over a network, and beside those of a simulation.

The functions are the same, so what a network cannot show can be tried in a simulation.
"""

from __future__ import annotations

from contextlib import suppress
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any

from histofed.core.evaluation import measures_of
from histofed.core.evaluation.rows import Rows
from histofed.errors import CohortError, FederationError
from histofed.federation.metrics_wire import (
    answer_record,
    question_record,
    read_answer,
    read_metrics,
    read_question,
)
from histofed.federation.site_metrics import calibration_site, sums_of, together
from histofed.io.metrics import plain
from histofed.pipeline import terminal
from histofed.pipeline.schema import FederateConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from histofed.core.metrics.recalibration import LogisticSums
    from histofed.core.tasks import Task
    from histofed.core.types import Prediction
    from histofed.federation.calibration import Question
    from histofed.federation.site_metrics import SiteMetrics, Together
    from histofed.pipeline.schema import TrainConfig

    Answers = tuple[dict[str, Any], dict[str, str]]
    """Hospital -> what it answers; hospital -> why it does not."""
    Put = Callable[[dict[str, Any]], Answers]

FEDERATED = "federated"
"""The arm whose models hospitals have in common."""
METRICS, CALIBRATION = "metrics", "calibration"
"""What a server asks of an evaluation."""


def simulated(
    config: TrainConfig, task: Task, arms: Mapping[str, Sequence[Prediction]]
) -> dict[str, dict[str, Any]] | None:
    """Return what hospitals would say together, as ``metrics.json`` has it: output -> numbers.

    None for a run that is no federation of several.

    Parameters
    ----------
    arms
        Way of training -> predictions.
    """
    predictions = arms.get(FEDERATED, ())
    if not isinstance(config, FederateConfig) or len({each.site for each in predictions}) < 2:
        return None
    fewest = config.federation.min_patients
    rows_of = {
        site: Rows.of([each for each in predictions if each.site == site])
        for site in sorted({each.site for each in predictions})
    }
    found = {
        site: sums_of(task, rows, fewest=fewest)
        for site, rows in rows_of.items()
        if len(rows) >= fewest
    }

    def ask(output: str, question: Question) -> LogisticSums:
        asked = [site for site in found if output in found[site]]
        sides = {site: calibration_site(task, rows_of[site], output) for site in asked}
        if silent := [s for s, side in sides.items() if side.tells_few(question, fewest=fewest)]:
            raise _lacking(silent)
        return reduce(add, (side.answer(question) for side in sides.values()))

    return _records(together(list(found.values()), ask))


def answer_about(
    task: Task, rows: Rows, question: Mapping[str, Any], *, fewest: int
) -> dict[str, Any]:
    """Return a hospital's answer to a question about calibration.

    Parameters
    ----------
    fewest
        Patients below which nothing leaves; an answer that fewer make holds no number.

    Raises
    ------
    FederationError
        There is no such output, or no such question.
    """
    side, asked = calibration_site(task, rows, str(question.get("output"))), read_question(question)
    if side.tells_few(asked, fewest=fewest):
        return {"kept": "few patients make the answer"}
    return answer_record(side.answer(asked))


def asked_of_all(task: Task, put: Put) -> dict[str, Any]:
    """Ask every hospital for its metrics, and add up; return what ``metrics.json`` holds.

    Parameters
    ----------
    put
        Puts a question to every hospital.
    """
    answers, silent = put({"of": METRICS})
    sites: dict[str, SiteMetrics] = {}
    for site in sorted(answers):
        try:
            sites[site] = read_metrics(answers[site], task)
        except FederationError as error:
            silent[site] = f"site {site}: {error}"
    asked = _Calibration(put, {site: set(found.outputs) for site, found in sites.items()})
    summed = together([found.outputs for found in sites.values()], asked)
    why = "" if summed else _why_nothing(task, n_sites=len(sites))
    return {
        "task": {"name": task.name, "kind": task.kind},
        "hospitals": {
            site: {**found.counts, **plain(dict(found.numbers))} for site, found in sites.items()
        },
        "silent": dict(sorted(silent.items())),
        "over_hospitals": _records(summed),
        "reason": why,
    }


WIDE = 0.1
"""Of what bins leave open of an AUROC: a number from between would look like one that is known."""


def show(task: Task, record: Mapping[str, Any]) -> None:
    """Print each hospital's numbers, those of all together, and what cannot be told."""
    main, *others = measures_of(task).metrics
    terminal.table(
        "On the held-out patients of each hospital, as it tells",
        ("hospital", "patients", f"{main.title} (95% interval)", *(each.title for each in others)),
        [
            (
                site,
                str(told["n_patients"]),
                _interval(told[main.name]),
                *(_value(told[each.name]) for each in others),
            )
            for site, told in record["hospitals"].items()
        ],
    )
    if record["over_hospitals"]:
        terminal.table(
            "All hospitals together, from counts and sums",
            ("output", "patients", "AUROC", "within hospitals", "Brier"),
            [
                (
                    name,
                    str(told["n_patients"]),
                    _bounded(told["auroc"]),
                    _number(told["auroc_within_sites"]),
                    _number(told["brier"]),
                )
                for name, told in record["over_hospitals"].items()
            ],
        )
    for reason in (*record["silent"].values(), record["reason"]):
        if reason:
            terminal.say(f"cannot be told: {reason}")


class _Calibration:
    """Puts questions about calibration; who was silent once is not waited for again."""

    def __init__(self, put: Put, outputs_of: Mapping[str, set[str]]) -> None:
        self._put, self._outputs_of = put, outputs_of
        self._silent: set[str] = set()

    def __call__(self, output: str, question: Question) -> LogisticSums:
        asked = {site for site, outputs in self._outputs_of.items() if output in outputs}
        if asked & self._silent:
            raise _lacking(asked & self._silent)
        answers, _ = self._put({"of": CALIBRATION, "output": output, **question_record(question)})
        self._silent |= asked - answers.keys()
        found = {}
        for site in sorted(asked & answers.keys()):
            with suppress(FederationError):
                found[site] = read_answer(answers[site], len(question.beta_K))
        if asked - found.keys():
            raise _lacking(asked - found.keys())
        return reduce(add, found.values())


def _lacking(sites: Collection[str]) -> CohortError:
    return CohortError(
        f"calibration slope: {', '.join(sorted(sites))} did not answer, or few patients would have "
        "made the answer; all who sent sums must"
    )


def _why_nothing(task: Task, *, n_sites: int) -> str:
    if not n_sites:
        return "no hospital has sent numbers"
    return (
        f"{task.name} is {task.kind}, which is not added up over hospitals yet; each hospital's "
        "own numbers are there"
    )


def _records(found: Mapping[str, Together]) -> dict[str, dict[str, Any]]:
    records = {}
    for name, each in found.items():
        area = each.auroc and each.auroc._asdict()
        record = plain(each)
        record["not_defined"] = record.pop("reasons")
        records[name] = {**record, "auroc": area}
    return records


def _interval(told: Mapping[str, float] | None) -> str:
    if told is None:
        return "cannot be told"
    return f"{told['value']:.3f} ({told['low']:.3f}-{told['high']:.3f})"


def _value(told: Mapping[str, float] | None) -> str:
    return "-" if told is None else f"{told['value']:.3f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _bounded(told: Mapping[str, float] | None) -> str:
    if told is None:
        return "-"
    value, low, high = (f"{told[name]:.3f}" for name in ("value", "at_least", "at_most"))
    if told["at_most"] - told["at_least"] > WIDE:
        return f"{low} to {high}"
    return f"{value} ({low} to {high})"
