"""Marrow: fat must not cost the marrow, and single cells on glass are found."""

from __future__ import annotations

import numpy as np
import pytest

from histofed.errors import ConfigError
from histofed.extract.tiles import tissue_mask
from histofed.extract.tissue import MaskRules, OpticalDensity, OtsuSaturation
from histofed.io.readers import open_slide
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


@pytest.mark.parametrize("closing_um", [0, 120])
@pytest.mark.parametrize("max_hole_um2", [0, 1_000_000])
def test_glass_at_the_frame_of_a_small_slide_is_left_out(closing_um, max_hole_um2) -> None:
    """Tissue in two bands, with notches, and less than 1 mm2 of glass beside each."""
    mask = np.zeros((300, 250), dtype=bool)  # 1.2 x 1 mm
    mask[80:130, :] = mask[200:260, :] = True
    mask[::20, 100:104] = True
    hole = np.zeros_like(mask)
    hole[220:240, 40:60] = True
    mask &= ~hole
    rules = MaskRules(mpp=4.0, min_area_um2=0, closing_um=closing_um, max_hole_um2=max_hole_um2)
    cleaned = rules.cleaned(mask)
    assert cleaned[hole].all() == bool(max_hole_um2 or closing_um)
    assert not cleaned[:70, :80].any()
    assert not cleaned[270:, :80].any()
    assert not cleaned[150:180, :40].any()
    assert not cleaned[150:180, 170:].any()


def test_a_real_small_slide_has_glass_with_every_preset(test_data) -> None:
    """A millimetre of two slides, half of it glass: less than the largest hole of a trephine."""
    method = preset("trephine")
    for name in ("CMU-1-Small-Region", "tcga-cr-7395-01a-01-ts1"):
        with open_slide(test_data / f"slides/{name}.svs", fallback_mpp=0.25) as slide:
            shares = [
                tissue_mask(each, slide.thumbnail(each.mpp), slide_id=name, info=slide.info).mean()
                for each in (preset("otsu"), method)
            ]
        assert shares[1] < min(1.35 * shares[0], 0.75)


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
