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


def test_a_whole_fold_is_one_batch_of_training_only(bag):
    bags = {name: bag(name, 3) for name in "ABCDEFG"}
    data = BagDataModule(bags, FOLD, batch_size=1, whole_fold=True)
    assert [len(batch.ids) for batch in data.train_dataloader()] == [4]
    assert [len(batch.ids) for batch in data.val_dataloader()] == [1, 1]


def test_a_hospital_without_training_patients_has_no_batch(bag):
    data = BagDataModule({"E": bag("E", 3)}, FOLD, batch_size=2, whole_fold=True)
    assert list(data.val_dataloader())
    assert len(data.train) == 0


def test_balanced_training_draws_every_class_equally_often(bag):
    fold = Fold(number=0, train=tuple("ABCDEFGHIJ"), select=("X",), test=("Y",))
    bags = {name: bag(name, 1, label=int(name == "A")) for name in "ABCDEFGHIJXY"}
    data = BagDataModule(bags, fold, batch_size=3, balanced_by=lambda bag: int(bag.label[0]))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        drawn = [loaded(data.train_dataloader()) for _ in range(200)]
    assert {len(epoch) for epoch in drawn} == {10}
    every = [name for epoch in drawn for name in epoch]
    assert 0.45 < every.count("A") / len(every) < 0.55
    assert set(every) == set("ABCDEFGHIJ")
    # Selection sees everybody once, as they are.
    assert loaded(data.val_dataloader()) == ["X"]
