"""Marrow: fat must not cost the marrow, and single cells on glass are found."""

from __future__ import annotations

import numpy as np
import pytest

from histofed.errors import ConfigError
from histofed.extract.tissue import OpticalDensity, OtsuSaturation
from histofed.pipeline import build
from histofed.pipeline.config import compose

SIDE_UM = 3000.0
FILM = np.array([[1500.0, 1500.0]])


def preset(name: str):
    return build.tissue(compose("tile", [f"tissue={name}"]).tissue)


def trephine(paint, mpp: float) -> tuple[np.ndarray, np.ndarray]:
    """A core 900 um wide, three quarters fat: cells of 60 um packed to and over its rim."""
    glass, discs = paint
    fine = 2.0
    generator = np.random.default_rng(3)
    side = round(SIDE_UM / fine)
    core = np.zeros((side, side), dtype=bool)
    core[round(300 / fine) : round(2700 / fine), round(1050 / fine) : round(1950 / fine)] = True
    xs, ys = np.meshgrid(np.arange(1020, 1990, 62.0), np.arange(270, 2740, 62.0))
    centres = np.stack([xs.ravel(), ys.ravel()], axis=1)
    centres += generator.normal(0, 5, centres.shape)
    centres = centres[generator.random(len(centres)) < 0.95]
    fat = discs(SIDE_UM, fine, centres, generator.uniform(26, 31, len(centres)))
    picture = glass(SIDE_UM, fine)
    picture[core & ~fat] = (190, 110, 170)
    step = round(mpp / fine)
    cut = side // step * step
    small = picture[:cut, :cut].reshape(cut // step, step, cut // step, step, 3)
    truth = core[:cut, :cut].reshape(cut // step, step, cut // step, step)
    assert (fat & core).sum() / core.sum() > 0.6
    return small.mean(axis=(1, 3)).astype(np.uint8), truth.mean(axis=(1, 3)) > 0.5


def test_fat_rich_marrow_is_not_lost(paint, info) -> None:
    found = {}
    for name in ("otsu", "trephine"):
        method = preset(name)
        picture, core = trephine(paint, method.mpp)
        mask = method.mask(picture, slide_id="S1", info=info(SIDE_UM))
        found[name] = mask[core].mean()
        assert (mask & ~core).sum() / core.sum() < 0.03  # and glass is not gained
    assert found["trephine"] > 0.95 > 0.9 > found["otsu"]


def test_the_cancer_chooses_the_preset_and_the_user_has_the_last_word() -> None:
    plain = compose("tile", []).tissue
    assert compose("tile", ["cancer=lung"]).tissue == plain
    assert compose("tile", ["tissue=otsu"]).tissue == plain
    marrow = compose("extract", ["cancer=myeloma"]).tissue
    assert (marrow.mpp, marrow.closing_um) == (4.0, 120)
    assert compose("tile", ["cancer=myeloma", "tissue.closing_um=80"]).tissue.closing_um == 80
    smear = compose("tile", ["cancer=myeloma", "tissue=smear"]).tissue
    assert smear == compose("tile", ["tissue=smear"]).tissue


def test_a_smear_is_found_where_cells_lie_densely(paint, info) -> None:
    glass, discs = paint
    method = preset("smear")
    generator = np.random.default_rng(5)
    picture = glass(SIDE_UM, method.mpp)
    film = discs(SIDE_UM, method.mpp, FILM, 900.0)
    everywhere = generator.uniform(0, SIDE_UM, (9000, 2))
    in_film = np.hypot(*(everywhere - FILM).T) < 900
    strays = (~in_film) & (np.arange(len(everywhere)) % 100 == 0)  # a stray cell here and there
    cells = discs(SIDE_UM, method.mpp, everywhere[in_film | strays], 8.0)
    picture[cells] = (110, 80, 160)
    mask = method.mask(picture, slide_id="S1", info=info(SIDE_UM))
    assert mask[film].mean() > 0.95
    assert mask[~film].mean() < 0.06
    default = OtsuSaturation().mask(picture[::4, ::4], slide_id="S1", info=info(SIDE_UM))
    assert default[film[::4, ::4]].mean() < 0.8  # why the preset exists
    assert not method.mask(glass(SIDE_UM, 2.0), slide_id="S1", info=info(SIDE_UM)).any()


@pytest.mark.parametrize(
    ("options", "named"),
    [({"min_cover": 1.5}, "min_cover"), ({"window_um": 1.0}, "window_um")],
)
def test_impossible_options_are_refused_by_name(options, named) -> None:
    with pytest.raises(ConfigError, match=rf"tissue\.{named}"):
        OpticalDensity(**options)
