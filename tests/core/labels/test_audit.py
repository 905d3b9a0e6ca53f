from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from histofed.core.labels.audit import Association, associations, label_table
from histofed.core.tasks import BinaryTask, MultilabelTask, SurvivalTask

TASK = BinaryTask(name="egfr", column="egfr")
COUNT = st.integers(0, 200)


def test_labels_are_counted_by_value():
    labels = {"a": (1.0,), "b": (0.0,), "c": (0.0,), "d": (1.0,), "e": (1.0,)}
    values = {"a": "x", "b": "x", "c": "y", "d": "z", "e": "z"}
    table = label_table("site", values, labels, TASK)
    assert table.rows == {"x": (2, (1, 1)), "y": (1, (1, 0)), "z": (2, (0, 2))}
    assert table.one_sided == ("z",)  # one patient of y is no finding
    assert table.beyond_chance == ()  # nor are two of z, by chance


def test_a_hospital_of_one_class_is_beyond_chance_when_large():
    labels = {f"p{i}": (float(i % 2),) for i in range(20)} | {f"q{i}": (1.0,) for i in range(20)}
    table = label_table("site", {p: p[0] for p in labels}, labels, TASK)
    assert table.one_sided == table.beyond_chance == ("q",)


def test_one_hospital_alone_tells_nothing_apart():
    assert label_table("site", {}, {"a": (1.0,), "b": (1.0,)}, TASK).one_sided == ()


def test_many_numbers_are_parted_at_their_median_and_unknown_stays_apart():
    labels = {str(i): (float(i > 9),) for i in range(20)} | {"x": (0.0,)}
    ages = {str(i): str(40 + i) for i in range(20)} | {"x": ""}
    table = label_table("age", ages, labels, TASK)
    assert table.rows == {
        "below 49.5": (10, (10, 0)), "from 49.5": (10, (0, 10)), "not known": (1, (1, 0)),
    }  # fmt: skip


def test_panels_and_survival_are_counted_by_what_they_ask():
    panel = MultilabelTask(name="panel", questions=("egfr", "kras"))
    table = label_table("site", {}, {"a": (1.0, float("nan")), "b": (0.0, 1.0)}, panel)
    assert table.answers == ("egfr yes", "kras yes")
    assert table.rows == {"not known": (2, (1, 1))}
    times = SurvivalTask(name="os", column="t", event_column="e", times=(12,))
    assert label_table("site", {}, {"a": (3.0, 1.0)}, times).rows == {"not known": (1, (0, 1))}


@given(COUNT, COUNT, COUNT, COUNT)
def test_an_odds_ratio_turns_over_with_its_table(a, b, c, d):
    one = Association(first="x", second="y", both=a, only_first=b, only_second=c, neither=d)
    other = Association(first="x", second="y", both=b, only_first=a, only_second=d, neither=c)
    if 0 in (a + b, c + d, a + c, b + d):  # nobody, or everybody, has one of the answers
        assert one.odds_ratio is other.odds_ratio is None
        return
    ratio, low, high = one.odds_ratio
    assert low < ratio < high
    assert other.odds_ratio[0] == pytest.approx(1 / ratio)
    assert other.odds_ratio[1] == pytest.approx(1 / high)


def test_an_odds_ratio_by_hand():
    found = Association(first="x", second="y", both=9, only_first=1, only_second=3, neither=7)
    assert found.odds_ratio[0] == pytest.approx(9.5 * 7.5 / (1.5 * 3.5))


def test_pairs_are_of_patients_who_answered_both():
    answers = {
        "egfr": {"a": True, "b": False, "c": True},
        "kras": {"a": False, "b": True},
        "tp53": {},
    }
    (pair,) = associations(("egfr",), answers)
    assert (pair.first, pair.second) == ("egfr", "kras")
    assert (pair.both, pair.only_first, pair.only_second, pair.neither) == (0, 1, 1, 0)
    assert len(associations(("egfr", "kras"), answers)) == 1  # each pair once
