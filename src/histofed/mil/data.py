"""The LightningDataModule: one fold of a cohort, held in memory."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytorch_lightning as pl
from torch.utils.data import DataLoader, WeightedRandomSampler

from histofed.mil.bags import Bag, BagDataset, collate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from histofed.core.splits import Fold


class BagDataModule(pl.LightningDataModule):
    """Train, selection and test bags of one fold.

    Bags are already in memory, so loaders need no workers.

    Parameters
    ----------
    bags
        Patient -> bag; patients of the fold that are not here are left out, so the same fold
        serves a single hospital.
    tiles_per_bag
        In training, at most this many tiles of a bag; selection and test use all.
    whole_fold
        Train on all patients in one batch, for losses of patients that depend on one another.
    balanced_by
        The class of a patient: training draws every class equally often, with replacement, as many
        patients as there are. None takes each once.
    """

    def __init__(
        self,
        bags: Mapping[str, Bag],
        fold: Fold,
        *,
        batch_size: int,
        tiles_per_bag: int | None = None,
        whole_fold: bool = False,
        balanced_by: Callable[[Bag], int] | None = None,
    ) -> None:
        super().__init__()
        self.train = BagDataset(
            (bags[p] for p in fold.train if p in bags), tiles_per_bag=tiles_per_bag
        )
        self.select = BagDataset(bags[p] for p in fold.select if p in bags)
        self.test = BagDataset(bags[p] for p in fold.test if p in bags)
        self.batch_size = batch_size
        self.whole_fold = whole_fold
        self.balanced_by = balanced_by

    def train_dataloader(self) -> DataLoader[Bag]:
        """Return training bags, shuffled or drawn."""
        batch_size = max(1, len(self.train)) if self.whole_fold else self.batch_size
        if self.balanced_by is None:
            return DataLoader(self.train, batch_size, shuffle=True, collate_fn=collate)
        classes = [self.balanced_by(bag) for bag in self.train.bags]
        size_of = Counter(classes)
        weights = [1 / size_of[each] for each in classes]
        draw = WeightedRandomSampler(weights, num_samples=len(weights))
        return DataLoader(self.train, batch_size, sampler=draw, collate_fn=collate)

    def val_dataloader(self) -> DataLoader[Bag]:
        """Return the bags that pick the checkpoint."""
        return in_order(self.select, self.batch_size)

    def predict_dataloader(self) -> DataLoader[Bag]:
        """Return the bags that are reported."""
        return in_order(self.test, self.batch_size)


def in_order(bags: BagDataset, batch_size: int) -> DataLoader[Bag]:
    """Return batches of bags in their order."""
    return DataLoader(bags, batch_size=batch_size, collate_fn=collate)
