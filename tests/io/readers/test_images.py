"""A folder of images is read as one slide: pixels, order, damage, and what is refused."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from histofed.core.tiling import TileSpec, full_grid
from histofed.errors import ConfigError, MissingMpp, SlideUnreadable
from histofed.extract.reading import read_batches, read_tile
from histofed.io.readers import image_folders, images, open_slide, slide_digest, slide_name

SIZES = {"b.png": (70, 50), "a.tif": (64, 96), "c.bmp": (33, 40), "d.PNG": (120, 64)}
MPP = 0.25


def pixels(width: int, height: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def make_folder(folder: Path) -> dict[str, np.ndarray]:
    """Write images without loss; return name -> pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    made = {}
    for seed, (name, size) in enumerate(SIZES.items()):
        made[name] = pixels(*size, seed)
        Image.fromarray(made[name]).save(folder / name)
    return made


@pytest.fixture(scope="module")
def smear(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("smears") / "m.1"
    make_folder(folder)
    return folder


def plane_of(smear: Path) -> np.ndarray:
    """Return the whole plane, pasted by hand."""
    with open_slide(smear, mpp=MPP) as reader:
        plane = np.full((reader.info.height_px0, reader.info.width_px0, 3), 255, np.uint8)
        for image in reader.info.images:
            rows = slice(image.y_px0, image.y_px0 + image.height_px0)
            columns = slice(image.x_px0, image.x_px0 + image.width_px0)
            plane[rows, columns] = np.asarray(Image.open(smear / image.name))
    return plane


def test_images_come_by_name_and_everything_is_where_it_says(smear) -> None:
    with open_slide(smear, mpp=MPP) as reader:
        info = reader.info
        assert [image.name for image in info.images] == sorted(SIZES)
        assert (info.mpp, info.mpp_from, len(info.level_sizes_px)) == (MPP, "table", 1)
        assert reader.rule == "images: 4 of 4 sizes (33 x 40 to 120 x 64)"
        whole = reader.read(0, 0, 0, width_px=info.width_px0, height_px=info.height_px0)
    np.testing.assert_array_equal(whole, plane_of(smear))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
@pytest.mark.parametrize("threads", [0, 2])
def test_rectangles_anywhere_are_those_of_the_plane(smear, threads, data) -> None:
    """Over gutters, over several images, over the border, and beside all."""
    plane = np.pad(plane_of(smear), ((300, 300), (300, 300), (0, 0)), constant_values=255)
    width, height = data.draw(st.integers(1, 290)), data.draw(st.integers(1, 290))
    place = st.tuples(
        st.integers(-300, plane.shape[1] - 600), st.integers(-300, plane.shape[0] - 600)
    )
    corners = np.array(data.draw(st.lists(place, min_size=1, max_size=9)))
    batch_size = data.draw(st.integers(1, 4))
    size = {"width_px": width, "height_px": height, "batch_size": batch_size}
    seen = []
    with open_slide(smear, mpp=MPP) as reader:
        for numbers, found in reader.read_many(0, corners, threads=threads, **size):
            assert len(numbers) <= batch_size
            for number, rectangle in zip(numbers.tolist(), found, strict=True):
                x, y = corners[number] + 300
                np.testing.assert_array_equal(rectangle, plane[y : y + height, x : x + width])
                seen.append(number)
    assert sorted(seen) == list(range(len(corners)))


@pytest.mark.parametrize("threads", [0, 2])
def test_tiles_are_direct_crops_bit_for_bit(smear, threads) -> None:
    spec = TileSpec(size_px=32, mpp=MPP)
    with open_slide(smear, mpp=MPP) as reader:
        coords = full_grid(spec, reader.info)
        assert len(coords) == 2 * 1 + 2 * 3 + 1 * 1 + 3 * 2
        crops = {}
        for image in reader.info.images:
            stored = np.asarray(Image.open(smear / image.name))
            for number, (x, y) in enumerate((coords - [image.x_px0, image.y_px0]).tolist()):
                if 0 <= x < image.width_px0 and 0 <= y < image.height_px0:
                    crops[number] = stored[y : y + 32, x : x + 32]
        assert len(crops) == len(coords)
        for numbers, tiles in read_batches(reader, spec, coords, batch_size=5, threads=threads):
            for number, tile in zip(numbers.tolist(), tiles, strict=True):
                np.testing.assert_array_equal(tile, crops[number])
                alone = read_tile(reader, spec, *coords[number].tolist())
                np.testing.assert_array_equal(alone, crops[number])


def test_a_padded_cell_is_its_image_on_white(smear) -> None:
    spec = TileSpec(size_px=128, mpp=MPP, images="cells")
    with open_slide(smear, mpp=MPP) as reader:
        coords = full_grid(spec, reader.info)
        whole = plane_of(smear)
        for x, y in coords.tolist():
            tile = read_tile(reader, spec, x, y)
            np.testing.assert_array_equal(tile, whole[y : y + 128, x : x + 128])
        first = reader.info.images[0]  # of 64 x 96: 32 and 16 pixels of white on either side
        tile = read_tile(reader, spec, first.x_px0 - 32, first.y_px0 - 16)
        assert [first.x_px0 - 32, first.y_px0 - 16] in coords.tolist()
        stored = np.asarray(Image.open(smear / first.name))
        np.testing.assert_array_equal(tile[16:112, 32:96], stored)


@pytest.mark.parametrize("threads", [0, 3])
def test_an_image_is_decoded_once_for_all_of_its_tiles(smear, monkeypatch, threads) -> None:
    decoded = []
    decode = images._decoded
    monkeypatch.setattr(images, "_decoded", lambda path: decoded.append(path.name) or decode(path))
    monkeypatch.setattr(images, "CACHE_BYTES", 0)
    spec = TileSpec(size_px=8, mpp=MPP)
    with open_slide(smear, mpp=MPP) as reader:
        coords = np.random.default_rng(0).permutation(full_grid(spec, reader.info))
        n_tiles = sum(
            len(n) for n, _ in read_batches(reader, spec, coords, batch_size=7, threads=threads)
        )
        assert (reader.blocks_decoded, reader.blocks_touched) == (4, 4)
    assert n_tiles == len(coords) > 200
    assert sorted(decoded) == sorted(SIZES)


def test_neighbours_are_read_from_memory(smear, monkeypatch) -> None:
    with open_slide(smear, mpp=MPP) as reader:
        place = reader.info.images[0]
        for shift in range(5):
            reader.read(0, place.x_px0 + shift, place.y_px0, width_px=9, height_px=9)
        assert reader.blocks_decoded == 1
        monkeypatch.setattr(images, "CACHE_BYTES", 0)
        for image in (*reader.info.images, place):  # no room but for the last
            reader.read(0, image.x_px0, image.y_px0, width_px=9, height_px=9)
        assert reader.blocks_decoded == 1 + 3 + 1


def test_what_is_transparent_is_white_and_grey_is_grey(tmp_path) -> None:
    clear = np.zeros((8, 8, 4), np.uint8)
    clear[:4] = (200, 10, 20, 255)
    Image.fromarray(clear).save(tmp_path / "a.png")
    Image.fromarray(np.full((8, 8), 77, np.uint8)).save(tmp_path / "b.png")
    with open_slide(tmp_path, mpp=MPP) as reader:
        a, b = (
            reader.read(0, i.x_px0, i.y_px0, width_px=8, height_px=8) for i in reader.info.images
        )
    assert a[0, 0].tolist() == [200, 10, 20]
    assert a[7, 7].tolist() == [255, 255, 255]
    assert (b == 77).all()


# What else lies in a folder.


def test_other_files_are_left_aside_by_name_and_hidden_ones_silently(tmp_path) -> None:
    make_folder(tmp_path)
    for name in ("Thumbs.db", "notes.txt", "report.pdf", "zoom.xml", ".DS_Store", "._a.tif"):
        (tmp_path / name).write_text("x")
    (tmp_path / "raw").mkdir()
    with open_slide(tmp_path, mpp=MPP) as reader:
        assert len(reader.info.images) == 4
        assert reader.rule.endswith("left aside: Thumbs.db, notes.txt, raw and 2 more")


def save_16_bit(path: Path) -> None:
    Image.fromarray(np.zeros((9, 9), np.uint16)).save(path)


def save_pages(path: Path) -> None:
    page = Image.new("RGB", (9, 9))
    page.save(path, save_all=True, append_images=[page])


def save_header_of_900_million_pixels(path: Path) -> None:
    header = b"IHDR" + struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    length, check = struct.pack(">I", 13), struct.pack(">I", zlib.crc32(header))
    pixels = struct.pack(">I", 9) + b"IDAT" + bytes(9)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + length + header + check + pixels)


