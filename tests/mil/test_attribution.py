from __future__ import annotations

import numpy as np
import pytest
import torch

from histofed.errors import StoreError
from histofed.io.store import FeatureStore
from histofed.mil.aggregators.additive_abmil import AdditiveABMIL
from histofed.mil.aggregators.gated_abmil import GatedABMIL
from histofed.mil.aggregators.simlp import SiMLP
from histofed.mil.attribution import ATTENTION, EVIDENCE, tile_scores
from histofed.mil.bags import collate, load_bags
from histofed.mil.module import MILModule
from histofed.mil.objectives.binary import Binary


def binary(aggregator) -> MILModule:
    return MILModule(aggregator, Binary(), learning_rate=0.1, weight_decay=0.0)


@pytest.fixture
def patient(tmp_path, write, cohort):
    write(tmp_path, "one", 3, start=0)
    write(tmp_path, "two", 5, start=100)
    store = FeatureStore(tmp_path)
    return load_bags(cohort([("one", "A"), ("two", "A")], {"A": 1}), store, scratch=tmp_path)[
        "A"
    ], store


@pytest.fixture
def aggregator() -> GatedABMIL:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = GatedABMIL(4, 1, hidden_dim=5, attention_dim=3)
    made.standardise_with(torch.tensor([50.0, 40, 30, 20]), torch.tensor([9.0, 8, 7, 6]))
    return made


def test_the_slides_of_a_patient_share_one_attention(patient, aggregator):
    bag, store = patient
    aggregator.train()  # as training left it: dropout must not play in
    one, two = tile_scores(binary(aggregator), bag, store=store, model_digest="m")
    assert (one.slide_id, two.slide_id) == ("one", "two")
    assert set(one.scores) == set(two.scores) == {ATTENTION, "tile_logit"}
    assert one.coords_N2[:, 0].tolist() == [0, 1, 2]
    assert two.coords_N2[:, 0].tolist() == [100, 101, 102, 103, 104]
    both = np.concatenate([one.scores[ATTENTION], two.scores[ATTENTION]])
    assert both.dtype == np.float32
    assert both.sum() == pytest.approx(1, abs=1e-6)
    batch = collate([bag])
    with torch.no_grad():
        expected = aggregator.eval()(batch.features_BND, batch.valid_BN).attention_BN[0]
    np.testing.assert_array_equal(both, expected.numpy())


def test_the_logit_of_a_tile_is_that_of_the_tile_alone(patient, aggregator):
    bag, store = patient
    scores = tile_scores(binary(aggregator), bag, store=store, model_digest="m")
    found = np.concatenate([slide.scores["tile_logit"] for slide in scores])
    for tile in range(8):
        alone = bag.features_ND[tile].float().reshape(1, 1, 4)
        with torch.no_grad():
            expected = aggregator(alone, torch.ones(1, 1, dtype=torch.bool)).logits_BC.item()
        assert found[tile] == pytest.approx(expected, abs=1e-5)


def test_scores_say_what_they_were_made_from(patient, aggregator):
    bag, store = patient
    for slide in tile_scores(binary(aggregator), bag, store=store, model_digest="of the model"):
        assert slide.model_digest == "of the model"
        assert slide.features_digest == store.digest(slide.slide_id)
        assert slide.side_px0 == 16  # 8 px at 0.5 mpp on a slide of 0.25 mpp


def test_a_method_without_attention_has_one_head(patient):
    bag, store = patient
    scores = tile_scores(binary(SiMLP(4, 1, hidden_dim=5)), bag, store=store, model_digest="m")
    assert [set(slide.scores) for slide in scores] == [{"tile_logit"}] * 2


def test_shares_in_a_sum_are_a_head_of_their_own(patient):
    bag, store = patient
    aggregator = AdditiveABMIL(4, 1, hidden_dim=5, attention_dim=3)
    scores = tile_scores(binary(aggregator), bag, store=store, model_digest="m")
    assert set(scores[0].scores) == {ATTENTION, "tile_logit", EVIDENCE}
    shares = np.concatenate([slide.scores[EVIDENCE] for slide in scores])
    batch = collate([bag])
    with torch.no_grad():
        logit = aggregator(batch.features_BND, batch.valid_BN).logits_BC.item()
    assert shares.sum() + aggregator.bias_C.item() == pytest.approx(logit, abs=1e-5)


def test_features_without_positions_are_refused(tmp_path, write, cohort, aggregator):
    write(tmp_path, "a", 3, placed=False)
    store = FeatureStore(tmp_path)
    bag = load_bags(cohort([("a", "Anna")], {"Anna": 1}), store, scratch=tmp_path)["Anna"]
    with pytest.raises(StoreError, match=r"patient Anna.*positions"):
        tile_scores(binary(aggregator), bag, store=store, model_digest="m")
