from __future__ import annotations

import math

import pytest

from histofed.core.tasks import MultilabelTask
from histofed.errors import CohortError, ConfigError

PANEL = MultilabelTask(name="panel", questions=("egfr", "kras", "tp53"))


def row(*cells: str) -> dict[str, str]:
    return dict(zip(PANEL.columns, cells, strict=True))


def test_a_gene_that_was_not_sequenced_is_not_negative() -> None:
    egfr, kras, tp53 = PANEL.label(row("1", "", "0"), "row 2")
    assert (egfr, tp53) == (1, 0)
    assert math.isnan(kras)


def test_a_patient_of_whom_nothing_is_known_has_no_label() -> None:
    assert PANEL.label(row("", "NA", "unknown"), "row 2") is None


def test_another_value_is_refused_with_its_column() -> None:
    with pytest.raises(CohortError, match=r"row 2: column 'kras' holds 'yes'.*1 \(yes\).*0 \(no\)"):
        PANEL.label(row("1", "yes", "0"), "row 2")


def test_folds_are_balanced_by_the_rarest_positive_answer() -> None:
    nan = math.nan
    labels = {
        "none": (0.0, 0.0, 0.0),
        "common": (0.0, 0.0, 1.0),
        "rare": (0.0, 1.0, 1.0),
        "other": (1.0, 0.0, 1.0),
        "same": (1.0, nan, 0.0),
    }
    assert PANEL.strata(labels) == {"none": 0, "common": 3, "rare": 2, "other": 1, "same": 1}
    assert PANEL.needed == ()


@pytest.mark.parametrize("questions", [("egfr",), ("egfr", "egfr")])
def test_a_panel_has_two_questions_or_more(questions) -> None:
    with pytest.raises(ConfigError, match="at least two, each once"):
        MultilabelTask(name="panel", questions=questions)


def test_a_value_has_one_meaning() -> None:
    with pytest.raises(ConfigError, match="mean yes and no"):
        MultilabelTask(name="panel", questions=("a", "b"), positive=("1",), negative=("1",))


def test_a_label_in_words_names_what_was_found() -> None:
    assert PANEL.in_words((1.0, math.nan, 1.0)) == "egfr, tp53"
    assert PANEL.in_words((0.0, math.nan, 0.0)) == "none"


def test_what_labels_cannot_teach_is_named() -> None:
    panel = MultilabelTask(name="p", questions=("egfr", "kras"))
    assert panel.lacking([(1, math.nan), (0, 1), (math.nan, 0)]) == ()
    assert panel.lacking([(1, math.nan), (1, 0)]) == ("a no of egfr", "a yes of kras")
    assert panel.lacking([(math.nan, 1), (math.nan, 0)]) == ("a yes of egfr", "a no of egfr")
    assert len(panel.lacking([])) == 4
