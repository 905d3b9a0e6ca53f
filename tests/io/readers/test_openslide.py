from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import openslide
import pytest
import tifffile
from PIL import Image

from histofed.errors import MissingMpp, SlideError, SlideUnreadable
from histofed.io.pyramid import write_pyramid
from histofed.io.readers import find_slides, open_slide, slide_digest, slide_files, slide_name
from histofed.io.readers.dicom import series_uid
from histofed.io.readers.openslide import open_openslide, scanned_from_px0

if TYPE_CHECKING:
    from pathlib import Path

CMU = "slides/CMU-1-Small-Region.svs"
TCGA = "slides/tcga-cr-7395-01a-01-ts1.svs"


def smooth(width: int, height: int) -> np.ndarray:
    """A picture without repetition that JPEG reproduces well."""
    size = (height // 30 + 2, width // 30 + 2, 3)
    coarse = np.random.default_rng(0).integers(60, 250, size, dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def tiff_with_resolution(path: Path, per_cm: tuple[float, float] | None) -> Path:
    """A tiled TIFF that states its pixels per centimetre, horizontally and vertically."""
    tags = {} if per_cm is None else {"resolution": per_cm, "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(path, smooth(300, 260), tile=(256, 256), photometric="rgb", **tags)
    return path


def test_what_the_real_slide_says(test_data) -> None:
    with open_slide(test_data / CMU) as slide:
        assert slide.info.mpp == pytest.approx(0.499)
        assert slide.info.level_sizes_px == ((2220, 2967),)
        assert (slide.info.width_px0, slide.info.height_px0) == (2220, 2967)
        assert slide.info.objective_power == 20
        assert slide.info.vendor == "aperio"


def test_pixels_are_openslides(test_data) -> None:
    with open_slide(test_data / CMU) as slide, openslide.OpenSlide(test_data / CMU) as reference:
        found = slide.read(0, 700, 1500, width_px=123, height_px=77)
        expected = reference.read_region((700, 1500), 0, (123, 77)).convert("RGB")
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, np.asarray(expected))


def test_outside_the_slide_is_white(test_data) -> None:
    with open_slide(test_data / CMU) as slide:
        assert (slide.read(0, 2220, 2967, width_px=9, height_px=9) == 255).all()
        across = slide.read(0, 2210, 100, width_px=20, height_px=8)
        assert (across[:, 10:] == 255).all()
        assert not (across[:, :10] == 255).all()


def test_a_stated_resolution_is_kept_unless_overridden(test_data) -> None:
    with open_slide(test_data / CMU, fallback_mpp=0.25) as slide:
        assert slide.info.mpp == pytest.approx(0.499)
    with open_slide(test_data / CMU, mpp=0.25, fallback_mpp=0.5) as slide:
        assert slide.info.mpp == 0.25


def test_no_resolution_is_refused_by_name_with_the_remedy(test_data) -> None:
    with pytest.raises(MissingMpp) as refused:
        open_slide(test_data / TCGA)
    for said in ("slide tcga-cr-7395-01a-01-ts1.svs", "does not say", "mpp=", "column mpp"):
        assert said in str(refused.value)
    with open_slide(test_data / TCGA, fallback_mpp=0.25) as slide:
        assert slide.info.mpp == 0.25
        assert slide.info.objective_power is None
        assert slide.info.level_sizes_px == ((4443, 3567), (2221, 1783))


@pytest.mark.parametrize("per_cm", [(100, 100), (10_000_000, 10_000_000)])
def test_a_resolution_no_scanner_has_is_refused(tmp_path, per_cm) -> None:
    path = tiff_with_resolution(tmp_path / "s.tif", per_cm)
    with pytest.raises(MissingMpp, match=r"slide s\.tif: .* not a scanner's resolution .*mpp="):
        open_slide(path)
    with open_slide(path, mpp=0.5) as slide:
        assert slide.info.mpp == 0.5


def test_pixels_that_are_not_square_are_refused(tmp_path) -> None:
    path = tiff_with_resolution(tmp_path / "s.tif", (20_000, 40_000))
    with pytest.raises(
        SlideError, match=r"slide s\.tif: pixels are not square \(0\.5 x 0\.25.*mpp_table=FILE"
    ):
        open_slide(path)
    path = tiff_with_resolution(tmp_path / "t.tif", (20_000, 20_100))  # half a percent is noise
    with open_slide(path) as slide:
        assert slide.info.mpp == pytest.approx(10_000 / np.sqrt(20_000 * 20_100))


def test_what_is_not_a_slide_is_refused_by_name(test_data, tmp_path) -> None:
    said = r"slide broken\.svs: OpenSlide cannot open .* [\d,]+ bytes: .*truncated"
    with pytest.raises(SlideUnreadable, match=said):
        open_slide(test_data / "slides/broken.svs")
    (tmp_path / "zero.svs").touch()
    with pytest.raises(SlideUnreadable, match=r"slide zero\.svs: .* 0 bytes"):
        open_slide(tmp_path / "zero.svs")
    with pytest.raises(SlideUnreadable, match=r"nowhere\.svs: no such file"):
        open_slide(tmp_path / "nowhere.svs")
    with pytest.raises(SlideUnreadable, match=r"the folder holds a slide, zero\.svs"):
        open_slide(tmp_path)


def test_a_truncated_slide_is_refused_by_name_when_opened_or_read(test_data, tmp_path) -> None:
    whole = (test_data / CMU).read_bytes()
    path = tmp_path / "cut.svs"
    for part in (0.2, 0.9):
        path.write_bytes(whole[: int(len(whole) * part)])
        with pytest.raises(SlideUnreadable, match=r"slide cut\.svs"), open_slide(path) as slide:
            slide.read(0, 0, 0, width_px=2220, height_px=2967)


def write_damaged(tmp_path: Path) -> Path:
    """Write a slide whose first tile cannot be decoded."""
    path = write_pyramid(tmp_path / "s.svs", smooth(1200, 900), mpp=0.5)
    damaged = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tiff:
        offset, length = tiff.pages[0].dataoffsets[0], tiff.pages[0].databytecounts[0]
    damaged[offset : offset + length] = bytes(length)
    path.write_bytes(damaged)
    return path


def test_damage_inside_a_slide_is_refused_by_name_and_place(tmp_path) -> None:
    path = write_damaged(tmp_path)
    with (
        open_slide(path) as slide,
        pytest.raises(SlideUnreadable, match=r"slide s\.svs: the region at x=0, y=0 .* damaged"),
    ):
        slide.read(0, 0, 0, width_px=64, height_px=64)


def test_a_handle_that_failed_for_another_thread_is_replaced(tmp_path) -> None:
    """OpenSlide refuses everything after its first error, also to say how large levels are."""
    path = write_damaged(tmp_path)
    with open_openslide(path) as slide:
        with pytest.raises(openslide.OpenSlideError):
            slide._slide.read_region((0, 0), 0, (64, 64))
        with pytest.raises(SlideUnreadable, match="damaged"):
            slide.read(0, 600, 600, width_px=64, height_px=64)
        slide.read(0, 600, 600, width_px=64, height_px=64)
        with pytest.raises(openslide.OpenSlideError):
            slide._slide.read_region((0, 0), 0, (64, 64))
        path.write_bytes(b"gone")
        with pytest.raises(SlideUnreadable, match="damaged"):
            slide.read(0, 600, 600, width_px=64, height_px=64)


def test_a_dicom_folder_is_one_slide(test_data) -> None:
    found = find_slides(test_data / "slides")
    assert [path.name for path in found if path.suffix != ".dcm"] == [
        "CMU-1-Small-Region.svs",
        "broken.svs",
        "tcga-cr-7395-01a-01-ts1.svs",
    ]
    (dicom,) = (path for path in found if path.suffix == ".dcm")
    assert dicom == min((test_data / "slides/dicom-cmu-1-small-region").glob("*.dcm"))
    with open_slide(dicom) as slide:
        assert slide.info.mpp == pytest.approx(0.499, rel=1e-3)
        assert len(slide.info.level_sizes_px) == 5
        assert slide.info.level_sizes_px[0] == (2220, 2967)


def test_dicom_slides_are_told_apart_by_series_and_named_after_their_own_folder(
    test_data, tmp_path
) -> None:
    source = sorted((test_data / "slides/dicom-cmu-1-small-region").glob("*.dcm"))
    mixed, own = tmp_path / "mixed", tmp_path / "case-7"
    mixed.mkdir()
    own.mkdir()
    uid = series_uid(source[0])
    with openslide.OpenSlide(source[0]) as slide:
        assert uid.decode() == slide.properties["dicom.SeriesInstanceUID"]
    for file in source[:2]:
        content = file.read_bytes()
        for folder in (mixed, own):
            (folder / file.name).write_bytes(content)
        other = content.replace(uid, uid[:-1] + bytes([uid[-1] ^ 1]))
        (mixed / f"z-{file.name}").write_bytes(other)
    first = source[0].name
    assert find_slides(tmp_path) == [own / first, mixed / first, mixed / f"z-{first}"]
    assert [slide_name(path) for path in find_slides(tmp_path)] == [
        "case-7",
        source[0].stem,
        f"z-{source[0].stem}",
    ]
    assert slide_name(own / source[1].name) == "case-7"
    assert slide_name(tmp_path / "case-8.svs") == "case-8"
    assert slide_files(mixed / first) == [mixed / file.name for file in source[:2]]
    for path in find_slides(tmp_path):
        with open_slide(path) as slide:
            assert slide.info.level_sizes_px[0] == (2220, 2967)


def test_slides_are_found_in_folders_in_order_and_by_suffix(tmp_path) -> None:
    for name in ("b/2.SVS", "b/1.tif", "a.ndpi", "notes.txt", "b/x.jpg", "d/2.dcm", "d/1.dcm"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.svs").mkdir()
    names = [path.relative_to(tmp_path).as_posix() for path in find_slides(tmp_path)]
    assert names == ["a.ndpi", "b/1.tif", "b/2.SVS", "d/1.dcm"]
    assert find_slides(tmp_path / "notes.txt") == [tmp_path / "notes.txt"]  # named by the user
    with pytest.raises(SlideUnreadable, match=r"gone: no such file or folder.*slides="):
        find_slides(tmp_path / "gone")


@pytest.mark.parametrize("size", [10, 1 << 20, (1 << 20) + 5, (3 << 20) + 1])
def test_the_digest_notices_both_ends_and_the_size(tmp_path, size) -> None:
    path = tmp_path / "x.svs"
    content = bytearray(np.random.default_rng(0).bytes(size))
    path.write_bytes(content)
    seen = {slide_digest(path)}
    shutil.copy(path, tmp_path / "y.svs")
    assert slide_digest(tmp_path / "y.svs") in seen  # the name does not matter
    for change in (0, size - 1, min(size, 1 << 20) - 1):
        changed = bytearray(content)
        changed[change] ^= 1
        path.write_bytes(changed)
        seen.add(slide_digest(path))
    path.write_bytes(content[:-1])
    seen.add(slide_digest(path))
    assert len(seen) == 1 + len({0, size - 1, min(size, 1 << 20) - 1}) + 1


@pytest.mark.parametrize(
    ("first", "other"), [("d/1.dcm", "d/2.dcm"), ("m.mrxs", "m/Data0001.dat"), ("v.vms", "v-x.jpg")]
)
def test_the_digest_covers_every_file_of_a_slide(tmp_path, first, other) -> None:
    for name in (first, other):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x" * 100)
    seen = slide_digest(tmp_path / first)
    (tmp_path / other).write_bytes(b"y" * 100)
    assert slide_digest(tmp_path / first) != seen
    assert len(slide_files(tmp_path / first)) == 2


@pytest.mark.parametrize("size", [(3999, 2219), (4003, 607)])
def test_a_rectangle_of_a_level_is_where_it_was_asked_for(tmp_path, size) -> None:
    path = write_pyramid(tmp_path / "s.svs", smooth(*size), mpp=0.25)
    with open_slide(path) as slide, tifffile.TiffFile(path) as tiff:
        for level, (width, height) in enumerate(slide.info.level_sizes_px):
            truth = tiff.pages[level].asarray().astype(float)
            extent = min(60, width, height)
            for x, y in ((0, 0), (width - extent, 0), (width - extent, height - extent)):
                found = slide.read(level, x, y, width_px=extent, height_px=extent)
                expected = truth[y : y + extent, x : x + extent]
                assert np.abs(found - expected).mean() < 5


def test_a_thumbnail_shows_the_whole_slide_at_the_asked_resolution(test_data) -> None:
    with open_slide(test_data / CMU) as slide:
        thumbnail = slide.thumbnail(8.0)
        # 2220 * 0.499 / 8 = 138.47 and 2967 * 0.499 / 8 = 185.07
        assert thumbnail.shape == (186, 139, 3)
        whole = slide.read(0, 0, 0, width_px=2220, height_px=2967)
    np.testing.assert_allclose(thumbnail.mean((0, 1)), whole.mean((0, 1)), atol=1.0)


@pytest.mark.parametrize("width", [2240, 2220])
def test_a_pixel_of_a_thumbnail_is_exactly_the_asked_size(tmp_path, width) -> None:
    # At 8 um a thumbnail's pixel is 16 level-0 pixels: column 130 begins at pixel 2080.
    picture = np.full((320, width, 3), 240, dtype=np.uint8)
    picture[:, 2080:] = 60
    path = write_pyramid(tmp_path / "s.svs", picture, mpp=0.5)
    with open_slide(path) as slide:
        row = slide.thumbnail(8.0)[10, :, 1].astype(float)
    assert row[129] == pytest.approx(240, abs=12)
    assert row[130] == pytest.approx(60, abs=12)


def test_where_the_scanned_part_begins() -> None:
    said = {f"openslide.bounds-{name}": "7" for name in ("x", "y", "width", "height")}
    assert scanned_from_px0(said | {"openslide.bounds-x": "1200"}) == (1200, 7)
    del said["openslide.bounds-height"]
    assert scanned_from_px0(said) == (0, 0)
    assert scanned_from_px0(dict.fromkeys(said, "?")) == (0, 0)
