from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.preprocessing import StandardScaler

from histofed.mil.objectives.regression import Regression

NAN = math.nan
TARGET = torch.tensor([[1.0, 100.0], [2.0, NAN], [6.0, 300.0], [NAN, 800.0]])


@pytest.fixture
def objective() -> Regression:
    made = Regression(("cd3e", "mki67"))
    made.prepare(made.sums(TARGET))
    return made


def test_numbers_are_standardised_over_those_who_have_them(objective):
    scale = StandardScaler().fit(TARGET.numpy())  # leaves NaN out
    assert objective.mean_K.tolist() == pytest.approx(scale.mean_.tolist())
    assert objective.std_K.tolist() == pytest.approx(scale.scale_.tolist())


def test_the_loss_is_the_squared_error_in_deviations(objective):
    logits = torch.tensor([[0.5, -1.0], [0.0, 3.0], [1.0, 0.0], [2.0, 2.0]])
    standard = StandardScaler().fit_transform(TARGET.numpy())
    expected = np.nanmean((logits.numpy() - standard) ** 2, axis=1)
    assert objective.loss(logits, TARGET).tolist() == pytest.approx(expected.tolist(), rel=1e-5)


def test_an_unknown_number_moves_nothing(objective):
    logits = torch.full((4, 2), 7.0).requires_grad_()
    objective.loss(logits, TARGET).sum().backward()
    assert ((logits.grad == 0) == TARGET.isnan()).all()


def test_a_perfect_model_has_no_loss_and_gives_the_numbers_back(objective):
    known = TARGET.nan_to_num(5.0)
    logits = (known - objective.mean_K) / objective.std_K
    assert objective.loss(logits, TARGET).tolist() == pytest.approx([0] * 4, abs=1e-10)
    torch.testing.assert_close(objective.outputs(logits), known)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6])
def test_a_number_that_never_changes_is_not_blown_up(value):
    objective = Regression(("same", "unknown"))
    objective.prepare(objective.sums(torch.tensor([[value, NAN]] * 7)))
    assert objective.std_K.tolist() == [1, 1]
    assert objective.mean_K.tolist() == pytest.approx([value, 0])


def test_a_tile_shows_each_number_in_deviations(objective):
    logits = torch.randn(2, 4, 2)
    heads = objective.tile_heads(logits)
    assert list(heads) == ["tile_value_cd3e", "tile_value_mki67"]
    assert torch.equal(torch.stack(list(heads.values()), dim=-1), logits)
