"""A dot for every number that can be told, and words for the others."""

from __future__ import annotations

from histofed.core.evaluation.base import Result
from histofed.core.evaluation.binary import BinaryMeasures
from histofed.core.metrics import Interval
from histofed.report.forest import MOST_ROWS, Row, forest_figure, site_figure
from histofed.report.model import SiteResult


def dots(axes):
    return [line for line in axes.get_lines() if line.get_label() == "_dot"]


def test_sites_have_a_dot_each_and_say_why_one_has_none():
    interval = Interval(0.8, 0.6, 0.9)
    results = [
        SiteResult(
            site=site,
            arm=arm,
            result=Result(counts={"n_patients": n, "n_positive": p}, numbers={"auroc": found}),
        )
        for site, n, p, found in (("Aachen", 15, 6, interval), ("Bern", 4, 0, None))
        for arm in ("local-only", "federated", "pooled")
    ]
    (axes,) = site_figure(results, BinaryMeasures()).axes
    assert [tuple(dot.get_xdata()) for dot in dots(axes)] == [(0.8,)] * 3
    looks = [{dot.get_color() for dot in dots(axes)}, {dot.get_marker() for dot in dots(axes)}]
    assert [len(each) for each in looks] == [3, 3]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == ["Aachen\n15 patients, 6 positive", "Bern\n4 patients, 0 positive"]
    assert [text.get_text() for text in axes.texts] == ["cannot be told from these patients"]
    assert axes.get_xlabel() == "AUROC on the hospital's patients"


def test_questions_come_best_first_and_findings_are_filled():
    rows = [
        Row("TP53", "n=50", Interval(0.6, 0.4, 0.8), 0.3),
        Row("KRAS", "n=40", Interval(0.9, 0.8, 1.0), 0.001),
        Row("EGFR", "n=9", None, None),
    ]
    (axes,) = forest_figure(rows, title="Which?", xlabel="AUROC", chance=0.5).axes
    assert [tuple(dot.get_xdata()) for dot in dots(axes)] == [(0.9,), (0.6,)]
    kras, tp53 = dots(axes)
    assert kras.get_markerfacecolor() == kras.get_color()
    assert tp53.get_markerfacecolor() == "white"
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["KRAS  (n=40)", "TP53  (n=50)", "EGFR  (n=9)"]
    assert [text.get_text() for text in axes.texts] == ["cannot be told from these patients"]


def test_of_many_the_highest_are_shown_and_that_is_said():
    rows = [Row(f"G{i}", "n=9", Interval(i / 100, 0.0, 1.0), 0.5) for i in range(MOST_ROWS + 5)]
    (axes,) = forest_figure(rows, title="Which?", xlabel="r", chance=0.0).axes
    assert len(dots(axes)) == MOST_ROWS
    assert axes.get_yticklabels()[0].get_text().startswith(f"G{MOST_ROWS + 4} ")
    assert f"{MOST_ROWS} highest of {MOST_ROWS + 5}" in axes.get_title(loc="left")
