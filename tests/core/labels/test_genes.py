from __future__ import annotations

import re
from pathlib import Path

import pytest

from histofed.core.labels.genes import ENTREZ, OTHER_NAMES, symbol_of
from histofed.errors import CohortError


@pytest.mark.parametrize(
    ("name", "entrez", "symbol"),
    [
        ("LKB1", "", "STK11"), ("lkb1", "0", "STK11"), ("p53", "", "TP53"), ("TTN", "", "TTN"),
        ("LKB1", "7157", "TP53"), ("any", "1956.0", "EGFR"), ("ERBB1", "99", "ERBB1"),
        ("P16", "", "P16"), ("CDKN2", "", "CDKN2"), ("EGFR", "1956", "EGFR"),
        ("EGFR", "NA", "EGFR"),
    ],
)  # fmt: skip
def test_the_id_decides_and_a_name_of_one_gene_alone_is_known(name, entrez, symbol):
    assert symbol_of(name, entrez) == symbol


def test_a_symbol_with_the_id_of_another_gene_is_refused():
    with pytest.raises(CohortError, match=r"line 3: gene EGFR has the Entrez id 673, .* is 1956"):
        symbol_of("EGFR", "673", "line 3")


def test_every_gene_of_our_tasks_is_known():
    configs = Path(__file__).parents[3] / "configs"
    text = "".join(file.read_text("utf-8") for file in configs.glob("[ct]a*/*.yaml"))
    named = re.findall(r"\bgenes?: *\[?([A-Z0-9]+(?:, *[A-Z0-9]+)*)", text)
    asked = {gene for names in named for gene in re.split(", *", names)}
    assert {"BAP1", "SETD2"} < asked <= ENTREZ.keys()
    assert set(OTHER_NAMES.values()) <= ENTREZ.keys()
    assert not OTHER_NAMES.keys() & ENTREZ.keys()
