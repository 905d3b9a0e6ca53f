from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from histofed.extract.slide_encoders import MeanOfFeatures


@settings(max_examples=50, deadline=None)
@given(
    features=arrays(
        np.float16,
        array_shapes(min_dims=2, max_dims=2, max_side=30),
        elements=st.floats(-65504, 65504, width=16),
    )
)
def test_is_the_mean_even_of_features_that_float16_cannot_add(features) -> None:
    made = MeanOfFeatures().encode(features.astype(np.float32), None, side_px0=None)
    exact = [sum(map(float, column)) / len(column) for column in features.T]
    np.testing.assert_allclose(made, exact, rtol=1e-6, atol=1e-6)
