from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from histofed.core.labels.base import Case, Unknown
from histofed.core.labels.times import DAYS_IN, EventTimeRule, FollowUpRule, converted
from histofed.core.tasks import SurvivalTask
from histofed.errors import CohortError, ConfigError

MONTHS = SurvivalTask(
    name="survival", column="t", event_column="e", times=(12,), unit="months",
    event=("1", "1:deceased"), censored=("0", "0:living"),
)  # fmt: skip
UNITS = st.sampled_from(sorted(DAYS_IN))


def case(**cells: str) -> Case:
    return Case(patient_id="p", where="t.csv, line 3, patient p", cells=cells)


def rule(unit: str | None = "days") -> EventTimeRule:
    return EventTimeRule(task=MONTHS, unit=unit, time="OS.time", event="OS")


@given(st.floats(0.1, 1e5), UNITS, UNITS)
def test_units_convert_there_and_back(time, unit, other):
    assert converted(converted(time, unit, other), other, unit) == pytest.approx(time)
    assert converted(time, unit, unit) == time


def test_a_year_is_twelve_months_and_a_month_not_thirty_days():
    assert converted(1, "years", "months") == pytest.approx(12)
    assert converted(30, "days", "months") < 1 < converted(31, "days", "months")


@given(st.floats(0.5, 2e4))
def test_days_become_months_and_the_event_stays(days):
    cells = rule().answer(case(**{"os.time": str(days), "os": "1.0"}))
    assert isinstance(cells, dict)
    label = MONTHS.label(cells, "here")
    assert label == (pytest.approx(days / 30.4375, rel=1e-5), 1.0)


def test_the_conversion_is_said():
    assert "days became months" in rule().conversion
    assert rule("months").conversion == ""


@pytest.mark.parametrize("unit", [None, "", "d", "Days"])
def test_a_unit_must_be_stated(unit):
    with pytest.raises(ConfigError, match="days are never told from months"):
        rule(unit)


@pytest.mark.parametrize(
    ("time", "event", "reason"),
    [
        ("0", "0", "no time under observation"),
        ("-3", "0", "no time under observation"),
        ("", "1", "OS.time is not known"),
        ("12", "", "OS is not known"),
    ],
)
def test_times_without_observation_are_left_out(time, event, reason):
    answer = rule().answer(case(**{"os.time": time, "os": event}))
    assert isinstance(answer, Unknown)
    assert reason in answer.reason


@pytest.mark.parametrize(
    ("time", "event"), [("soon", "1"), ("12", "perhaps"), ("36526", "1"), ("1e300", "0")]
)
def test_what_is_neither_time_nor_event_is_refused_by_row(time, event):
    with pytest.raises(CohortError, match=r"t\.csv, line 3, patient p"):
        rule().answer(case(**{"os.time": time, "os": event}))


@pytest.mark.parametrize(
    ("status", "death", "last", "found"),
    [
        ("Dead", "365.25", "9", ("12", "1")),
        ("Alive", "", "730.5", ("24", "0")),
        ("Dead", "", "730", None),
        ("Alive", "400", "", None),
        ("Alive", "400", "730.5", None),  # one of them is wrong
        ("Alive", "na", "730.5", ("24", "0")),
        ("Not Reported", "1", "1", None),
    ],
)
def test_death_or_last_follow_up(status, death, last, found):
    asked = FollowUpRule(task=MONTHS, unit="days", status="vital", death="d", follow_up="f").answer(
        case(vital=status, d=death, f=last)
    )
    if found is None:
        assert isinstance(asked, Unknown)
    else:
        assert asked == {"t": found[0], "e": found[1]}


def test_a_status_that_is_none():
    asked = FollowUpRule(task=MONTHS, unit="days", status="vital", death="d", follow_up="f")
    with pytest.raises(CohortError, match="'vital' holds 'Zombie'"):
        asked.answer(case(vital="Zombie", d="1", f="1"))