@pytest.mark.parametrize(
    ("name", "write", "said"),
    [
        ("bad.png", lambda p: p.write_text("no image"), "bad.png cannot be opened as an image"),
        ("bad.jpg", lambda p: p.write_bytes(b""), "bad.jpg cannot be opened as an image"),
        ("lost.png", lambda p: p.symlink_to("gone.png"), "lost.png cannot be opened as an image"),
        ("deep.png", save_16_bit, "deep.png has pixels of the kind I;16, not colours of 8 bits"),
        ("two.tif", save_pages, "two.tif holds 2 pictures"),
        ("huge.png", lambda p: Image.new("1", (8200, 8200)).save(p), "huge.png is of 8200 x 8200"),
        (
            "giant.png",
            save_header_of_900_million_pixels,
            "giant.png is of very many pixels",
        ),
        ("x.svs", lambda p: p.write_text(""), "the folder holds a slide, x.svs"),
        ("x.dcm", lambda p: p.write_text(""), "the folder holds a slide, x.dcm"),
    ],
)
def test_a_file_at_fault_is_named(tmp_path, name, write, said) -> None:
    make_folder(tmp_path / "m1")
    write(tmp_path / "m1" / name)
    with pytest.raises(SlideUnreadable) as caught:
        open_slide(tmp_path / "m1", mpp=MPP)
    assert said in str(caught.value)
    assert "slide m1" in str(caught.value)


