"""What hospitals say of their own patients, and together, is what all rows would say."""

from __future__ import annotations

import json
from functools import reduce
from operator import add

import numpy as np
import pytest

from histofed.core.evaluation import measures_of
from histofed.core.evaluation.base import Resampling
from histofed.core.evaluation.rows import Rows
from histofed.core.metrics import auroc, brier
from histofed.core.metrics.recalibration import recalibration
from histofed.core.tasks import BinaryTask, MulticlassTask, MultilabelTask, SurvivalTask
from histofed.errors import CohortError, FederationError
from histofed.federation.calibration import LogOddsSums, Question
from histofed.federation.metrics_wire import (
    answer_record,
    metrics_record,
    question_record,
    read_answer,
    read_metrics,
    read_question,
)
from histofed.federation.site_metrics import (
    MOST_QUESTIONS,
    SiteMetrics,
    calibration_site,
    sums_of,
    together,
)

RANDOM = np.random.default_rng(3)
SITES = np.repeat(["north", "south", "west"], [40, 25, 12])
FOLDS = np.arange(len(SITES)) % 2
LABELS = RANDOM.integers(0, 2, size=len(SITES)).astype(float)
PROBABILITIES = np.clip(0.3 * LABELS + RANDOM.uniform(0, 0.7, size=len(SITES)), 0, 1)
HOW = Resampling(n_resamples=200)

BINARY = BinaryTask(name="mutated", column="mutated")
CLASSES = MulticlassTask(name="subtype", column="subtype", classes=("a", "b", "c"))
PANEL = MultilabelTask(name="panel", questions=("egfr", "kras"))


def rows(labels, outputs) -> Rows:
    n = len(SITES)
    names = np.array([f"patient-{number}" for number in range(n)])
    return Rows(names, SITES, FOLDS, labels.reshape(n, -1), outputs.reshape(n, -1))


ALL = rows(LABELS, PROBABILITIES)


def of_site(site: str, everybody: Rows = ALL) -> Rows:
    return everybody.take(everybody.sites_P == site)


def asking(task, everybody: Rows = ALL):
    def ask(output: str, question: Question):
        sides = (calibration_site(task, of_site(s, everybody), output) for s in np.unique(SITES))
        asked = read_question(json.loads(json.dumps(question_record(question))))
        answers = (answer_record(side.answer(asked)) for side in sides)
        return reduce(add, (read_answer(each, len(question.beta_K)) for each in answers))

    return ask


def sent(task, everybody: Rows = ALL, **options) -> list[SiteMetrics]:
    """Return what arrives of every hospital."""
    found = []
    for site in np.unique(SITES):
        made = SiteMetrics.of(task, of_site(site, everybody), HOW, **{"fewest": 1, **options})
        found.append(read_metrics(json.loads(json.dumps(metrics_record(made))), task))
    return found


def test_each_hospital_says_what_its_rows_would_say_among_all():
    for site, found in zip(np.unique(SITES), sent(BINARY), strict=True):
        expected = measures_of(BINARY).result(of_site(site), HOW)
        assert dict(found.numbers) == expected.numbers
        assert dict(found.counts) == expected.counts


@pytest.mark.parametrize("fewest", [1, 5])
def test_all_hospitals_together_say_what_all_rows_would_say(fewest):
    metrics = sent(BINARY, fewest=fewest)
    found = together([each.outputs for each in metrics], asking(BINARY))["probability"]
    assert (found.n_patients, found.n_positive) == (len(LABELS), int(LABELS.sum()))
    assert found.n_binned == len(LABELS)
    exact = auroc(LABELS, PROBABILITIES, within_P=FOLDS)
    assert found.auroc.at_least <= exact <= found.auroc.at_most
    assert abs(found.auroc.value - exact) < (0.02 if fewest == 1 else 0.15)
    within = np.char.add(SITES, FOLDS.astype(str))
    assert found.auroc_within_sites == pytest.approx(auroc(LABELS, PROBABILITIES, within_P=within))
    assert found.brier == pytest.approx(brier(LABELS, PROBABILITIES))
    expected = recalibration(LABELS, PROBABILITIES)
    assert found.slope.low == pytest.approx(expected.slope.low, abs=1e-7)
    assert found.intercept.value == pytest.approx(expected.intercept.value, abs=1e-7)
    assert not found.reasons


