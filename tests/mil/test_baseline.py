from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from histofed.core.splits import Fold
from histofed.core.tasks import BinaryTask
from histofed.mil.baseline import PENALTY, mean_pool_outputs

TASK = BinaryTask(name="egfr", column="egfr")

FOLD = Fold(
    number=0,
    train=tuple(f"t{number}" for number in range(12)),
    select=tuple(f"s{number}" for number in range(6)),
    test=("x", "y"),
)


@pytest.fixture
def bags(bag):
    names = (*FOLD.train, *FOLD.select, *FOLD.test)
    return {
        name: bag(name, 3 + seed % 4, label=seed % 2, seed=seed) for seed, name in enumerate(names)
    }


def test_it_is_a_standardised_logistic_regression_of_the_means(bags):
    def means(names):
        return np.stack([bags[name].features_ND.float().numpy().mean(axis=0) for name in names])

    fitted = (*FOLD.train, *FOLD.select)
    scale = StandardScaler().fit(means(fitted))
    labels = [bags[name].label[0] for name in fitted]
    model = LogisticRegression(C=1 / PENALTY, max_iter=2000)
    model.fit(scale.transform(means(fitted)), labels)
    expected = model.predict_proba(scale.transform(means(FOLD.test)))[:, 1]
    found = mean_pool_outputs(bags, FOLD, TASK)
    assert list(found) == ["x", "y"]
    assert [value for (value,) in found.values()] == pytest.approx(expected.tolist(), rel=1e-4)


def test_tested_patients_are_not_fitted(bags, bag):
    before = mean_pool_outputs(bags, FOLD, TASK)
    changed = {**bags, "y": bag("y", 9, label=1 - bags["y"].label[0], seed=99)}
    after = mean_pool_outputs(changed, FOLD, TASK)
    assert after["x"] == before["x"]
    assert after["y"] != before["y"]


def test_selection_patients_are_fitted(bags, bag):
    changed = {**bags, "s0": bag("s0", 9, label=1, seed=99)}
    assert mean_pool_outputs(changed, FOLD, TASK)["x"] != mean_pool_outputs(bags, FOLD, TASK)["x"]
