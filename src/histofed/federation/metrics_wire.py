"""A hospital's metrics and its answers about calibration as what JSON can hold, and back.

Whoever reads believes nothing: what cannot be counts and sums of patients is refused by name.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from histofed.core.evaluation import measures_of
from histofed.core.metrics.intervals import Interval
from histofed.core.metrics.recalibration import LogisticSums, log_odds
from histofed.errors import FederationError
from histofed.federation.calibration import LogOddsSums, Question
from histofed.federation.limits import MAX_PATIENTS
from histofed.federation.score_histograms import N_BINS, ScoreHistogram, SiteScores
from histofed.federation.site_metrics import OutputSums, SiteMetrics

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from histofed.core.metrics.inputs import Floats, Labels
    from histofed.core.tasks import Task

BETA_MOST = 100.0
"""Of a calibration slope or intercept; a steeper question would count patients beyond a score."""


def metrics_record(metrics: SiteMetrics) -> dict[str, Any]:
    """Return what a hospital sends."""
    return {
        "counts": dict(metrics.counts),
        "numbers": {
            name: None if found is None else [found.value, found.low, found.high]
            for name, found in metrics.numbers.items()
        },
        "outputs": {name: _output_record(each) for name, each in metrics.outputs.items()},
    }


def read_metrics(record: Any, task: Task) -> SiteMetrics:
    """Return what a hospital has sent.

    Raises
    ------
    FederationError
        It cannot be: of another task, no numbers, or counts that do not fit one another.
    """
    measures = measures_of(task)
    known = [metric.name for metric in (*measures.metrics, *measures.beside)]
    with _doubting("metrics"):
        metrics = SiteMetrics(
            counts={str(name): _whole(value) for name, value in record["counts"].items()},
            numbers={name: _interval(record["numbers"][name]) for name in known},
            outputs={
                name: _output(record["outputs"][name])
                for name in task.output_names
                if name in record["outputs"]
            },
        )
        for each in metrics.outputs.values():
            _check(
                "more answers than patients", holds=each.log_odds.n <= metrics.counts["n_patients"]
            )
        return metrics


def question_record(question: Question) -> dict[str, Any]:
    """Return what the server asks."""
    return {"beta": question.beta_K.tolist(), "centre": question.centre}


def read_question(record: Any) -> Question:
    """Return what a hospital is asked.

    Raises
    ------
    FederationError
        It is no such question, or one so steep that the answer would count patients.
    """
    with _doubting("a question about calibration"):
        beta_K = _floats(record["beta"])
        _check(f"{len(beta_K)} coefficients", holds=len(beta_K) in (1, 2))
        _check(
            f"coefficients beyond {BETA_MOST:g}", holds=bool((np.abs(beta_K) <= BETA_MOST).all())
        )
        return Question(beta_K, _number(record["centre"]))


def answer_record(answer: LogisticSums) -> dict[str, Any]:
    """Return what a hospital answers."""
    return {
        "log_likelihood": answer.log_likelihood,
        "gradient": answer.gradient_K.tolist(),
        "information": answer.information_KK.tolist(),
    }


def read_answer(record: Any, n_coefficients: int) -> LogisticSums:
    """Return what a hospital has answered.

    Raises
    ------
    FederationError
        It is no such answer.
    """
    with _doubting("an answer about calibration"):
        gradient_K, information_KK = _floats(record["gradient"]), _floats(record["information"])
        _check(
            f"a gradient of shape {gradient_K.shape}", holds=gradient_K.shape == (n_coefficients,)
        )
        _check(
            f"an information of shape {information_KK.shape}",
            holds=information_KK.shape == (n_coefficients, n_coefficients),
        )
        log_likelihood = _number(record["log_likelihood"])
        _check(f"a log likelihood of {log_likelihood:g}", holds=log_likelihood <= 1e-9)
        _check("a negative information", holds=bool((np.diag(information_KK) >= 0).all()))
        return LogisticSums(log_likelihood, gradient_K, information_KK)


def _output_record(sums: OutputSums) -> dict[str, Any]:
    folds = {
        str(fold): {
            "upper": each.upper_B.tolist(),
            "positive": each.positive_B.tolist(),
            "negative": each.negative_B.tolist(),
            "predicted": each.predicted_B.tolist(),
        }
        for fold, each in sums.scores.folds.items()
    }
    return {
        "right": sums.scores.right,
        "pairs": sums.scores.pairs,
        "folds": folds,
        "squares": sums.squares,
        "log_odds": asdict(sums.log_odds),
    }


def _output(record: Mapping[str, Any]) -> OutputSums:
    folds = {int(fold): _histogram(each) for fold, each in record["folds"].items()}
    right, pairs = _number(record["right"]), _whole(record["pairs"])
    told = record["log_odds"]
    sums = LogOddsSums(
        n=_whole(told["n"]),
        n_positive=_whole(told["n_positive"]),
        total=_number(told["total"]),
        square_total=_number(told["square_total"]),
    )
    squares = _number(record["squares"])
    _check(f"{right:g} of {pairs} pairs in the right order", holds=0 <= right <= pairs)
    _check("more positive patients than patients", holds=0 <= sums.n_positive <= sums.n)
    _check(f"{sums.n} patients", holds=1 <= sums.n <= MAX_PATIENTS)
    negative = sums.n - sums.n_positive
    _check(f"{pairs} pairs of so few patients", holds=pairs <= sums.n_positive * negative)
    _check_log_odds(sums)
    _check(f"squared distances of {squares:g}", holds=0 <= squares <= sums.n)
    for name, most in (("positive_B", sums.n_positive), ("negative_B", negative)):
        binned = sum(int(getattr(each, name).sum()) for each in folds.values())
        _check(f"{binned} {name[:8]} patients in bins, of {most}", holds=binned <= most)
    return OutputSums(SiteScores(right, pairs, folds), squares, sums)


def _check_log_odds(told: LogOddsSums) -> None:
    """Refuse sums of log odds that no probabilities have (Cauchy and Schwarz, but for rounding)."""
    most = told.n * log_odds(np.array([1.0]))[0] ** 2 * (1 + 1e-9)
    low = told.total**2 / told.n * (1 - 1e-9)
    _check("log odds of no probabilities", holds=low <= told.square_total <= most)


def _histogram(record: Mapping[str, Any]) -> ScoreHistogram:
    upper_B, positive_B, negative_B = (
        _counts(record[name]) for name in ("upper", "positive", "negative")
    )
    predicted_B = _floats(record["predicted"])
    sizes = {each.shape for each in (upper_B, positive_B, negative_B, predicted_B)}
    _check("bins that do not fit one another", holds=len(sizes) == 1 and len(upper_B) > 0)
    _check("bins in no order", holds=bool((np.diff(upper_B, prepend=0) > 0).all()))
    _check(f"a last bin that ends at {upper_B[-1]}", holds=int(upper_B[-1]) == N_BINS)
    found = ScoreHistogram(upper_B, positive_B, negative_B, predicted_B)
    _check("an empty bin", holds=bool((found.n_B > 0).all()))
    inside = (predicted_B >= 0) & (predicted_B <= found.n_B + 1e-6)
    _check("probabilities outside 0..1", holds=bool(inside.all()))
    return found


@contextmanager
def _doubting(what: str) -> Iterator[None]:
    """Turn whatever a stranger's record does to us into one refusal."""
    try:
        yield
    except (
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        msg = f"{what} cannot be used ({type(error).__name__}: {str(error)[:200]}); run the same "
        msg += "version of histofed everywhere"
        raise FederationError(msg) from error


def _check(found: str, *, holds: bool) -> None:
    if not holds:
        raise ValueError(found)


def _whole(value: Any) -> int:
    _check(f"{value!r} is no count", holds=type(value) is int and 0 <= value < 2**53)
    return int(value)


def _number(value: Any) -> float:
    _check(f"{value!r} is no number", holds=type(value) in (int, float) and math.isfinite(value))
    return float(value)


def _interval(value: Any) -> Interval | None:
    return None if value is None else Interval(*(_number(each) for each in value))


def _counts(values: Any) -> Labels:
    return np.array([_whole(each) for each in values], dtype=np.int64)


def _floats(values: Any) -> Floats:
    found = np.array(values, dtype=np.float64)
    _check("numbers that are not finite", holds=bool(np.isfinite(found).all()))
    return found
