"""Counts and shares of the row, where they belong."""

from __future__ import annotations

from histofed.report.confusion import confusion_figure


def test_every_cell_says_its_count_and_its_share_of_the_row():
    figure = confusion_figure([[3, 1, 0], [0, 2, 2], [0, 0, 0]], ["a", "b", "c"], name="pooled")
    (axes,) = figure.axes
    cells = {text.get_position(): text.get_text() for text in axes.texts}
    assert len(cells) == 9
    assert (cells[0, 0], cells[1, 0], cells[2, 1]) == ("3\n75%", "1\n25%", "2\n50%")
    assert cells[0, 2] == "0\n0%"  # a class that nobody is of
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b", "c"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("called", "found")
