from __future__ import annotations

import torch

from histofed.core.splits import Fold
from histofed.mil.data import BagDataModule

FOLD = Fold(number=0, train=("A", "B", "C", "D"), select=("E", "F"), test=("G",))


def loaded(loader) -> list[str]:
    return [patient for batch in loader for patient in batch.ids]


def test_every_loader_holds_its_role(bag):
    data = BagDataModule({name: bag(name, 3) for name in "ABCDEFG"}, FOLD, batch_size=3)
    assert sorted(loaded(data.train_dataloader())) == ["A", "B", "C", "D"]
    assert loaded(data.val_dataloader()) == ["E", "F"]
    assert loaded(data.predict_dataloader()) == ["G"]
    assert [len(batch.ids) for batch in data.train_dataloader()] == [3, 1]


def test_one_hospital_uses_its_part_of_the_fold(bag):
    data = BagDataModule({name: bag(name, 3) for name in "ACFXY"}, FOLD, batch_size=3)
    assert sorted(loaded(data.train_dataloader())) == ["A", "C"]
    assert loaded(data.val_dataloader()) == ["F"]
    assert loaded(data.predict_dataloader()) == []


def test_only_training_draws_tiles_and_shuffles(bag):
    bags = {name: bag(name, 30) for name in "ABCDEFG"}
    data = BagDataModule(bags, FOLD, batch_size=1, tiles_per_bag=5)
    torch.manual_seed(0)
    assert {batch.valid_BN.shape[1] for batch in data.train_dataloader()} == {5}
    assert {batch.valid_BN.shape[1] for batch in data.val_dataloader()} == {30}
    assert {batch.valid_BN.shape[1] for batch in data.predict_dataloader()} == {30}
    assert len({tuple(loaded(data.train_dataloader())) for _ in range(8)}) > 1
    assert len({tuple(loaded(data.val_dataloader())) for _ in range(8)}) == 1
