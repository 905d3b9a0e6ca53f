from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss

from histofed.mil.objectives.binary import Binary

LOGITS = torch.tensor([[0.3], [-2.0], [1.7], [0.0]])
TARGET = torch.tensor([[1.0], [0.0], [0.0], [0.0]])


def test_the_loss_is_the_cross_entropy_of_the_probability():
    objective = Binary()
    probability = objective.outputs(LOGITS)[:, 0]
    assert probability.tolist() == pytest.approx((1 / (1 + np.exp(-LOGITS[:, 0].numpy()))).tolist())
    expected = log_loss(TARGET[:, 0].numpy(), probability.double().numpy(), labels=[0, 1])
    assert objective.loss(LOGITS, TARGET).mean().item() == pytest.approx(expected, rel=1e-6)


def test_balanced_classes_count_alike_and_the_mean_weight_is_one():
    objective = Binary()
    plain = objective.loss(LOGITS, TARGET)
    objective.balance(objective.sums(TARGET))
    weights = objective.loss(LOGITS, TARGET) / plain
    assert weights.tolist() == pytest.approx([2, 2 / 3, 2 / 3, 2 / 3])
    assert weights.mean().item() == pytest.approx(1)


def test_a_class_of_nobody_leaves_the_mean_weight_at_one():
    objective = Binary()
    objective.balance(objective.sums(torch.zeros(5, 1)))
    assert objective.weight(torch.zeros(5, 1)).tolist() == [1] * 5


def test_members_are_the_two_classes():
    assert Binary().members(TARGET[:2]).tolist() == [[0, 1], [1, 0]]


def test_a_tile_shows_its_logit():
    logits = torch.randn(2, 3, 1)
    assert torch.equal(Binary().tile_heads(logits)["tile_logit"], logits[..., 0])
