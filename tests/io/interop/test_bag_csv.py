from __future__ import annotations

import numpy as np
import pytest

from histofed.errors import CohortError
from histofed.io.interop.bag_csv import read_bag_csv


@pytest.fixture
def bag_table(tmp_path):
    def write(text: str):
        path = tmp_path / "bags.csv"
        path.write_text(text)
        return path

    return write


def test_bags_keep_their_instances_order_and_label(bag_table) -> None:
    bags = read_bag_csv(bag_table("1,7,0.5,-2\n0,3,1,1\n1,7,4,65504\n0,11,0,1e-3\n"))
    assert list(bags) == ["7", "3", "11"]
    label, features = bags["7"]
    assert (label, features.dtype) == (1, np.float16)
    np.testing.assert_array_equal(features, np.array([[0.5, -2], [4, 65_504]], np.float16))
    assert [bags[bag][0] for bag in ("3", "11")] == [0, 0]
    assert bags["11"][1].shape == (1, 2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0,1,5,5\n0,1,5\n", r"line 2: 3 cells; .* number of features \(2\)"),
        ("0,1,5,5\n0,1,5,5,5\n", "line 2: 5 cells"),
        ("0,1\n", "line 1: 2 cells"),
        ("0,1,5\n2,1,5\n", "line 2: the label is '2'; it must be 0 or 1"),
        ("label,bag,f1\n0,1,5\n", "line 1: the label is 'label'"),
        ("0,1,5\n0,1,x\n", "line 2: .*'x'; features are numbers"),
        ("0,1,nan\n", "line 1: a feature is not finite"),
        ("0,1,5\n0,1,-inf\n", "line 2: a feature is not finite"),
        ("0,1,7e4\n", "line 1: .* beyond 65504"),
        ("0,1,5\n1,1,5\n", "line 2: bag 1 has label 1 here and 0 before"),
        ("", "the table is empty"),
    ],
)
def test_a_bad_row_is_named(bag_table, text, said) -> None:
    with pytest.raises(CohortError, match=rf"bags\.csv.*{said}"):
        read_bag_csv(bag_table(text))


def test_a_missing_table_is_refused_with_the_option(tmp_path) -> None:
    with pytest.raises(CohortError, match=r"no\.csv is not there; name one with source=PATH"):
        read_bag_csv(tmp_path / "no.csv")
