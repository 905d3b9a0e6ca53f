"""The resolution of a slide: vendors' properties, bare tags, what is supplied."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from histofed.errors import ConfigError, MissingMpp, SlideError
from histofed.io.readers.resolution import slide_resolution


def slide_mpp(stated: dict[str, str], slide: str, **supplied: float) -> float:
    return slide_resolution(stated, slide, **supplied).mpp


def properties(vendor: str, mpp_x: object = None, mpp_y: object = None) -> dict[str, str]:
    """What OpenSlide says of a slide; one number is both axes."""
    found = {"openslide.vendor": vendor}
    if mpp_x is not None:
        found["openslide.mpp-x"] = str(mpp_x)
        found["openslide.mpp-y"] = str(mpp_x if mpp_y is None else mpp_y)
    return found


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        (properties("aperio", 0.2527), 0.2527),
        (properties("hamamatsu", "0.22753128555176338", "0.22731128885201183"), 0.2274213),
        (properties("dicom", 0.00025 * 1000), 0.25),
        (properties("philips", 0.226907), 0.226907),
        (properties("mirax", 12.1), 12.1),
        (properties("generic-tiff", 0.46), 0.46),
        (properties("generic-tiff", 5.0), 5.0),
    ],
)
def test_what_a_scanner_measured_is_taken(stated, expected) -> None:
    assert slide_mpp(stated, "s.svs") == pytest.approx(expected, rel=1e-5)
    assert slide_mpp(stated, "s.svs", fallback_mpp=1.0) == slide_mpp(stated, "s.svs")


@pytest.mark.parametrize("dpi", [72, 96, 100, 150, 300, 600, 1200, 2400, 4800])
def test_dots_per_inch_of_a_generic_tiff_are_no_measurement(dpi) -> None:
    stated = properties("generic-tiff", 25_400 / dpi)
    with pytest.raises(MissingMpp, match=rf"slide s\.tif: .*\({dpi} dots per inch.*mpp_table="):
        slide_mpp(stated, "s.tif")
    assert slide_mpp(stated, "s.tif", fallback_mpp=0.5) == 0.5
    assert slide_mpp(stated, "s.tif", mpp=0.25, fallback_mpp=0.5) == 0.25


@pytest.mark.parametrize("stated", [0.001, 0.0, -0.25, 25.0, 352.8])
def test_an_absurd_statement_of_a_scanner_is_not_papered_over(stated) -> None:
    said = properties("aperio", stated)
    for supplied in ({}, {"fallback_mpp": 0.5}):  # it did say something: look at the slide
        with pytest.raises(MissingMpp, match=r"slide s\.svs: the stated .* not a scanner's"):
            slide_mpp(said, "s.svs", **supplied)
    assert slide_mpp(said, "s.svs", mpp=0.5) == 0.5


@pytest.mark.parametrize(
    "stated",
    [
        properties("aperio"),
        {**properties("aperio"), "openslide.mpp-x": "0.25"},
        properties("trestle", "unknown"),
        properties("dicom", "nan"),
        properties("aperio", "inf"),
        {},
    ],
)
def test_what_is_missing_is_refused_or_supplied(stated) -> None:
    with pytest.raises(MissingMpp, match=r"slide s\.svs: .*does not say"):
        slide_mpp(stated, "s.svs")
    assert slide_mpp(stated, "s.svs", fallback_mpp=0.5) == 0.5


@given(st.floats(0.1, 2.0), st.floats(0.8, 1.25))
def test_pixels_are_square_or_refused(mpp, aspect) -> None:
    stated = properties("aperio", mpp, mpp * aspect)
    if max(aspect, 1 / aspect) > 1.0101:
        with pytest.raises(SlideError, match="not square"):
            slide_mpp(stated, "s.svs")
        assert slide_mpp(stated, "s.svs", mpp=0.3) == 0.3
    elif max(aspect, 1 / aspect) < 1.0099:
        found = slide_mpp(stated, "s.svs")
        assert found == pytest.approx(mpp * math.sqrt(aspect))


@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf])
@pytest.mark.parametrize("name", ["mpp", "fallback_mpp"])
def test_what_is_supplied_must_be_positive(name, value) -> None:
    with pytest.raises(ConfigError, match=r"slide s\.svs: mpp=.*positive"):
        slide_mpp(properties("aperio", 0.25), "s.svs", **{name: value})


def test_who_says_the_resolution_is_told() -> None:
    said, silent = properties("aperio", 0.25), properties("aperio")
    screen = properties("generic-tiff", 25_400 / 96)
    assert slide_resolution(said, "s.svs", fallback_mpp=0.5) == (0.25, "its file")
    assert slide_resolution(said, "s.svs", mpp=0.3) == (0.3, "its row in a table")
    for stated in (silent, screen):
        assert slide_resolution(stated, "s.svs", fallback_mpp=0.5) == (0.5, "mpp=0.5")