def test_every_class_is_asked_for_against_the_others():
    labels = np.arange(len(SITES)) % 3
    logits = np.eye(3)[labels] + RANDOM.normal(size=(len(SITES), 3))
    outputs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    everybody = rows(labels.astype(float), outputs)
    metrics = sent(CLASSES, everybody)
    found = together([each.outputs for each in metrics], asking(CLASSES, everybody))
    assert list(found) == ["probability_a", "probability_b", "probability_c"]
    for number, each in enumerate(found.values()):
        exact = auroc((labels == number).astype(int), outputs[:, number], within_P=FOLDS)
        assert each.auroc.at_least <= exact <= each.auroc.at_most


def test_of_a_panel_only_known_answers_count_and_few_of_them_stay():
    labels = np.column_stack([LABELS, np.where(SITES == "west", np.nan, LABELS)])
    labels[:3, 1], labels[40:62, 1] = np.nan, np.nan
    everybody = rows(labels, np.column_stack([PROBABILITIES, PROBABILITIES]))
    metrics = sent(PANEL, everybody, fewest=5)
    answered = [sorted(each.outputs) for each in metrics]
    assert answered == [["probability_egfr", "probability_kras"], *([["probability_egfr"]] * 2)]
    assert metrics[0].outputs["probability_kras"].log_odds.n == 37


def test_of_survival_nothing_is_added_up():
    task = SurvivalTask(name="os", column="months", event_column="dead", times=(12.0, 24.0))
    labels = np.column_stack([RANDOM.uniform(1, 40, size=len(SITES)), LABELS])
    outputs = np.column_stack([PROBABILITIES, 1 - PROBABILITIES / 2, 1 - PROBABILITIES])
    metrics = sent(task, rows(labels, outputs))
    assert all(not each.outputs and each.numbers["harrell_c"] for each in metrics)
    assert together([each.outputs for each in metrics], asking(task)) == {}


def test_few_patients_do_not_leave():
    with pytest.raises(FederationError, match=r"fewer than 13 tested patients \(min_patients\)"):
        SiteMetrics.of(BINARY, of_site("west"), HOW, fewest=13)
    assert sums_of(BINARY, of_site("west"), fewest=13) == {}
    # Six in each fold are enough for the hospital, and too few for a bin.
    (found,) = sums_of(BINARY, of_site("west"), fewest=7).values()
    assert found.scores.folds == {}


def test_a_fold_that_no_hospital_counts_has_a_reason():
    sums = [sums_of(BINARY, of_site("west"), fewest=7)]
    found = together(sums, lambda *_: calibration_site(BINARY, of_site("west"), "probability")
                     .answer(_[1]))["probability"]  # fmt: skip
    assert found.ece is None
    assert "use fewer folds" in found.reasons["ece"]


def test_what_a_hospital_does_not_answer_has_a_reason():
    def nobody(output: str, question: Question):
        msg = "calibration slope: south did not answer"
        raise CohortError(msg)

    found = together([each.outputs for each in sent(BINARY)], nobody)["probability"]
    assert found.slope is None
    assert found.reasons == {"slope": "calibration slope: south did not answer"}


def test_answers_that_lead_nowhere_end_the_asking():
    asked = []

    def liar(output: str, question: Question):
        asked.append(question)
        one = np.eye(len(question.beta_K))
        return read_answer(
            {
                "log_likelihood": -1 - 1 / len(asked),
                "gradient": one[0].tolist(),
                "information": one.tolist(),
            },
            len(one),
        )

    found = together([each.outputs for each in sent(BINARY)], liar)["probability"]
    assert found.slope is None
    assert len(asked) <= MOST_QUESTIONS


