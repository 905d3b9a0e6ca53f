from __future__ import annotations

import math

import numpy as np
import pytest

from histofed.core.tiling import TileSpec
from histofed.core.types import SlideInfo
from histofed.errors import ConfigError
from histofed.extract.tiles import tile_recipe
from histofed.extract.tissue import OtsuSaturation
from histofed.io.store import Record

PINK, PALE_PINK, VIOLET = (225, 130, 175), (236, 205, 222), (120, 80, 160)
GREEN_PEN, BLUE_PEN, GLASS = (20, 140, 60), (30, 60, 190), (242, 242, 242)
DISC_UM, SIDE_UM = 700.0, 2400.0


def glass(spec: OtsuSaturation, seed: int = 0) -> np.ndarray:
    """An empty slide of 2400 x 2400 um with the noise of a camera."""
    side = round(SIDE_UM / spec.mpp)
    noise = np.random.default_rng(seed).normal(0, 1.5, (side, side, 3))
    return np.clip(np.array(GLASS) + noise, 0, 255).astype(np.uint8)


def disc(spec: OtsuSaturation, x_um: float, y_um: float, radius_um: float) -> np.ndarray:
    centres = (np.arange(round(SIDE_UM / spec.mpp)) + 0.5) * spec.mpp
    return np.hypot(centres[None, :] - x_um, centres[:, None] - y_um) <= radius_um


def area_um2(mask: np.ndarray, spec: OtsuSaturation) -> float:
    return float(mask.sum()) * spec.mpp**2


def tissue_slide(spec: OtsuSaturation, colour: tuple[int, int, int] = PINK) -> np.ndarray:
    picture = glass(spec)
    picture[disc(spec, 1200, 1200, DISC_UM)] = colour
    return picture


SPEC = OtsuSaturation()


def tissue_mask(picture: np.ndarray, spec: OtsuSaturation) -> np.ndarray:
    sizes = ((picture.shape[1] * 8, picture.shape[0] * 8),)
    info = SlideInfo(mpp=spec.mpp / 8, level_sizes_px=sizes, vendor="test")
    return spec.mask(picture, slide_id="S1", info=info)


def test_glass_alone_is_no_tissue() -> None:
    for seed in range(3):
        assert not tissue_mask(glass(SPEC, seed), SPEC).any()
    for grey in (255, 128, 0):
        assert not tissue_mask(np.full((50, 60, 3), grey, np.uint8), SPEC).any()


@pytest.mark.parametrize("mpp", [5.0, 8.0, 12.0])
@pytest.mark.parametrize("colour", [PINK, PALE_PINK, VIOLET])
def test_a_disc_has_its_area_at_every_resolution(mpp, colour) -> None:
    spec = OtsuSaturation(mpp=mpp)
    mask = tissue_mask(tissue_slide(spec, colour), spec)
    assert mask.dtype == np.bool_
    assert area_um2(mask, spec) == pytest.approx(math.pi * DISC_UM**2, rel=0.03)


def test_the_mask_lies_where_the_tissue_is() -> None:
    mask = tissue_mask(tissue_slide(SPEC), SPEC)
    assert (mask ^ disc(SPEC, 1200, 1200, DISC_UM)).mean() < 0.005


@pytest.mark.parametrize("mpp", [5.0, 8.0])
def test_specks_are_dropped_and_fragments_kept(mpp) -> None:
    spec = OtsuSaturation(mpp=mpp)
    picture = tissue_slide(spec)
    speck, fragment = disc(spec, 200, 200, 60), disc(spec, 2200, 2200, 110)  # 11,310; 38,013 um2
    picture[speck | fragment] = PINK
    mask = tissue_mask(picture, spec)
    assert not mask[speck].any()
    assert mask[fragment].mean() > 0.9


@pytest.mark.parametrize("mpp", [5.0, 8.0])
def test_small_holes_are_filled_and_large_ones_kept(mpp) -> None:
    spec = OtsuSaturation(mpp=mpp)
    picture = tissue_slide(spec)
    small, large = disc(spec, 900, 1200, 60), disc(spec, 1500, 1200, 150)  # 11,310; 70,686 um2
    picture[small | large] = GLASS
    mask = tissue_mask(picture, spec)
    assert mask[small].all()
    assert mask[large].mean() < 0.1


@pytest.mark.parametrize("pen", [GREEN_PEN, BLUE_PEN])
def test_a_pen_is_not_tissue(pen) -> None:
    picture = tissue_slide(SPEC)
    stroke = disc(SPEC, 300, 1200, 180)
    picture[stroke] = pen
    mask = tissue_mask(picture, SPEC)
    assert not mask[stroke].any()
    expected = math.pi * DISC_UM**2
    assert area_um2(mask, SPEC) == pytest.approx(expected, rel=0.05)


def test_a_pen_does_not_hide_pale_tissue() -> None:
    picture = tissue_slide(SPEC, PALE_PINK)
    picture[:, :75] = GREEN_PEN  # a quarter of the slide
    mask = tissue_mask(picture, SPEC)
    assert area_um2(mask, SPEC) == pytest.approx(math.pi * DISC_UM**2, rel=0.05)


def test_a_black_border_is_not_tissue() -> None:
    picture = tissue_slide(SPEC)
    border = np.zeros(picture.shape[:2], dtype=bool)
    border[:20] = True
    picture[border] = (6, 2, 4)
    mask = tissue_mask(picture, SPEC)
    assert mask[border].mean() < 0.05


def test_the_input_is_left_alone() -> None:
    picture = tissue_slide(SPEC)
    before = picture.copy()
    tissue_mask(picture, SPEC)
    np.testing.assert_array_equal(picture, before)


def test_the_record_holds_the_method_and_every_parameter() -> None:
    assert OtsuSaturation(mpp=4.0, max_hole_um2=7.0).record == {
        "method": "otsu_saturation",
        "mpp": 4.0,
        "min_saturation": 0.06,
        "min_brightness": 0.1,
        "min_area_um2": 20_000.0,
        "max_hole_um2": 7.0,
        "ink_hues": [0.17, 0.64],
        "ink_min_saturation": 0.35,
    }


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"mpp": 0}, "mpp"),
        ({"mpp": math.nan}, "mpp"),
        ({"min_saturation": -0.1}, "min_saturation"),
        ({"min_saturation": 1.1}, "min_saturation"),
    ],
)
def test_impossible_options_are_refused_by_name(options, named) -> None:
    with pytest.raises(ConfigError, match=rf"tissue\.{named}"):
        OtsuSaturation(**options)


def test_files_made_before_keep_their_digest() -> None:
    # Written down from the version that had no other method and no later parameter.
    recipe = tile_recipe(TileSpec(), OtsuSaturation())
    assert recipe.digest == "5f844357b1703f89c9f50f99eea808a3ea68c8c5a6461533919a26c350472eb1"
    record = Record(
        recipe=recipe, slide_id="S1", slide_digest="d", mpp=0.25, width_px0=1, height_px0=2
    )
    assert record.digest == "dc4da397e38e56c22b8537d2c3cdc916fdfac3baa11c2c6f9ad6607286a77dba"
