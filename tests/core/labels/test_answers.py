"""Copy number, numbers with a cut-off, responses, and rules joined by "or"."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from histofed.core.labels.base import AnyOf, Available, Case, Unknown, YesNoRule
from histofed.core.labels.copy_number import CopyNumberRule
from histofed.core.labels.numbers import NumberRule, looks_like_fractions
from histofed.core.labels.response import (
    CRITERIA,
    PathologicalStageRule,
    ResidualBurdenRule,
    ResponseRule,
)
from histofed.errors import CohortError, ConfigError


def saying(**cells: str) -> Case:
    return Case(patient_id="p", where="t.csv, line 7, patient p", cells=cells)


def with_levels(*levels: int) -> Case:
    return Case(patient_id="p", where="here", levels={"CDKN2A": levels} if levels else {})


class Fixed(YesNoRule):
    in_words = "fixed"

    def __init__(self, value: bool | None) -> None:
        self.value = value

    def lacking(self, available: Available) -> str:
        return ""

    def answer(self, case: Case) -> bool | Unknown:
        return Unknown("why") if self.value is None else self.value


@given(st.lists(st.sampled_from([True, False, None]), min_size=1, max_size=4))
def test_any_is_no_only_if_all_say_no(values):
    answer = AnyOf(tuple(map(Fixed, values))).answer(saying())
    if True in values:
        assert answer is True
    elif None in values:
        assert answer == Unknown("why")
    else:
        assert answer is False


@given(st.lists(st.integers(-2, 2), max_size=3), st.sampled_from([-2, -1, 0, 1, 2]))
def test_copy_number_is_held_against_its_level(levels, limit):
    low = CopyNumberRule(gene="CDKN2A", at_most=limit).answer(with_levels(*levels))
    high = CopyNumberRule(gene="CDKN2A", at_least=limit).answer(with_levels(*levels))
    if not levels:
        assert isinstance(low, Unknown)
        assert isinstance(high, Unknown)
    else:
        assert low is any(level <= limit for level in levels)
        assert high is any(level >= limit for level in levels)


@pytest.mark.parametrize("limits", [{}, {"at_most": -2, "at_least": 2}, {"at_most": -3}])
def test_copy_number_without_one_level_is_refused(limits):
    with pytest.raises(ConfigError, match="CDKN2A"):
        CopyNumberRule(gene="CDKN2A", **limits)


@pytest.mark.parametrize(
    ("cell", "answer"),
    [("20", True), ("20%", True), ("19.9", False), ("0", False), ("100", True), (" 55 ", True)],
)
def test_cut_off_of_the_laboratory(cell, answer):
    rule = NumberRule(columns=("fish",), at_least=20, unit="percent")
    assert rule.answer(saying(fish=cell)) is answer


@pytest.mark.parametrize("cell", ["", "NA", "nan"])
def test_a_number_that_is_not_known(cell):
    rule = NumberRule(columns=("fish",), at_least=20, unit="percent")
    assert rule.answer(saying(fish=cell)) == Unknown("fish is not known")


@pytest.mark.parametrize("cell", ["101", "-1", "many", "inf", "<5"])
def test_numbers_of_another_unit_are_refused_by_row(cell):
    rule = NumberRule(columns=("fish",), at_least=20, unit="percent")
    with pytest.raises(CohortError, match=r"t\.csv, line 7, patient p: column 'fish' holds"):
        rule.answer(saying(fish=cell))


def test_cut_offs_have_a_unit():
    with pytest.raises(ConfigError, match="unit is 'cells'"):
        NumberRule(columns=("fish",), at_least=20, unit="cells")
    with pytest.raises(ConfigError, match="at most 1"):
        NumberRule(columns=("fish",), at_least=20, unit="fraction")


@pytest.mark.parametrize(
    ("cells", "fractions"),
    [
        (["0.2", "0.9", "", "0"], True),
        (["0.2", "20"], False),
        (["0", "0"], False),
        (["1", "0"], False),
        ([], False),
        (["NA"], False),
    ],
)
def test_fractions_are_told_from_percent(cells, fractions):
    assert looks_like_fractions(cells) is fractions


@pytest.mark.parametrize("criteria", CRITERIA)
def test_every_category_ranks_as_the_criteria_say(criteria):
    names = [name for name, _ in CRITERIA[criteria]]
    for at_least in names:
        rule = ResponseRule(columns=("bor",), criteria=criteria, at_least=at_least)
        for name, words in CRITERIA[criteria]:
            for word in (name, name.lower(), name.upper(), *words):
                wanted = names.index(name) <= names.index(at_least)
                assert rule.answer(saying(bor=word)) is wanted


def test_vgpr_is_a_response_in_myeloma_and_pr_is_not():
    rule = ResponseRule(columns=("bor",), criteria="IMWG", at_least="VGPR")
    found = {word: rule.answer(saying(bor=word)) for word in ("sCR", "VGPR", "PR", "MR", "PD")}
    assert found == {"sCR": True, "VGPR": True, "PR": False, "MR": False, "PD": False}


@pytest.mark.parametrize("cell", ["NE", "", "not evaluable", "NA"])
def test_not_evaluable_is_not_known(cell):
    rule = ResponseRule(columns=("bor",), criteria="RECIST 1.1", at_least="PR")
    assert isinstance(rule.answer(saying(bor=cell)), Unknown)


def test_a_category_of_other_criteria_is_refused():
    rule = ResponseRule(columns=("bor",), criteria="RECIST 1.1", at_least="PR")
    with pytest.raises(CohortError, match=r"line 7.*'bor' holds 'VGPR'.*RECIST 1\.1"):
        rule.answer(saying(bor="VGPR"))


@pytest.mark.parametrize(
    ("stated", "criteria"),
    [("RECIST 1.1", "mRECIST"), ("iRECIST", "RECIST 1.1"), ("RECIST 1.0", "RECIST 1.1")],
)
def test_responses_read_by_other_criteria_are_refused(stated, criteria):
    rule = ResponseRule(columns=("bor",), criteria=criteria, at_least="PR")
    with pytest.raises(CohortError, match=f"says '{stated}'"):
        rule.answer(saying(bor="PR", criteria=stated))


@pytest.mark.parametrize("stated", ["RECIST 1.1", "RECIST v1.1", "recist1.1", ""])
def test_their_own_criteria_are_taken(stated):
    rule = ResponseRule(columns=("bor",), criteria="RECIST 1.1", at_least="PR")
    assert rule.answer(saying(bor="PR", criteria=stated)) is True


@pytest.mark.parametrize(
    ("criteria", "least"), [("WHO", "PR"), ("IMWG", "PRR"), ("mRECIST", "VGPR")]
)
def test_unknown_criteria_are_refused(criteria, least):
    with pytest.raises(ConfigError):
        ResponseRule(columns=("bor",), criteria=criteria, at_least=least)


@pytest.mark.parametrize(
    ("cell", "complete"),
    [
        ("RCB-0", True), ("0", True), ("0.00", True), ("pCR", True), ("RCB 0", True),
        ("RCB-I", False), ("II", False), ("class III", False), ("1.36", False), ("0.5", False),
    ],
)  # fmt: skip
def test_residual_burden(cell, complete):
    assert ResidualBurdenRule(columns=("rcb",)).answer(saying(rcb=cell)) is complete


def test_residual_burden_that_is_none():
    assert isinstance(ResidualBurdenRule(columns=("rcb",)).answer(saying(rcb="")), Unknown)
    with pytest.raises(CohortError, match="holds 'IV'"):
        ResidualBurdenRule(columns=("rcb",)).answer(saying(rcb="IV"))


@pytest.mark.parametrize(
    ("tumour", "node", "answer"),
    [
        ("ypT0", "ypN0", True),
        ("ypTis", "ypN0", True),
        ("ypTis(DCIS)", "ypN0(sn)", True),
        ("T0", "0", True),
        ("ypT1mi", "ypN0", False),
        ("ypT2", "", False),
        ("ypT0", "ypN1", False),
        ("ypT0", "ypN0(i+)", False),
        ("ypT0", "ypN0(i-)", True),
        ("ypT0", "ypNx", None),
        ("", "ypN0", None),
    ],
)
def test_pathological_stage(tumour, node, answer):
    rule = PathologicalStageRule(tumour=("ypt",), node=("ypn",))
    found = rule.answer(saying(ypt=tumour, ypn=node))
    assert isinstance(found, Unknown) if answer is None else found is answer


def test_a_stage_that_is_none():
    rule = PathologicalStageRule(tumour=("ypt",), node=("ypn",))
    with pytest.raises(CohortError, match="'ypt' holds 'small'"):
        rule.answer(saying(ypt="small", ypn="ypN0"))