def changed(**changes) -> dict:
    record = metrics_record(SiteMetrics.of(BINARY, of_site("north"), HOW, fewest=5))
    output = record["outputs"]["probability"]
    for name, value in changes.items():
        where = next(each for each in (record, output, output["folds"]["0"]) if name in each)
        where[name] = value
    return record


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"counts": {"n_patients": -1}}, "-1 is no count"),
        ({"counts": {"n_patients": 3}}, "more answers than patients"),
        ({"right": 1e9}, "pairs in the right order"),
        ({"squares": float("nan")}, "nan is no number"),
        ({"upper": [100, 50]}, "do not fit one another"),
        ({"folds": {"0": {"upper": [100], "positive": [0], "negative": [0], "predicted": [0.0]}}},
         "an empty bin"),
        ({"folds": {"0": {"upper": [50], "positive": [1], "negative": [0], "predicted": [0.1]}}},
         "a last bin that ends at 50"),
        ({"folds": {"0": {"upper": [100], "positive": [1], "negative": [0], "predicted": [7.0]}}},
         "probabilities outside 0..1"),
        ({"folds": {"0": {"upper": [100], "positive": [99], "negative": [0], "predicted": [7.0]}}},
         "99 positive patients in bins, of"),
        ({"folds": {"0": {"upper": [100], "positive": [0], "negative": [39], "predicted": [7.0]}}},
         "39 negative patients in bins, of"),
        ({"pairs": 2**50}, "1125899906842624 pairs of so few"),
        ({"log_odds": {"n": 40, "n_positive": 19, "total": 400.0, "square_total": 1.0}},
         "log odds of no probabilities"),
        ({"log_odds": {"n": 40, "n_positive": 19, "total": 0.0, "square_total": 1e9}},
         "log odds of no probabilities"),
        ({"log_odds": {"n": 2**50, "n_positive": 19, "total": 0.0, "square_total": 1.0}},
         "1125899906842624 patients"),
        ({"numbers": {}}, "KeyError"),
        ({"outputs": 3}, "TypeError"),
    ],
)  # fmt: skip
def test_what_cannot_be_counts_of_patients_is_refused(changes, match):
    with pytest.raises(FederationError, match=match):
        read_metrics(changed(**changes), BINARY)


@pytest.mark.parametrize(
    ("record", "match"),
    [
        ({"beta": [1e6, 0], "centre": 0}, "coefficients beyond 100"),
        ({"beta": [1, 0, 0], "centre": 0}, "3 coefficients"),
        ({"beta": [1, 0]}, "KeyError"),
        (None, "TypeError"),
    ],
)
def test_what_is_no_question_about_calibration_is_refused(record, match):
    with pytest.raises(FederationError, match=match):
        read_question(record)


def test_an_answer_of_another_shape_is_refused():
    with pytest.raises(FederationError, match="gradient of shape"):
        read_answer({"log_likelihood": 0.0, "gradient": [1.0], "information": [[1.0]]}, 2)
    for change, match in (
        ({"log_likelihood": 5.0}, "a log likelihood of 5"),
        ({"information": [[-1.0]]}, "a negative information"),
    ):
        sound = {"log_likelihood": -1.0, "gradient": [1.0], "information": [[1.0]]}
        with pytest.raises(FederationError, match=match):
            read_answer({**sound, **change}, 1)
    with pytest.raises(FederationError, match="has no probability 'other'"):
        calibration_site(BINARY, ALL, "other")


def test_log_odds_of_hospitals_add_up():
    assert LogOddsSums(1, 0, 2.0, 4.0) + LogOddsSums(2, 1, 1.0, 3.0) == LogOddsSums(3, 1, 3.0, 7.0)
