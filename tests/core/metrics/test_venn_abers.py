from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from histofed.core.metrics.venn_abers import venn_abers
from histofed.errors import CohortError


def pool_adjacent_violators(labels, scores, *, at: float) -> float:
    """Least squares under monotony, by the book: blocks that fall are joined, ties are one."""
    blocks = []
    for score in sorted(set(scores)):
        here = [label for label, each in zip(labels, scores, strict=True) if each == score]
        blocks.append([[score], sum(here), len(here)])
        while len(blocks) > 1 and blocks[-2][1] / blocks[-2][2] > blocks[-1][1] / blocks[-1][2]:
            last = blocks.pop()
            blocks[-1] = [blocks[-1][0] + last[0], blocks[-1][1] + last[1], blocks[-1][2] + last[2]]
    return next(total / n for members, total, n in blocks if at in members)


@st.composite
def calibrated(draw):
    n = draw(st.integers(2, 12))
    scores = draw(st.lists(st.integers(0, 6), min_size=n, max_size=n))
    labels = [0, 1, *draw(st.lists(st.integers(0, 1), min_size=n - 2, max_size=n - 2))]
    return labels, scores


@given(calibrated(), st.lists(st.sampled_from([-1, 0, 1.5, 2, 3, 6, 9]), min_size=1, max_size=5))
def test_each_end_is_the_isotonic_regression_with_the_patient_in_it(known, asked):
    labels, scores = known
    for (low, high), score in zip(venn_abers(labels, scores, asked), asked, strict=True):
        expected = [
            pool_adjacent_violators([*labels, each], [*scores, score], at=score) for each in (0, 1)
        ]
        assert [low, high] == pytest.approx(expected)
        assert 0 <= low <= high <= 1
        # The patient itself is one of those averaged: it cannot be ruled out, nor be certain.
        assert low < 1
        assert high > 0


@given(calibrated())
def test_only_the_order_of_scores_matters_and_ends_rise_with_it(known):
    labels, scores = known
    asked = np.arange(-1, 8) + 0.0
    found = venn_abers(labels, scores, asked)
    np.testing.assert_allclose(venn_abers(labels, np.exp(scores), np.exp(asked)), found)
    assert (np.diff(found, axis=0) > -1e-12).all()


def test_ends_close_in_with_patients_and_hold_the_true_probability():
    generator = np.random.default_rng(5)
    widths, asked = [], np.linspace(0.2, 0.8, 7)
    for n in (20, 200, 20_000):
        scores = generator.uniform(size=n)
        ends = venn_abers(generator.uniform(size=n) < scores**2, scores, asked)
        widths.append(float((ends[:, 1] - ends[:, 0]).mean()))
    assert widths[0] > widths[1] > widths[2]
    np.testing.assert_allclose(ends.mean(axis=1), asked**2, atol=0.05)


def test_one_class_alone_cannot_calibrate():
    with pytest.raises(CohortError, match="all 3 patients have label 1"):
        venn_abers([1, 1, 1], [0.1, 0.2, 0.3], [0.2])
