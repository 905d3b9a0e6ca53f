"""Bags: all tiles of all slides of one patient, and batches of them.

Suffixes: B bags, N instances (the most of the batch; shorter bags are padded), D features,
M instances drawn, K numbers of a label, F covariates.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from histofed.errors import StoreError
from histofed.io.queue import RECORDS, WorkQueue
from histofed.mil.memory import room_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from histofed.core.cohort import Cohort
    from histofed.core.tasks import Label
    from histofed.core.types import Slide
    from histofed.io.store import FeatureStore, SlideFeatures


@dataclass(frozen=True, slots=True)
class Bag:
    """One patient's tiles.

    Attributes
    ----------
    features_ND
        float16, as stored: twice the patients fit in memory. A view of what all bags share.
    coords_N2
        Level-0 pixels of each tile's own slide, or None.
    tiles_of
        Slide -> its tiles among the N.
    cells_N3
        Number of the slide among the patient's, and column and row of each tile in the slide's
        grid, or None.
    drawn_M
        The tiles that a batch shall take, or None for all.
    clinical_F
        The patient's covariates as numbers, or None for the image alone.
    """

    patient_id: str
    site: str
    label: Label
    features_ND: Tensor
    coords_N2: Tensor | None
    tiles_of: dict[str, slice]
    cells_N3: Tensor | None = None
    drawn_M: Tensor | None = None
    clinical_F: tuple[float, ...] | None = None

    @property
    def n_tiles(self) -> int:
        """Tiles that a batch takes."""
        return len(self.features_ND if self.drawn_M is None else self.drawn_M)


@dataclass(frozen=True, slots=True)
class BagBatch:
    """Padded bags. ``valid_BN`` is True on real instances, ``target_BK`` NaN where not known."""

    features_BND: Tensor
    coords_BN2: Tensor | None
    valid_BN: Tensor
    target_BK: Tensor
    ids: tuple[str, ...]
    cells_BN3: Tensor | None = None
    clinical_BF: Tensor | None = None

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> BagBatch:
        """Move to a device; Lightning calls this."""
        return BagBatch(
            features_BND=self.features_BND.to(device, non_blocking=non_blocking),
            coords_BN2=None
            if self.coords_BN2 is None
            else self.coords_BN2.to(device, non_blocking=non_blocking),
            valid_BN=self.valid_BN.to(device, non_blocking=non_blocking),
            target_BK=self.target_BK.to(device, non_blocking=non_blocking),
            ids=self.ids,
            cells_BN3=None
            if self.cells_BN3 is None
            else self.cells_BN3.to(device, non_blocking=non_blocking),
            clinical_BF=None
            if self.clinical_BF is None
            else self.clinical_BF.to(device, non_blocking=non_blocking),
        )


class _Alike:
    """Checks that hold between all the slides of a cohort."""

    def __init__(self) -> None:
        self._first: SlideFeatures | None = None
        self._owner: dict[str, str] = {}

    def check(self, patient: str, slide: SlideFeatures) -> None:
        """Refuse a slide made otherwise than the first, or scanned from another patient's file."""
        first = self._first = self._first or slide
        mine, theirs = slide.record, first.record
        same_dim = slide.features_ND.shape[1] == first.features_ND.shape[1]
        if mine.recipe.digest != theirs.recipe.digest or not same_dim:
            msg = (
                f"slides {theirs.slide_id} and {mine.slide_id} were not made by one recipe "
                f"(encoders {theirs.recipe.encoder} and {mine.recipe.encoder}, tiles "
                f"{theirs.recipe.spec} and {mine.recipe.spec}, {first.features_ND.shape[1]} and "
                f"{slide.features_ND.shape[1]} features); extract the cohort with the same options"
            )
            raise StoreError(msg)
        if mine.recipe.spec is None:
            return  # bags of one table share its digest
        owner = self._owner.setdefault(mine.slide_digest, patient)
        if owner != patient:
            msg = (
                f"patients {owner} and {patient} have the same image (slide {mine.slide_id}): one "
                "of them would be tested by a model that trained on it; correct the cohort table"
            )
            raise StoreError(msg)


def load_bags(cohort: Cohort, store: FeatureStore, *, scratch: Path) -> dict[str, Bag]:
    """Read every patient's features, once: in memory, or in a file where they are larger.

    Parameters
    ----------
    scratch
        Folder for that file, which has no name there.

    Raises
    ------
    StoreError
        Slides without features or without tissue (they are named), files of different recipes in
        one cohort, or two patients with one image.
    OutputUnwritable
        Features larger than memory find no room in ``scratch``.
    """
    _check_all_there(cohort, store)
    shapes = [store.shape(slide.slide_id) for slide in cohort.slides]
    room_ND = room_for(sum(n for n, _ in shapes), shapes[0][1], scratch=scratch)
    bags, start = {}, 0
    alike = _Alike()
    for patient in cohort.patients:
        first, coords, cells, tiles_of = start, [], [], {}
        for number, slide in enumerate(cohort.slides_of(patient)):
            features = store.read(slide.slide_id)
            alike.check(patient, features)
            stop = start + len(features.features_ND)
            room_ND[start:stop] = torch.from_numpy(features.features_ND)
            tiles_of[slide.slide_id] = slice(start - first, stop - first)
            start = stop
            if features.coords_N2 is not None:
                coords.append(torch.from_numpy(features.coords_N2))
                cells.append(_cells(number, features))
        placed = len(coords) == len(tiles_of)
        bags[patient] = Bag(
            patient_id=patient,
            site=cohort.site_of[patient],
            label=cohort.labels[patient],
            features_ND=room_ND[first:start],
            coords_N2=torch.cat(coords) if placed else None,
            tiles_of=tiles_of,
            cells_N3=torch.cat(cells) if placed else None,
        )
    return bags


