"""The fast reader shows what OpenSlide shows, or is not used."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import openslide
import pytest
import tifffile
from PIL import Image

from histofed.errors import SlideUnreadable
from histofed.io.pyramid import write_pyramid
from histofed.io.readers import block_memory, open_slide, tiff, tiff_levels
from histofed.io.readers.tiff import TiffReader

if TYPE_CHECKING:
    from pathlib import Path

CMU = "slides/CMU-1-Small-Region.svs"
TCGA = "slides/tcga-cr-7395-01a-01-ts1.svs"
DICOM = "slides/dicom-cmu-1-small-region/level-0-frames-0-30.dcm"


def picture(width: int, height: int) -> np.ndarray:
    coarse = np.random.default_rng(0).integers(40, 250, (height // 20 + 2, width // 20 + 2, 3))
    image = Image.fromarray(coarse.astype(np.uint8))
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))


@pytest.fixture
def slide(tmp_path) -> Path:
    return write_pyramid(tmp_path / "s.svs", picture(1531, 1203), mpp=0.25)


@pytest.mark.parametrize("name", [CMU, TCGA])
def test_every_pixel_of_every_level_is_openslides(test_data, name) -> None:
    """Aperio with JPEG; Aperio with JPEG 2000, a colour profile and two levels."""
    with (
        open_slide(test_data / name, fallback_mpp=0.25) as fast,
        openslide.OpenSlide(test_data / name) as reference,
    ):
        assert fast.rule == "tiff"
        for level, (width, height) in enumerate(reference.level_dimensions):
            expected = reference.read_region((0, 0), level, (width, height)).convert("RGB")
            found = fast.read(level, 0, 0, width_px=width, height_px=height)
            assert np.abs(found.astype(int) - np.asarray(expected)).max() <= 2


def test_rectangles_that_share_blocks_decode_them_once(slide, monkeypatch) -> None:
    """Where they are kept; each open slide has its own."""
    with open_slide(slide) as plain:
        expected = plain.read(0, 200, 100, width_px=200, height_px=200)
    kept = block_memory(1 << 24)
    with open_slide(slide, kept=kept) as one, open_slide(slide, kept=kept) as other:
        reads: list[int] = []
        pread = os.pread
        monkeypatch.setattr(os, "pread", lambda *given: reads.append(given[2]) or pread(*given))
        for reader in (one, other):
            reader.read(0, 250, 10, width_px=10, height_px=200)  # two of the four blocks below
            found = reader.read(0, 200, 100, width_px=200, height_px=200)
            assert np.array_equal(found, expected)
        assert len(reads) == 2 * len(set(reads)) == 2 * 4


@pytest.mark.parametrize("name", [CMU, TCGA, DICOM])
@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("threads", [0, 3])
def test_many_rectangles_are_the_single_ones(test_data, name, fast, threads) -> None:
    random = np.random.default_rng(0)
    with open_slide(test_data / name, fallback_mpp=0.25, fast=fast) as slide:
        width, height = slide.info.level_sizes_px[-1]
        corners = random.integers((-40, -40), (width, height), (40, 2))
        seen = []
        for numbers, pixels in slide.read_many(
            len(slide.info.level_sizes_px) - 1,
            corners,
            width_px=90,
            height_px=70,
            batch_size=7,
            threads=threads,
        ):
            assert pixels.shape == (len(numbers), 70, 90, 3)
            seen.extend(numbers.tolist())
            for number, found in zip(numbers, pixels, strict=True):
                x, y = corners[number].tolist()
                expected = slide.read(
                    len(slide.info.level_sizes_px) - 1, x, y, width_px=90, height_px=70
                )
                np.testing.assert_array_equal(found, expected)
        assert sorted(seen) == list(range(40))


def test_the_decoder_is_given_memory_that_it_writes_through_the_caches(slide) -> None:
    with open_slide(slide) as reader:
        level = tiff_levels.stored_levels(slide, reader.info)[0]
    content = slide.read_bytes()[level.offsets_bytes[0] :][: level.lengths_bytes[0]]
    blocks = [level.decode(content, 0) for _ in range(9)]  # kept, so that each lies elsewhere
    assert {block.ctypes.data % 32 for block in blocks} == {16}


def test_each_block_is_decoded_once(slide) -> None:
    corners = np.stack(np.meshgrid(np.arange(0, 1400, 111), np.arange(0, 1100, 111)), -1)
    with open_slide(slide) as reader:
        assert isinstance(reader, TiffReader)
        for _ in reader.read_many(
            0, corners.reshape(-1, 2), width_px=111, height_px=111, batch_size=4, threads=2
        ):
            pass
        # 13 * 111 = 1443 px and 10 * 111 = 1110 px are 6 and 5 blocks of 256.
        assert (reader.blocks_decoded, reader.blocks_touched) == (30, 30)


def test_reading_may_stop_half_way(slide) -> None:
    corners = np.stack(np.meshgrid(np.arange(0, 1400, 100), np.arange(0, 1100, 100)), -1)
    with open_slide(slide) as reader:
        batches = reader.read_many(
            0, corners.reshape(-1, 2), width_px=100, height_px=100, batch_size=2, threads=2
        )
        next(batches)
        batches.close()
        assert reader.read(0, 5, 6, width_px=9, height_px=8).shape == (8, 9, 3)


def test_nothing_to_read(slide) -> None:
    with open_slide(slide) as reader:
        nothing = np.zeros((0, 2), dtype=np.int64)
        assert not list(reader.read_many(0, nothing, width_px=9, height_px=9, batch_size=4))
        outside = np.array([[5000, 5000], [-100, 3]])
        ((numbers, pixels),) = reader.read_many(0, outside, width_px=9, height_px=9, batch_size=4)
        assert sorted(numbers.tolist()) == [0, 1]
        assert (pixels == 255).all()


@pytest.mark.parametrize(
    "stored",
    [
        {"compression": "lzw"},
        {"compression": "deflate", "predictor": True},
        {"compression": None},
        {"compression": "jpeg", "photometric": "ycbcr", "subsampling": (2, 2)},
        {"compression": "jpeg", "photometric": "rgb"},
    ],
    ids=["lzw", "deflate", "none", "jpeg-420", "jpeg-rgb"],
)
def test_generic_tiff(tmp_path, stored) -> None:
    path = tmp_path / "g.tif"
    tags = {"resolution": (20_000, 20_000), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(
        path, picture(700, 610), tile=(256, 128), **{"photometric": "rgb", **stored}, **tags
    )
    with open_slide(path) as fast, open_slide(path, fast=False) as slow:
        assert (fast.rule, slow.rule) == ("tiff", "openslide")
        size = {"width_px": 700, "height_px": 610}
        difference = fast.read(0, 0, 0, **size).astype(int) - slow.read(0, 0, 0, **size)
        assert np.abs(difference).max() <= 2


def write_ome(path: Path, pixels: np.ndarray) -> Path:
    """As converters write it: coarser levels in sub-directories of the first."""
    with tifffile.TiffWriter(path) as tiff:
        stored = {"tile": (256, 256), "photometric": "rgb", "compression": "jpeg"}
        tags = {"resolution": (20_000, 20_000), "resolutionunit": "CENTIMETER"}
        tiff.write(pixels, subifds=2, metadata={"axes": "YXS"}, **stored, **tags)
        for down in (2, 8):
            small = Image.fromarray(pixels).reduce(down)
            tiff.write(np.asarray(small), subfiletype=1, **stored)
    return path


def test_ome_tiff_shows_the_levels_that_openslide_does_not_know(tmp_path) -> None:
    pixels = picture(1600, 1203)
    path = write_ome(tmp_path / "s.ome.tif", pixels)
    with open_slide(path) as fast, open_slide(path, fast=False) as slow:
        assert fast.rule == "tiff"
        assert slow.info.level_sizes_px == ((1600, 1203),)
        assert fast.info.level_sizes_px == ((1600, 1203), (800, 602), (200, 151))
        assert fast.info.mpp == slow.info.mpp == 0.5
        size = {"width_px": 1600, "height_px": 1203}
        np.testing.assert_array_equal(fast.read(0, 0, 0, **size), slow.read(0, 0, 0, **size))
        coarse = fast.read(2, 30, 20, width_px=100, height_px=90)
        with tifffile.TiffFile(path) as file:
            expected = file.series[0].levels[2].asarray()[20:110, 30:130]
        np.testing.assert_array_equal(coarse, expected)


def write_philips(path: Path, pixels: np.ndarray) -> Path:
    """Each level padded to whole blocks, and the pixel spacing in XML."""
    spacing = '<Attribute Name="DICOM_PIXEL_SPACING" PMSVR="IDoubleArray">"{0}" "{0}"</Attribute>'
    levels = "".join(
        f'<DataObject ObjectType="PixelDataRepresentation">'
        f"{spacing.format(0.00025 * down)}</DataObject>"
        for down in (1, 2, 4)
    )
    xml = (
        '<?xml version="1.0" encoding="UTF-8" ?><DataObject ObjectType="DPUfsImport">'
        '<Attribute Name="PIM_DP_SCANNED_IMAGES" PMSVR="IDataObjectArray"><Array>'
        '<DataObject ObjectType="DPScannedImage">'
        '<Attribute Name="PIM_DP_IMAGE_TYPE" PMSVR="IString">WSI</Attribute>'
        f"{spacing.format(0.00025)}"
        '<Attribute Name="PIIM_PIXEL_DATA_REPRESENTATION_SEQUENCE" PMSVR="IDataObjectArray">'
        f"<Array>{levels}</Array></Attribute></DataObject></Array></Attribute></DataObject>"
    )
    with tifffile.TiffWriter(path) as tiff:
        for level, down in enumerate((1, 2, 4)):
            small = np.asarray(Image.fromarray(pixels).reduce(down))
            rows, columns = (-length % 512 for length in small.shape[:2])
            tiff.write(
                np.pad(small, ((0, rows), (0, columns), (0, 0)), constant_values=255),
                tile=(512, 512),
                photometric="rgb",
                compression="jpeg",
                software="Philips DP v1.0",
                description=None if level else xml,
                metadata=None,
                subfiletype=int(level > 0),
            )
    return path


def test_philips_tiff_whose_levels_are_padded(tmp_path) -> None:
    path = write_philips(tmp_path / "s.tiff", picture(1600, 1203))
    with open_slide(path) as fast, open_slide(path, fast=False) as slow:
        assert (fast.rule, fast.info.vendor, fast.info.mpp) == ("tiff", "philips", 0.25)
        assert fast.info.level_sizes_px == ((2048, 1536), (1024, 768), (512, 384))
        for level, (width, height) in enumerate(fast.info.level_sizes_px):
            size = {"width_px": width + 3, "height_px": height + 5}
            found, expected = (each.read(level, 0, 0, **size) for each in (fast, slow))
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("vendor", ["generic", "aperio"])
def test_a_block_that_was_never_written_is_what_openslide_makes_of_it(tmp_path, vendor) -> None:
    path = write_pyramid(tmp_path / "s.tif", picture(1531, 1203), mpp=0.25, vendor=vendor)
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        tag = file.pages[0].tags["TileByteCounts"]
        assert tag.dtype == tifffile.DATATYPE.LONG
        content[tag.valueoffset : tag.valueoffset + 4] = bytes(4)
    path.write_bytes(content)
    with open_slide(path) as fast, open_slide(path, fast=False) as slow:
        assert fast.rule == {"generic": "tiff", "aperio": "openslide: blocks are missing"}[vendor]
        found = fast.read(0, 0, 0, width_px=400, height_px=300)
        assert (found[:256, :256] == 255).all()
        np.testing.assert_array_equal(found, slow.read(0, 0, 0, width_px=400, height_px=300))


def test_damage_is_refused_by_name_and_place_and_stays_there(tmp_path, slide) -> None:
    content = bytearray(slide.read_bytes())
    with tifffile.TiffFile(slide) as file:
        offset, length = file.pages[0].dataoffsets[7], file.pages[0].databytecounts[7]
    content[offset : offset + length] = bytes(length)
    path = tmp_path / "hurt.svs"
    path.write_bytes(content)
    for fast in (True, False):
        with open_slide(path, fast=fast) as reader:
            with pytest.raises(SlideUnreadable, match=r"slide hurt\.svs: the region at x=\d+, y=2"):
                reader.read(0, 256, 256, width_px=50, height_px=50)
            assert reader.read(0, 0, 0, width_px=50, height_px=50).shape == (50, 50, 3)


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("threads", [0, 2])
def test_what_touches_damage_may_be_left_out_and_nothing_else(
    tmp_path, slide, fast, threads
) -> None:
    content = bytearray(slide.read_bytes())
    with tifffile.TiffFile(slide) as file:
        page = file.pages[0]
        for block in (0, 14):  # of 6 a row: at x, y = 0, 0 and 512, 512
            offset, length = page.dataoffsets[block], page.databytecounts[block]
            content[offset : offset + length] = bytes(length)
    path = tmp_path / "hurt.svs"
    path.write_bytes(content)
    starts = np.arange(0, 1100, 100)
    corners = np.stack(np.meshgrid(starts, starts), -1).reshape(-1, 2)
    hurt = ((corners < 256) | ((corners + 100 > 512) & (corners < 768))).all(axis=1)
    hurt &= (corners[:, 0] < 256) == (corners[:, 1] < 256)
    with open_slide(path, fast=fast) as reader, open_slide(slide) as whole:
        seen, sizes = [], []
        for numbers, pixels in reader.read_many(
            0,
            corners,
            width_px=100,
            height_px=100,
            batch_size=8,
            threads=threads,
            skip_damaged=True,
        ):
            seen.extend(numbers.tolist())
            sizes.append(len(numbers))
            for number, found in zip(numbers, pixels, strict=True):
                expected = whole.read(0, *corners[number].tolist(), width_px=100, height_px=100)
                assert np.abs(found.astype(int) - expected).max() <= 2
        assert sorted(seen) == np.flatnonzero(~hurt).tolist()
        assert len(sizes) <= -(-len(corners) // 8)  # in the batches they were to come in
        assert reader.blocks_decoded == reader.blocks_touched


def test_a_file_that_shrinks_while_it_is_read_is_refused(slide) -> None:
    with open_slide(slide) as reader:
        with slide.open("r+b") as file:
            file.truncate(5000)
        with pytest.raises(SlideUnreadable, match=r"slide s\.svs: .*the file ends before it"):
            reader.read(0, 1300, 1100, width_px=50, height_px=50)


def test_other_formats_are_left_to_openslide_and_say_so(test_data) -> None:
    with open_slide(test_data / DICOM) as reader:
        assert reader.rule == "openslide: format dicom"


def test_a_level_is_never_taken_from_the_directory_of_another(tmp_path) -> None:
    """Two levels that are both smaller than a block, and look alike on average."""
    cell = picture(272, 304)
    path = write_pyramid(tmp_path / "s.svs", np.tile(cell, (4, 4, 1)), mpp=0.48)
    with open_slide(path) as fast, open_slide(path, fast=False) as slow:
        assert fast.rule == "tiff"
        assert fast.info.level_sizes_px == ((1088, 1216), (272, 304), (68, 76))
        for level, (width, height) in enumerate(fast.info.level_sizes_px):
            size = {"width_px": width, "height_px": height}
            found, expected = (each.read(level, 0, 0, **size) for each in (fast, slow))
            np.testing.assert_array_equal(found, expected)


def test_a_block_that_ends_early_is_unreadable_as_for_openslide(tmp_path, slide) -> None:
    content = bytearray(slide.read_bytes())
    with tifffile.TiffFile(slide) as file:
        offset, length = file.pages[0].dataoffsets[7], file.pages[0].databytecounts[7]
    content[offset + length // 2 : offset + length] = bytes(length - length // 2)
    path = tmp_path / "half.svs"
    path.write_bytes(content)
    for fast in (True, False):
        with (
            open_slide(path, fast=fast) as reader,
            pytest.raises(SlideUnreadable, match=r"slide half\.svs: the region at x=\d+, y=2"),
        ):
            reader.read(0, 256, 256, width_px=256, height_px=256)


def test_other_colours_than_openslides_are_left_to_openslide(slide, monkeypatch) -> None:
    """As a decoder that takes YCbCr for RGB would show them."""

    def swapped(path, info):
        levels = tiff_levels.stored_levels(path, info)
        for level in levels:
            decode = level.decode
            object.__setattr__(level, "decode", lambda *a, d=decode: d(*a)[..., ::-1])
        return levels

    monkeypatch.setattr(tiff, "stored_levels", swapped)
    with open_slide(slide) as reader:
        assert reader.rule.startswith("openslide: level 0 differs from OpenSlide by ")
