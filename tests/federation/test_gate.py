from __future__ import annotations

import dataclasses

import pytest
import torch

from histofed.errors import UpdateRefused
from histofed.federation.gate import check_update

EXPECTED = {"weight": torch.zeros(2, 3), "bias": torch.zeros(2), "count": torch.tensor(0)}


def sound_state() -> dict[str, torch.Tensor]:
    return {"weight": torch.ones(2, 3), "bias": torch.ones(2), "count": torch.tensor(4)}


def refuse(update, match: str, **options) -> None:
    with pytest.raises(UpdateRefused, match=f"site north, round 1: update refused: .*{match}"):
        check_update(update, EXPECTED, site="north", round_number=1, **options)


def test_a_sound_update_passes(toy):
    check_update(toy.update(state=sound_state(), auc=0.7), EXPECTED, site="north", round_number=1)


@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        ("bias", torch.tensor([1.0, float("nan")]), r"'bias' must be finite, found nan \(1 of 2"),
        ("weight", torch.full((2, 3), -torch.inf), r"'weight' must be finite, found -inf \(6 of 6"),
        ("weight", torch.ones(1), r"'weight' must have the shape \(2, 3\), found \(1,\)"),
        ("weight", torch.ones(3, 2), r"'weight' must have the shape \(2, 3\), found \(3, 2\)"),
        ("bias", torch.ones(2).double(), "'bias' must be torch.float32, found torch.float64"),
        ("count", torch.tensor(4.0), "'count' must be torch.int64, found torch.float32"),
        ("extra", torch.ones(1), r"'extra' is unknown \(1 unknown"),
        ("bias", [1.0, 1.0], "'bias' must be a dense tensor, found a list"),
        ("bias", torch.ones(2).to_sparse(), "'bias' must be a dense tensor, found a tensor of"),
        ("bias", torch.ones(2, device="meta"), "'bias' must be a dense tensor"),
    ],
)
def test_a_bad_tensor_is_refused_by_name(toy, name, value, match):
    refuse(toy.update(state={**sound_state(), name: value}), match)


def test_a_missing_tensor_is_refused_by_name(toy):
    state = sound_state()
    del state["bias"]
    refuse(toy.update(state=state), r"'bias' is missing \(1 missing")


@pytest.mark.parametrize("n", [0, -79, 10**12, True, 12.0, float("nan")])
def test_an_absurd_number_of_patients_is_refused(toy, n):
    refuse(toy.update(state=sound_state(), n=n), "n_patients must be .*, found")


def test_the_largest_number_of_patients_is_inclusive(toy):
    update = toy.update(state=sound_state(), n=50)
    check_update(update, EXPECTED, site="north", round_number=1, max_patients=50)
    refuse(update, r"n_patients must be in 1\.\.49, found 50", max_patients=49)


@pytest.mark.parametrize("number", [0, 2])
def test_another_round_is_refused(toy, number):
    refuse(toy.update(state=sound_state(), round=number), f"it answers round {number}")


def test_another_site_is_refused(toy):
    refuse(toy.update("south", sound_state()), "comes from site 'south'")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "0.9", None])
def test_a_metric_that_is_no_number_is_refused(toy, value):
    update = dataclasses.replace(toy.update(state=sound_state()), metrics={"val_auroc": value})
    refuse(update, "metric 'val_auroc' must be a finite number")


def test_an_update_with_tensors_is_refused_in_the_final_round(toy):
    update = toy.update(state=sound_state(), round=3)
    with pytest.raises(UpdateRefused, match="'bias' is unknown"):
        check_update(update, {}, site="north", round_number=3)
    check_update(toy.update(round=3), {}, site="north", round_number=3)
