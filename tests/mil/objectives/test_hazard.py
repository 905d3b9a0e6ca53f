"""Against the likelihood of discrete times, written as loops over what happened to each patient."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from histofed.mil.objectives.hazard import Hazard

TIMES = (10.0, 20.0, 40.0)


def minus_log_likelihood(logits: list[float], time: float, *, event: bool) -> float:
    """Walk through the intervals until the patient dies or is lost from sight."""
    total = 0.0
    for logit, end in zip(logits, TIMES, strict=True):
        hazard = 1 / (1 + math.exp(-logit))
        if event and time <= end:
            return total - math.log(hazard)
        if time < end:
            return total
        total -= math.log(1 - hazard)
    return total


logit = st.floats(-8, 8)


@given(
    logits=st.lists(logit, min_size=3, max_size=3),
    time=st.sampled_from([0.5, 9.9, 10.0, 10.1, 20.0, 39.0, 40.0, 40.1, 900.0]),
    event=st.booleans(),
)
def test_the_loss_is_the_likelihood_of_what_was_seen(logits, time, event):
    found = Hazard(TIMES).loss(
        torch.tensor([logits], dtype=torch.float64),
        torch.tensor([[time, float(event)]], dtype=torch.float64),
    )
    expected = minus_log_likelihood(logits, time, event=event)
    assert found.item() == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_an_interval_that_was_not_seen_to_its_end_moves_nothing():
    logits = torch.zeros(3, 3, requires_grad=True)
    target = torch.tensor([[5.0, 0], [15.0, 0], [15.0, 1]])
    Hazard(TIMES).loss(logits, target).sum().backward()
    assert (logits.grad != 0).tolist() == [[False] * 3, [True, False, False], [True, True, False]]


@given(logits=st.lists(logit, min_size=3, max_size=3))
def test_survival_is_what_no_interval_took(logits):
    risk, *survival = Hazard(TIMES).outputs(torch.tensor([logits], dtype=torch.float64))[0].tolist()
    hazards = [1 / (1 + math.exp(-each)) for each in logits]
    assert survival == pytest.approx(np.cumprod([1 - hazard for hazard in hazards]).tolist())
    lived = np.trapezoid([1, *survival], [0, *TIMES])
    assert risk == pytest.approx(1 - lived / TIMES[-1], abs=1e-9)
    assert -1e-9 <= risk <= 1


@given(logits=st.lists(logit, min_size=3, max_size=3), where=st.integers(0, 2))
def test_a_higher_hazard_anywhere_is_a_higher_risk(logits, where):
    objective, given_ = Hazard(TIMES), torch.tensor([logits], dtype=torch.float64)
    more = given_.clone()
    more[0, where] += 0.5
    assert objective.outputs(more)[0, 0] > objective.outputs(given_)[0, 0]


def test_a_tile_shows_its_risk_as_a_bag_of_its_own():
    objective, logits = Hazard(TIMES), torch.randn(2, 5, 3)
    expected = objective.outputs(logits.reshape(10, 3))[:, 0].reshape(2, 5)
    torch.testing.assert_close(objective.tile_heads(logits)["tile_risk"], expected)


def test_times_are_of_the_task_not_of_the_weights():
    assert Hazard(TIMES).state_dict() == {}


def test_the_loss_of_two_hospitals_is_the_loss_of_both_together():
    logits, target = torch.randn(7, 3), torch.tensor([[float(t), t % 2] for t in range(8, 50, 6)])
    objective = Hazard(TIMES)
    apart = [objective.loss(logits[part], target[part]) for part in (slice(3), slice(3, 7))]
    torch.testing.assert_close(torch.cat(apart), objective.loss(logits, target))
