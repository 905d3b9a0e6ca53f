"""Genes of the tasks: the symbol of today, the Entrez id, and other names that tables use.

Names are those of HGNC (Tweedie et al. 2021, Nucleic Acids Research 49:D939) and NCBI Gene that
mean one gene alone: P16, MTS1, TEP1 or CDKN2, which others share, are none of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from histofed.errors import CohortError

if TYPE_CHECKING:
    from collections.abc import Mapping

ENTREZ: Mapping[str, str] = {
    "BAP1": "8314", "BRAF": "673", "BRCA1": "672", "BRCA2": "675", "CDKN2A": "1029",
    "EGFR": "1956", "KEAP1": "9817", "KRAS": "3845", "NF2": "4771", "NRAS": "4893",
    "PIK3CA": "5290", "PTEN": "5728", "SETD2": "29072", "STK11": "6794", "TP53": "7157",
}  # fmt: skip
"""Symbol -> Entrez id."""

OTHER_NAMES: Mapping[str, str] = {
    "UCHL2": "BAP1", "BRAF1": "BRAF", "RAFB1": "BRAF", "FANCS": "BRCA1", "RNF53": "BRCA1",
    "PPP1R53": "BRCA1", "FANCD1": "BRCA2", "XRCC11": "BRCA2", "INK4A": "CDKN2A",
    "P16INK4A": "CDKN2A", "P14ARF": "CDKN2A", "ERBB": "EGFR", "ERBB1": "EGFR", "HER1": "EGFR",
    "INRF2": "KEAP1", "KLHL19": "KEAP1", "KRAS2": "KRAS", "RASK2": "KRAS", "K-RAS": "KRAS",
    "MERLIN": "NF2", "N-RAS": "NRAS", "NRAS1": "NRAS", "MMAC1": "PTEN", "PTEN1": "PTEN",
    "HYPB": "SETD2", "KMT3A": "SETD2", "LKB1": "STK11", "HLKB1": "STK11", "P53": "TP53",
}  # fmt: skip
"""Another name, in capitals -> symbol."""

_BY_ENTREZ = {number: symbol for symbol, number in ENTREZ.items()}


def symbol_of(name: str, entrez: str = "", where: str = "") -> str:
    """Return the symbol of a gene that a table calls by some name: the name itself if not known.

    Parameters
    ----------
    entrez
        Its Entrez id, which decides where it is stated; 0 states none.
    where
        Row, for errors.

    Raises
    ------
    CohortError
        The name is the symbol of one gene, and the id is that of another.
    """
    number = entrez.removesuffix(".0")
    if not number.strip("0").isdecimal():
        return OTHER_NAMES.get(name.upper(), name)
    if (own := ENTREZ.get(name, number)) != number:
        msg = f"{where}: gene {name} has the Entrez id {number}, and its id is {own}; correct one"
        raise CohortError(msg)
    return _BY_ENTREZ.get(number, name)
