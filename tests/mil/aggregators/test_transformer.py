from __future__ import annotations

import pytest
import torch

from histofed.errors import ConfigError
from histofed.mil.aggregators.transformer import Transformer


def written_out(model: Transformer, tiles_ND: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits and the class token's weights, every token computed in every layer."""
    hidden_NE = model.project.linear(torch.nn.functional.layer_norm(tiles_ND, tiles_ND.shape[1:]))
    tokens = torch.cat([model.class_token_E[None], hidden_NE.relu()])
    for layer in (*model.layers, model.last):
        normed, heads = layer.norm(tokens), layer.attend
        width = tokens.shape[1] // heads.n_heads
        parts, looks = [], []
        for head in range(heads.n_heads):
            mine = slice(head * width, (head + 1) * width)
            q, k, v = (part(normed)[:, mine] for part in (heads.query, heads.key, heads.value))
            weights = torch.softmax(q @ k.T / width**0.5, dim=1)
            parts.append(weights @ v)
            looks.append(weights[0, 1:] / weights[0, 1:].sum())
        tokens = tokens + heads.out(torch.cat(parts, dim=1))
        tokens = tokens + layer.perceptron(tokens)
    return model.classify(model.norm(tokens[0])), torch.stack(looks).mean(dim=0)


@torch.no_grad()
@pytest.mark.parametrize("n_layers", [1, 3])
def test_layers_written_out(tiles, valid, n_layers):
    model = Transformer(5, 2, hidden_dim=8, n_heads=2, n_layers=n_layers).eval()
    logits, attention = written_out(model, tiles[1, :4])
    output = model(tiles, valid)
    torch.testing.assert_close(output.logits_BC[1], logits)
    torch.testing.assert_close(output.attention_BN[1, :4], attention)


def test_heads_that_do_not_divide_are_refused():
    with pytest.raises(ConfigError, match=r"hidden_dim is 10 and aggregator.n_heads 4"):
        Transformer(5, 1, hidden_dim=10, n_heads=4)
