"""How well features tell sites apart is written when a run starts."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from histofed.io.runs import read_json
from histofed.pipeline.cohort_facts import cohort_facts


def study(shift: float, sites: list[str]) -> SimpleNamespace:
    generator = np.random.default_rng(0)
    patients = [f"p{i}" for i in range(len(sites))]
    names = sorted(set(sites))
    features = {
        patient: generator.normal(size=8) + shift * np.eye(8)[names.index(site)]
        for patient, site in zip(patients, sites, strict=True)
    }
    cohort = SimpleNamespace(
        patients=tuple(patients),
        sites=tuple(names),
        site_of=dict(zip(patients, sites, strict=True)),
    )
    return SimpleNamespace(cohort=cohort, mean_features=features)


def test_sites_that_differ_are_known_and_others_are_not():
    sites = ["A", "B", "C"] * 20
    far, same = (cohort_facts(study(shift, sites)) for shift in (6.0, 0.0))
    assert far["sites"] == {"A": 20, "B": 20, "C": 20}
    assert far["site_from_features"]["mean"] > 0.98
    assert same["site_from_features"]["mean"] == pytest.approx(0.5, abs=0.15)
    found = far["site_from_features"]
    assert found["mean"] == pytest.approx(np.mean(list(found["by_site"].values())))


def test_one_site_has_a_reason_and_one_patient_is_left_out_by_name():
    one = cohort_facts(study(0.0, ["A"] * 6))["site_from_features"]
    assert (one["mean"], one["by_site"]) == (None, {})
    assert "all 6 patients are of site A" in one["reason"]
    alone = cohort_facts(study(5.0, ["A"] * 6 + ["B"] * 6 + ["C"]))["site_from_features"]
    assert alone["left_out"] == ["C"]
    assert set(alone["by_site"]) == {"A", "B"}


def test_a_run_has_it(federated_run):
    facts = read_json(federated_run.cohort)
    assert facts["sites"] == {"east": 6, "north": 6, "south": 6, "west": 6}
    assert 0 <= facts["site_from_features"]["mean"] <= 1
