from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from histofed.synth import slide
from histofed.synth.artefacts import out_of_focus, pen_stroke, sensor_noise
from histofed.synth.slide import SlidePlan, render
from histofed.synth.stain import SITES

PLAN = SlidePlan(
    slide_id="C-001-1",
    patient_id="C-001",
    site=SITES[2],
    seed=(11, (2, 0, 0)),
    width_um=600.0,
    height_um=560.0,
    tissue_mm2=0.15,
    lesion_share=0.12,
    bland_share=0.06,
    pen=None,
    blurred=False,
)


def test_structures_have_the_same_size_on_every_scanner() -> None:
    """The mask is in microns: the scanner changes the pixels, not the layout."""
    masks = [render(replace(PLAN, site=site))[1] for site in SITES]
    for mask in masks[1:]:
        np.testing.assert_array_equal(mask, masks[0])
    sizes = [render(replace(PLAN, site=site))[0].shape[:2] for site in SITES]
    assert sizes == [(2240, 2400), (2216, 2374), (1120, 1200), (1272, 1363)]


def test_background_is_nearly_white_and_tissue_is_pink() -> None:
    rgb, _ = render(PLAN)
    corner = rgb[:40, :40].reshape(-1, 3)
    np.testing.assert_allclose(corner.mean(0), PLAN.site.stain.white, atol=2)
    assert 1.5 < corner.astype(float).std(0).mean() < 4.5
    middle = rgb[350:770, 400:800].reshape(-1, 3).mean(0)
    assert middle[0] > middle[2] > middle[1]


def test_without_mutation_there_is_no_lesion() -> None:
    _, lesion = render(replace(PLAN, lesion_share=0.0))
    assert not lesion.any()


def test_the_amount_of_dye_does_not_tell_a_lesion_from_a_bland_nest(monkeypatch) -> None:
    mutated, lesion = render(PLAN)
    monkeypatch.setattr(slide, "lesion_nest", slide.bland_nest)
    bland, same = render(PLAN)
    np.testing.assert_array_equal(lesion, same)
    where = np.kron(lesion, np.ones((8, 8), bool))
    levels = mutated[where].mean(0) - bland[where].mean(0)
    assert np.abs(levels).max() < 6
    assert (mutated != bland)[where].any()


@pytest.mark.parametrize("seed", range(4))
def test_lesion_share_is_met(seed: int) -> None:
    _, lesion = render(replace(PLAN, seed=(seed, (0,))))
    assert lesion.sum() * 16 / 0.15e6 == pytest.approx(0.12, abs=0.02)


@pytest.fixture
def half_tissue() -> tuple[np.ndarray, np.ndarray]:
    stripes = np.random.default_rng(0).integers(80, 220, (800, 800, 3), dtype=np.uint8)
    tissue = np.zeros((800, 800), bool)
    tissue[200:600, 200:600] = True
    stripes[~tissue] = 240
    return stripes, tissue


@pytest.mark.parametrize("colour", ["green", "blue"])
@pytest.mark.parametrize("seed", range(5))
def test_pen_lies_on_glass_and_touches_the_tissue(half_tissue, colour, seed) -> None:
    rgb, tissue = half_tissue
    before = rgb.copy()
    pen_stroke(np.random.default_rng(seed), rgb, tissue, colour=colour)
    inked = (rgb != before).any(-1)
    assert inked[~tissue].sum() > inked[tissue].sum() > 0
    channel = {"green": 1, "blue": 2}[colour]
    glass = rgb[inked & ~tissue].mean(0)
    assert glass.argmax() == channel


def test_out_of_focus_takes_detail_and_spares_the_rest(half_tissue) -> None:
    rgb, tissue = half_tissue
    before = rgb.copy()
    out_of_focus(np.random.default_rng(0), rgb, tissue)
    changed = (rgb != before).any(-1)
    assert 0.01 < changed.mean() < 0.6
    ys, xs = np.nonzero(changed & tissue)
    y, x = round(ys.mean()), round(xs.mean())
    near = slice(y - 15, y + 15), slice(x - 15, x + 15)
    assert rgb[near].std() < 0.3 * before[near].std()


def test_sensor_noise_has_its_deviation_and_does_not_wrap_around() -> None:
    grey = np.full((1100, 1200, 3), 128, np.uint8)
    sensor_noise(np.random.default_rng(0), grey, deviation=3.0)
    assert grey.std() == pytest.approx(3.0, rel=0.03)
    white = np.full((50, 50, 3), 254, np.uint8)
    sensor_noise(np.random.default_rng(0), white, deviation=3.0)
    assert white.min() > 200
