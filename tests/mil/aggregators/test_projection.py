"""The layer in pieces is the layer in one piece."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from histofed.mil.aggregators import projection
from histofed.mil.aggregators.projection import ProjectTiles, Tiles

B, N, D, E = 3, 7, 5, 4


def tiles(dtype: torch.dtype = torch.float64) -> Tiles:
    torch.manual_seed(0)
    features_BND = 3 * torch.randn(B, N, D, dtype=torch.float64).to(dtype) + 1
    valid_BN = torch.arange(N) < torch.tensor([[7], [1], [4]])
    features_BND[~valid_BN] = torch.nan
    mean_D, std_D = torch.randn(D, dtype=torch.float64), torch.rand(D, dtype=torch.float64) + 0.5
    return Tiles(features_BND, valid_BN, mean_D, std_D)


def layer(*, norm: bool) -> ProjectTiles:
    torch.manual_seed(1)
    return ProjectTiles(D, E, dropout=0.25, tile_norm=norm).double().eval()


@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("rows", [1, 4, 512])
def test_pieces_are_the_published_layers_one_after_the_other(norm, rows, monkeypatch) -> None:
    monkeypatch.setattr(projection, "ROWS_ON_CPU", rows)
    given, project = tiles(), layer(norm=norm)
    x = ((given.features_BND - given.mean_D) / given.std_D).where(given.valid_BN[..., None], 0.0)
    plain = nn.Sequential(
        nn.LayerNorm(D, elementwise_affine=False) if norm else nn.Identity(), nn.Linear(D, E)
    ).double()
    plain[1].load_state_dict(project.linear.state_dict())
    expected, found = plain(x).relu(), project(given)
    torch.testing.assert_close(found, expected)
    weights = torch.randn_like(expected)
    (expected * weights).sum().backward()
    (found * weights).sum().backward()
    for name, parameter in plain[1].named_parameters():
        torch.testing.assert_close(project.linear.get_parameter(name).grad, parameter.grad)


@pytest.mark.parametrize("norm", [True, False])
def test_who_asks_for_the_gradient_of_features_gets_it(norm) -> None:
    given, project = tiles(), layer(norm=norm)
    quiet = project(given)
    given.features_BND.requires_grad_()
    found = project(given)
    torch.testing.assert_close(found, quiet)
    found.sum().backward()
    assert given.features_BND.grad[given.valid_BN].abs().sum() > 0
    assert not given.features_BND.grad[~given.valid_BN].any()


def test_stored_features_are_not_touched_and_need_not_be_of_the_type_of_the_weights() -> None:
    given = tiles(torch.float16)
    before = given.features_BND.clone()
    found = layer(norm=True)(given)
    assert found.dtype == torch.float64
    assert torch.equal(given.features_BND.nan_to_num(), before.nan_to_num())
    same_type = tiles()  # where a conversion would be no copy
    before = same_type.features_BND.clone()
    layer(norm=True)(same_type)
    assert torch.equal(same_type.features_BND.nan_to_num(), before.nan_to_num())


def test_autocast_chooses_the_arithmetic() -> None:
    given, project = tiles(torch.float32), layer(norm=True).float()
    expected = project(given)
    with torch.autocast("cpu", torch.bfloat16):
        found = project(given)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), expected.float(), atol=0.05, rtol=0.05)
    found.sum().backward()
    assert project.linear.weight.grad.dtype == torch.float32
