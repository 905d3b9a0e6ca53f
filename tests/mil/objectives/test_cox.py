"""Against the partial likelihood, written as loops over events and those at risk."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from histofed.federation.messages import Round
from histofed.federation.strategies.fedavg import FedAvg
from histofed.mil.objectives.cox import Cox

patients = st.lists(
    st.tuples(st.integers(1, 5), st.booleans(), st.floats(-4, 4)), min_size=1, max_size=12
)


def losses(seen: list[tuple[int, bool, float]]) -> torch.Tensor:
    target = torch.tensor([[time, event] for time, event, _ in seen], dtype=torch.float64)
    logits = torch.tensor([[risk] for _, _, risk in seen], dtype=torch.float64)
    return Cox(n_times=0).loss(logits, target)


@given(patients)
def test_the_loss_is_the_partial_likelihood_with_ties_after_breslow(seen):
    expected = [
        math.log(sum(math.exp(other) for t, _, other in seen if t >= time)) - risk if event else 0.0
        for time, event, risk in seen
    ]
    assert losses(seen).tolist() == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(patients, st.floats(-50, 50))
def test_only_differences_of_risk_count(seen, shift):
    moved = [(time, event, risk + shift) for time, event, risk in seen]
    torch.testing.assert_close(losses(moved), losses(seen), rtol=1e-9, atol=1e-9)


def test_nobody_with_an_event_is_nothing_to_learn():
    logits = torch.randn(4, 1, requires_grad=True)
    target = torch.tensor([[float(time), 0] for time in (3, 1, 2, 2)])
    Cox(n_times=2).loss(logits, target).sum().backward()
    assert (logits.grad == 0).all()


def test_huge_risks_do_not_overflow():
    target = torch.tensor([[1.0, 1], [2.0, 1]])
    found = Cox(n_times=0).loss(torch.tensor([[5000.0], [-5000.0]]), target)
    assert found.tolist() == [0, 0]


def test_it_says_a_risk_and_no_survival():
    found = Cox(n_times=2).outputs(torch.tensor([[0.7]]))
    assert found[0, 0].item() == pytest.approx(0.7)
    assert found[0, 1:].isnan().tolist() == [True, True]


def test_a_tile_shows_its_log_hazard_ratio():
    logits = torch.randn(2, 5, 1)
    assert torch.equal(Cox(n_times=2).tile_heads(logits)["tile_risk"], logits[..., 0])


def test_risks_are_relative_to_the_mean_training_patient():
    """Whatever constant a model's logits have in common, which the loss does not know."""
    trained, asked = torch.tensor([[1.0], [2.0], [6.0]]), torch.tensor([[4.0]])
    for shift in (0, 100):
        objective = Cox(n_times=1)
        objective.watch(trained + shift)
        assert objective.outputs(asked + shift)[0, 0].item() == 1
        assert objective.tile_heads(asked[None] + shift)["tile_risk"].item() == 1


def stratified(by_site: dict[str, list[tuple[int, bool, float]]], slope: float):
    """Return the negative log partial likelihood of risk = slope * x and its derivative, by loops.

    Everybody is in one list; the sum over those at risk takes the patients of the same hospital.
    """
    everybody = [(site, *who) for site, seen in by_site.items() for who in seen]
    loss = derivative = 0.0
    for site, time, event, x in everybody:
        if event:
            at_risk = [each[3] for each in everybody if each[0] == site and each[1] >= time]
            hazards = [math.exp(slope * other) for other in at_risk]
            loss += math.log(sum(hazards)) - slope * x
            mean = sum(h * other for h, other in zip(hazards, at_risk, strict=True)) / sum(hazards)
            derivative += mean - x
    return loss, derivative


def of_a_site(seen: list[tuple[int, bool, float]], slope: float):
    """Return the sum of a hospital's losses, and its derivative."""
    weight = torch.tensor(slope, dtype=torch.float64, requires_grad=True)
    x_B1 = torch.tensor([[x] for *_, x in seen], dtype=torch.float64)
    target = torch.tensor([[time, event] for time, event, _ in seen], dtype=torch.float64)
    loss = Cox(n_times=0).loss(weight * x_B1, target).sum()
    loss.backward()
    return loss.item(), weight.grad.item()


@given(st.lists(patients, min_size=2, max_size=4), st.floats(-2, 2))
def test_losses_and_gradients_of_hospitals_add_up_to_the_stratified_likelihood(sites, slope):
    by_site = {str(number): seen for number, seen in enumerate(sites)}
    found = [of_a_site(seen, slope) for seen in sites]
    loss, derivative = stratified(by_site, slope)
    assert sum(each for each, _ in found) == pytest.approx(loss, rel=1e-9, abs=1e-9)
    assert sum(each for _, each in found) == pytest.approx(derivative, rel=1e-9, abs=1e-9)


@given(st.lists(patients, min_size=2, max_size=4), st.floats(-2, 2))
def test_one_step_of_each_hospital_is_averaged_to_one_of_the_stratified_likelihood(sites, slope):
    """Each steps down the mean of its own losses; averages are weighted by patients."""
    base = {"w": torch.tensor([slope], dtype=torch.float64)}
    current = Round(number=1, total=1, state=base)
    rate, total = 0.1, sum(map(len, sites))
    updates = [
        current.answer(
            str(number),
            {"w": base["w"] - rate * of_a_site(seen, slope)[1] / len(seen)},
            n_patients=len(seen),
        )
        for number, seen in enumerate(sites)
    ]
    found = FedAvg().aggregate(base, updates, {}).state["w"].item()
    by_site = {str(number): seen for number, seen in enumerate(sites)}
    expected = slope - rate * stratified(by_site, slope)[1] / total
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-9)
