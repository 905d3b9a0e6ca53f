from __future__ import annotations

import pytest
import torch
from sklearn.metrics import log_loss

from histofed.mil.objectives.multiclass import Multiclass

LOGITS = torch.tensor([[0.3, 1.0, -1.0], [2.0, 0.0, 0.5], [0.1, 0.2, 0.3], [1.0, 1.0, 4.0]])
TARGET = torch.tensor([[1.0], [0.0], [1.0], [2.0]])


@pytest.fixture
def objective() -> Multiclass:
    return Multiclass(("a", "b", "c"))


def test_the_loss_is_the_cross_entropy_of_the_probabilities(objective):
    probability = objective.outputs(LOGITS.double())
    assert probability.sum(dim=1).tolist() == pytest.approx([1] * 4)
    expected = log_loss(TARGET[:, 0].numpy(), probability.numpy(), labels=[0, 1, 2])
    assert objective.loss(LOGITS, TARGET).mean().item() == pytest.approx(expected, rel=1e-6)


def test_balanced_classes_count_alike_and_the_mean_weight_is_one(objective):
    plain = objective.loss(LOGITS, TARGET)
    objective.balance(objective.sums(TARGET))
    weights = objective.loss(LOGITS, TARGET) / plain
    assert weights.tolist() == pytest.approx([2 / 3, 4 / 3, 2 / 3, 4 / 3])
    assert weights.mean().item() == pytest.approx(1)


def test_members_are_the_classes(objective):
    assert objective.members(TARGET).tolist() == [[0, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]


def test_a_tile_shows_how_far_each_class_is_above_the_mean(objective):
    logits = torch.tensor([[[1.0, 2.0, 6.0]]])
    heads = objective.tile_heads(logits)
    assert {name: values.item() for name, values in heads.items()} == {
        "tile_logit_a": -2,
        "tile_logit_b": -1,
        "tile_logit_c": 3,
    }
    # What all classes have in common says nothing.
    moved = objective.tile_heads(logits + 5)
    assert all(torch.equal(values, moved[name]) for name, values in heads.items())
