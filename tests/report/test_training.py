"""Curves of rounds and epochs."""

from __future__ import annotations

import numpy as np
import pytest

from histofed.errors import ConfigError
from histofed.report.training import curves_figure, rounds_figure


def test_rounds_count_from_one_and_the_kept_one_is_ringed():
    losses = {"Aachen": [0.7, 0.5, 0.4], "Bern": [0.8, float("nan"), 0.6]}
    mean = [0.75, 0.5, 0.5]
    (axes,) = rounds_figure(losses, mean, chosen_round=2).axes
    drawn = {str(line.get_label()): line for line in axes.get_lines()}
    for site, values in losses.items():
        np.testing.assert_array_equal(drawn[site].get_xdata(), [1, 2, 3])
        np.testing.assert_array_equal(drawn[site].get_ydata(), values)
    (ring,) = [line for line in axes.get_lines() if line.get_markersize() == 9]
    assert ring.get_xydata().tolist() == [[2, 0.5]]
    assert axes.texts[0].get_text() == "round 2 kept"


def test_epochs_are_drawn_as_given():
    (axes,) = curves_figure({"training": [3, 2, 1], "selection": [3, 2, 2.5]}, chosen_epoch=2).axes
    drawn = {line.get_label(): list(line.get_ydata()) for line in axes.get_lines()}
    assert drawn["selection"] == [3, 2, 2.5]


@pytest.mark.parametrize(
    ("losses", "mean", "chosen", "message"),
    [
        ({"Aachen": [1.0]}, [1.0, 2.0], 1, "one value per round"),
        ({"Aachen": []}, [], 1, "at least one"),
        ({"Aachen": [1.0]}, [1.0], 0, "counted from 1"),
        ({"Aachen": [1.0]}, [1.0], 2, "rounds 1..1 were run"),
    ],
)
def test_impossible_rounds_are_refused(losses, mean, chosen, message):
    with pytest.raises(ConfigError, match=message):
        rounds_figure(losses, mean, chosen_round=chosen)
