from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from histofed.errors import ConfigError, StainUnclear
from histofed.extract.stain.macenko import PUBLISHED, Macenko, Stains, stain_vectors
from histofed.synth.stain import SITES

WHITE, LEAST = 240.0, 0.15


def density_of(light: np.ndarray) -> np.ndarray:
    return -np.log10(np.maximum(light.astype(np.float64), 1) / WHITE)


def by_the_paper(tile: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Algorithm 1 of Macenko et al. 2009, step by step: vectors, maxima, normalised tile."""
    density = density_of(tile.reshape(-1, 3))
    kept = density[np.linalg.norm(density, axis=1) >= LEAST]
    _, _, right = np.linalg.svd(kept, full_matrices=False)
    plane = right[:2]
    plane[0] *= np.sign(plane[0].sum())
    projected = kept @ plane.T
    projected /= np.linalg.norm(projected, axis=1, keepdims=True)
    angles = np.arctan2(projected[:, 1], projected[:, 0])
    ends = np.percentile(angles, [1, 99])
    vectors = np.stack([np.cos(ends), np.sin(ends)], axis=1) @ plane
    vectors = np.maximum(vectors, 0)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = vectors[np.argsort(-vectors[:, 0])]
    amounts = np.maximum(np.linalg.lstsq(vectors.T, density.T, rcond=None)[0], 0)
    of_kept = np.maximum(np.linalg.lstsq(vectors.T, kept.T, rcond=None)[0], 0)
    most = np.percentile(of_kept, 99, axis=1)
    target = np.array([[0.5626, 0.7201, 0.4062], [0.2159, 0.8012, 0.5581]])
    scaled = amounts * (np.array([1.9705, 1.0308]) / np.log(10) / most)[:, None]
    light = WHITE * 10 ** -(scaled.T @ target)
    return vectors, most, np.clip(light.round(), 0, 255).reshape(tile.shape)


def test_is_the_algorithm_of_the_paper(tile, flatten) -> None:
    vectors, most, expected = by_the_paper(tile[0].numpy())
    method = Macenko()
    found = method.learned(flatten(tile), name="tissue")
    np.testing.assert_allclose(found.vectors_S3, vectors, atol=1e-8)
    np.testing.assert_allclose(found.most_S, most, rtol=1e-8)
    apart = np.abs(method.brought(tile, found)[0].numpy() - expected)
    assert apart.max() <= 1
    assert (apart > 0).mean() < 0.001  # halves that 32 bits round the other way


@pytest.mark.parametrize("site", SITES, ids=lambda site: site.name)
def test_finds_the_stains_that_the_tissue_was_given(site, tissue, flatten) -> None:
    found = Macenko().learned(flatten(tissue.in_stain(site.stain)), name="tissue")
    dyes = (site.stain.haematoxylin, site.stain.eosin)
    for vector, dye in zip(found.vectors_S3, dyes, strict=True):
        truth = np.asarray(dye) / np.linalg.norm(dye)
        angle_deg = np.degrees(np.arccos(np.clip(vector.numpy() @ truth, -1, 1)))
        assert angle_deg < 3  # a glass that is not quite white turns pale pixels by 2


def test_two_stains_of_one_tissue_come_closer(pale_and_strong, normalised, compare) -> None:
    one, other = pale_and_strong
    before = compare(one, other)
    after = compare(normalised(Macenko(), one), normalised(Macenko(), other))
    assert before > 10
    assert after < before / 8


def test_twice_changes_little(tile, normalised, compare) -> None:
    once = normalised(Macenko(), tile)
    twice = normalised(Macenko(), once)
    assert compare(tile, once) > 10
    assert compare(once, twice) < 1.5


@settings(max_examples=20, deadline=None)
@given(
    tiles=arrays(np.uint8, (4, 5, 7, 3)),
    start=st.integers(0, 3),
    stop=st.integers(1, 4),
    order=st.permutations(range(4)),
)
def test_a_tile_does_not_depend_on_its_batch(tiles, start, stop, order) -> None:
    method, found = Macenko(), PUBLISHED
    whole = method.brought(torch.from_numpy(tiles), found)
    assert whole.dtype == torch.uint8
    if start < stop:
        part = method.brought(torch.from_numpy(tiles[start:stop]), found)
        assert torch.equal(part, whole[start:stop])
    turned = method.brought(torch.from_numpy(tiles[list(order)]), found)
    assert torch.equal(turned, whole[list(order)])


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**20))
def test_the_order_of_pixels_does_not_matter(tissue, flatten, seed) -> None:
    pixels = flatten(tissue.in_stain(SITES[1].stain))[::16]
    order = torch.randperm(len(pixels), generator=torch.Generator().manual_seed(seed))
    straight = Macenko().learned(pixels, name="tissue")
    shuffled = Macenko().learned(pixels[order], name="tissue")
    torch.testing.assert_close(shuffled.vectors_S3, straight.vectors_S3)
    torch.testing.assert_close(shuffled.most_S, straight.most_S)


def test_glass_becomes_white_and_teaches_nothing(tissue, flatten) -> None:
    tile = tissue.in_stain(SITES[2].stain)
    more_glass = torch.cat([flatten(tile), torch.full((9 * 256**2, 3), 243.0).double()])
    one = Macenko().learned(flatten(tile), name="tissue")
    other = Macenko().learned(more_glass, name="tissue")
    torch.testing.assert_close(one.vectors_S3, other.vectors_S3)
    torch.testing.assert_close(one.most_S, other.most_S)
    bright = torch.full((1, 2, 2, 3), 250, dtype=torch.uint8)
    assert (Macenko().brought(bright, one) == 240).all()


def test_haematoxylin_is_first_whatever_there_is_more_of() -> None:
    dyes = PUBLISHED.vectors_S3
    generator = torch.Generator().manual_seed(0)
    for share in (0.1, 0.9):
        blue = torch.rand(4000, generator=generator) < share
        amounts = 0.5 + torch.rand(4000, generator=generator).double()
        density = amounts[:, None] * torch.where(blue[:, None], dyes[0], dyes[1])
        found = stain_vectors(density, percentile=1, name="tissue")
        torch.testing.assert_close(found, dyes / dyes.norm(dim=1, keepdim=True))


def test_amounts_are_never_negative() -> None:
    stains = Stains(PUBLISHED.vectors_S3, PUBLISHED.most_S)
    beyond = torch.tensor([[0.9, 0.3, 0.1], [0.0, 0.4, 0.9], [-0.1, -0.1, -0.1]]).double()
    amounts = torch.stack(stains.amounts(beyond))
    assert (amounts >= 0).all()
    assert amounts.max() > 0


def test_what_has_no_two_stains_is_refused(unclear, flatten) -> None:
    reason, tile = unclear
    with pytest.raises(StainUnclear, match=rf"slide S1: .*{reason}.*stain=none"):
        Macenko().learned(flatten(tile), name="slide S1")


def test_a_stain_that_hardly_a_pixel_has_is_refused() -> None:
    """Without a percentile one pixel decides what the second stain is."""
    amounts = torch.linspace(0.3, 1.2, 2000).double()
    light = 240 * 10 ** -(amounts[:, None] * PUBLISHED.vectors_S3[0])
    light[7] = torch.tensor([235.0, 60, 120])
    with pytest.raises(StainUnclear, match=r"slide S1: its strongest pixels hold .* of eosin"):
        Macenko(angle_percentile=0).learned(light, name="slide S1")
    with pytest.raises(StainUnclear, match="one stain"):
        Macenko().learned(light, name="slide S1")


@pytest.mark.parametrize(
    "options", [{"angle_percentile": 30}, {"most_percentile": 10}, {"white": 0}, {"n_tiles": 1001}]
)
def test_impossible_parameters_are_refused(options) -> None:
    with pytest.raises(ConfigError, match=rf"stain\.{next(iter(options))}"):
        Macenko(**options)
