from __future__ import annotations

import numpy as np
import pytest

from histofed.synth.stain import SITES, Stain

PLAIN = Stain(haematoxylin=(0.6, 0.7, 0.3), eosin=(0.1, 0.8, 0.3), white=(240, 240, 240))


def test_light_follows_beer_lambert() -> None:
    amount = np.array([[0.0, 1.0, 2.0]], np.float32)
    rgb = PLAIN.through(amount, 0.5 * amount).astype(float)
    density = np.log(240 / rgb)
    expected = np.array(PLAIN.haematoxylin) + 0.5 * np.array(PLAIN.eosin)
    np.testing.assert_array_equal(rgb[0, 0], 240)
    np.testing.assert_allclose(density[0, 1], expected, atol=0.02)
    np.testing.assert_allclose(density[0, 2], 2 * expected, atol=0.05)


def test_slides_of_a_hospital_differ_less_than_hospitals_do() -> None:
    rng = np.random.default_rng(0)
    for site in SITES:
        eosin = np.array([site.stain.vary(rng).eosin for _ in range(200)])
        np.testing.assert_allclose(eosin.mean(0), site.stain.eosin, rtol=0.05)
    green = [site.stain.eosin[1] for site in SITES]
    assert green == sorted(green)
    assert green[-1] / green[0] > 1.5


def test_stain_goes_with_prevalence() -> None:
    assert [site.prevalence for site in SITES] == sorted(site.prevalence for site in SITES)


def test_names_and_scanners_are_distinct() -> None:
    assert len({site.name[0] for site in SITES}) == len(SITES) == len({site.mpp for site in SITES})
    assert {site.suffix for site in SITES} == {".svs", ".tif"}
    assert [site.objective_power for site in SITES if site.vendor == "generic"] == [None]


def test_variation_is_drawn_from_the_generator() -> None:
    first, again = (PLAIN.vary(np.random.default_rng(1)) for _ in range(2))
    assert first == again
    assert first != PLAIN
    assert first.white == pytest.approx(PLAIN.white)
