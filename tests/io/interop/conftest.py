"""Writers of files as other software writes them, and the reader of any."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

from histofed.io.interop import READERS, ForeignTiles, Supplied, detect

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

COORDS = np.array([[0, 512], [1024, 512], [51_200, 70_656]])
FEATURES = np.arange(12, dtype=np.float32).reshape(3, 4) / 8
TRIDENT_40X = {
    "patch_size": 256,
    "patch_size_level0": 512,
    "level0_magnification": 40,
    "target_magnification": 20,
    "overlap": 0,
    "name": "S1",
    "savetodir": "somewhere/patches",
    "level0_width": 90_000,
    "level0_height": 80_000,
}


@pytest.fixture(scope="session")
def h5() -> Callable[..., Path]:
    """Write data sets; a pair is (values, attributes of the data set)."""

    def write(path: Path, *, attributes: dict[str, Any] | None = None, **data: Any) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(path, "w") as file:
            file.attrs.update(attributes or {})
            for name, value in data.items():
                values, said = value if isinstance(value, tuple) else (value, {})
                file.create_dataset(name, data=values).attrs.update(said)
        return path

    return write


@pytest.fixture(scope="session")
def trident(h5: Callable[..., Path]) -> Callable[..., Path]:
    """Write a file of TRIDENT: three tiles of a slide at 40x, tiled at 20x."""

    def write(path: Path, *, coords: Any = COORDS, features: Any = FEATURES, **said: Any) -> Path:
        data = {"coords": (coords, TRIDENT_40X | said)}
        if features is not None:
            data["features"] = (features, {"name": "S1", "savetodir": "x", "encoder": "uni_v1"})
        return h5(path, **data)

    return write


@pytest.fixture(scope="session")
def read() -> Callable[..., ForeignTiles]:
    """Read a file in the format it has, or in the one that is named."""

    def read_any(path: Path, name: str = "", **supplied: Any) -> ForeignTiles:
        return READERS[name or detect(path)](path, Supplied(**supplied))

    return read_any
