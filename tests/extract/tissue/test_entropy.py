from __future__ import annotations

import math

import numpy as np
import pytest

from histofed.errors import ConfigError
from histofed.extract.tissue import LocalEntropy, OtsuSaturation

SIDE_UM, RADIUS_UM = 2400.0, 700.0
CENTRE = np.array([[1200.0, 1200.0]])


def colourless(paint, mpp: float) -> tuple[np.ndarray, np.ndarray]:
    """Unstained tissue: grey texture, no colour."""
    glass, discs = paint
    picture = glass(SIDE_UM, mpp)
    tissue = discs(SIDE_UM, mpp, CENTRE, RADIUS_UM)
    grey = np.random.default_rng(1).normal(205, 18, tissue.sum()).clip(0, 255)
    picture[tissue] = grey[:, None].astype(np.uint8)
    return picture, tissue


@pytest.mark.parametrize("mpp", [4.0, 8.0])
def test_colourless_tissue_is_found_by_its_texture(paint, info, mpp) -> None:
    picture, tissue = colourless(paint, mpp)
    method = LocalEntropy(mpp=mpp)
    mask = method.mask(picture, slide_id="S1", info=info(SIDE_UM))
    assert mask.dtype == np.bool_
    assert float(mask.sum()) * mpp**2 == pytest.approx(math.pi * RADIUS_UM**2, rel=0.08)
    assert (mask & tissue).sum() / tissue.sum() > 0.93
    saturation = OtsuSaturation(mpp=mpp).mask(picture, slide_id="S1", info=info(SIDE_UM))
    assert saturation[tissue].mean() < 0.1  # why the method exists


def test_glass_and_pens_are_no_tissue(paint, info) -> None:
    glass, discs = paint
    method = LocalEntropy()
    picture = glass(SIDE_UM, 8.0)
    assert not method.mask(picture, slide_id="S1", info=info(SIDE_UM)).any()
    stroke = discs(SIDE_UM, 8.0, CENTRE, 150.0)
    ink = np.array([20, 140, 60]) + np.random.default_rng(0).integers(-15, 15, (stroke.sum(), 3))
    picture[stroke] = ink.clip(0, 255)
    assert not method.mask(picture, slide_id="S1", info=info(SIDE_UM))[stroke].any()


def test_impossible_options_are_refused_by_name() -> None:
    for options, named in (({"radius_um": 4.0}, "radius_um"), ({"min_entropy": 9}, "min_entropy")):
        with pytest.raises(ConfigError, match=rf"tissue\.{named}"):
            LocalEntropy(**options)


def test_the_record_tells_methods_and_parameters_apart() -> None:
    records = [LocalEntropy(), LocalEntropy(radius_um=40), OtsuSaturation()]
    assert len({str(method.record) for method in records}) == 3
