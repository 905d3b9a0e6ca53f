from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from histofed.core.leakage import Fingerprint, Twins, check_no_leakage, find_twins
from histofed.core.splits import Fold
from histofed.errors import CohortError


def fingerprints(n: int, *, dim: int = 64, seed: int = 0, shared: float = 3.0) -> list[Fingerprint]:
    """Slides of as many patients; like features of an encoder they have much in common."""
    generator = np.random.default_rng(seed)
    mean = shared * generator.normal(size=dim)
    mixing = generator.normal(size=(8, dim))
    return [
        Fingerprint(
            slide_id=f"S{k}",
            patient_id=f"P{k}",
            digest=f"d{k}",
            mean_D=mean + generator.normal(size=8) @ mixing + 0.3 * generator.normal(size=dim),
        )
        for k in range(n)
    ]


def copied(slide: Fingerprint, name: str, *, patient: str, noise: float, digest: str = "other"):
    generator = np.random.default_rng(9)
    mean_D = slide.mean_D + noise * generator.normal(size=len(slide.mean_D))
    return Fingerprint(slide_id=name, patient_id=patient, digest=digest, mean_D=mean_D)


@given(st.integers(0, 500))
def test_different_patients_are_no_twins(seed):
    assert find_twins(fingerprints(60, seed=seed)) == []


def test_a_slide_saved_again_is_found_whatever_its_name():
    slides = fingerprints(30)
    again = copied(slides[4], "scan_final_2", patient="P99", noise=0.1)
    (found,) = find_twins([*slides, again])
    assert found.slides == ("S4", "scan_final_2")
    assert found.patients == ("P4", "P99")
    assert "as far apart as those of patients" in found.why


def test_the_same_file_is_found_by_its_digest_and_named_once():
    slides = fingerprints(30)
    same = copied(slides[4], "S40", patient="P99", noise=0, digest="d4")
    assert [found.why for found in find_twins([*slides, same])] == ["they are the same file"]
    elsewhere = copied(slides[7], "S40", patient="P99", noise=5, digest="d4")
    assert [found.slides for found in find_twins([*slides, elsewhere])] == [("S4", "S40")]


def test_two_sections_of_one_patient_may_look_alike():
    slides = fingerprints(30)
    assert find_twins([*slides, copied(slides[4], "S40", patient="P4", noise=0)]) == []


@given(st.integers(1, 40), st.floats(0.01, 100))
def test_neither_the_order_nor_the_unit_of_features_matters(at, scale):
    slides = fingerprints(40)
    slides.insert(at, copied(slides[4], "S40", patient="P99", noise=0.01))
    scaled = [Fingerprint(s.slide_id, s.patient_id, s.digest, scale * s.mean_D) for s in slides]
    found, other = find_twins(slides), find_twins(scaled)
    assert [each.slides for each in found] == [each.slides for each in other] == [("S4", "S40")]


def test_a_cohort_of_copies_is_found_out():
    slides = fingerprints(20)
    copies = [
        copied(each, f"C{k}", patient=f"Q{k}", noise=1e-3, digest="")
        for k, each in enumerate(slides)
    ]
    found = find_twins([*slides, *copies])
    assert {each.slides for each in found} == {(f"C{k}", f"S{k}") for k in range(20)}


def test_many_slides_are_compared_in_blocks(monkeypatch):
    slides = fingerprints(50)
    slides.append(copied(slides[1], "S50", patient="P99", noise=0))
    whole = find_twins(slides)
    monkeypatch.setattr("histofed.core.leakage.ROWS_AT_ONCE", 7)
    assert [each.slides for each in find_twins(slides)] == [each.slides for each in whole]


def test_unknown_digests_are_not_alike():
    slides = fingerprints(5)
    unknown = [Fingerprint(s.slide_id, s.patient_id, "", s.mean_D) for s in slides]
    assert find_twins(unknown) == []
    assert find_twins([]) == find_twins(slides[:1]) == []


FOLD = Fold(number=3, train=("P1", "P2"), select=("P3",), test=("P4",))


@pytest.mark.parametrize(
    ("patients", "leak"),
    [(("P1", "P2"), False), (("P1", "P9"), False), (("P2", "P3"), True), (("P1", "P4"), True)],
)
def test_twins_on_two_sides_stop_the_run_by_name(patients, leak):
    twins = Twins(("S1", "S2"), patients, "they are the same file")
    if not leak:
        check_no_leakage([FOLD], [twins])
        return
    with pytest.raises(CohortError) as refused:
        check_no_leakage([FOLD], [twins])
    for said in ("fold 3", "slide S1 of patient", "(train)", *patients, "same patient_id"):
        assert said in str(refused.value)


def test_features_of_another_encoder_or_damaged_are_refused_by_name():
    slides = fingerprints(3)
    other = Fingerprint("S9", "P9", "", np.zeros(12))
    with pytest.raises(CohortError, match="patient P9, slide S9: 12 features, slide S0 has 64"):
        find_twins([*slides, other])
    with pytest.raises(CohortError, match="patient P9, slide S9: its features are not finite"):
        find_twins([*slides, Fingerprint("S9", "P9", "", np.full(64, np.nan))])
