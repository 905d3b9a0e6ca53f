from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import linear

from histofed.io.store import FeatureStore
from histofed.mil.aggregators.additive_abmil import AdditiveABMIL
from histofed.mil.aggregators.gated_abmil import GatedABMIL
from histofed.mil.attribution import ATTENTION, tile_scores
from histofed.mil.bags import collate, load_bags
from histofed.mil.fusion import FUSIONS, Concatenation, GatedFusion, fusion_for
from histofed.mil.module import MILModule
from histofed.mil.objectives.binary import Binary

each_fusion = pytest.mark.parametrize("kind", sorted(FUSIONS))


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def module_of(aggregator, kind: str, n_covariates: int = 2) -> MILModule:
    fusion = fusion_for(aggregator, kind, n_covariates=n_covariates)
    return MILModule(aggregator, Binary(), fusion=fusion, learning_rate=0.1, weight_decay=0.0)


@pytest.fixture
def bags(bag):
    made = [bag(str(n), 3 + n, label=n % 2, seed=n) for n in range(4)]
    return [replace(each, clinical_F=(n - 1.0, n * n / 3)) for n, each in enumerate(made)]


def test_concatenation_adds_up():
    fusion = Concatenation(5, 2, 1)
    image, other = torch.randn(2, 3, 5)
    clinical, none = torch.randn(3, 2), torch.zeros(3, 2)

    def logit(embedding, covariates):
        return fusion.classify(fusion.fuse(embedding, covariates))

    difference = logit(image, clinical) - logit(image, none)
    torch.testing.assert_close(difference, logit(other, clinical) - logit(other, none))
    torch.testing.assert_close(difference, clinical @ fusion.classify.weight[:, 5:].T)


def test_the_gate_is_that_of_the_paper():
    fusion = GatedFusion(5, 2, 1)
    z, x = torch.randn(3, 5), torch.randn(3, 2)
    own = dict(fusion.named_parameters())

    def through(name, value):
        return linear(value, own[f"{name}.weight"], own[f"{name}.bias"])

    gate = torch.sigmoid(through("gate", torch.cat([z, x], dim=1)))
    image, clinical = torch.tanh(through("of_image", z)), torch.tanh(through("of_covariates", x))
    torch.testing.assert_close(fusion.fuse(z, x), gate * image + (1 - gate) * clinical)
    for open_gate, expected in ((30.0, image), (-30.0, clinical)):
        fusion.gate.bias.data.fill_(open_gate)
        torch.testing.assert_close(fusion.fuse(z, x), expected)


@each_fusion
def test_covariates_count_and_a_gradient_reaches_both_sides(kind, bags):
    module = module_of(GatedABMIL(4, 1, hidden_dim=6, attention_dim=3, dropout=0.0), kind)
    batch = collate(bags)
    without = replace(batch, clinical_BF=torch.zeros_like(batch.clinical_BF))
    assert (module(batch).logits_BC != module(without).logits_BC).any(dim=1).all()
    module.loss(batch).backward()
    for name, parameter in module.named_parameters():
        if name.startswith("aggregator.classify"):  # its own logits are not used
            assert parameter.grad is None
        else:
            assert parameter.grad.abs().sum() > 0, name


@each_fusion
def test_a_batch_is_its_bags_one_by_one_and_tiles_have_no_order(kind, bags):
    module = module_of(GatedABMIL(4, 1, hidden_dim=6, attention_dim=3), kind).eval()
    logits = module(collate(bags)).logits_BC
    for row, each in enumerate(bags):
        order = torch.randperm(each.n_tiles)
        alone = module(collate([replace(each, features_ND=each.features_ND[order])]))
        torch.testing.assert_close(alone.logits_BC[0], logits[row], rtol=1e-5, atol=1e-6)


@each_fusion
def test_the_attention_is_the_aggregators_and_no_share_is_claimed(kind, bags):
    aggregator = AdditiveABMIL(4, 1, hidden_dim=6, attention_dim=3).eval()
    batch = collate(bags)
    alone = aggregator(batch.features_BND, batch.valid_BN)
    fused = module_of(aggregator, kind).eval()(batch)
    assert torch.equal(fused.attention_BN, alone.attention_BN)
    assert alone.evidence_BNC is not None
    assert fused.evidence_BNC is None


def test_half_precision_keeps_its_type():
    for fusion in (Concatenation(5, 2, 1).half(), GatedFusion(5, 2, 1).half()):
        assert fusion.fuse(torch.zeros(1, 5).half(), torch.zeros(1, 2)).dtype == torch.float16


@each_fusion
def test_scores_of_tiles_are_those_of_the_tile_with_the_patients_covariates(
    kind, tmp_path, write, cohort
):
    write(tmp_path, "one", 3)
    write(tmp_path, "two", 5, start=100)
    store = FeatureStore(tmp_path)
    patients = cohort([("one", "A"), ("two", "A")], {"A": 1})
    bag = replace(load_bags(patients, store, scratch=tmp_path)["A"], clinical_F=(1.0, -2.0))
    module = module_of(GatedABMIL(4, 1, hidden_dim=6, attention_dim=3), kind)
    scores = tile_scores(module, bag, store=store, model_digest="m")
    assert [set(each.scores) for each in scores] == [{ATTENTION, "tile_logit"}] * 2
    found = [value for each in scores for value in each.scores["tile_logit"]]
    for tile, value in enumerate(found):
        alone = replace(bag, drawn_M=torch.tensor([tile]))
        assert value == pytest.approx(module(collate([alone])).logits_BC.item(), abs=1e-4)
