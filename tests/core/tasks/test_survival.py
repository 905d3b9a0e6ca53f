from __future__ import annotations

import pytest

from histofed.core.tasks import SurvivalTask
from histofed.errors import CohortError, ConfigError

OS = SurvivalTask(
    name="os",
    column="os_days",
    event_column="os",
    times=(365, 730),
    event=("1", "dead"),
    censored=("0", "alive"),
)


def row(time: str, event: str) -> dict[str, str]:
    return {"os_days": time, "os": event}


def test_time_and_event_are_read() -> None:
    assert OS.label(row("312", "Dead"), "row 2") == (312, 1)
    assert OS.label(row("95.5", "0.0"), "row 2") == (95.5, 0)


@pytest.mark.parametrize(("time", "event"), [("", "dead"), ("312", ""), ("NA", "NA")])
def test_half_of_it_is_not_known(time, event) -> None:
    assert OS.label(row(time, event), "row 2") is None


@pytest.mark.parametrize(
    ("time", "event", "said"),
    [
        ("0", "dead", "column 'os_days' is 0; a time to an event is above 0"),
        ("-3", "alive", "column 'os_days' is -3"),
        ("1_0", "dead", "holds '1_0', which is not a number"),
        ("soon", "dead", "column 'os_days' holds 'soon', which is not a number"),
        ("312", "lost", "column 'os' holds 'lost', which is neither 1/dead (event) nor 0/alive"),
    ],
)
def test_an_impossible_value_is_refused(time, event, said) -> None:
    with pytest.raises(CohortError) as refused:
        OS.label(row(time, event), "row 2")
    assert said in str(refused.value)


@pytest.mark.parametrize("times", [(), (0.0, 1.0), (2.0, 1.0), (1.0, 1.0), (1.0, float("inf"))])
def test_times_are_stated_and_rise(times) -> None:
    with pytest.raises(ConfigError, match="times are"):
        SurvivalTask(name="os", column="t", event_column="e", times=times)


def test_a_value_has_one_meaning_and_a_column_one_use() -> None:
    with pytest.raises(ConfigError, match="mean event and censored"):
        SurvivalTask(name="os", column="t", event_column="e", times=(1,), event=("0",))
    with pytest.raises(ConfigError, match="both 't'"):
        SurvivalTask(name="os", column="t", event_column="t", times=(1,))


def test_folds_are_balanced_by_event_and_need_one() -> None:
    assert OS.strata({"A": (3.0, 1.0), "B": (4.0, 0.0)}) == {"A": 1, "B": 0}
    assert OS.needed == (1,)
    assert OS.output_names == ("risk", "survival_365", "survival_730")
    assert OS.in_words((312.0, 1.0)) == "event after 312 days"


def test_what_labels_cannot_teach_is_named() -> None:
    assert OS.lacking([(366, 0), (5, 1)]) == ()
    assert OS.lacking([(3, 0), (730, 1)]) == ()
    assert OS.lacking([(3, 0), (5, 0)]) == ("an event",)
    assert OS.lacking([]) == ("an event",)


def test_times_of_another_unit_cannot_teach_what_is_asked() -> None:
    [late] = OS.lacking([(731, 1), (800, 0)])
    assert late == "an event until the last of task.times, 730 days (are the times in days?)"
    [early] = OS.lacking([(365, 1), (12, 0)])
    assert early == "a time beyond the first of task.times, 365 days (are the times in days?)"
