"""Flags are told apart by everybody."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from skimage.color import deltaE_ciede2000, rgb2lab

from histofed.core.quality import FLAGS
from histofed.report.flags import FLAG_COLOURS, FLAG_HATCHES, FLAG_LABELS, KEPT, tile_keys

# Machado, Oliveira and Fernandes 2009 (IEEE TVCG 15:1291-1298), severity 1, linear RGB.
SEEN_BY = {
    "everybody else": np.eye(3),
    "protanopes": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopes": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopes": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


@pytest.mark.parametrize("who", SEEN_BY)
def test_colours_stay_apart_for(who) -> None:
    srgb = np.array([to_rgb(colour) for colour in (KEPT, *FLAG_COLOURS.values())])
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.transpose(SEEN_BY[who]), 0, 1)
    lab = rgb2lab(np.where(seen <= 0.0031308, seen * 12.92, 1.055 * seen ** (1 / 2.4) - 0.055))
    # 2.3 is just noticed; the hatches differ besides.
    assert min(deltaE_ciede2000(one, other) for one, other in combinations(lab, 2)) > 10


def test_every_flag_has_its_own_look() -> None:
    assert set(FLAG_LABELS) == set(FLAG_COLOURS) == set(FLAG_HATCHES) == set(FLAGS)
    for looks in (FLAG_LABELS, FLAG_COLOURS, FLAG_HATCHES):
        assert len(set(looks.values())) == len(FLAGS)


def test_only_what_occurs_has_a_key_and_each_has_its_count() -> None:
    keys = tile_keys(1200, {"fat": 3, "pen": 0, "unreadable": 1})
    assert [key.get_label() for key in keys] == [
        "kept (1,200)",
        "dropped: unreadable (1)",
        "dropped: fat (3)",
    ]
