"""A dot per patient, the best quantities first."""

from __future__ import annotations

import numpy as np

from histofed.core.metrics import Interval
from histofed.report.scatter import MOST_PANELS, Panel, scatter_figure


def panel(name: str, r: float | None) -> Panel:
    truth = np.arange(5.0)
    return Panel(name, truth, truth + 1, None if r is None else Interval(r, r, r))


def test_each_quantity_has_its_patients_and_the_line_of_no_error():
    figure = scatter_figure([panel("A", 0.2), panel("B", 0.9)], unit="TPM")
    first = figure.axes[0]
    assert first.get_title(loc="left").startswith("B, n=5\nr 0.90")
    exact, dots = first.get_lines()
    np.testing.assert_array_equal(exact.get_xdata(), exact.get_ydata())
    np.testing.assert_array_equal(dots.get_xydata(), [[i, i + 1] for i in range(5)])
    assert (first.get_xlabel(), first.get_ylabel()) == ("true TPM", "predicted TPM")


def test_of_many_the_best_are_shown_and_that_is_said():
    panels = [panel(f"G{i}", i / 10) for i in range(MOST_PANELS + 2)] + [panel("none", None)]
    figure = scatter_figure(panels)
    names = [axes.get_title(loc="left").split(",")[0] for axes in figure.axes]
    assert names == ["G7", "G6", "G5", "G4", "G3", "G2"]
    assert "6 of highest correlation of 9" in figure.get_supxlabel()


def test_alike_predictions_still_have_a_frame():
    one = Panel("A", np.ones(3), np.ones(3), None)
    (axes,) = scatter_figure([one]).axes
    low, high = axes.get_xlim()
    assert low < 1 < high
