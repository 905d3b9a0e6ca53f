"""Times to an event: pairs of one fold only, weights for those lost from sight."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histofed.core.evaluation.base import Resampling
from histofed.core.evaluation.picked import Picked
from histofed.core.evaluation.risk_groups import risk_groups, standardised
from histofed.core.evaluation.survival import SurvivalMeasures
from histofed.core.survival.accuracy import brier_over_time, dynamic_auc
from histofed.core.survival.concordance import harrell_c, uno_c
from histofed.core.survival.cox import hazard_ratio
from histofed.core.survival.kaplan_meier import kaplan_meier, log_rank
from histofed.core.survival.times import censoring_curve
from histofed.errors import CohortError

TIMES = (5.0, 10.0, 20.0)
MEASURES = SurvivalMeasures(TIMES)
HOW = Resampling(200, 0)


def invent(rows_of, n=80, *, seed=0, n_folds=1, ties=False):
    generator = np.random.default_rng(seed)
    risk = generator.normal(size=n)
    time, lost = generator.exponential(15 * np.exp(-risk)), generator.uniform(2, 60, n)
    observed = np.minimum(time, lost) + 0.5
    if ties:
        risk, observed = np.round(risk), np.ceil(observed / 2)
    survival = np.exp(-np.outer(np.exp(0.5 * risk), TIMES) / 15)
    labels = np.column_stack([observed, time <= lost])
    folds = np.arange(n) % n_folds
    return rows_of(labels, np.column_stack([risk, survival]), folds=folds)


def numbers(rows):
    found = MEASURES.result(rows, HOW)
    assert found.reasons == {}
    return found.numbers


def test_in_one_fold_they_are_the_usual_statistics(rows_of):
    rows = invent(rows_of, ties=True)
    time, event = rows.labels_PK.T
    found = numbers(rows)
    assert found["harrell_c"].value == pytest.approx(harrell_c(time, event, rows.output_P))
    expected = uno_c(time, event, rows.output_P, until=20.0)
    assert found["uno_c"].value == pytest.approx(expected)
    auc = dynamic_auc(time, event, rows.output_P, at_T=TIMES)
    assert found["mean_auc"].value == pytest.approx(auc.mean)
    error = brier_over_time(time, event, rows.outputs_PV[:, 1:], at_T=TIMES)
    assert found["integrated_brier"].value == pytest.approx(error.mean)
    at_times = MEASURES.details(rows, Picked(rows), HOW, sensitivity=None).at_times
    assert [each.auc.value for each in at_times] == pytest.approx(auc.values_T.tolist())
    assert [each.brier.value for each in at_times] == pytest.approx(error.values_T.tolist())
    for each in found.values():
        assert each.low < each.value < each.high


def concordance(rows, weight_of, *, until=np.inf):
    """Return pairs in the right order of all pairs of one fold, one by one."""
    right = pairs = 0.0
    (time, event), risk = rows.labels_PK.T, rows.output_P
    for i, j in np.ndindex(len(rows), len(rows)):
        earlier = time[i] < time[j] or (time[i] == time[j] and not event[j])
        if rows.folds_P[i] == rows.folds_P[j] and i != j and event[i] and earlier:
            weight = weight_of(time[i]) * (time[i] < until)
            pairs += weight
            right += weight * (1.0 if risk[i] > risk[j] else 0.5 * (risk[i] == risk[j]))
    return right / pairs


def test_patients_of_different_folds_are_never_compared(rows_of):
    rows = invent(rows_of, 50, n_folds=3, ties=True)
    found = numbers(rows)
    in_sight = censoring_curve(rows.labels_PK[:, 0], rows.labels_PK[:, 1] == 1)
    assert found["harrell_c"].value == pytest.approx(concordance(rows, lambda _: 1.0))
    uno = concordance(rows, lambda t: float(in_sight.before(t)) ** -2, until=20.0)
    assert found["uno_c"].value == pytest.approx(uno)


def test_a_scale_for_each_fold_changes_no_order(rows_of):
    rows = invent(rows_of, 60, n_folds=3)
    before = numbers(rows)
    outputs = rows.outputs_PV.copy()
    outputs[:, 0] = outputs[:, 0] * (1 + rows.folds_P) + 100 * rows.folds_P
    after = numbers(rows_of(rows.labels_PK, outputs, folds=rows.folds_P))
    assert after == before
    rescaled = rows_of(rows.labels_PK, outputs, folds=rows.folds_P)
    ratio = MEASURES.details(rescaled, Picked(rows), HOW, sensitivity=None).hazard_ratio.ratio
    expected = MEASURES.details(rows, Picked(rows), HOW, sensitivity=None).hazard_ratio.ratio
    assert ratio.value == pytest.approx(expected.value)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_resamples_at_once_are_the_definition(rows_of, each_draw, seed):
    rows = invent(rows_of, 14, seed=seed, n_folds=2, ties=True)
    labels = rows.labels_PK.copy()
    labels[:4] = [[2, 1], [2, 1], [21, 0], [21, 0]]  # in each fold one to compare, always drawn
    rows = rows_of(labels, rows.outputs_PV, folds=rows.folds_P)
    counts = np.random.default_rng(seed).integers(0, 3, (3, 14))
    counts[:, :4] = 1
    for metric in SurvivalMeasures((5.0,)).metrics[:2]:
        each_draw(metric, rows, counts)
    one = rows_of(labels, rows.outputs_PV[:, :2], folds=rows.folds_P)
    for metric in SurvivalMeasures((5.0,)).metrics[2:]:
        each_draw(metric, one, counts)


def test_zero_events_are_told_with_the_patients(rows_of):
    rows = invent(rows_of, 6)
    labels = np.column_stack([rows.labels_PK[:, 0], np.zeros(6)])
    none = rows_of(labels, rows.outputs_PV)
    result = MEASURES.result(none, HOW)
    assert result.counts == {"n_patients": 6, "n_events": 0}
    assert set(result.reasons) == {"harrell_c", "uno_c", "mean_auc", "integrated_brier"}
    for reason in result.reasons.values():
        assert "p0, p1, p2, p3, p4 and 1 more: none of 6 patients had an event" in reason
    details = MEASURES.details(none, Picked(none), HOW, sensitivity=None)
    assert "had an event" in details.reasons["hazard_ratio"]
    assert "had an event" in details.groups["halves"].reason


def test_a_model_of_risks_alone_has_no_brier_score(rows_of):
    rows = invent(rows_of)
    outputs = rows.outputs_PV.copy()
    outputs[:, 1:] = np.nan
    result = MEASURES.result(rows_of(rows.labels_PK, outputs), HOW)
    assert set(result.reasons) == {"integrated_brier"}
    assert "trainer.survival_loss=hazard" in result.reasons["integrated_brier"]


def test_times_beyond_follow_up_are_left_out_and_of_none_it_is_told(rows_of):
    rows = invent(rows_of)
    late = SurvivalMeasures((10.0, 1e6))
    outputs = rows.outputs_PV[:, [0, 2, 3]]
    found = late.result(rows_of(rows.labels_PK, outputs), HOW).numbers["mean_auc"]
    time, event = rows.labels_PK.T
    expected = dynamic_auc(time, event, rows.output_P, at_T=[10.0]).mean
    assert found.value == pytest.approx(expected)
    later = SurvivalMeasures((1e5, 1e6)).result(rows_of(rows.labels_PK, outputs), HOW)
    assert "asks at 100000, 1e+06" in later.reasons["mean_auc"]


def test_pairs_that_no_fold_has_are_told(rows_of):
    rows = rows_of([[1.0, 1], [2.0, 0]], [[0.3, 1, 1, 1], [0.1, 1, 1, 1]], folds=[0, 1])
    assert "no pair can be compared" in MEASURES.result(rows, HOW).reasons["harrell_c"]


def test_groups_are_cut_where_the_selection_patients_are(rows_of):
    rows, picked = invent(rows_of, 60, n_folds=2), invent(rows_of, 40, seed=1, n_folds=2)
    found = risk_groups(rows, Picked(picked), n_groups=2)
    high = np.zeros(60, dtype=bool)
    for fold in (0, 1):
        median = np.median(picked.output_P[picked.folds_P == fold])
        assert found.cuts[fold] == (pytest.approx(median),)
        here = rows.folds_P == fold
        high[here] = rows.output_P[here] > median
    time, event = rows.labels_PK.T
    assert found.n_patients == {"low risk": (~high).sum(), "high risk": high.sum()}
    assert found.n_events["high risk"] == event[high].sum()
    assert found.medians["high risk"] == kaplan_meier(time[high], event[high]).median
    assert found.log_rank.p_value == log_rank(time, event, high).p_value
    thirds = risk_groups(rows, Picked(picked), n_groups=3)
    assert list(thirds.n_patients) == ["low risk", "middle risk", "high risk"]
    assert sum(thirds.n_patients.values()) == 60


def test_a_risk_at_the_cut_is_low(rows_of):
    rows = rows_of([[1.0, 1], [2.0, 1], [3.0, 0]], [[1.0], [2.0], [3.0]])
    assert risk_groups(rows, Picked(rows), n_groups=2).n_patients == {"low risk": 2, "high risk": 1}


def test_the_hazard_ratio_is_of_risks_standardised_in_their_fold(rows_of):
    rows = invent(rows_of, 60, n_folds=2)
    z = standardised(rows)
    for fold in (0, 1):
        here = z[rows.folds_P == fold]
        assert (here.mean(), here.std()) == pytest.approx((0, 1))
    found = MEASURES.details(rows, Picked(rows), HOW, sensitivity=None).hazard_ratio
    assert found == hazard_ratio(*rows.labels_PK.T, z)
    flat = rows_of(rows.labels_PK, np.ones((60, 4)), folds=rows.folds_P)
    with pytest.raises(CohortError, match="30 patients of fold 0 have the risk 1"):
        standardised(flat)


def test_an_arm_that_picks_nothing_has_no_groups(rows_of):
    details = MEASURES.details(invent(rows_of), None, HOW, sensitivity=None)
    assert details.groups == {}
    assert "picks no checkpoint" in details.reasons["halves"]
