from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from histofed.core.attrition import Attrition

SLIDES = {"s1": "a", "s2": "a", "s3": "b", "s4": "stranger"}


def test_who_leaves_takes_the_slides_along():
    flow = Attrition(["a", "b", "c"], SLIDES)
    flow.leave_patients("label known", {"a": "no label", "zzz": "not here"})
    assert flow.patients == ["b", "c"]
    assert flow.slides == {"s3": "b", "s4": "stranger"}
    rows = [(each.patient_id, each.slide_id, each.reason) for each in flow.left_out]
    assert rows == [
        ("a", "", "no label"),
        ("a", "s1", "patient left out"),
        ("a", "s2", "patient left out"),
    ]
    assert flow.steps[-1].reasons == {"no label": 1}


@given(st.lists(st.sets(st.sampled_from([*SLIDES, "a", "b", "c"])), max_size=4))
def test_everything_is_in_or_has_a_reason_once(steps):
    flow = Attrition(["a", "b", "c"], SLIDES)
    for step in steps:
        flow.leave_patients("p", {p: "x" for p in "abc" if p in step})
        flow.leave_slides("s", {s: "y" for s in SLIDES if s in step})
    gone = [each.slide_id for each in flow.left_out if each.slide_id]
    patients = [each.patient_id for each in flow.left_out if not each.slide_id]
    assert sorted([*gone, *flow.slides]) == sorted(SLIDES)
    assert sorted([*patients, *flow.patients]) == ["a", "b", "c"]
    assert not set(patients) & set(flow.slides.values())


def test_the_flow_names_reasons_by_frequency():
    flow = Attrition(list("abcdefgh"), {})
    flow.leave_patients("rare", {})
    flow.leave_patients("label", {"a": "x", "b": "y", "c": "y", "d": "z"})
    lines = flow.flow(most=2)
    assert [name for name, _ in lines] == ["in the tables", "label"]
    assert lines[1][1].splitlines() == [
        "4 patients",
        "  - 2 patients: y",
        "  - 1 patient: x",
        "  - 1 patient: other reasons, see attrition.csv",
    ]
