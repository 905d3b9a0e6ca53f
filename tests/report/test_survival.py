"""Curves are those of Kaplan and Meier, and the table counts who is left."""

from __future__ import annotations

import numpy as np
import pytest

from histofed.core.evaluation.risk_groups import RiskGroups
from histofed.core.survival.kaplan_meier import kaplan_meier, log_rank
from histofed.report.survival import COLOURS, kaplan_meier_figure

TIMES = np.array([2.0, 4.0, 6.0, 8.0, 3.0, 9.0, 10.0, 12.0])
EVENTS = np.array([1, 1, 0, 1, 0, 1, 0, 1])
HIGH = np.arange(8) < 4


@pytest.fixture
def groups():
    members = {"low risk": ~HIGH, "high risk": HIGH}
    return RiskGroups(
        cuts={0: (0.5,)},
        n_patients={"low risk": 4, "high risk": 4},
        n_events={"low risk": 2, "high risk": 3},
        medians={"low risk": 9.0, "high risk": 4.0},
        log_rank=log_rank(TIMES, EVENTS, HIGH),
        reason="",
        curves={name: kaplan_meier(TIMES[here], EVENTS[here]) for name, here in members.items()},
    )


def test_each_group_has_its_curve_its_losses_and_its_colour(groups):
    axes, _ = kaplan_meier_figure(groups, name="pooled", unit="months").axes
    for name, curve in groups.curves.items():
        line, ticks = (each for each in axes.get_lines() if each.get_color() == COLOURS[name])
        np.testing.assert_array_equal(line.get_xdata(), [0, *curve.times_T])
        np.testing.assert_array_equal(line.get_ydata(), [1, *curve.survival_T])
        assert line.get_drawstyle() == "steps-post"
        np.testing.assert_array_equal(ticks.get_xdata(), curve.times_T[curve.censored_T > 0])
    assert axes.get_xlabel() == "months"
    (words,) = [text.get_text() for text in axes.texts]
    assert words == f"log-rank p {groups.log_rank.p_value:.3f}"


def test_the_table_counts_who_is_under_observation(groups):
    _, below = kaplan_meier_figure(groups, name="pooled", unit="months").axes
    rows = [label.get_text() for label in below.get_yticklabels()]
    assert rows == ["low risk", "high risk"]
    here = {"low risk": TIMES[~HIGH], "high risk": TIMES[HIGH]}
    assert below.texts
    for text in below.texts:
        tick, row = text.get_position()
        assert int(text.get_text()) == (here[rows[row]] >= tick).sum()


def test_the_legend_counts_patients_and_events(groups):
    figure = kaplan_meier_figure(groups, name="pooled", unit="months")
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == [
        "low risk: 4 patients, 2 with the event",
        "high risk: 4 patients, 3 with the event",
    ]
