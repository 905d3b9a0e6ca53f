"""Each flag is found where its flaw was put, and not on clean tissue."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage

from histofed.core.quality import FLAGS, bits, first_flag
from histofed.core.tiling import TileSpec
from histofed.errors import ConfigError, NoTissue, OffStain
from histofed.extract.quality import (
    QualitySpec,
    dark_share,
    edge_blur_um,
    flags_of,
    foreign_light,
)
from histofed.extract.reading import read_batches
from histofed.extract.tiles import tile_slide
from histofed.extract.tissue import OtsuSaturation
from histofed.io.pyramid import write_pyramid
from histofed.io.readers import open_slide

CMU = "slides/CMU-1-Small-Region.svs"
TCGA = "slides/tcga-cr-7395-01a-01-ts1.svs"
DICOM = "slides/dicom-cmu-1-small-region"
QUALITY = QualitySpec()
MPP = 2.0
FULL = np.ones(1)


def cells(n: int = 4, *, size_px: int = 56, seed: int = 0) -> np.ndarray:
    """Sharp tissue at 2 um: violet nuclei of 8 um on pink."""
    generator = np.random.default_rng(seed)
    points = generator.random((n, size_px, size_px)) < 0.02
    nuclei = ndimage.grey_dilation(points.astype(float), footprint=np.ones((1, 4, 4)))[..., None]
    pink, violet = np.array([225, 150, 190.0]), np.array([110, 70, 150.0])
    picture = pink + nuclei * (violet - pink) + generator.normal(0, 2, (n, size_px, size_px, 1))
    return picture.clip(0, 255).astype(np.uint8)


def names(tiles: np.ndarray, tissue: float = 1.0) -> list[set[str]]:
    found = flags_of(tiles, np.full(len(tiles), tissue), mpp=MPP, spec=QUALITY)
    assert found.dtype == np.uint16
    return [{name for name in FLAGS if value & bits([name])} for value in found.tolist()]


def test_clean_tissue_has_no_flag() -> None:
    assert names(cells()) == [set()] * 4


def test_each_flaw_is_flagged_alone() -> None:
    tiles = cells(5)
    tiles[0] = ndimage.gaussian_filter(tiles[0].astype(float), (2, 2, 0))  # 4 um
    tiles[1, :, :10] = (20, 140, 60)
    tiles[2, 10:40, 10:40] = (tiles[2, 10:40, 10:40] / 255.0) ** 6 * 255  # six layers
    tiles[3, 5:40, 5:40] = (243, 241, 244)
    tiles[4] = tiles[4][..., [2, 0, 1]] // np.array([3, 1, 1], np.uint8)
    flags = names(tiles)
    assert flags[:4] == [{"blur"}, {"pen"}, {"dark"}, {"fat"}]
    assert "off_stain" in flags[4] or "pen" in flags[4]


def test_glass_beside_tissue_is_no_fat_and_counts_as_the_mask_says() -> None:
    tiles = cells(1)
    tiles[:, :, :28] = (243, 241, 244)
    assert names(tiles, tissue=0.5) == [set()]
    assert names(tiles, tissue=1.0) == [{"fat"}]


def test_a_tile_without_light_is_off_stain() -> None:
    fluorescent = np.zeros((1, 56, 56, 3), np.uint8)
    fluorescent[:, ::5, ::7] = (10, 20, 250)
    assert "off_stain" in names(fluorescent)[0]


@settings(max_examples=20, deadline=None)
@given(st.floats(1.0, 4.0), st.sampled_from([1.0, 1.5, 2.0]), st.integers(0, 20))
def test_blur_is_measured_in_microns(sigma_um, mpp, seed) -> None:
    """A picture with the spectrum of pictures, blurred by a Gaussian, reads as that Gaussian.

    In 128 x 128 pixels: fewer hold too few edges, and chance moves the reading.
    """
    fine_um = mpp / 4
    size = 128 * 4
    f = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :])
    f[0, 0] = 1  # the mean, which does not matter
    white = np.fft.rfft2(np.random.default_rng(seed).normal(size=(size, size)))
    blur = np.exp(-2 * (np.pi * f * sigma_um / fine_um) ** 2)
    picture = np.fft.irfft2(white / f * blur, s=(size, size))
    pixels = picture.reshape(128, 4, 128, 4).mean(axis=(1, 3))
    pixels = (pixels - pixels.min()) / np.ptp(pixels) * 200 + 20
    tile = np.repeat(pixels[None, ..., None], 3, axis=-1).round().astype(np.uint8)
    # A pixel is itself a blur, of a little less than a third of its side.
    expected = np.hypot(sigma_um, 0.29 * mpp)
    assert edge_blur_um(tile, mpp=mpp)[0] == pytest.approx(expected, rel=0.2)


def test_more_blur_never_reads_as_less(test_data) -> None:
    with open_slide(test_data / CMU) as slide:
        spec = TileSpec(size_px=56, mpp=2.0)
        coords = np.array([[898, 1122], [1122, 898], [898, 2469]])
        ((_, found),) = read_batches(slide, spec, coords, batch_size=3)
        tiles = found.astype(np.float32)
    read = [
        edge_blur_um(ndimage.gaussian_filter(tiles, (0, s, s, 0)).astype(np.uint8), mpp=2.0)
        for s in (0.01, 0.5, 1.0, 1.5, 2.0)
    ]
    assert (np.diff(read, axis=0) > 0).all()
    assert (read[0] < QUALITY.max_blur_um).all()
    assert (read[3] > QUALITY.max_blur_um).all()  # 3 um


def test_a_dense_nucleus_is_not_a_fold() -> None:
    tiles = np.full((1, 56, 56, 3), 200, np.uint8)
    tiles[:, 20:24, 20:24] = 10
    assert dark_share(tiles, mpp=2.0, above=0.8)[0] == 0
    tiles[:, 20:40] = 10
    assert dark_share(tiles, mpp=2.0, above=0.8)[0] == pytest.approx(20 / 56, abs=0.03)


def test_a_batch_gives_what_its_tiles_give_alone() -> None:
    tiles = np.concatenate([cells(3), cells(2, seed=1)])
    tiles[1, :, :10] = (20, 140, 60)
    tissue = np.linspace(0.5, 1, 5)
    together = flags_of(tiles, tissue, mpp=MPP, spec=QUALITY)
    alone = [
        flags_of(tiles[i : i + 1], tissue[i : i + 1], mpp=MPP, spec=QUALITY)[0] for i in range(5)
    ]
    assert together.tolist() == alone


def test_flags_have_an_order_and_bits() -> None:
    assert len({bits([name]) for name in FLAGS}) == len(FLAGS)
    both = np.array([bits(["blur", "pen"]), 0, bits(["fat"])], np.uint16)
    assert first_flag(both) == ["pen", "", "fat"]
    assert first_flag(both, ["blur"]) == ["blur", "", ""]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"drop": ("blurr",)}, r"drop names blurr; flags are unreadable"),
        ({"mpp": 0}, "mpp"),
        ({"max_ink": -1}, "max_ink"),
        ({"max_blur_um": 1.0}, r"max_blur_um=1 .* at least 1\.5"),
    ],
)
def test_impossible_options_are_refused_by_name(options, named) -> None:
    with pytest.raises(ConfigError, match=rf"quality\.{named}"):
        QualitySpec(**options)


def test_the_same_choice_has_one_record() -> None:
    one, other = QualitySpec(drop=("blur", "pen")), QualitySpec(drop=("pen", "blur"))
    assert one.record == other.record != QUALITY.record


# Light.


def test_white_light_through_a_stain_passes(test_data) -> None:
    for path, mpp in ((CMU, None), (TCGA, 1.0)):
        with open_slide(test_data / path, fallback_mpp=mpp) as slide:
            assert foreign_light(slide.thumbnail(8.0)) == ""
    glassless = cells(1, size_px=200)[0]
    assert foreign_light(glassless) == ""
    assert foreign_light(np.full((20, 20, 3), 243, np.uint8)) == ""


@pytest.mark.parametrize("name", [CMU, TCGA])
def test_glass_in_the_hue_of_a_stain_is_not_taken_for_tissue(test_data, name) -> None:
    """RGB whose file says YCbCr: glass becomes magenta, and tissue green."""
    with open_slide(test_data / name, fallback_mpp=1.0) as slide:
        right = slide.thumbnail(8.0)
    wrong = Image.frombytes("YCbCr", right.shape[1::-1], right.tobytes()).convert("RGB")
    assert "glass in magenta" in foreign_light(np.asarray(wrong))


def fluorescence(size_px: int = 900) -> np.ndarray:
    generator = np.random.default_rng(0)
    picture = np.zeros((size_px, size_px, 3))
    nuclei = ndimage.gaussian_filter((generator.random((size_px,) * 2) < 0.004) * 900.0, 3)
    picture[..., 2] = nuclei * 8
    picture[..., 1] = ndimage.gaussian_filter(generator.random((size_px,) * 2), 20) * 40
    return picture.clip(0, 255).astype(np.uint8)


def test_fluorescence_is_refused_with_the_reason_and_the_way_through(tmp_path) -> None:
    path = write_pyramid(tmp_path / "f.svs", fluorescence(), mpp=0.5)

    def tiled(quality: QualitySpec):
        tissue = OtsuSaturation(min_brightness=0)
        with open_slide(path) as slide:
            return tile_slide(
                slide, "F1", slide_digest="x", spec=TileSpec(), tissue=tissue, quality=quality
            )

    with pytest.raises(OffStain, match=r"slide F1: .*in fluor.*off_stain=true.*tissue=regions"):
        tiled(QUALITY)


def test_wrong_colours_are_refused_and_let_through_flagged(test_data) -> None:
    path = min((test_data / DICOM).glob("*.dcm"))

    def tiled(quality: QualitySpec):
        with open_slide(path) as slide:
            return tile_slide(
                slide,
                "D1",
                slide_digest="x",
                spec=TileSpec(),
                tissue=OtsuSaturation(),
                quality=quality,
            )[0]

    with pytest.raises(OffStain, match=r"slide D1: .*not grey glass but RGB 244, 133, .*=true"):
        tiled(QUALITY)
    tiles = tiled(replace(QUALITY, allow_off_stain=True))
    assert (tiles.flags_N & bits(["off_stain"]) > 0).all()
    with pytest.raises(
        NoTissue, match=r"of \d+ tiles with tissue all are dropped \(off_stain \d+.*quality\.drop"
    ):
        tiled(replace(QUALITY, allow_off_stain=True, drop=("off_stain",)))


# Real tissue and planted flaws.


def test_real_clean_tissue_is_kept(test_data) -> None:
    for path, mpp, tile_mpp in ((CMU, None, 0.5), (TCGA, 1.0, 1.0)):
        with open_slide(test_data / path, fallback_mpp=mpp) as slide:
            tiles, _, _ = tile_slide(
                slide,
                "S1",
                slide_digest="x",
                spec=TileSpec(mpp=tile_mpp),
                tissue=OtsuSaturation(),
                quality=QUALITY,
            )
        assert len(tiles.dropped.coords_N2) == 0
        assert (tiles.flags_N > 0).mean() < 0.03
