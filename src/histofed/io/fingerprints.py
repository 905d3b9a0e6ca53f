"""``fingerprints.h5`` of a run: what each of its slides is known by.

With it a new cohort can be compared with the one trained on, without the features: whether a slide
is the same glass, and how unlike a patient is. Mean features are numbers about patients; the file
stays with the run.

Suffixes: S slides, D features.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from histofed.core.leakage import Fingerprint
from histofed.io.h5 import atomic_h5, open_h5, write_format

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TEXTS = ("slide_id", "patient_id", "digest")


def write_fingerprints(path: Path, slides: Sequence[Fingerprint]) -> None:
    """Write a row per slide; the file appears whole or not at all."""
    with atomic_h5(path) as file:
        write_format(file, "fingerprints")
        for name in TEXTS:
            # Of fixed length: damage to text of variable length crashes the HDF5 library.
            data = np.array([getattr(slide, name).encode() for slide in slides], dtype=np.bytes_)
            file.create_dataset(name, data=data, fletcher32=True)
        means_SD = np.stack([slide.mean_D for slide in slides])
        file.create_dataset("mean", data=means_SD, fletcher32=True)
        tiles_S = np.array([slide.n_tiles for slide in slides], dtype=np.int64)
        file.create_dataset("n_tiles", data=tiles_S, fletcher32=True)


def read_fingerprints(path: Path) -> list[Fingerprint]:
    """Read what `write_fingerprints` wrote.

    Raises
    ------
    StoreError
        The file is missing, damaged or of an unknown version.
    """
    with open_h5(path, "fingerprints") as file:
        columns = [[text.decode() for text in file[name][:].tolist()] for name in TEXTS]
        means_SD = np.asarray(file["mean"], dtype=np.float64)
        tiles_S = file["n_tiles"][:].tolist()
    return [
        Fingerprint(slide_id, patient_id, digest, mean_D, n_tiles)
        for slide_id, patient_id, digest, mean_D, n_tiles in zip(
            *columns, means_SD, tiles_S, strict=True
        )
    ]
