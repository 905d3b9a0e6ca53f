"""Statistics per patient: pure functions over arrays, one question a file.

========================  ==========================================================
`inputs`                  what is refused before any formula runs
`intervals`               a value with its interval; Wilson's
`discrimination`          AUROC, AUPRC, curves
`calibration`             Brier, ECE, bins
`recalibration`           calibration slope and intercept, temperature
`thresholds`              operating points, net benefit
`resampling`              bootstrap intervals
`bands`                   bootstrap band of a ROC curve
`comparison`              DeLong, label permutation, Benjamini-Hochberg
`groups`                  per site, scanner, subgroup; within a confounder
`panel`                   many questions of the same patients
`multiclass`              several classes
`regression`              numbers
`conformal`               prediction sets and their coverage; intervals of numbers
`venn_abers`              intervals of probabilities
`raters`                  how far people agree
`shift`                   patients unlike the training set; features that know the site
========================  ==========================================================

Times to an event are in `histofed.core.survival`. The names below are those of the report of a
binary task; everything else is imported from its file.
"""

from histofed.core.metrics.bands import roc_band
from histofed.core.metrics.calibration import CalibrationBin, brier, calibration_bins, ece
from histofed.core.metrics.discrimination import (
    Curve,
    auprc,
    auroc,
    pr_curve,
    roc_curve,
    roc_within,
)
from histofed.core.metrics.intervals import Interval, wilson
from histofed.core.metrics.resampling import bootstrap, bootstrap_mean

__all__ = [
    "CalibrationBin",
    "Curve",
    "Interval",
    "auprc",
    "auroc",
    "bootstrap",
    "bootstrap_mean",
    "brier",
    "calibration_bins",
    "ece",
    "pr_curve",
    "roc_band",
    "roc_curve",
    "roc_within",
    "wilson",
]
