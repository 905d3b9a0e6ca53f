"""The LightningDataModule: one fold of a cohort, held in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytorch_lightning as pl
from torch.utils.data import DataLoader

from histofed.mil.bags import Bag, BagDataset, collate

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    """

    def __init__(
        self,
        bags: Mapping[str, Bag],
        fold: Fold,
        *,
        batch_size: int,
        tiles_per_bag: int | None = None,
    ) -> None:
        super().__init__()
        self.train = BagDataset(
            (bags[p] for p in fold.train if p in bags), tiles_per_bag=tiles_per_bag
        )
        self.select = BagDataset(bags[p] for p in fold.select if p in bags)
        self.test = BagDataset(bags[p] for p in fold.test if p in bags)
        self.batch_size = batch_size

    def train_dataloader(self) -> DataLoader[Bag]:
        """Return shuffled training bags."""
        return self._loader(self.train, shuffle=True)

    def val_dataloader(self) -> DataLoader[Bag]:
        """Return the bags that pick the checkpoint."""
        return self._loader(self.select, shuffle=False)

    def predict_dataloader(self) -> DataLoader[Bag]:
        """Return the bags that are reported."""
        return self._loader(self.test, shuffle=False)

    def _loader(self, bags: BagDataset, *, shuffle: bool) -> DataLoader[Bag]:
        return DataLoader(bags, batch_size=self.batch_size, shuffle=shuffle, collate_fn=collate)
