from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from histofed.mil.aggregators.presence import Presence


def test_all_the_concepts_of_any_group(unprojected):
    """With sharp concepts the smooth minima and maxima are minima and maxima."""
    model = Presence(4, 1, hidden_dim=4, n_groups=2, n_concepts=2).eval()
    model.project, model.detect = unprojected, torch.nn.Identity()
    shows = {"first": 0, "second": 1, "third": 2, "fourth": 3}

    def says(*tiles: str) -> float:
        features = torch.full((1, len(tiles), 4), -50.0)
        for row, name in enumerate(tiles):
            features[0, row, shows[name]] = 50.0
        with torch.no_grad():
            return model(features, torch.ones(1, len(tiles), dtype=torch.bool)).logits_BC.item()

    assert says("first", "second") > 40
    assert says("third", "fourth") > 40
    for part in (["first"], ["first", "first"], ["first", "third"], ["second", "fourth"]):
        assert says(*part) < -40


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**20), n_tiles=st.integers(1, 12), size=st.floats(0.1, 30))
def test_a_tile_more_never_lowers_a_logit(seed, n_tiles, size):
    generator = torch.Generator().manual_seed(seed)
    features = size * torch.randn(1, n_tiles + 1, 6, generator=generator)
    valid = torch.ones(1, n_tiles + 1, dtype=torch.bool)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        model = Presence(6, 3, hidden_dim=8).eval()
        fewer = model(features[:, :-1], valid[:, :-1]).logits_BC
        more = model(features, valid).logits_BC
    assert (more >= fewer - 1e-5).all()
