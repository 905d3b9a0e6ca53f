"""A linear model of a table, trained over hospitals: what two benchmarks share.

A hospital alone is a federation of one, which is plain training bit for bit (the tests of
`histofed.federation` say so), so that every arm goes the same way: `FederatedCallback` inside one
``trainer.fit`` of each hospital, and `run_sites` around them.

Suffixes: P patients, D features, C logits (one), K numbers of a label.
"""

from __future__ import annotations

import json
import os
import platform
import tempfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, RandomSampler, TensorDataset

from histofed.federation.callbacks.federated import FederatedCallback
from histofed.federation.state import trainable_names
from histofed.federation.strategies.fedavg import FedAvg
from histofed.federation.transports.in_process import run_sites
from histofed.mil.fitting import Fitting, quiet, seed_with
from histofed.torchvision_compat import ensure_torchvision_imports

ensure_torchvision_imports()
import pytorch_lightning as pl  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np

    from histofed.federation.exchange import Exchange
    from histofed.federation.strategies.base import Strategy
    from histofed.mil.objectives import Objective


@dataclass(frozen=True)
class Patients:
    """Patients of one hospital: float64 features ``(P, D)`` and labels ``(P, K)``."""

    features_PD: np.ndarray
    target_PK: np.ndarray

    def __len__(self) -> int:
        return len(self.target_PK)

    def take(self, rows: np.ndarray) -> Patients:
        """Return some of the patients."""
        return Patients(self.features_PD[rows], self.target_PK[rows])


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How an arm is trained.

    Attributes
    ----------
    rounds, updates
        Rounds, and the optimizer steps of each hospital in each.
    batch_size
        Patients of a step; None takes all of the hospital in every step.
    learning_rate, weight_decay
        Of plain gradient descent, with the penalty in the gradient.
    callbacks
        Makes what a local rule adds to a hospital's trainer, anew for each.
    """

    rounds: int
    updates: int
    batch_size: int | None
    learning_rate: float
    weight_decay: float
    strategy: Strategy = field(default_factory=FedAvg)
    callbacks: Callable[[], list[pl.Callback]] = list


class LinearModel(pl.LightningModule):
    """One linear layer under an objective."""

    def __init__(self, objective: Objective, dim: int, plan: Plan) -> None:
        super().__init__()
        self.objective = objective
        self.plan = plan
        self.linear = nn.Linear(dim, objective.n_logits)

    def forward(self, features_PD: Tensor) -> Tensor:
        """Return the logits ``(P, C)``."""
        logits_PC: Tensor = self.linear(features_PD)
        return logits_PC

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        """Return the mean loss of a step's patients."""
        features_PD, target_PK = batch
        return self.objective.loss(self(features_PD), target_PK).mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return plain gradient descent."""
        return torch.optim.SGD(
            self.parameters(), lr=self.plan.learning_rate, weight_decay=self.plan.weight_decay
        )


def train(
    sites: Mapping[str, Patients], objective: Objective, plan: Plan, *, seed: int
) -> Callable[[np.ndarray], np.ndarray]:
    """Train over hospitals; return what gives the logit ``(P,)`` of features ``(P, D)``."""
    dim = next(iter(sites.values())).features_PD.shape[1]

    def model() -> LinearModel:
        seed_with(seed)
        return LinearModel(objective, dim, plan)

    def site_run(name: str) -> Callable[[Exchange], None]:
        def run(exchange: Exchange) -> None:
            module = model()
            seed_with(seed, zlib.crc32(name.encode()))
            callback = FederatedCallback(exchange, site=name, n_patients=len(sites[name]))
            fitting = Fitting(
                max_epochs=plan.rounds, patience=0, accelerator="cpu", precision="32-true"
            )
            trainer = fitting.trainer([callback, *plan.callbacks()], folder=folder, validate=False)
            trainer.fit(module, loader(sites[name], plan))

        return run

    with tempfile.TemporaryDirectory() as scratch, quiet():
        folder = Path(scratch)
        result = run_sites(
            {name: site_run(name) for name in sites},
            plan.strategy,
            initial_state=model().state_dict(),
            rounds=plan.rounds,
            trainable=trainable_names(model()),
        )
    trained = model()
    trained.load_state_dict(result.state)

    @torch.no_grad()
    def logit(features_PD: np.ndarray) -> np.ndarray:
        return trained(torch.from_numpy(features_PD).float())[:, 0].double().numpy()

    return logit


def loader(patients: Patients, plan: Plan) -> DataLoader[Any]:
    """Return the steps of one round: patients in shuffled order, over and over."""
    data = TensorDataset(
        torch.from_numpy(patients.features_PD).float(),
        torch.from_numpy(patients.target_PK).float(),
    )
    batch_size = plan.batch_size or len(data)
    sampler = RandomSampler(data, num_samples=plan.updates * batch_size)
    return DataLoader(data, batch_size, sampler=sampler)


def write(path: Path, figures: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    """Write a benchmark's result."""
    environment = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "torch": torch.__version__,
        "load": os.getloadavg()[0],
    }
    found = {"figures": figures, "rows": rows, "environment": environment}
    path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
