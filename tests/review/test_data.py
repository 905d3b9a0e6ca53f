from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pytest

from histofed.core.types import TileScores
from histofed.errors import ReviewError
from histofed.review import app, heads
from histofed.review.data import Case
from histofed.review.worklist import Wanted, Worklist

if TYPE_CHECKING:
    from histofed.review.data import ReviewData
    from histofed.review.store import ReviewStore


def test_uncertain_first(site: ReviewData) -> None:
    found = Worklist(site).page(Wanted(order="uncertain"), {}, reviewer=None)
    order = [case["patient_id"] for case in found["cases"]]
    assert order == ["P-close", "P-two", "P-torn", "P-bare", "P-none", "P-sure"]


@pytest.mark.parametrize("probability", [-0.1, 1.1, float("nan")])
def test_an_impossible_probability_is_refused(site: ReviewData, probability: float) -> None:
    case = Case(patient_id="P", site="S", label=None, outputs=(probability,), slide_ids=())
    with pytest.raises(ReviewError, match="patient P: the probability must be in"):
        dataclasses.replace(site, cases=(case,))


def test_a_case_names_known_slides_and_comes_once(site: ReviewData) -> None:
    case = Case(patient_id="P", site="S", label=None, outputs=(0.5,), slide_ids=("ghost",))
    with pytest.raises(ReviewError, match="P: slide ghost is not among the slides"):
        dataclasses.replace(site, cases=(case,))
    with pytest.raises(ReviewError, match="listed twice"):
        dataclasses.replace(site, cases=site.cases[:1] * 2)


def test_heads_are_described_from_finite_scores() -> None:
    scores = TileScores(
        slide_id="s",
        coords_N2=np.array([[0, 0], [131_072, 7], [5, 5]]),
        side_px0=10.5,
        scores={
            "tile_logit": np.array([-2, 0, 4], dtype=np.float32),
            "attention": np.array([0.25, np.nan, 0.75], dtype=np.float32),
            "void": np.full(3, np.nan, dtype=np.float32),
        },
        model_digest="m",
        features_digest="f",
    )
    attention, evidence, void = heads.describe(scores, positive="mutated")
    assert (attention["name"], attention["low"], attention["high"]) == ("attention", 0.25, 0.75)
    assert attention["n_tiles"] == 2
    assert attention["quantiles"]["0.5"] == 0.5
    assert evidence["label"] == "Evidence"
    assert "“mutated”" in evidence["note"]
    assert (evidence["low"], evidence["high"]) == (-4, 4)  # even about zero
    assert (void["n_tiles"], void["low"], void["quantiles"]["0.99"]) == (0, None, None)
    triples = np.frombuffer(heads.pack(scores, "tile_logit"), dtype="<f4").reshape(-1, 3)
    np.testing.assert_array_equal(triples, [[0, 0, -2], [131_072, 7, 0], [5, 5, 4]])


def test_without_the_viewer_the_page_is_refused(
    site: ReviewData, store: ReviewStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = app.STATIC / "vendor" / "not-there.js"
    monkeypatch.setattr(app, "VIEWER_SCRIPT", missing)
    with pytest.raises(ReviewError, match=r"not-there\.js is missing.*install Node\.js"):
        app.create_app(site, store)