def _cells(number: int, slide: SlideFeatures) -> Tensor:
    """Return the slide's number and each tile's column and row, ``(N, 3)``, from 0.

    Tiles of regions that were cut with origins of their own are put into the nearest cell, which
    two of them may then share.
    """
    spec, coords_N2 = slide.record.recipe.spec, slide.coords_N2
    assert spec is not None  # features without a specification have no positions
    assert coords_N2 is not None
    step_px0 = slide.record.side_px0 * (1 - spec.overlap_px / spec.size_px)
    cells_N2 = np.rint((coords_N2 - coords_N2.min(axis=0)) / step_px0).astype(np.int64)
    return torch.from_numpy(np.insert(cells_N2, 0, number, axis=1))


def _check_all_there(cohort: Cohort, store: FeatureStore) -> None:
    missing = [slide for slide in cohort.slides if not store.path(slide.slide_id).exists()]
    if not missing:
        return
    records = WorkQueue(store.folder / RECORDS)
    empty = []
    for slide in missing:
        attempts = records.attempts(slide.slide_id)
        if attempts and attempts[-1].status == "empty":
            empty.append(slide)
    if empty:
        msg = (
            f"{len(empty)} of {len(cohort.slides)} slides hold no tissue, so they have no "
            f"features: {_named(empty)}; take their rows out of the cohort table, or extract with "
            "other options (tiling.min_tissue)"
        )
        raise StoreError(msg)
    msg = (
        f"{len(missing)} of {len(cohort.slides)} slides have no features in {store.folder}: "
        f"{_named(missing)}; run `histofed extract` on this cohort, or name the folder with "
        "features=PATH"
    )
    raise StoreError(msg)


def _named(slides: Sequence[Slide], most: int = 8) -> str:
    names = ", ".join(f"{slide.patient_id} ({slide.slide_id})" for slide in slides[:most])
    return f"{names} and {len(slides) - most} more" if len(slides) > most else names


class BagDataset(Dataset[Bag]):
    """Bags in the order given.

    Parameters
    ----------
    tiles_per_bag
        In training, at most this many tiles of a bag, drawn anew each time; None takes all.
    """

    def __init__(self, bags: Iterable[Bag], *, tiles_per_bag: int | None = None) -> None:
        self.bags = list(bags)
        self.tiles_per_bag = tiles_per_bag

    def __len__(self) -> int:
        return len(self.bags)

    def __getitem__(self, index: int) -> Bag:
        bag = self.bags[index]
        n_tiles = len(bag.features_ND)
        if self.tiles_per_bag is None or n_tiles <= self.tiles_per_bag:
            return bag
        return replace(bag, drawn_M=torch.randperm(n_tiles)[: self.tiles_per_bag])


def collate(bags: Sequence[Bag]) -> BagBatch:
    """Pad bags to the longest; features stay as they are stored."""
    n_tiles_B = torch.tensor([bag.n_tiles for bag in bags])
    longest = int(n_tiles_B.max())
    placed = all(bag.coords_N2 is not None for bag in bags)
    in_grid = all(bag.cells_N3 is not None for bag in bags)
    return BagBatch(
        features_BND=_padded([bag.features_ND for bag in bags], bags, longest),
        coords_BN2=_padded([bag.coords_N2 for bag in bags], bags, longest) if placed else None,
        valid_BN=torch.arange(longest) < n_tiles_B.unsqueeze(1),
        target_BK=torch.tensor([bag.label for bag in bags], dtype=torch.float32),
        ids=tuple(bag.patient_id for bag in bags),
        cells_BN3=_padded([bag.cells_N3 for bag in bags], bags, longest) if in_grid else None,
        clinical_BF=_clinical(bags),
    )


def _clinical(bags: Sequence[Bag]) -> Tensor | None:
    rows = [bag.clinical_F for bag in bags if bag.clinical_F is not None]
    assert len(rows) in (0, len(bags))  # the view of a fold encodes every patient
    return torch.tensor(rows, dtype=torch.float32) if rows else None


def _padded(values: Sequence[Tensor | None], bags: Sequence[Bag], longest: int) -> Tensor:
    """Return each bag's values of the tiles it takes, ``(B, N, ...)``, 0 where it has no more."""
    assert values[0] is not None
    room = values[0].new_empty(len(bags), longest, values[0].shape[1])
    for row, (value, bag) in enumerate(zip(values, bags, strict=True)):
        assert value is not None
        if bag.drawn_M is None:
            room[row, : bag.n_tiles] = value
        else:  # straight to their place: a copy on the way would cost as much again
            torch.index_select(value, 0, bag.drawn_M, out=room[row, : bag.n_tiles])
        room[row, bag.n_tiles :] = 0
    return room
