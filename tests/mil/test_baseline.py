from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from histofed.core.splits import Fold
from histofed.core.survival.ridge_cox import ridge_cox
from histofed.core.tasks import (
    BinaryTask,
    MulticlassTask,
    MultilabelTask,
    RegressionTask,
    SurvivalTask,
)
from histofed.mil.baseline import COX_PENALTY, PENALTY, linear_outputs, mean_pool_outputs

TASK = BinaryTask(name="egfr", column="egfr")
TYPE = MulticlassTask(name="type", column="type", classes=("a", "b", "c"))
OS = SurvivalTask(name="os", column="t", event_column="e", times=(10, 20))

DIM = 4

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


def mean_pooled(bags):
    means = {name: bag.features_ND.double().mean(dim=0).numpy() for name, bag in bags.items()}
    return mean_pool_outputs(means, {name: bag.label for name, bag in bags.items()}, FOLD, TASK)


def test_it_is_a_standardised_logistic_regression_of_the_means(bags):
    def means(names):
        return np.stack([bags[name].features_ND.float().numpy().mean(axis=0) for name in names])

    fitted = (*FOLD.train, *FOLD.select)
    scale = StandardScaler().fit(means(fitted))
    labels = [bags[name].label[0] for name in fitted]
    model = LogisticRegression(C=1 / PENALTY, max_iter=2000)
    model.fit(scale.transform(means(fitted)), labels)
    expected = model.predict_proba(scale.transform(means(FOLD.test)))[:, 1]
    found = mean_pooled(bags)
    assert list(found) == ["x", "y"]
    assert [value for (value,) in found.values()] == pytest.approx(expected.tolist(), rel=1e-4)


def test_tested_patients_are_not_fitted(bags, bag):
    before = mean_pooled(bags)
    changed = {**bags, "y": bag("y", 9, label=1 - bags["y"].label[0], seed=99)}
    after = mean_pooled(changed)
    assert after["x"] == before["x"]
    assert after["y"] != before["y"]


def test_selection_patients_are_fitted(bags, bag):
    changed = {**bags, "s0": bag("s0", 9, label=1, seed=99)}
    assert mean_pooled(changed)["x"] != mean_pooled(bags)["x"]


def linear_study(n: int = 60, seed: int = 0):
    """Return features, of which the first says something, and a number that they say."""
    random = np.random.default_rng(seed)
    features = random.normal(size=(n, DIM)) * [1, 5, 0.1, 1] + 2
    return features, features[:, 0] - 2 + 0.2 * random.normal(size=n)


def logistic(features, labels, tested, *, shrink: float = 1.0):
    scale = StandardScaler().fit(features)
    model = LogisticRegression(C=1 / (shrink * PENALTY), max_iter=2000)
    return model.fit(scale.transform(features), labels).predict_proba(scale.transform(tested))


def test_several_classes_are_one_regression_with_a_column_each():
    features, said = linear_study()
    labels = np.digitize(said, [-0.4, 0.4]).astype(float)
    found = linear_outputs(TYPE, features[:40], labels[:40, None], features[40:])
    assert found == pytest.approx(logistic(features[:40], labels[:40], features[40:]), rel=1e-6)
    assert found.shape == (20, 3)


def test_a_class_of_nobody_fitted_has_no_probability():
    features, said = linear_study()
    labels = 2 * (said > 0).astype(float)
    found = linear_outputs(TYPE, features, labels[:, None], features)
    assert (found[:, 1] == 0).all()
    assert found[:, [0, 2]] == pytest.approx(logistic(features, labels, features), rel=1e-6)


def test_where_all_are_alike_everybody_gets_the_one_class():
    features, _ = linear_study(10)
    assert (linear_outputs(TASK, features, np.ones((10, 1)), features[:3]) == 1).all()


def test_every_question_is_fitted_by_those_who_answered():
    features, said = linear_study()
    labels = np.stack([said > 0, said > 0.5], axis=1).astype(float)
    labels[::3, 1] = np.nan
    known = ~np.isnan(labels[:, 1])
    panel = MultilabelTask(name="panel", questions=("egfr", "kras"))
    found = linear_outputs(panel, features, labels, features)
    first = logistic(features, labels[:, 0], features)[:, 1]
    second = logistic(features[known], labels[known, 1], features)[:, 1]
    assert found == pytest.approx(np.stack([first, second], axis=1), rel=1e-6)


def test_every_number_is_a_ridge_regression_of_those_who_have_it():
    features, said = linear_study()
    labels = np.stack([said, 100 * said + 7], axis=1)
    labels[::4, 0] = np.nan
    task = RegressionTask(name="genes", quantities=("cd3e", "mki67"))
    found = linear_outputs(task, features[:40], labels[:40], features[40:])
    for column in range(2):
        known = np.flatnonzero(~np.isnan(labels[:40, column]))
        values = features[known]
        mean, spread = values.mean(axis=0), values.std(axis=0)
        standard = (values - mean) / spread
        label = labels[known, column]
        slope = np.linalg.solve(
            standard.T @ standard + PENALTY * np.eye(DIM), standard.T @ (label - label.mean())
        )
        expected = label.mean() + (features[40:] - mean) / spread @ slope
        assert found[:, column] == pytest.approx(expected, rel=1e-6)


def test_survival_is_a_shrunk_cox_model_that_says_only_a_risk():
    features, said = linear_study()
    labels = np.stack([np.exp(3 - said), np.arange(60) % 3 > 0], axis=1)
    found = linear_outputs(OS, features[:40], labels[:40], features[40:])
    model = ridge_cox(labels[:40, 0], labels[:40, 1], features[:40], penalty=COX_PENALTY)
    assert found[:, 0] == pytest.approx(model.risk(features[40:]))
    assert np.corrcoef(found[:, 0], said[40:])[0, 1] > 0.8
    assert np.isnan(found[:, 1:]).all()
    assert found.shape == (20, 3)


def test_less_shrinking_for_few_covariates():
    features, said = linear_study()
    labels = (said > 0).astype(float)
    found = linear_outputs(TASK, features, labels[:, None], features, shrink=0.01)
    expected = logistic(features, labels, features, shrink=0.01)[:, 1:]
    assert found == pytest.approx(expected, rel=1e-4)
    usual = linear_outputs(TASK, features, labels[:, None], features)
    assert found.std() > 2 * usual.std()
