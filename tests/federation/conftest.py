"""A toy hospital: a few patients of random features, a small network, a silent trainer."""

from __future__ import annotations

from types import SimpleNamespace

import histofed.federation.callbacks  # noqa: F401  makes Lightning importable everywhere

# isort: split
import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from histofed.federation.callbacks.federated import FederatedCallback
from histofed.federation.callbacks.scaffold import ScaffoldCorrection
from histofed.federation.messages import Round, SiteUpdate  # noqa: TC001

RULES = {"scaffold": ScaffoldCorrection}


class ToyModule(pl.LightningModule):
    """Linear, batch norm, dropout, linear: parameters, float buffers, a counter, randomness."""

    def __init__(self, *, adam: bool = True, plain: bool = False, outputs: int = 1) -> None:
        super().__init__()
        body = [] if plain else [nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.3)]
        self.net = nn.Sequential(*body, nn.Linear(3 if plain else 4, outputs))
        self.adam = adam

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.net(features).mean(-1)

    def training_step(self, batch: list[torch.Tensor], batch_idx: int) -> torch.Tensor:
        features, target = batch
        return nn.functional.mse_loss(self(features), target)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        if self.adam:
            return torch.optim.Adam(self.parameters(), lr=0.02)
        return torch.optim.SGD(self.parameters(), lr=0.1)


def make_module(seed: int = 0, **options: int) -> ToyModule:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return ToyModule(**options)


def make_data(n: int, seed: int) -> TensorDataset:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(n, 3, generator=generator)
    noise = torch.randn(n, generator=generator)
    return TensorDataset(features, features.sum(dim=1) + 0.1 * noise)


def make_loader(data: TensorDataset, *, batch_size: int = 4, shuffle: bool = True) -> DataLoader:
    return DataLoader(data, batch_size=batch_size, shuffle=shuffle)


def make_trainer(*callbacks: pl.Callback, **options: object) -> pl.Trainer:
    settings = {
        "accelerator": "cpu",
        "devices": 1,
        "max_epochs": 3,
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "log_every_n_steps": 1,
    }
    return pl.Trainer(callbacks=list(callbacks), **{**settings, **options})


def make_update(
    current: Round, site: str = "north", state: dict | None = None, *, n: int = 10, **metrics: float
) -> SiteUpdate:
    return current.answer(site, state or {}, n_patients=n, n_steps=n, metrics=metrics)


def evaluator(data: TensorDataset):
    """Return the ``evaluate`` of a site: the loss on its selection data."""

    def evaluate(module: pl.LightningModule) -> dict[str, float]:
        assert not module.training
        assert not torch.is_grad_enabled()
        features, target = next(iter(DataLoader(data, batch_size=len(data), shuffle=True)))
        return {"val_loss": nn.functional.mse_loss(module(features), target).item()}

    return evaluate


def make_site(
    name: str,
    *,
    n: int = 12,
    seed: int = 0,
    epochs: int = 3,
    modules: dict | None = None,
    **options,
):
    """Return a site's body for `run_sites`; the trained module is put into ``modules``."""
    kinds = ("adam", "plain", "outputs")
    module_options = {key: options.pop(key) for key in kinds if key in options}
    rules = [RULES[rule] for rule in options.pop("rules", [])]
    batch_size = options.pop("batch_size", 4)
    before = options.pop("before", lambda: None)
    options.setdefault("evaluate", evaluator(make_data(8, seed + 100)))

    def body(exchange) -> None:
        before()
        callback = FederatedCallback(exchange, site=name, n_patients=n, **options)
        module = make_module(seed + 7, **module_options)
        loader = make_loader(make_data(n, seed), batch_size=batch_size)
        make_trainer(callback, *[rule() for rule in rules], max_epochs=epochs).fit(module, loader)
        if modules is not None:
            modules[name] = module

    return body


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Equal bit for bit, names and order included."""
    return list(one) == list(other) and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture
def toy() -> SimpleNamespace:
    return SimpleNamespace(
        module=make_module,
        data=make_data,
        loader=make_loader,
        trainer=make_trainer,
        update=make_update,
        evaluator=evaluator,
        site=make_site,
        callback=pl.Callback,
        same=same,
    )
