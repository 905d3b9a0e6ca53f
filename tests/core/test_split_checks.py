from __future__ import annotations

from functools import partial

import pytest

from histofed.core.split_checks import check_classes, check_covered
from histofed.core.splits import Fold
from histofed.errors import CohortError


@pytest.mark.parametrize(
    ("roles", "said"),
    [
        ({"select": ("P2", "P3")}, r"fold 1: nobody in select \(P2, P3\) has label 1"),
        ({"test": ()}, "nobody has the role test"),
    ],
)
def test_one_class_only_in_a_role_is_refused_with_its_patients(roles, said) -> None:
    label_of = {"P0": 0, "P1": 1, "P2": 0, "P3": 0, "P4": 0, "P5": 1, "P6": 1}
    good = {"train": ("P0", "P1"), "select": ("P2", "P6"), "test": ("P4", "P5")}
    check_classes(Fold(number=1, **good), label_of)
    with pytest.raises(CohortError, match=said):
        check_classes(Fold(number=1, **good | roles), label_of)


def test_folds_of_another_cohort_are_refused_by_name() -> None:
    folds = [Fold(number=0, train=("P1",), select=("P2",), test=("P3",))]
    check = partial(check_covered, folds)
    check(["P1", "P2", "P3"])
    with pytest.raises(CohortError, match="names P3, who are not in the cohort"):
        check(["P1", "P2"])
    with pytest.raises(CohortError, match="says nothing of P4"):
        check(["P1", "P2", "P3", "P4"])
    with pytest.raises(CohortError, match="tests nobody"):
        check_covered([Fold(number=0, train=("P1",), select=("P2",), test=())], ["P1", "P2"])
