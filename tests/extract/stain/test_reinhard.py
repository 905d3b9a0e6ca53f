from __future__ import annotations

import numpy as np
import pytest
import torch

from histofed.errors import StainUnclear
from histofed.extract.stain.reinhard import TARGET, Reinhard, light_of, opponents_of

WHITE, LEAST = 240.0, 0.15
TO_CONES = np.array([[0.3811, 0.5783, 0.0402], [0.1967, 0.7244, 0.0782], [0.0241, 0.1288, 0.8444]])
TO_LAB = np.diag([1 / np.sqrt(3), 1 / np.sqrt(6), 1 / np.sqrt(2)]) @ [
    [1, 1, 1],
    [1, 1, -2],
    [1, -1, 0],
]


def by_the_paper(tile: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Equations 4 to 11 of Reinhard et al. 2001: the tile, and which of its pixels are stained."""
    light = np.maximum(tile.reshape(-1, 3).astype(np.float64), 1)
    stained = np.linalg.norm(-np.log10(light / WHITE), axis=1) >= LEAST
    lab = np.log(light @ TO_CONES.T) @ TO_LAB.T
    mean, std = lab[stained].mean(axis=0), lab[stained].std(axis=0)
    target_mean = np.array([8.52, -0.090, 0.040])
    target_std = np.array([0.512, 0.070, 0.018])
    moved = (lab - mean) * (target_std / std) + target_mean
    rgb = np.exp(moved @ np.linalg.inv(TO_LAB).T) @ np.linalg.inv(TO_CONES).T
    return np.clip(rgb.round(), 0, 255).reshape(tile.shape), stained.reshape(tile.shape[:2])


def test_is_the_method_of_the_paper(tile, normalised) -> None:
    expected, stained = by_the_paper(tile[0].numpy())
    apart = np.abs(normalised(Reinhard(), tile)[0].numpy() - expected)[stained]
    assert stained.mean() > 0.5
    assert apart.max() <= 1
    assert (apart > 0).mean() < 0.001  # halves that 32 bits round the other way


def test_stained_pixels_have_the_targets_mean_and_deviation(tile, normalised, flatten) -> None:
    _, stained = by_the_paper(tile[0].numpy())
    after = normalised(Reinhard(), tile)[0][torch.from_numpy(stained)].double()
    lab = torch.stack(opponents_of(after), dim=-1)
    # Rounded to grey levels, and clipped where a colour has no place in 0..255.
    torch.testing.assert_close(lab.mean(dim=0), TARGET.mean_3, atol=0.03, rtol=0)
    torch.testing.assert_close(lab.std(dim=0), TARGET.std_3, atol=0.03, rtol=0)


def test_two_stains_of_one_tissue_come_closer(pale_and_strong, normalised, compare) -> None:
    one, other = pale_and_strong
    before = compare(one, other)
    after = compare(normalised(Reinhard(), one), normalised(Reinhard(), other))
    assert before > 10
    assert after < before / 5


def test_twice_changes_little(tile, normalised, compare) -> None:
    once = normalised(Reinhard(), tile)
    twice = normalised(Reinhard(), once)
    assert compare(tile, once) > 10
    assert compare(once, twice) < 2


def test_glass_stays_and_the_change_fades_in(tile, flatten) -> None:
    method = Reinhard()
    found = method.learned(flatten(tile), name="tissue")
    ramp = torch.arange(240, 120, -1, dtype=torch.uint8)
    greys = ramp[None, None, :, None].expand(1, 1, -1, 3).contiguous()
    after = method.brought(greys, found)[0, 0].int()
    assert (after[0] == 240).all()
    steps = after.diff(dim=0).abs().max(dim=1).values
    assert steps.max() <= 8  # no edge where glass ends


def test_a_batch_is_its_tiles(tile, flatten) -> None:
    method = Reinhard()
    found = method.learned(flatten(tile), name="tissue")
    four = tile.reshape(4, 64, 256, 3)
    whole = method.brought(four, found)
    for number in range(4):
        alone = method.brought(four[number : number + 1], found)
        assert torch.equal(alone[0], whole[number])


def test_there_and_back_is_the_same_light() -> None:
    light = torch.randint(1, 256, (50, 3), generator=torch.Generator().manual_seed(0)).double()
    back = torch.stack(light_of(opponents_of(light)), dim=-1)
    torch.testing.assert_close(back, light)


def test_what_has_no_two_stains_is_refused(unclear, flatten) -> None:
    reason, tile = unclear
    with pytest.raises(StainUnclear, match=rf"slide S1: .*{reason}.*stain=none"):
        Reinhard().learned(flatten(tile), name="slide S1")


def test_a_slide_of_one_brightness_is_refused() -> None:
    # Two colours of one l: nothing to scale it by.
    l_value, beta = 8.5, 0.04
    lab = [[l_value, l_value], [-0.4, 0.3], [beta, beta]]
    two = torch.stack(light_of([torch.tensor(row).double() for row in lab]), dim=-1)
    with pytest.raises(StainUnclear, match="slide S1: its colours do not vary"):
        Reinhard().learned(two.repeat(100, 1), name="slide S1")