def test_a_folder_without_images_is_named(tmp_path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(SlideUnreadable, match=r"no image in the folder .* holds 1 other file"):
        open_slide(tmp_path, mpp=MPP)


def test_images_do_not_say_their_resolution(smear) -> None:
    with pytest.raises(MissingMpp, match=r"slide m\.1"):
        open_slide(smear)
    with pytest.raises(ConfigError, match="positive"):
        open_slide(smear, mpp=0.0)
    with open_slide(smear, fallback_mpp=0.2) as reader:
        assert (reader.info.mpp, reader.info.mpp_from) == (0.2, "option")


def test_a_damaged_image_costs_its_own_tiles_only(tmp_path) -> None:
    make_folder(tmp_path)
    whole = (tmp_path / "b.png").read_bytes()
    (tmp_path / "b.png").write_bytes(whole[: len(whole) // 2])  # the header is there
    spec = TileSpec(size_px=32, mpp=MPP)
    with open_slide(tmp_path, mpp=MPP) as reader:
        coords = full_grid(spec, reader.info)
        with pytest.raises(SlideUnreadable, match=r"b\.png cannot be read"):
            list(read_batches(reader, spec, coords, batch_size=3))
        left = np.concatenate(
            [n for n, _ in read_batches(reader, spec, coords, batch_size=3, skip_damaged=True)]
        )
        place = next(image for image in reader.info.images if image.name == "b.png")
    lost = np.setdiff1d(np.arange(len(coords)), left)
    assert len(lost) == 2
    assert (coords[lost] - [place.x_px0, place.y_px0]).tolist() == [[0, 0], [32, 0]]


def test_an_image_replaced_by_another_size_is_named(tmp_path) -> None:
    make_folder(tmp_path)
    with open_slide(tmp_path, mpp=MPP) as reader:
        place = reader.info.images[0]
        Image.new("RGB", (5, 5)).save(tmp_path / place.name)
        with pytest.raises(SlideUnreadable, match=r"a\.tif was replaced by an image of another"):
            reader.read(0, place.x_px0, place.y_px0, width_px=9, height_px=9)


def test_the_digest_is_of_names_and_content(tmp_path) -> None:
    make_folder(tmp_path / "one")
    make_folder(tmp_path / "two")
    before = slide_digest(tmp_path / "one")
    assert slide_digest(tmp_path / "two") == before
    (tmp_path / "two" / "notes.txt").write_text("no image, so no part of it")
    assert slide_digest(tmp_path / "two") == before
    (tmp_path / "two" / "b.png").rename(tmp_path / "two" / "z.png")
    moved = slide_digest(tmp_path / "two")
    Image.fromarray(pixels(33, 40, 9)).save(tmp_path / "one" / "c.bmp")
    assert len({before, moved, slide_digest(tmp_path / "one")}) == 3


def test_which_folders_are_slides(tmp_path) -> None:
    for name in ("m2", "m1", "with slides", ".hidden"):
        make_folder(tmp_path / name)
    (tmp_path / "with slides" / "a.tif").unlink()
    (tmp_path / "with slides" / "x.svs").touch()
    (tmp_path / "m1" / "a.tif").unlink()
    (tmp_path / "m2" / "a.tif").unlink()
    (tmp_path / "empty").mkdir()
    found = image_folders(tmp_path)
    assert [slide_name(folder) for folder in found] == ["m1", "m2"]
    assert image_folders(tmp_path / "m1") == [tmp_path / "m1"]
    assert slide_name(Path(tmp_path / "m1" / "..")) == tmp_path.name
