"""Figures of a binary task: ROC, precision-recall, calibration, net benefit.

Array suffixes: P patients, T points of a curve.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from histofed.core import metrics
from histofed.core.metrics.thresholds import decision_curve
from histofed.report import style

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

    from histofed.core.metrics import Interval
    from histofed.core.metrics.inputs import Floats


class NamedPredictions(NamedTuple):
    """One line of a figure.

    Attributes
    ----------
    interval
        The area (AUROC or AUPRC) written in the legend.
    folds_P
        Whose model speaks; None for one model.
    """

    name: str
    labels_P: ArrayLike
    probabilities_P: ArrayLike
    interval: Interval
    folds_P: ArrayLike | None = None


def roc_figure(curves: Sequence[NamedPredictions], *, main: str | None = None) -> Figure:
    """Return the ROC curves of several models, with a bootstrap band around the main one.

    Of several folds the curve is the mean of theirs, so the area under it is the AUROC written.

    Parameters
    ----------
    main
        Name of the curve with the band and the heavier line; the first one if None.

    Raises
    ------
    CohortError
        A model's patients are all of one class.
    """
    with style.house_style():
        figure, axes = _square_figure()
        axes.plot([0, 1], [0, 1], color=style.QUIET, linewidth=1, linestyle=(0, (4, 4)))
        colours, main = style.colours(each.name for each in curves), main or curves[0].name
        for name, labels, probabilities, interval, folds in curves:
            if name == main:
                fpr, low, high = metrics.roc_band(labels, probabilities, within_P=folds)
                axes.fill_between(fpr, low, high, color=colours[name], alpha=0.14, linewidth=0)
            _curve_line(
                axes, *_roc(labels, probabilities, folds), colours[name], is_main=name == main
            )
            axes.plot([], [], color=colours[name], label=f"{name}\nAUROC {_short(interval)}")
        axes.set(
            title="How well positive and negative patients are told apart",
            xlabel="false positive rate (1 - specificity)",
            ylabel="true positive rate (sensitivity)",
        )
        axes.legend(loc="lower right", labelspacing=0.7)
    return figure


def pr_figure(curves: Sequence[NamedPredictions], *, main: str | None = None) -> Figure:
    """Return the precision-recall curves of several models, drawn as the steps they are.

    Parameters
    ----------
    main
        Name of the curve with the heavier line; the first one if None.

    Raises
    ------
    CohortError
        A model's patients are all of one class.
    """
    with style.house_style():
        figure, axes = _square_figure()
        colours, main = style.colours(each.name for each in curves), main or curves[0].name
        prevalence = float(np.asarray(curves[0].labels_P).mean())
        axes.axhline(prevalence, color=style.QUIET, linewidth=1, linestyle=(0, (4, 4)))
        axes.text(0.0, prevalence + 0.012, f"chance {prevalence:.2f}", color=style.QUIET)
        for name, labels, probabilities, interval, _ in curves:
            curve = metrics.pr_curve(labels, probabilities)
            # Precision of a threshold holds for the recall gained by it: the step comes before.
            # Thresholds that gain none are left out: they add teeth to the line and no area.
            gains = np.diff(curve.x_T, prepend=-1) > 0
            x_T, y_T = curve.x_T[gains], curve.y_T[gains]
            _curve_line(axes, x_T, y_T, colours[name], is_main=name == main, steps=True)
            axes.plot([], [], color=colours[name], label=f"{name}\nAUPRC {_short(interval)}")
        axes.set(
            title="How many of the patients called positive are positive",
            xlabel="recall (share of positive patients found)",
            ylabel="precision (share of calls that are right)",
        )
        axes.legend(loc="lower left", labelspacing=0.7)
    return figure


def calibration_figure(
    labels_P: ArrayLike, probabilities_P: ArrayLike, *, name: str, n_bins: int = 5
) -> Figure:
    """Return observed against predicted fractions with Wilson bars, and a histogram below.

    Parameters
    ----------
    name
        Of the model, for the title.

    Raises
    ------
    CohortError
        Probabilities outside [0, 1] or labels other than 0 and 1.
    """
    bins = metrics.calibration_bins(labels_P, probabilities_P, n_bins=n_bins)
    with style.house_style():
        figure = style.new_figure(5.6, 6.6)
        axes, below = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
        axes.plot([0, 1], [0, 1], color=style.QUIET, linewidth=1, linestyle=(0, (4, 4)))
        observed = np.array([each.observed.value for each in bins])
        bars = np.array([[each.observed.low, each.observed.high] for each in bins]).T
        axes.errorbar(
            [each.predicted for each in bins],
            observed,
            yerr=np.abs(bars - observed),
            fmt="o",
            markersize=7,
            color=style.BLUE,
            elinewidth=1.4,
            capsize=0,
            clip_on=False,
        )
        for each in bins:
            place = (each.predicted, each.observed.value)
            axes.annotate(f"n={each.n}", place, (7, -4), textcoords="offset points", fontsize=8)
        style.unit_square(axes)
        error = metrics.ece(labels_P, probabilities_P, n_bins=n_bins)
        brier = metrics.brier(labels_P, probabilities_P)
        axes.text(0.02, 0.93, f"calibration error {error:.3f}\nBrier {brier:.3f}", va="center")
        axes.set(title=f"Do the probabilities hold? ({name})")
        axes.set_ylabel("observed fraction positive")
        axes.set_box_aspect(1)
        below.set_box_aspect(0.24)
        below.hist(
            [np.asarray(probabilities_P)[np.asarray(labels_P) == each] for each in (1, 0)],
            bins=np.linspace(0, 1, 21),
            stacked=True,
            color=[style.BLUE, "#c3ccd4"],
            label=["positive", "negative"],
        )
        below.legend(ncols=2, loc="upper center", bbox_to_anchor=(0.5, 1.42))
        below.set(xlabel="predicted probability", ylabel="patients")
        below.yaxis.get_major_locator().set_params(integer=True)
    return figure


def net_benefit_figure(curves: Sequence[NamedPredictions]) -> Figure:
    """Return decision curves (Vickers & Elkin 2006) beside treating everybody and nobody.

    Raises
    ------
    CohortError
        Probabilities outside [0, 1] or labels other than 0 and 1.
    """
    thresholds_T = np.arange(1, 100) / 100
    with style.house_style():
        figure = style.new_figure(7.2, 4.4)
        axes = figure.add_subplot()
        colours = style.colours(each.name for each in curves)
        for name, labels, probabilities, *_ in curves:
            curve = decision_curve(labels, probabilities, thresholds_T=thresholds_T)
            axes.plot(thresholds_T, curve.model_T, color=colours[name], label=name)
        dashes = (0, (4, 4))
        axes.plot(
            thresholds_T, curve.everybody_T, color=style.QUIET, linewidth=1, linestyle=dashes,
            label="treat everybody",
        )  # fmt: skip
        axes.axhline(0, color=style.INK, linewidth=1, label="treat nobody")
        prevalence = max(float(np.mean(np.asarray(curves[0].labels_P))), 0.01)
        # Far below zero everything is of no use; how far does not matter.
        axes.set(xlim=(0, 1), ylim=(-0.25 * prevalence, 1.05 * prevalence))
        axes.set(title="Who is better off for it?", ylabel="net benefit per patient")
        axes.set_xlabel("probability from which one would treat or test further")
        figure.legend(loc="outside right upper")
    return figure


def _square_figure() -> tuple[Figure, Axes]:
    figure = style.new_figure(6.0, 6.0)
    axes = figure.add_subplot()
    style.unit_square(axes)
    return figure, axes


def _roc(
    labels_P: ArrayLike, probabilities_P: ArrayLike, folds_P: ArrayLike | None
) -> tuple[Floats, Floats]:
    if folds_P is not None:
        return metrics.roc_within(labels_P, probabilities_P, folds_P)
    curve = metrics.roc_curve(labels_P, probabilities_P)
    return curve.x_T, curve.y_T


def _curve_line(
    axes: Axes,
    x_T: Floats,
    y_T: Floats,
    colour: str,
    *,
    is_main: bool,
    steps: bool = False,
) -> None:
    axes.plot(
        x_T,
        y_T,
        color=colour,
        linewidth=2.4 if is_main else 1.5,
        zorder=3 if is_main else 2,
        drawstyle="steps-pre" if steps else "default",
        clip_on=False,
    )


def _short(interval: Interval) -> str:
    return f"{interval.value:.2f} ({interval.low:.2f}-{interval.high:.2f})"
