from __future__ import annotations

import random

import numpy as np
import torch

from histofed.federation.random_state import RandomState, undisturbed


def draw() -> tuple[float, float, float]:
    return random.random(), float(np.random.rand()), float(torch.rand(()))  # noqa: NPY002


def test_restore_repeats_all_generators():
    state = RandomState.capture()
    first = draw()
    assert draw() != first
    state.restore()
    assert draw() == first


def test_a_block_leaves_no_trace_even_when_it_raises():
    state = RandomState.capture()
    expected = draw()
    state.restore()
    try:
        with undisturbed():
            draw()
            raise KeyError
    except KeyError:
        pass
    assert draw() == expected
