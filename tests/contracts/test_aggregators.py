"""What every aggregator must do. Walks ``configs/aggregator``: a new YAML is tested unasked."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from histofed.errors import ConfigError
from histofed.mil.aggregators import base
from histofed.mil.auxiliary import auxiliary_loss
from histofed.pipeline import build
from histofed.pipeline.config import config_dir, groups

D, C = 8, 1

HUGE = 1e30

MANY = 50_000

SMALL = {"hidden_dim": 16, "attention_dim": 8, "n_heads": 1}
"""Options for the bag of many tiles, where an aggregator has them: the claim is about tiles."""

each_aggregator = pytest.mark.parametrize("name", groups()["aggregator"])
one_and_three = pytest.mark.parametrize("n_classes", [1, 3])


def make(name: str, *, dim: int = D, n_classes: int = C, seed: int = 0, small: bool = False):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = OmegaConf.load(config_dir() / "aggregator" / f"{name}.yaml")
        if small:
            config.update({option: value for option, value in SMALL.items() if option in config})
        return build.aggregator(config, dim=dim, n_classes=n_classes).eval()


def tiles(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def all_valid(features_BND: torch.Tensor) -> torch.Tensor:
    return torch.ones(features_BND.shape[:2], dtype=torch.bool)


def cells(n_bags: int, n_tiles: int, seed: int = 0) -> torch.Tensor:
    """Return cells of two slides per bag, no two tiles in one, many of them neighbours."""
    side = int((2 * n_tiles) ** 0.5) + 1
    generator = torch.Generator().manual_seed(seed)
    chosen = [torch.randperm(side * side, generator=generator)[:n_tiles] for _ in range(n_bags)]
    place = torch.stack(chosen)
    return torch.stack([place // side % 2, place % side, place // side // 2], dim=-1)


def close(one: torch.Tensor, other: torch.Tensor, tolerance: float = 1e-5) -> None:
    torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


def test_the_folder_is_not_empty():
    assert "gated_abmil" in groups()["aggregator"]


@each_aggregator
@one_and_three
def test_shapes(name, n_classes):
    output = make(name, n_classes=n_classes)(tiles(2, 5, D), torch.ones(2, 5, dtype=torch.bool))
    assert output.logits_BC.shape == (2, n_classes)
    assert output.embedding_BE.shape[0] == 2
    assert output.embedding_BE.ndim == 2
    if output.attention_BN is not None:
        assert output.attention_BN.shape == (2, 5)


@each_aggregator
@one_and_three
@settings(max_examples=15, deadline=None)
@given(n_tiles=st.integers(1, 60), seed=st.integers(0, 2**20))
def test_the_order_of_tiles_does_not_matter(name, n_classes, n_tiles, seed):
    aggregator, features = make(name, n_classes=n_classes), tiles(1, n_tiles, D, seed=seed)
    where = cells(1, n_tiles, seed)
    order = torch.randperm(n_tiles, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        straight = aggregator(features, all_valid(features), where)
        shuffled = aggregator(features[:, order], all_valid(features), where[:, order])
    close(shuffled.logits_BC, straight.logits_BC)
    close(shuffled.embedding_BE, straight.embedding_BE)
    if straight.attention_BN is not None:
        close(shuffled.attention_BN, straight.attention_BN[:, order])


@each_aggregator
@one_and_three
@pytest.mark.parametrize("garbage", [0.0, -1e4, HUGE])
@settings(max_examples=8, deadline=None)
@given(n_tiles=st.integers(1, 40), n_padding=st.integers(1, 40))
def test_padding_is_not_seen(name, n_classes, garbage, n_tiles, n_padding):
    aggregator, features = make(name, n_classes=n_classes), tiles(1, n_tiles, D)
    noise = garbage * tiles(1, n_padding, D, seed=1)
    padded = torch.cat([features, noise], dim=1)
    valid = torch.arange(n_tiles + n_padding)[None] < n_tiles
    where = cells(1, n_tiles)
    on_a_tile = where[:, :1].expand(-1, n_padding, -1)
    with torch.no_grad():
        alone = aggregator(features, all_valid(features), where)
        beside = aggregator(padded, valid, torch.cat([where, on_a_tile], dim=1))
    close(beside.logits_BC, alone.logits_BC)
    close(beside.embedding_BE, alone.embedding_BE)
    if alone.attention_BN is not None:
        close(beside.attention_BN[:, :n_tiles], alone.attention_BN)
        assert (beside.attention_BN[:, n_tiles:] == 0).all()


@each_aggregator
@one_and_three
@settings(max_examples=10, deadline=None)
@given(sizes=st.lists(st.integers(1, 30), min_size=1, max_size=6))
def test_a_batch_equals_bags_one_by_one(name, n_classes, sizes):
    aggregator = make(name, n_classes=n_classes)
    batch, valid = torch.zeros(len(sizes), max(sizes), D), torch.zeros(len(sizes), max(sizes)) > 0
    for row, size in enumerate(sizes):
        batch[row, :size] = tiles(size, D, seed=row)
        valid[row, :size] = True
    with torch.no_grad():
        where = cells(len(sizes), max(sizes))
        together = aggregator(batch, valid, where)
        for row, size in enumerate(sizes):
            one = slice(row, row + 1), slice(size)
            alone = aggregator(batch[one], valid[one], where[one])
            close(together.logits_BC[row], alone.logits_BC[0])
            close(together.embedding_BE[row], alone.embedding_BE[0])
            if alone.attention_BN is not None:
                close(together.attention_BN[row, :size], alone.attention_BN[0])


@each_aggregator
@one_and_three
def test_attention_sums_to_one_over_the_valid_tiles(name, n_classes):
    valid = torch.tensor([[True] * 7, [True] * 3 + [False] * 4, [True] + [False] * 6])
    attention = make(name, n_classes=n_classes)(3 * tiles(3, 7, D), valid).attention_BN
    if attention is None:
        return
    close(attention.sum(dim=1), torch.ones(3))
    assert (attention >= 0).all()
    assert (attention[~valid] == 0).all()


class LargestTensor(TorchDispatchMode):
    """Notes the most elements that any operation gave back."""

    def __init__(self) -> None:
        super().__init__()
        self.n_elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        for each in tree_leaves(found):
            if isinstance(each, torch.Tensor):
                self.n_elements = max(self.n_elements, each.numel())
        return found


@each_aggregator
@pytest.mark.parametrize("n_tiles", [1, MANY])
def test_tiny_and_huge_bags(name, n_tiles):
    features = tiles(1, n_tiles, D)
    with torch.inference_mode(), LargestTensor() as largest:
        output = make(name, small=True)(features, all_valid(features), cells(1, n_tiles))
    assert largest.n_elements < max(n_tiles, 1000) * 1000, "grows with the square of the tiles"
    assert output.logits_BC.isfinite().all()
    assert output.embedding_BE.isfinite().all()
    if output.attention_BN is not None:
        close(output.attention_BN.sum(), torch.tensor(1.0), 1e-3)


@each_aggregator
def test_every_tile_twice_is_the_same_bag_unless_declared(name):
    features = tiles(1, 9, D)
    twice = torch.cat([features, features], dim=1)
    with torch.no_grad():
        aggregator = make(name)
        once = aggregator(features, all_valid(features))
        doubled = aggregator(twice, all_valid(twice))
    same = torch.allclose(doubled.logits_BC, once.logits_BC, rtol=1e-5, atol=1e-5)
    assert same != aggregator.counts_tiles
    if same and once.attention_BN is not None:
        shared = doubled.attention_BN.reshape(2, 9).sum(dim=0)
        close(shared, once.attention_BN[0])


@each_aggregator
def test_a_bag_of_one_tile_many_times_is_finite_in_training_too(name):
    """Ties: every choice among equal tiles is as good, and none may end in a NaN."""
    aggregator = make(name).train()
    features = tiles(1, 1, D).expand(2, 40, D)
    output = aggregator(features, all_valid(features))
    total(output).backward()
    assert output.logits_BC.isfinite().all()
    assert all(each.grad.isfinite().all() for each in aggregator.parameters())


@each_aggregator
def test_evidence_adds_up_to_the_logits(name):
    aggregator = make(name, n_classes=3)
    valid = torch.tensor([[True] * 7, [True] * 3 + [False] * 4])
    with torch.no_grad():
        output = aggregator(tiles(2, 7, D), valid)
        if output.evidence_BNC is None:
            return
        summed_BC = output.evidence_BNC.sum(dim=1)
        close(output.logits_BC[0] - summed_BC[0], output.logits_BC[1] - summed_BC[1])
    assert (output.evidence_BNC[~valid] == 0).all()
    assert summed_BC.abs().max() > 1e-3


@each_aggregator
def test_positions_matter_where_declared(name):
    aggregator, features = make(name), tiles(1, 30, D)
    with torch.no_grad():
        here = aggregator(features, all_valid(features), cells(1, 30)).logits_BC
        elsewhere = aggregator(features, all_valid(features), cells(1, 30, seed=1)).logits_BC
        moved = aggregator(features, all_valid(features), cells(1, 30) + torch.tensor([7, 40, 3]))
    assert torch.equal(here, elsewhere) != aggregator.uses_positions
    close(moved.logits_BC, here)  # only where tiles lie beside one another counts


@each_aggregator
def test_the_bag_matters(name):
    """Guards the tests above: an aggregator that answers a constant would pass them."""
    aggregator = make(name)
    with torch.no_grad():
        logits = aggregator(tiles(4, 6, D), torch.ones(4, 6, dtype=torch.bool)).logits_BC
    assert logits.flatten().unique().numel() == 4


def total(output, target_B: torch.Tensor | None = None) -> torch.Tensor:
    """Return a loss of all that an aggregator says, as training would."""
    B, n_classes = output.logits_BC.shape
    target_B = torch.arange(B) % max(n_classes, 2) if target_B is None else target_B
    extra = auxiliary_loss(
        output.auxiliary,
        bag_loss=lambda logits_BC: logits_BC.square().mean(),
        member_BG=torch.nn.functional.one_hot(target_B, max(n_classes, 2)),
    )
    return output.logits_BC.square().sum() + extra


@each_aggregator
@one_and_three
def test_gradient_reaches_every_parameter(name, n_classes):
    aggregator = make(name, n_classes=n_classes)
    for module in aggregator.modules():
        module.training = not isinstance(module, torch.nn.Dropout)
    features = tiles(6, 30, D)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        total(aggregator(features, all_valid(features), cells(6, 30))).backward()
    for parameter_name, parameter in aggregator.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.abs().sum() > 0, parameter_name


@each_aggregator
def test_training_takes_bags_of_any_size(name):
    """A bag of one tile beside larger ones: what is masked or dealt out leaves each a tile."""
    sizes = torch.tensor([1, 2, 3, 7, 30])
    aggregator, features = make(name, n_classes=3).train(), tiles(5, 30, D)
    valid = torch.arange(30)[None] < sizes[:, None]
    output = aggregator(HUGE * ~valid.unsqueeze(-1) + features, valid)
    total(output).backward()
    assert output.logits_BC.isfinite().all()
    assert all(each.grad.isfinite().all() for each in aggregator.parameters())
    if output.attention_BN is not None:
        close(output.attention_BN.sum(dim=1), torch.ones(5))
        assert (output.attention_BN[~valid] == 0).all()


@each_aggregator
def test_a_task_without_classes_can_be_trained_unless_declared(name):
    aggregator, features = make(name, n_classes=3).train(), tiles(4, 12, D)
    output = aggregator(features, all_valid(features))

    def extra() -> torch.Tensor | float:
        return auxiliary_loss(
            output.auxiliary, bag_loss=lambda logits_BC: logits_BC.square().mean(), member_BG=None
        )

    if aggregator.needs_classes:
        with pytest.raises(ConfigError, match="the task has no classes"):
            extra()
    else:
        assert torch.as_tensor(extra()).isfinite()


@each_aggregator
def test_only_training_asks_for_more_than_the_prediction(name):
    features = tiles(2, 6, D)
    assert make(name)(features, all_valid(features)).auxiliary == ()


@each_aggregator
def test_one_seed_one_result(name):
    features = tiles(2, 30, D)

    def train_once() -> torch.Tensor:
        aggregator = make(name, seed=3).train()
        torch.manual_seed(5)
        return total(aggregator(features, all_valid(features))).detach()

    with torch.random.fork_rng():
        assert torch.equal(train_once(), train_once())
    other = make(name, seed=4).state_dict()
    assert any(not torch.equal(value, other[key]) for key, value in make(name).state_dict().items())


@each_aggregator
@one_and_three
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_close_to_float32(name, n_classes, dtype):
    features, aggregator = tiles(4, 50, D), make(name, n_classes=n_classes)
    with torch.no_grad():
        exact = aggregator(features, all_valid(features))
        with torch.autocast("cpu", dtype=dtype):
            mixed = aggregator(features, all_valid(features))
        half = aggregator.to(dtype)(features.to(dtype), all_valid(features))
    for output in (mixed, half):
        close(output.logits_BC.float(), exact.logits_BC, 0.05)
        if exact.attention_BN is not None:
            close(output.attention_BN.float(), exact.attention_BN, 0.01)


@each_aggregator
def test_float16_neither_overflows_nor_loses_a_large_bag(name):
    """Features at the size that float16 files hold, and more tiles than float16 can count."""
    features = 200 * tiles(2, 3000, D)
    aggregator = make(name, small=True).half()
    aggregator.standardise_with(torch.zeros(D), torch.full((D,), 10.0))
    with torch.no_grad():
        output = aggregator(features.half(), torch.arange(3000)[None] < torch.tensor([[3000], [1]]))
    assert output.logits_BC.isfinite().all()
    assert output.embedding_BE.isfinite().all()


@each_aggregator
@one_and_three
def test_an_exported_program_gives_the_same_logits_for_any_number_of_tiles(name, n_classes):
    aggregator = make(name, n_classes=n_classes)
    n_tiles = torch.export.Dim("n_tiles", min=1, max=100_000)
    example = tiles(1, 20, D)
    program = torch.export.export(
        aggregator,
        (example, all_valid(example), cells(1, 20)),
        dynamic_shapes=({1: n_tiles}, {1: n_tiles}, {1: n_tiles}),
    ).module()
    for size in (1, 2, 20, 333):
        bag = tiles(1, size, D, seed=size), torch.arange(size)[None] < max(size - 3, 1)
        with torch.no_grad():
            found, expected = (each(*bag, cells(1, size)) for each in (program, aggregator))
        close(found.logits_BC, expected.logits_BC)


@each_aggregator
@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of the exporter, about itself
def test_onnx_gives_the_same_logits_for_any_number_of_tiles(name, tmp_path):
    pytest.importorskip("onnxscript", reason="needs the packages onnx, onnxscript, onnxruntime")
    runtime = pytest.importorskip("onnxruntime")
    aggregator = make(name)
    if aggregator.uses_positions:
        pytest.skip("finding a tile's neighbours is a search that ONNX has no operator for")
    n_tiles = torch.export.Dim("n_tiles", min=1, max=100_000)
    example = tiles(1, 20, D)
    program = torch.onnx.export(
        aggregator,
        (example, all_valid(example)),
        dynamo=True,
        dynamic_shapes=({1: n_tiles}, {1: n_tiles}),
        verbose=False,
    )
    program.save(tmp_path / "model.onnx")
    session = runtime.InferenceSession(tmp_path / "model.onnx")
    names = [each.name for each in session.get_inputs()]
    for size in (1, 2, 20, 333):
        bag = tiles(1, size, D, seed=size), torch.arange(size)[None] < max(size - 3, 1)
        [found, *_] = session.run(
            None, {key: value.numpy() for key, value in zip(names, bag, strict=True)}
        )
        with torch.no_grad():
            close(torch.from_numpy(found), aggregator(*bag).logits_BC)


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
def test_instance_logits_are_those_of_bags_of_one(name, monkeypatch):
    monkeypatch.setattr(base, "BAGS_AT_ONCE", 3)
    aggregator, features = make(name, n_classes=2), tiles(2, 4, D)
    aggregator.standardise_with(torch.full((D,), 0.3), torch.full((D,), 1.7))
    with torch.no_grad():
        found = aggregator.instance_logits(features)
        assert found.shape == (2, 4, 2)
        for row in range(2):
            for tile in range(4):
                one = features[row, tile].reshape(1, 1, D)
                close(found[row, tile], aggregator(one, all_valid(one)).logits_BC[0])
