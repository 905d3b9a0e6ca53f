from __future__ import annotations

import math
from collections import Counter

import pytest

from histofed.core.tasks import RegressionTask
from histofed.errors import CohortError, ConfigError

GENES = RegressionTask(name="expression", quantities=("cd3e", "mki67"), unit="log TPM")


def test_numbers_are_read_and_what_is_not_known_is_no_zero() -> None:
    cd3e, mki67 = GENES.label({"cd3e": " 1.5e1 ", "mki67": "na"}, "row 2")
    assert cd3e == 15
    assert math.isnan(mki67)
    assert GENES.label({"cd3e": "", "mki67": "nan"}, "row 2") is None


@pytest.mark.parametrize("cell", ["high", "inf", "1,5", "1e300"])
def test_what_is_no_number_is_refused_with_its_column(cell) -> None:
    with pytest.raises(CohortError, match=r"row 2: column 'mki67' holds .* not a number"):
        GENES.label({"cd3e": "1", "mki67": cell}, "row 2")


def test_folds_are_balanced_by_quarters_of_the_first_number() -> None:
    labels = {f"P{number}": (float(number), 0.0) for number in range(100)}
    strata = GENES.strata(labels | {"unknown": (math.nan, 1.0)})
    assert (strata["P0"], strata["P99"]) == (0, 3)
    assert Counter(strata.values()) == {0: 25, 1: 25, 2: 25, 3: 25, 4: 1}
    few = {patient: labels[patient] for patient in list(labels)[:12]}
    assert set(GENES.strata(few).values()) == {0}


@pytest.mark.parametrize("quantities", [(), ("a", "a")])
def test_a_regression_has_one_number_or_more(quantities) -> None:
    with pytest.raises(ConfigError, match="at least one, each once"):
        RegressionTask(name="t", quantities=quantities)


def test_a_label_in_words() -> None:
    assert GENES.in_words((1.25, 3.0)) == "cd3e 1.25, mki67 3 log TPM"


def test_what_labels_cannot_teach_is_named() -> None:
    task = RegressionTask(name="r", quantities=("a", "b"))
    assert task.lacking([(1.0, math.nan), (2.0, 3.0), (math.nan, 4.0)]) == ()
    assert task.lacking([(1.0, math.nan), (2.0, 3.0), (2.0, 3.0)]) == ("two different values of b",)
    assert len(task.lacking([])) == 2
