from __future__ import annotations

import math

import pytest
import torch

from histofed.errors import ConfigError
from histofed.mil.aggregators.auxiliary import BagTerm, InstanceTerm, Penalty
from histofed.mil.auxiliary import auxiliary_loss

BAG_0, BAG_1 = [1.0, 0.0], [0.0, 1.0]


def square(logits_BC: torch.Tensor) -> torch.Tensor:
    return logits_BC.square().mean()


def loss(*terms, member=None) -> float:
    return float(auxiliary_loss(terms, bag_loss=square, member_BG=member))


def instance_term(logits_BGK, *, exclusive=False, valid_BGK=None, weight=1.0) -> InstanceTerm:
    """One top instance, then one bottom instance."""
    return InstanceTerm(
        logits_BGK=logits_BGK,
        top_K=torch.tensor([True, False]),
        valid_BGK=torch.ones_like(logits_BGK) > 0 if valid_BGK is None else valid_BGK,
        exclusive=exclusive,
        weight=weight,
    )


def positive(logit: float) -> float:
    return math.log1p(math.exp(-logit))


def negative(logit: float) -> float:
    return math.log1p(math.exp(logit))


def test_nothing_asked_is_no_loss():
    assert loss() == 0


def test_every_further_prediction_counts_alike():
    logits_BKC = torch.tensor([[[1.0], [2.0]], [[3.0], [4.0]]])
    assert loss(BagTerm(logits_BKC=logits_BKC, weight=0.5)) == 0.5 * (1 + 4 + 9 + 16) / 4


def test_terms_add_up_with_their_weights():
    penalty = Penalty(value_B=torch.tensor([1.0, 3.0]), weight=10)
    bag = BagTerm(logits_BKC=torch.tensor([[[2.0]], [[2.0]]]), weight=1)
    assert loss(penalty, bag) == 10 * 2 + 4


def test_only_the_group_of_the_bag_is_known():
    term = instance_term(torch.tensor([[[0.3, -0.7], [9.0, 9.0]]]))
    expected = (positive(0.3) + negative(-0.7)) / 2
    assert loss(term, member=torch.tensor([BAG_0])) == pytest.approx(expected, rel=1e-6)


def test_where_classes_exclude_one_another_the_top_of_the_others_is_negative():
    term = instance_term(torch.tensor([[[0.3, -0.7], [1.1, 9.0]]]), exclusive=True)
    expected = (positive(0.3) + negative(-0.7) + negative(1.1)) / 3
    assert loss(term, member=torch.tensor([BAG_0])) == pytest.approx(expected, rel=1e-6)


def test_a_bag_too_small_to_choose_from_adds_nothing():
    logits = torch.tensor([[[5.0, 5.0], [5.0, 5.0]], [[0.3, -0.7], [0.2, -0.1]]])
    valid = torch.tensor([[[False, False]] * 2, [[True, True]] * 2])
    expected = (positive(0.2) + negative(-0.1)) / 2 / 2  # of two bags
    found = loss(instance_term(logits, valid_BGK=valid), member=torch.tensor([BAG_0, BAG_1]))
    assert found == pytest.approx(expected, rel=1e-6)


def test_a_task_without_classes_is_refused():
    with pytest.raises(ConfigError, match=r"no classes.*gated_abmil"):
        loss(instance_term(torch.zeros(1, 2, 2)))
