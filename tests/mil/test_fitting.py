"""Fitting one model. ``tests/golden/loss_curve.json`` holds one short loss curve.

The golden curve is made again only on purpose, after a change that is meant to change training::

    HISTOFED_REGENERATE=loss_curve pytest tests/mil/test_fitting.py

and the difference is read before it is committed.
"""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest
import torch

from histofed.core.splits import Fold
from histofed.mil.aggregators.clam import CLAM
from histofed.mil.aggregators.gated_abmil import GatedABMIL
from histofed.mil.bags import Bag
from histofed.mil.data import BagDataModule
from histofed.mil.fitting import Fitting, quiet, seed_with
from histofed.mil.module import MILModule, select_loss
from histofed.mil.moments import Moments, total
from histofed.mil.objectives.binary import Binary

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "loss_curve.json"
DIM = 6


def toy(n_patients: int = 12) -> tuple[dict[str, Bag], Fold]:
    """Return patients whose positive bags hold a few shifted tiles."""
    generator = torch.Generator().manual_seed(11)
    bags = {}
    for number in range(n_patients):
        label, n_tiles = float(number % 2), 5 + number % 4
        features = torch.randn(n_tiles, DIM, generator=generator)
        features[:2, 0] += 2.0 * label
        name = f"p{number:02}"
        bags[name] = Bag(name, "north", (label,), features.half(), coords_N2=None, tiles_of={})
    names = tuple(bags)
    half, third = n_patients // 2, 3 * n_patients // 4
    return bags, Fold(number=0, train=names[:half], select=names[half:third], test=names[third:])


def fitted(
    folder: Path, *, epochs: int, learning_rate: float = 0.01, patience: int = 99
) -> tuple[MILModule, BagDataModule]:
    bags, fold = toy()
    seed_with(1, 2)
    aggregator = GatedABMIL(DIM, 1, hidden_dim=8, attention_dim=4, dropout=0.25)
    moments = total(Moments.of(bags[patient].features_ND) for patient in fold.train)
    aggregator.standardise_with(moments.mean_D, moments.std_D)
    module = MILModule(aggregator, Binary(), learning_rate=learning_rate, weight_decay=0.01)
    data = BagDataModule(bags, fold, batch_size=2)
    fitting = Fitting(max_epochs=epochs, patience=patience, accelerator="cpu", precision="32-true")
    folder.mkdir(parents=True, exist_ok=True)
    fitting.fit_best(module, data, folder=folder)
    return module, data


def curve(folder: Path) -> list[dict[str, float]]:
    with (folder / "curves.csv").open(newline="", encoding="utf-8") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def test_a_short_loss_curve_is_as_it_was(tmp_path):
    fitted(tmp_path, epochs=5)
    found = curve(tmp_path)
    if os.environ.get("HISTOFED_REGENERATE") == "loss_curve":
        GOLDEN.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        pytest.fail(f"{GOLDEN.name} was made again; read the difference, then run without the word")
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert len(found) == len(golden) == 5
    for row, expected in zip(found, golden, strict=True):
        assert row == pytest.approx(expected, rel=1e-5)


def test_the_curve_is_of_the_task_alone(tmp_path):
    """Of what the aggregator asks for beside it nothing is shown, so aggregators compare."""
    bags, fold = toy()
    seed_with(1)
    module = MILModule(
        CLAM(DIM, 1, dropout=0, instance_weight=5.0), Binary(), learning_rate=0.01, weight_decay=0.0
    )
    data = BagDataModule(bags, fold, batch_size=len(fold.train))
    [batch] = list(data.train_dataloader())
    before = module.loss(batch).item()
    fitting = Fitting(max_epochs=1, patience=9, accelerator="cpu", precision="32-true")
    fitting.fit_best(module, data, folder=tmp_path)
    [row] = curve(tmp_path)
    assert row["train_loss"] == pytest.approx(before, rel=1e-5)


def test_the_weights_of_the_best_epoch_are_kept(tmp_path):
    """With steps this large the loss rises again, so the best epoch is not the last."""
    module, data = fitted(tmp_path, epochs=12, learning_rate=0.05)
    rows = curve(tmp_path)
    losses = [row["select_loss"] for row in rows]
    assert [row["epoch"] for row in rows] == list(range(1, 13))
    assert min(losses) < losses[-1]
    module.eval()
    assert select_loss(module, data.val_dataloader())["select_loss"] == pytest.approx(
        min(losses), rel=1e-5
    )
    assert sorted(file.name for file in tmp_path.iterdir()) == ["curves.csv"]


def test_a_module_standardises_after_fitting_as_before(tmp_path):
    """The best epoch's weights are loaded back; the statistics are among them."""
    module, data = fitted(tmp_path, epochs=2)
    bags = {bag.patient_id: bag for bag in data.train.bags}
    moments = total(Moments.of(bag.features_ND) for bag in bags.values())
    torch.testing.assert_close(module.aggregator.feature_mean_D, moments.mean_D.float())
    torch.testing.assert_close(module.aggregator.feature_std_D, moments.std_D.float())


def test_training_stops_when_nothing_gets_better(tmp_path):
    fitted(tmp_path, epochs=60, learning_rate=0.05, patience=3)
    losses = [row["select_loss"] for row in curve(tmp_path)]
    assert len(losses) < 60
    assert losses.index(min(losses)) == len(losses) - 1 - 3


def test_one_seed_one_model_and_another_folder_is_no_matter(tmp_path):
    first, _ = fitted(tmp_path / "a", epochs=2)
    second, _ = fitted(tmp_path / "b" / "c", epochs=2)
    other = second.state_dict()
    assert all(torch.equal(tensor, other[name]) for name, tensor in first.state_dict().items())


def test_losses_in_the_curve_are_means_over_patients(tmp_path):
    """The selection loss of the curve is the one that is federated: weighted by patients."""
    bags, fold = toy()
    odd = Fold(number=0, train=fold.train[:5], select=fold.select, test=fold.test)
    seed_with(1)
    module = MILModule(
        GatedABMIL(DIM, 1, hidden_dim=8), Binary(), learning_rate=0.0, weight_decay=0.0
    )
    data = BagDataModule(bags, odd, batch_size=2)
    Fitting(max_epochs=1, patience=1, accelerator="cpu", precision="32-true").fit_best(
        module, data, folder=tmp_path
    )
    module.eval()  # without steps the module is as it was
    [row] = curve(tmp_path)
    expected = select_loss(module, data.val_dataloader())["select_loss"]
    assert row["select_loss"] == pytest.approx(expected, rel=1e-5)


def draw(*words: int) -> list[float]:
    seed_with(*words)
    return torch.rand(4).tolist()


def test_seeds_are_made_of_words():
    with torch.random.fork_rng():
        assert draw(0, 1) == draw(0, 1)
        assert len({tuple(draw(*words)) for words in [(0, 1), (1, 0), (0, 2), (0, 1, 5)]}) == 4


def test_a_word_of_zero_counts():
    with torch.random.fork_rng():
        assert draw(1, 0) != draw(1)


def test_quiet_silences_only_what_is_meant():
    import warnings

    with quiet():
        warnings.warn("The loader does not have many workers which", UserWarning, stacklevel=1)
        with pytest.raises(UserWarning, match="something else"):
            warnings.warn("something else", UserWarning, stacklevel=1)
