"""Clinical covariates go beside every aggregator. Walks ``configs/aggregator``."""

from __future__ import annotations

import pytest
import torch
from omegaconf import OmegaConf

from histofed.mil.bags import BagBatch
from histofed.mil.fusion import FUSIONS, embedding_dim, fusion_for
from histofed.mil.module import MILModule
from histofed.mil.objectives.multiclass import Multiclass
from histofed.pipeline import build
from histofed.pipeline.config import config_dir, groups

B, N, D, C, F = 3, 6, 8, 3, 2

each_aggregator = pytest.mark.parametrize("name", groups()["aggregator"])


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def make(name: str):
    config = OmegaConf.load(config_dir() / "aggregator" / f"{name}.yaml")
    return build.aggregator(config, dim=D, n_classes=C).eval()


@pytest.mark.parametrize("kind", sorted(FUSIONS))
@each_aggregator
def test_every_aggregator_takes_covariates_beside_it(name, kind):
    aggregator = make(name)
    fusion = fusion_for(aggregator, kind, n_covariates=F)
    module = MILModule(
        aggregator, Multiclass("abc"), fusion=fusion, learning_rate=0.1, weight_decay=0.0
    ).eval()
    batch = BagBatch(
        features_BND=torch.randn(B, N, D),
        coords_BN2=None,
        valid_BN=torch.ones(B, N, dtype=torch.bool),
        target_BK=torch.zeros(B, 1),
        ids=("p", "q", "r"),
        clinical_BF=torch.randn(B, F),
    )
    output = module(batch)
    assert output.logits_BC.shape == (B, C)
    assert module.instance_logits(batch).shape == (B, N, C)
    output.logits_BC.square().sum().backward()
    assert any(p.grad is not None and p.grad.any() for p in aggregator.parameters())
    for key, parameter in fusion.named_parameters():
        assert parameter.grad.abs().sum() > 0, key


@each_aggregator
def test_asking_for_the_length_of_an_embedding_changes_nothing(name):
    aggregator = make(name).train()
    before = torch.random.get_rng_state()
    assert embedding_dim(aggregator) > 0
    assert aggregator.training
    assert torch.equal(torch.random.get_rng_state(), before)
