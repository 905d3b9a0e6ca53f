"""What every aggregator must do. Walks ``configs/aggregator``: a new YAML is tested unasked."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from histofed.pipeline import build
from histofed.pipeline.config import config_dir, groups

D, C = 8, 1
SAME_WHEN_DOUBLED = {"gated_abmil", "mean_pool"}
"""Aggregators that see proportions only: a bag with every tile twice is the same bag."""

HUGE = 1e30

each_aggregator = pytest.mark.parametrize("name", groups()["aggregator"])


def make(name: str, *, dim: int = D, n_classes: int = C, seed: int = 0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = OmegaConf.load(config_dir() / "aggregator" / f"{name}.yaml")
        return build.aggregator(config, dim=dim, n_classes=n_classes).eval()


def tiles(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def all_valid(features_BND: torch.Tensor) -> torch.Tensor:
    return torch.ones(features_BND.shape[:2], dtype=torch.bool)


def close(one: torch.Tensor, other: torch.Tensor, tolerance: float = 1e-5) -> None:
    torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


def test_the_folder_is_not_empty():
    assert "gated_abmil" in groups()["aggregator"]


@each_aggregator
@pytest.mark.parametrize("n_classes", [1, 3])
def test_shapes(name, n_classes):
    output = make(name, n_classes=n_classes)(tiles(2, 5, D), torch.ones(2, 5, dtype=torch.bool))
    assert output.logits_BC.shape == (2, n_classes)
    assert output.embedding_BE.shape[0] == 2
    assert output.embedding_BE.ndim == 2
    if output.attention_BN is not None:
        assert output.attention_BN.shape == (2, 5)


@each_aggregator
@settings(max_examples=15, deadline=None)
@given(n_tiles=st.integers(1, 60), seed=st.integers(0, 2**20))
def test_the_order_of_tiles_does_not_matter(name, n_tiles, seed):
    aggregator, features = make(name), tiles(1, n_tiles, D, seed=seed)
    order = torch.randperm(n_tiles, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        straight = aggregator(features, all_valid(features))
        shuffled = aggregator(features[:, order], all_valid(features))
    close(shuffled.logits_BC, straight.logits_BC)
    close(shuffled.embedding_BE, straight.embedding_BE)
    if straight.attention_BN is not None:
        close(shuffled.attention_BN, straight.attention_BN[:, order])


@each_aggregator
@pytest.mark.parametrize("garbage", [0.0, -1e4, HUGE])
@settings(max_examples=8, deadline=None)
@given(n_tiles=st.integers(1, 40), n_padding=st.integers(1, 40))
def test_padding_is_not_seen(name, garbage, n_tiles, n_padding):
    aggregator, features = make(name), tiles(1, n_tiles, D)
    noise = garbage * tiles(1, n_padding, D, seed=1)
    padded = torch.cat([features, noise], dim=1)
    valid = torch.arange(n_tiles + n_padding)[None] < n_tiles
    with torch.no_grad():
        alone = aggregator(features, all_valid(features))
        beside = aggregator(padded, valid)
    close(beside.logits_BC, alone.logits_BC)
    close(beside.embedding_BE, alone.embedding_BE)
    if alone.attention_BN is not None:
        close(beside.attention_BN[:, :n_tiles], alone.attention_BN)
        assert (beside.attention_BN[:, n_tiles:] == 0).all()


@each_aggregator
@settings(max_examples=10, deadline=None)
@given(sizes=st.lists(st.integers(1, 30), min_size=1, max_size=6))
def test_a_batch_equals_bags_one_by_one(name, sizes):
    aggregator = make(name)
    batch, valid = torch.zeros(len(sizes), max(sizes), D), torch.zeros(len(sizes), max(sizes)) > 0
    for row, size in enumerate(sizes):
        batch[row, :size] = tiles(size, D, seed=row)
        valid[row, :size] = True
    with torch.no_grad():
        together = aggregator(batch, valid)
        for row, size in enumerate(sizes):
            alone = aggregator(batch[row : row + 1, :size], valid[row : row + 1, :size])
            close(together.logits_BC[row], alone.logits_BC[0])
            close(together.embedding_BE[row], alone.embedding_BE[0])
            if alone.attention_BN is not None:
                close(together.attention_BN[row, :size], alone.attention_BN[0])


@each_aggregator
def test_attention_sums_to_one_over_the_valid_tiles(name):
    valid = torch.tensor([[True] * 7, [True] * 3 + [False] * 4, [True] + [False] * 6])
    attention = make(name)(3 * tiles(3, 7, D), valid).attention_BN
    if attention is None:
        return
    close(attention.sum(dim=1), torch.ones(3))
    assert (attention >= 0).all()
    assert (attention[~valid] == 0).all()


@each_aggregator
@pytest.mark.parametrize("n_tiles", [1, 20_000])
def test_tiny_and_huge_bags(name, n_tiles):
    features = tiles(1, n_tiles, D)
    with torch.inference_mode():
        output = make(name)(features, all_valid(features))
    assert output.logits_BC.isfinite().all()
    assert output.embedding_BE.isfinite().all()
    if output.attention_BN is not None:
        close(output.attention_BN.sum(), torch.tensor(1.0), 1e-3)


@pytest.mark.parametrize("name", sorted(SAME_WHEN_DOUBLED))
def test_every_tile_twice_is_the_same_bag(name):
    features = tiles(1, 9, D)
    twice = torch.cat([features, features], dim=1)
    with torch.no_grad():
        aggregator = make(name)
        once = aggregator(features, all_valid(features)).logits_BC
        doubled = aggregator(twice, all_valid(twice)).logits_BC
    close(doubled, once)


@each_aggregator
def test_the_bag_matters(name):
    """Guards the tests above: an aggregator that answers a constant would pass them."""
    aggregator = make(name)
    with torch.no_grad():
        logits = aggregator(tiles(4, 6, D), torch.ones(4, 6, dtype=torch.bool)).logits_BC
    assert logits.flatten().unique().numel() == 4


@each_aggregator
def test_gradient_reaches_every_parameter(name):
    aggregator = make(name)
    features = tiles(3, 6, D)
    aggregator(features, all_valid(features)).logits_BC.square().sum().backward()
    for parameter_name, parameter in aggregator.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.abs().sum() > 0, parameter_name


@each_aggregator
def test_one_seed_one_result(name):
    features = tiles(2, 6, D)

    def train_once() -> torch.Tensor:
        aggregator = make(name, seed=3).train()
        torch.manual_seed(5)
        return aggregator(features, all_valid(features)).logits_BC.detach()

    with torch.random.fork_rng():
        assert torch.equal(train_once(), train_once())
    other = make(name, seed=4).state_dict()
    assert any(not torch.equal(value, other[key]) for key, value in make(name).state_dict().items())


@each_aggregator
def test_bfloat16_is_close_to_float32(name):
    features, aggregator = tiles(4, 50, D), make(name)
    with torch.no_grad():
        exact = aggregator(features, all_valid(features))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            mixed = aggregator(features, all_valid(features))
        half = aggregator.bfloat16()(features.bfloat16(), all_valid(features))
    for output in (mixed, half):
        close(output.logits_BC.float(), exact.logits_BC, 0.05)
        if exact.attention_BN is not None:
            close(output.attention_BN.float(), exact.attention_BN, 0.01)


@each_aggregator
def test_standardising_is_part_of_the_weights(name):
    features = 50 + 9 * tiles(2, 6, D)
    mean, std = torch.linspace(40, 60, D), torch.linspace(1, 9, D)
    plain, told = make(name), make(name)
    told.standardise_with(mean, std)
    with torch.no_grad():
        by_hand = plain((features - mean) / std, all_valid(features)).logits_BC
        assert torch.equal(told(features, all_valid(features)).logits_BC, by_hand)
        assert not torch.allclose(plain(features, all_valid(features)).logits_BC, by_hand)
    read_back = make(name, seed=9)
    read_back.load_state_dict(told.state_dict())
    with torch.no_grad():
        assert torch.equal(read_back(features, all_valid(features)).logits_BC, by_hand)


@each_aggregator
def test_instance_logits_are_those_of_bags_of_one(name):
    aggregator, features = make(name, n_classes=2), tiles(2, 4, D)
    aggregator.standardise_with(torch.full((D,), 0.3), torch.full((D,), 1.7))
    with torch.no_grad():
        found = aggregator.instance_logits(features)
        assert found.shape == (2, 4, 2)
        for row in range(2):
            for tile in range(4):
                one = features[row, tile].reshape(1, 1, D)
                close(found[row, tile], aggregator(one, all_valid(one)).logits_BC[0])
