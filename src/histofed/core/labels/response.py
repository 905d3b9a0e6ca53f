"""Response to treatment by the criteria of the disease.

RECIST 1.1: Eisenhauer et al. 2009, Eur J Cancer 45:228. Modified RECIST for pleural mesothelioma,
which measures thickness against the chest wall: Byrne & Nowak 2004, Ann Oncol 15:257. Myeloma:
Kumar et al. 2016, Lancet Oncol 17:e328. Residual cancer burden: Symmans et al. 2007, J Clin Oncol
25:4414.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from histofed.core.labels.base import Available, Case, Unknown, YesNoRule
from histofed.errors import CohortError, ConfigError

_RECIST = (
    ("CR", ("complete response",)),
    ("PR", ("partial response",)),
    ("SD", ("stable disease", "non-cr/non-pd")),
    ("PD", ("progressive disease",)),
)

CRITERIA = {
    "RECIST 1.1": _RECIST,
    "mRECIST": _RECIST,
    "IMWG": (
        ("sCR", ("stringent complete response",)),
        ("CR", ("complete response",)),
        ("VGPR", ("very good partial response",)),
        ("PR", ("partial response",)),
        ("MR", ("minimal response",)),
        ("SD", ("stable disease",)),
        ("PD", ("progressive disease",)),
    ),
}
"""Criteria -> categories from best to worst, each with how else it is written."""

WRITTEN = {
    "RECIST 1.1": ("recist11", "recist"),
    "mRECIST": ("mrecist", "mrecist11", "modifiedrecist", "modifiedrecist11"),
    "IMWG": ("imwg",),
}
"""Criteria -> how tables write them, without spaces, signs and the v of a version."""

NOT_EVALUABLE = ("", "na", "nan", "ne", "not evaluable", "inevaluable", "unknown", "not assessed")

CRITERIA_COLUMNS = ("response_criteria", "criteria")
"""Columns that may say by which criteria a response was read."""


@dataclass(frozen=True, kw_only=True)
class ResponseRule(YesNoRule):
    """Yes if the best overall response is at least a category.

    Attributes
    ----------
    columns
        Names that the column of best responses may have.
    criteria
        One of `CRITERIA`. Where the table says its own, it must be these.
    at_least
        The least category that counts as response: PR, or VGPR in myeloma.
    """

    columns: tuple[str, ...]
    criteria: str
    at_least: str

    def __post_init__(self) -> None:
        """Refuse criteria and categories that do not exist."""
        if self.criteria not in CRITERIA:
            msg = f"criteria {self.criteria!r} are not known; one of {', '.join(CRITERIA)}"
            raise ConfigError(msg)
        if self.at_least not in (names := [name for name, _ in CRITERIA[self.criteria]]):
            msg = f"{self.criteria} has no category {self.at_least!r}; one of {', '.join(names)}"
            raise ConfigError(msg)

    @property
    def in_words(self) -> str:
        """Criteria and least category."""
        return f"best response at least {self.at_least} by {self.criteria}"

    @property
    def reads(self) -> tuple[str, ...]:
        """The column."""
        return self.columns

    def lacking(self, available: Available) -> str:
        """Return the column, if it is not there."""
        return "" if available.first(self.columns) else available.lacking(self.columns[0])

    def answer(self, case: Case) -> bool | Unknown:
        """Return whether the patient responded; unknown where that was not evaluable.

        Raises
        ------
        CohortError
            The cell is no category of the criteria, or was read by others.
        """
        name, cell = case.cell(self.columns) or (self.columns[0], "")
        if cell.lower() in NOT_EVALUABLE:
            return Unknown(f"{name} is {cell or 'empty'}")
        self._check_criteria(case)
        ranked = CRITERIA[self.criteria]
        names = [category for category, _ in ranked]
        for rank, (category, words) in enumerate(ranked):
            if cell.lower() in (category.lower(), *words):
                return rank <= names.index(self.at_least)
        msg = f"{case.where}: column {name!r} holds {cell!r}, which is no best response by "
        msg += f"{self.criteria} ({', '.join(names)}, NE); correct the table"
        raise CohortError(msg)

    def _check_criteria(self, case: Case) -> None:
        name, said = case.cell(CRITERIA_COLUMNS) or ("", "")
        if said and _plain(said) not in WRITTEN[self.criteria]:
            msg = f"{case.where}: column {name!r} says {said!r}, and the rule reads responses by "
            msg += f"{self.criteria}; name the criteria of the table (task.label.response.criteria)"
            raise CohortError(msg)


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]|v(?=\d)", "", text.lower())


@dataclass(frozen=True, kw_only=True)
class ResidualBurdenRule(YesNoRule):
    """Yes (complete response) if the residual cancer burden is 0: its index, or class RCB-0."""

    columns: tuple[str, ...]

    @property
    def in_words(self) -> str:
        """What counts."""
        return "RCB-0 (residual cancer burden)"

    @property
    def reads(self) -> tuple[str, ...]:
        """The column."""
        return self.columns

    def lacking(self, available: Available) -> str:
        """Return the column, if it is not there."""
        return "" if available.first(self.columns) else available.lacking(self.columns[0])

    def answer(self, case: Case) -> bool | Unknown:
        """Return whether nothing is left.

        Raises
        ------
        CohortError
            The cell is neither a class nor an index.
        """
        name, cell = case.cell(self.columns) or (self.columns[0], "")
        if cell.lower() in NOT_EVALUABLE:
            return Unknown(f"{name} is {cell or 'empty'}")
        text = re.sub(r"^(rcb|class)[\s_-]*", "", cell.lower())
        if text in ("0", "pcr"):
            return True
        if text in ("i", "ii", "iii") or re.fullmatch(r"\d+(\.\d+)?", text):
            return re.fullmatch(r"0+(\.0+)?", text) is not None
        msg = f"{case.where}: column {name!r} holds {cell!r}, which is neither a class (RCB-0, "
        msg += "RCB-I, RCB-II, RCB-III) nor an index of residual cancer burden; correct the table"
        raise CohortError(msg)


@dataclass(frozen=True, kw_only=True)
class PathologicalStageRule(YesNoRule):
    """Yes (complete response) if the stage after treatment is ypT0 or ypTis, and ypN0.

    Tumour cells in a node, however few (ypN0(i+)), are residual disease.

    Attributes
    ----------
    tumour, node
        Names that the columns of ypT and ypN may have.
    """

    tumour: tuple[str, ...]
    node: tuple[str, ...]

    @property
    def in_words(self) -> str:
        """What counts."""
        return "ypT0/is ypN0"

    @property
    def reads(self) -> tuple[str, ...]:
        """Both columns."""
        return (*self.tumour, *self.node)

    def lacking(self, available: Available) -> str:
        """Return the column that is not there, if so."""
        found = [available.first(names) or names[0] for names in (self.tumour, self.node)]
        return available.lacking(*found)

    def answer(self, case: Case) -> bool | Unknown:
        """Return whether nothing invasive is left in breast and nodes.

        Raises
        ------
        CohortError
            A cell is no stage after treatment.
        """
        tumour = self._stage(case, self.tumour, "T")
        node = self._stage(case, self.node, "N")
        if (tumour and not _GONE.fullmatch(tumour)) or (node and not _FREE.fullmatch(node)):
            return False  # residual disease in one place is enough
        if not tumour or not node:
            return Unknown(f"{(self.tumour if not tumour else self.node)[0]} is not known")
        return True

    def _stage(self, case: Case, columns: tuple[str, ...], letter: str) -> str:
        name, cell = case.cell(columns) or (columns[0], "")
        if cell.lower() in NOT_EVALUABLE or re.fullmatch(rf"(?i)(yp)?{letter}?x", cell):
            return ""
        text = re.sub(rf"(?i)^(yp)?{letter}?(?=\d|is)", "", cell).lower()
        if not re.fullmatch(r"(\d|is).*", text):
            msg = f"{case.where}: column {name!r} holds {cell!r}, which is no stage yp{letter}; "
            msg += "correct the table"
            raise CohortError(msg)
        return text


_GONE = re.compile(r"0|is\s*(\(.*\))?")
_FREE = re.compile(r"0(\s*\((i-|mol-|sn)\))*")
