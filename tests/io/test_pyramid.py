from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from histofed.errors import ConfigError
from histofed.io import pyramid
from histofed.io.pyramid import write_pyramid
from histofed.io.readers import open_slide

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """A smooth picture: JPEG must reproduce it to a few grey levels."""
    coarse = np.random.default_rng(0).integers(60, 250, (4, 5, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((1031, 777), Image.Resampling.BICUBIC))


def test_aperio_is_opened_with_its_resolution_and_power(tmp_path: Path, picture) -> None:
    path = write_pyramid(tmp_path / "a.svs", picture, mpp=0.2527, objective_power=40)
    with open_slide(path) as slide:
        assert slide.info.vendor == "aperio"
        assert slide.info.mpp == pytest.approx(0.2527, abs=1e-9)
        assert slide.info.objective_power == 40
        assert slide.info.level_sizes_px == ((1031, 777), (257, 194), (64, 48))


def test_generic_has_a_resolution_and_no_power(tmp_path: Path, picture) -> None:
    path = write_pyramid(tmp_path / "g.tif", picture, mpp=0.44, vendor="generic")
    with open_slide(path) as slide:
        assert slide.info.vendor == "generic-tiff"
        assert slide.info.mpp == pytest.approx(0.44, rel=1e-6)
        assert slide.info.objective_power is None
        assert len(slide.info.level_sizes_px) == 3


@pytest.mark.parametrize("vendor", ["aperio", "generic"])
def test_every_level_shows_the_same_field(tmp_path: Path, picture, vendor) -> None:
    path = write_pyramid(tmp_path / "s.tif", picture, mpp=0.5, vendor=vendor)
    with open_slide(path) as slide:
        for level, (width, height) in enumerate(slide.info.level_sizes_px):
            seen = slide.read(level, 0, 0, width_px=width, height_px=height).astype(float)
            meant = Image.fromarray(picture).resize((width, height), Image.Resampling.BOX)
            assert np.abs(seen - np.asarray(meant)).mean() < 3
            # Colour must survive the way to YCbCr and back: no swapped channels.
            assert np.abs(seen.mean((0, 1)) - np.asarray(meant).mean((0, 1))).max() < 1


@settings(max_examples=15, deadline=None)
@given(mpp=st.floats(0.06, 4.9))  # bare TIFF tags are believed up to 5
def test_stated_resolution_comes_back(tmp_path_factory, mpp: float) -> None:
    folder = tmp_path_factory.mktemp("mpp")
    grey = np.full((40, 40, 3), 200, np.uint8)
    for vendor in ("aperio", "generic"):
        path = write_pyramid(folder / f"{vendor}.tif", grey, mpp=mpp, vendor=vendor)
        with open_slide(path) as slide:
            assert slide.info.mpp == pytest.approx(mpp, rel=1e-6)


def test_same_pixels_same_bytes(tmp_path: Path, picture) -> None:
    first = write_pyramid(tmp_path / "1.svs", picture, mpp=0.25).read_bytes()
    assert write_pyramid(tmp_path / "2.svs", picture, mpp=0.25).read_bytes() == first


def test_a_failed_write_leaves_nothing(tmp_path: Path, picture, monkeypatch) -> None:
    def levels(rgb: np.ndarray) -> list[np.ndarray]:
        return [rgb, rgb.astype("complex64")]

    monkeypatch.setattr(pyramid, "_levels", levels)
    with pytest.raises(Exception, match=r".+"):
        write_pyramid(tmp_path / "s.svs", picture, mpp=0.25)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"mpp": 0.0}, "mpp"),
        ({"mpp": float("nan")}, "mpp"),
        ({"vendor": "leica"}, "vendor"),
        ({"vendor": "generic", "objective_power": 40}, "objective power"),
    ],
)
def test_impossible_arguments_are_refused(tmp_path: Path, picture, change, said) -> None:
    with pytest.raises(ConfigError, match=said):
        write_pyramid(tmp_path / "s.svs", picture, **{"mpp": 0.25, **change})


@pytest.mark.parametrize("shape", [(10, 10), (10, 10, 4), (0, 10, 3)])
def test_only_rgb_is_written(tmp_path: Path, shape) -> None:
    with pytest.raises(ConfigError, match="slide"):
        write_pyramid(tmp_path / "s.svs", np.zeros(shape, np.uint8), mpp=0.25)
    assert list(tmp_path.iterdir()) == []
