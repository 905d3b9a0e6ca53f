"""Attention, gated attention and additive attention, written out tile by tile."""

from __future__ import annotations

import torch

from histofed.mil.aggregators.abmil import ABMIL
from histofed.mil.aggregators.additive_abmil import AdditiveABMIL
from histofed.mil.aggregators.gated_abmil import GatedABMIL


@torch.no_grad()
def test_attention(bare, tiles, valid):
    model = bare(ABMIL, 2)
    hidden = tiles[1, :4]
    scores = torch.stack([model.attend.score(model.attend.tanh(h).tanh()) for h in hidden])
    weights = torch.softmax(scores.squeeze(-1), dim=0)
    expected = sum(w * h for w, h in zip(weights, hidden, strict=True))
    output = model(tiles, valid)
    torch.testing.assert_close(output.attention_BN[1, :4], weights)
    torch.testing.assert_close(output.logits_BC[1], model.classify(expected))


@torch.no_grad()
def test_the_gate_multiplies(bare, tiles, valid):
    model = bare(GatedABMIL, 2)
    part = model.attend
    hidden = tiles[1, :4]
    scores = [part.score(part.tanh(h).tanh() * torch.sigmoid(part.gate(h))) for h in hidden]
    weights = torch.softmax(torch.cat(scores), dim=0)
    torch.testing.assert_close(model(tiles, valid).attention_BN[1, :4], weights)


@torch.no_grad()
def test_the_share_of_a_tile_is_what_psi_says_of_its_weighted_features(bare, tiles, valid):
    model = bare(AdditiveABMIL, 2)
    torch.nn.init.normal_(model.bias_C)
    output = model(tiles, valid)
    shares = [
        model.contribute(weight * h)
        for weight, h in zip(output.attention_BN[1, :4], tiles[1, :4], strict=True)
    ]
    torch.testing.assert_close(output.evidence_BNC[1, :4], torch.stack(shares))
    torch.testing.assert_close(output.logits_BC[1], model.bias_C + sum(shares))
