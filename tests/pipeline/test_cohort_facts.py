"""How well features tell sites apart, from what a run's slides are known by."""

from __future__ import annotations

import numpy as np
import pytest

from histofed.core.evaluation.rows import Rows
from histofed.core.leakage import Fingerprint
from histofed.io.fingerprints import write_fingerprints
from histofed.io.runs import RunFolder
from histofed.pipeline.cohort_facts import site_from_features


def known(folder, shift: float, sites: list[str]) -> dict:
    generator = np.random.default_rng(0)
    patients = [f"p{i}" for i in range(len(sites))]
    names = sorted(set(sites))
    slides = [
        Fingerprint(p, p, "", generator.normal(size=8) + shift * np.eye(8)[names.index(site)], 5)
        for p, site in zip(patients, sites, strict=True)
    ]
    run = RunFolder(folder)
    write_fingerprints(run.fingerprints, slides)
    n = len(sites)
    rows = Rows(
        np.array(patients), np.array(sites), np.zeros(n, int), np.zeros((n, 1)), np.zeros((n, 1))
    )
    return site_from_features(run, rows)


def test_sites_that_differ_are_known_and_others_are_not(tmp_path):
    sites = ["A", "B", "C"] * 20
    far, same = (known(tmp_path, shift, sites) for shift in (6.0, 0.0))
    assert far["mean"] > 0.98
    assert same["mean"] == pytest.approx(0.5, abs=0.15)
    assert far["mean"] == pytest.approx(np.mean(list(far["by_site"].values())))
    assert far["reason"] == ""


def test_one_site_has_a_reason_and_one_patient_is_left_out_by_name(tmp_path):
    one = known(tmp_path, 0.0, ["A"] * 6)
    assert (one["mean"], one["by_site"]) == (None, {})
    assert "all 6 patients are of site A" in one["reason"]
    alone = known(tmp_path, 5.0, ["A"] * 6 + ["B"] * 6 + ["C"])
    assert alone["left_out"] == ["C"]
    assert set(alone["by_site"]) == {"A", "B"}
    (tmp_path / "fingerprints.h5").unlink()
    rows = Rows(np.array(["p0"]), np.array(["A"]), np.zeros(1, int), *np.zeros((2, 1, 1)))
    assert "train again" in site_from_features(RunFolder(tmp_path), rows)["reason"]
