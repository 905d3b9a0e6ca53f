"""Statistics of times to an event, some of them censored: pure functions over arrays.

========================  ==========================================================
`times`                   what a survival table must be; weights for censoring
`kaplan_meier`            survival curve with interval and at-risk table; log-rank
`concordance`             Harrell's and Uno's C
`accuracy`                cumulative/dynamic AUC, Brier score over time
`cox`                     hazard ratio of one covariate
========================  ==========================================================

A risk is any number that is higher the sooner the event is expected. Where an event and a
censoring share a time, the event came first.
"""
