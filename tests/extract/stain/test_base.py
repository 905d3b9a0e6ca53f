from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from histofed.core.tiling import TileSpec
from histofed.errors import ConfigError, SlideUnreadable, StainUnclear
from histofed.extract.stain import AsScanned, Macenko, Reinhard
from histofed.extract.stain.augment import hed_jitter
from histofed.extract.stain.base import sampled
from histofed.extract.stain.density import optical_density
from histofed.extract.stain.reinhard import TARGET
from histofed.extract.tiles import tile_slide
from histofed.extract.tissue import OtsuSaturation
from histofed.io.pyramid import write_pyramid
from histofed.io.readers import open_slide
from histofed.synth.stain import SITES

SPEC = TileSpec(size_px=64)
METHODS = (Macenko, Reinhard)


@pytest.fixture(scope="module")
def slide(tissue, tmp_path_factory):
    """Five fields of tissue side by side, and the tiles in them: the last field is eosin alone."""
    stain = SITES[1].stain
    field = tissue.in_stain(stain)[0].numpy()
    eosin = np.full(tissue.eosin_HW.shape, 0.9, np.float32)
    pink = stain.through(np.zeros_like(eosin), eosin)
    path = tmp_path_factory.mktemp("slide") / "S1.svs"
    write_pyramid(path, np.concatenate([field] * 4 + [pink], axis=1), mpp=0.5)
    with open_slide(path) as reader:
        tissue_of = OtsuSaturation(min_area_um2=0)
        tiles, _, _ = tile_slide(reader, "S1", slide_digest="", spec=SPEC, tissue=tissue_of)
        yield reader, tiles


@pytest.mark.parametrize("n_tiles", [1, 5, 1000])
def test_the_sample_is_even_and_always_the_same(slide, n_tiles) -> None:
    reader, tiles = slide
    sample = sampled(reader, tiles, n_tiles=n_tiles)
    assert len(sample) == min(n_tiles, len(tiles.coords_N2))
    np.testing.assert_array_equal(sampled(reader, tiles, n_tiles=n_tiles), sample)
    if n_tiles == 1000:  # every tile, in the order of the tiles
        for row in (0, 17, len(sample) - 1):
            (alone,) = sampled(reader, replace(tiles, coords_N2=tiles.coords_N2[[row]]), n_tiles=1)
            np.testing.assert_array_equal(sample[row], alone)


@pytest.mark.parametrize("method", METHODS)
def test_a_tile_is_not_its_slide(slide, method) -> None:
    """A tile of eosin alone stays pink; learned from itself it would be refused."""
    reader, tiles = slide
    last = tiles.coords_N2[:, 0].argmax()
    alone = replace(tiles, coords_N2=tiles.coords_N2[[last]])
    transform = method().fit(reader, tiles)
    pink = sampled(reader, alone, n_tiles=1)
    after = torch.from_numpy(transform(pink)).double()
    density = optical_density(after, white=240).reshape(-1, 3).mean(dim=0)
    assert density[0] < density[1] / 2  # red passes, green does not
    with pytest.raises(StainUnclear, match=r"slide S1: .*one stain"):
        method().fit(reader, alone)


@pytest.mark.parametrize("method", METHODS)
def test_more_tiles_in_the_sample_change_little(slide, method) -> None:
    reader, tiles = slide
    some = sampled(reader, tiles, n_tiles=4)
    few, many = (method(n_tiles=n).fit(reader, tiles)(some) for n in (24, 1000))
    assert np.abs(few.astype(int) - many).mean() < 2


@pytest.mark.parametrize("method", METHODS)
def test_tiles_stay_on_their_device(tissue, method, flatten) -> None:
    tile = tissue.in_stain(SITES[0].stain)
    found = method().learned(flatten(tile), name="tissue")
    assert method().brought(tile.to("meta"), found).device.type == "meta"
    assert hed_jitter(tile.to("meta"), sigma=0.1, seed=0).device.type == "meta"


def test_as_scanned_is_untouched_and_reads_nothing() -> None:
    tile = np.zeros((1, 2, 2, 3), np.uint8)
    assert AsScanned().fit(None, None)(tile) is tile  # type: ignore[arg-type]


@pytest.mark.parametrize("method", METHODS)
def test_a_sample_that_cannot_be_read_is_an_unreadable_slide(slide, method, monkeypatch) -> None:
    reader, tiles = slide

    def damaged(*args: object, **options: object):
        raise SlideUnreadable("damaged")
        yield

    monkeypatch.setattr(reader, "read_many", damaged)
    with pytest.raises(SlideUnreadable, match="damaged"):
        method().fit(reader, tiles)


# A reference that somebody gives.


@pytest.fixture
def reference(tissue, tmp_path):
    path = tmp_path / "reference.png"
    Image.fromarray(tissue.in_stain(SITES[2].stain)[0].numpy()).save(path)
    return path


@pytest.mark.parametrize("method", METHODS)
def test_a_reference_is_the_target(tissue, reference, method, normalised, compare) -> None:
    given = method(reference=str(reference))
    theirs, mine = tissue.in_stain(SITES[2].stain), tissue.in_stain(SITES[0].stain)
    assert compare(normalised(given, theirs), theirs) < 1.5
    assert (
        compare(normalised(given, mine), theirs) < compare(mine, theirs) / 3
    )  # glass stays as it is


@pytest.mark.parametrize("method", METHODS)
def test_the_record_has_the_digest_of_the_reference(tissue, reference, method) -> None:
    plain, one = method(), method(reference=str(reference))
    assert plain.record["target"] == "standard"
    assert len(one.record["target"]) == 64
    moved = reference.rename(reference.with_name("elsewhere.png"))
    assert method(reference=str(moved)).record == one.record
    Image.fromarray(tissue.in_stain(SITES[3].stain)[0].numpy()).save(moved)
    assert method(reference=str(moved)).record != one.record


@pytest.mark.parametrize("method", METHODS)
def test_equal_parameters_have_one_record(method) -> None:
    assert method(white=240).record == method(white=240.0).record == method().record
    assert method(n_tiles=12).record != method().record


@pytest.mark.parametrize("content", [b"", b"no picture", None])
def test_a_reference_that_is_no_picture_is_refused(tmp_path, content) -> None:
    path = tmp_path / "reference.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"reference\.png: (not a|no such) picture"):
        Macenko(reference=str(path))


@pytest.mark.parametrize("method", METHODS)
def test_a_reference_without_stains_is_refused_by_name(tmp_path, method) -> None:
    path = tmp_path / "grey.png"
    Image.new("RGB", (64, 64), (90, 90, 90)).save(path)
    with pytest.raises(StainUnclear, match=r"stain\.reference=.*grey\.png: it is grey"):
        method(reference=str(path))


def test_the_standard_colours_are_those_of_the_slide_that_is_named(test_data) -> None:
    with open_slide(test_data / "slides/CMU-1-Small-Region.svs") as reader:
        tiles, _, _ = tile_slide(
            reader, "cmu", slide_digest="", spec=TileSpec(), tissue=OtsuSaturation()
        )
        after = Macenko().fit(reader, tiles)(sampled(reader, tiles, n_tiles=64))
    pixels = torch.from_numpy(after[:, ::3, ::3].copy()).double().reshape(-1, 3)
    found = Reinhard().learned(pixels, name="cmu")
    torch.testing.assert_close(found.mean_3, TARGET.mean_3, atol=0.01, rtol=0)
    torch.testing.assert_close(found.std_3, TARGET.std_3, atol=0.005, rtol=0)
