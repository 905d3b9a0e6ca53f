from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss

from histofed.mil.objectives.multilabel import Multilabel, mean_of_known

NAN = math.nan
LOGITS = torch.tensor([[0.3, -1.0, 2.0], [1.5, 0.0, -0.5], [9.0, 9.0, 9.0]])
TARGET = torch.tensor([[1.0, NAN, 0.0], [NAN, 1.0, NAN], [NAN, NAN, NAN]])


@pytest.fixture
def objective() -> Multilabel:
    return Multilabel(("egfr", "kras", "tp53"))


def test_the_loss_is_the_mean_over_what_was_answered(objective):
    probability = torch.sigmoid(LOGITS).double()
    assert torch.equal(objective.outputs(LOGITS).double(), probability)
    expected = []
    for row in range(2):
        asked = [column for column in range(3) if not math.isnan(TARGET[row, column])]
        losses = [
            log_loss([TARGET[row, column]], [probability[row, column]], labels=[0, 1])
            for column in asked
        ]
        expected.append(sum(losses) / len(losses))
    assert objective.loss(LOGITS, TARGET).tolist() == pytest.approx([*expected, 0], rel=1e-5)


@given(st.lists(st.lists(st.sampled_from([0.0, 1.0, NAN]), min_size=3, max_size=3), min_size=1))
def test_an_unknown_answer_moves_nothing(labels):
    objective, target = Multilabel(("a", "b", "c")), torch.tensor(labels)
    logits = torch.full(target.shape, 1e4).requires_grad_()
    objective.loss(logits, target).sum().backward()
    assert logits.grad.isfinite().all()
    assert (logits.grad[target.isnan()] == 0).all()
    assert (logits.grad[target == 0] > 0).all()


def test_the_mean_of_known_ignores_what_is_not_finite():
    value = torch.tensor([[1.0, NAN, 3.0], [math.inf, NAN, NAN]])
    known = torch.tensor([[True, False, True], [False, False, False]])
    assert mean_of_known(value, known).tolist() == [2, 0]


def test_a_tile_shows_each_questions_logit(objective):
    logits = torch.randn(2, 4, 3)
    heads = objective.tile_heads(logits)
    assert list(heads) == ["tile_logit_egfr", "tile_logit_kras", "tile_logit_tp53"]
    assert torch.equal(torch.stack(list(heads.values()), dim=-1), logits)
