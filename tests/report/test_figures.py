"""What is drawn is what the numbers say."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest

from histofed.core import metrics
from histofed.core.metrics import auroc, bootstrap
from histofed.core.metrics.thresholds import decision_curve
from histofed.errors import CohortError
from histofed.report import figures, style


@pytest.fixture
def curves():
    generator = np.random.default_rng(1)
    labels = np.arange(60) % 2
    found = []
    for name, shift in (("local-only", 0.8), ("federated", 2.0), ("pooled", 2.1)):
        odds = generator.normal(size=60) + shift * (labels - 0.5)
        probabilities = 1 / (1 + np.exp(-odds))
        interval = bootstrap(auroc, labels, probabilities, n_resamples=100)
        found.append(figures.NamedPredictions(name, labels, probabilities, interval))
    return found


def line_through(axes, x, y):
    return [
        line
        for line in axes.get_lines()
        if len(line.get_xdata()) == len(x) and np.allclose(np.array(line.get_xydata()).T, (x, y))
    ]


def test_roc_draws_each_curve_and_a_band_round_the_main_one(curves):
    figure = figures.roc_figure(curves, main="federated")
    (axes,) = figure.axes
    for each in curves:
        curve = metrics.roc_curve(each.labels_P, each.probabilities_P)
        (line,) = line_through(axes, curve.x_T, curve.y_T)
        assert (line.get_linewidth() > 2) == (each.name == "federated")
    (band,) = axes.collections
    _, low, high = metrics.roc_band(curves[1].labels_P, curves[1].probabilities_P)
    drawn = band.get_paths()[0].vertices[:, 1]
    assert {drawn.min(), drawn.max()} == {low.min(), high.max()}
    texts = [text.get_text() for text in axes.get_legend().get_texts()]
    assert texts[1].startswith(f"federated\nAUROC {curves[1].interval.value:.2f} (")


def test_the_area_under_the_drawn_roc_is_the_auroc_within_folds(curves):
    folds = np.arange(60) % 3
    (axes,) = figures.roc_figure([each._replace(folds_P=folds) for each in curves]).axes
    lines = [line for line in axes.get_lines() if line.get_zorder() in (2, 3)]
    drawn = [np.trapezoid(line.get_ydata(), line.get_xdata()) for line in lines]
    expected = [auroc(each.labels_P, each.probabilities_P, within_P=folds) for each in curves]
    for area in expected:
        assert any(area == pytest.approx(each) for each in drawn)
        assert area not in [auroc(each.labels_P, each.probabilities_P) for each in curves]


def test_the_area_under_the_drawn_pr_steps_is_the_auprc(curves):
    (axes,) = figures.pr_figure(curves).axes
    lines = [line for line in axes.get_lines() if line.get_drawstyle() == "steps-pre"]
    assert len(lines) == len(curves)
    for line, each in zip(lines, curves, strict=True):
        area = np.sum(np.diff(line.get_xdata()) * line.get_ydata()[1:])
        assert area == pytest.approx(metrics.auprc(each.labels_P, each.probabilities_P))


def test_calibration_draws_each_bin_and_counts_every_patient(curves):
    _, labels, probabilities, *_ = curves[1]
    figure = figures.calibration_figure(labels, probabilities, name="federated")
    axes, below = figure.axes
    bins = metrics.calibration_bins(labels, probabilities)
    assert line_through(axes, [b.predicted for b in bins], [b.observed.value for b in bins])
    bars = [segment[:, 1] for segment in axes.collections[0].get_segments()]
    np.testing.assert_allclose(bars, [[b.observed.low, b.observed.high] for b in bins], atol=1e-12)
    assert sum(bar.get_height() for bar in below.patches) == 60


def test_net_benefit_is_drawn_beside_treating_everybody_and_nobody(curves):
    figure = figures.net_benefit_figure(curves)
    (axes,) = figure.axes
    thresholds = np.arange(1, 100) / 100
    for each in curves:
        curve = decision_curve(each.labels_P, each.probabilities_P, thresholds_T=thresholds)
        assert len(line_through(axes, thresholds, curve.model_T)) == 1
    assert len(line_through(axes, thresholds, curve.everybody_T)) == 1
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["local-only", "federated", "pooled", "treat everybody", "treat nobody"]


def test_one_class_has_no_curve(curves):
    one_class = curves[0]._replace(labels_P=np.ones(60, int))
    with pytest.raises(CohortError, match="label 1"):
        figures.roc_figure([one_class])


def test_arms_keep_their_colours_whatever_the_company():
    alone = style.colours(["federated"])["federated"]
    assert style.colours(["Dijon", "pooled", "federated"])["federated"] == alone
    for names in (["local-only Aachen", "local-only Bern", "federated"], list("abcdef")):
        assert len(set(style.colours(names).values())) == len(names)


def test_global_style_is_left_alone_and_bytes_are_reproducible(curves):
    before = dict(mpl.rcParams)
    first = style.png_bytes(figures.roc_figure(curves))
    assert dict(mpl.rcParams) == before
    assert first[:8] == b"\x89PNG\r\n\x1a\n"
    assert first == style.png_bytes(figures.roc_figure(curves))
