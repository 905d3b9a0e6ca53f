from __future__ import annotations

import math

import torch

from histofed.mil.aggregators.dsmil import DSMIL


def test_two_streams_written_out(bare, tiles, valid):
    model = bare(DSMIL, 2, instance_weight=0.3)
    hidden = tiles[1, :4]
    with torch.no_grad():
        output = model(tiles, valid)
        c = model.classify_tile(hidden)
        q, v = model.query(hidden), model.value(hidden)
        embeddings, attentions = [], []
        for k in range(2):
            critical = int(c[:, k].argmax())
            attentions.append(torch.softmax(q @ q[critical] / math.sqrt(3), dim=0))
            embeddings.append(attentions[-1] @ v)
        best = c.max(dim=0).values
        expected = (best + model.classify_bag(torch.cat(embeddings))) / 2
    torch.testing.assert_close(output.logits_BC[1], expected)
    torch.testing.assert_close(output.attention_BN[1, :4], sum(attentions) / 2)
    assert output.auxiliary == ()
    model.train()
    [alone] = model(tiles, valid).auxiliary
    assert alone.weight == 0.3
    torch.testing.assert_close(alone.logits_BKC[1, 0], best)
