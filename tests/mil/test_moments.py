from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from histofed.mil.moments import Moments, total


def normal(n_tiles: int, seed: int, *, mean: float = 0.0, scale: float = 1.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return mean + scale * torch.randn(n_tiles, 3, generator=generator, dtype=torch.float64)


@given(
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=8),
    mean=st.floats(-100, 100),
    scale=st.floats(0.1, 100),
    order=st.randoms(use_true_random=False),
)
def test_sums_over_hospitals_are_those_of_the_pooled_tiles(sizes, mean, scale, order):
    parts = [normal(n, seed, mean=mean, scale=scale) for seed, n in enumerate(sizes)]
    pooled = Moments.of(torch.cat(parts))
    order.shuffle(parts)
    added = total(Moments.of(part) for part in parts)
    assert added.n_tiles == pooled.n_tiles == sum(sizes)
    magnitude = abs(mean) + scale
    for one, other, power in (
        (added.sum_D / sum(sizes), pooled.sum_D / sum(sizes), 1),
        (added.square_sum_D / sum(sizes), pooled.square_sum_D / sum(sizes), 2),
    ):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12 * magnitude**power)
    torch.testing.assert_close(added.mean_D, pooled.mean_D, rtol=0, atol=1e-12 * magnitude)


def test_mean_and_deviation():
    features = torch.cat([normal(40, 0, mean=3), normal(60, 1, mean=-5, scale=4)])
    found = total([Moments.of(features[:40]), Moments.of(features[40:])])
    torch.testing.assert_close(found.mean_D, features.mean(dim=0), rtol=1e-12, atol=1e-12)
    expected = features.std(dim=0, correction=0)
    torch.testing.assert_close(found.std_D, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("value", [0.0, 0.1, -1234.5, 6e4])
def test_a_feature_that_never_changes_is_left_alone(value):
    features = torch.cat([torch.full((997, 1), value), normal(997, 0)[:, :1].float()], dim=1)
    found = total(Moments.of(part) for part in features.split(100))
    assert found.std_D[0] == 1
    assert found.mean_D[0] == pytest.approx(value)
    assert 0.9 < found.std_D[1] < 1.1


def test_half_precision_features_are_added_up_exactly():
    features = (40 + normal(20_000, 0)).half()
    found = Moments.of(features)
    assert found.sum_D.dtype == torch.float64
    torch.testing.assert_close(found.mean_D, features.double().mean(dim=0), rtol=1e-12, atol=0)


def test_a_tile_alone_does_not_divide_by_nothing():
    assert Moments.of(torch.tensor([[5.0, -2.0]])).std_D.tolist() == [1, 1]
