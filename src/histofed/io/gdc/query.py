"""Which slides of a project the portal has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from histofed.core.words import counted
from histofed.errors import DownloadError
from histofed.io.gdc.manifest import gdc_file, refuse_twins
from histofed.io.gdc.patience import Patience, Retries, Trouble

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Sequence

    from histofed.io.gdc.manifest import GdcFile
    from histofed.io.gdc.portal import Portal

STRATEGIES = {
    "diagnostic": ["Diagnostic Slide"],
    "tissue": ["Tissue Slide"],
    "both": ["Diagnostic Slide", "Tissue Slide"],
}
"""Our word -> the portal's: diagnostic slides are of tissue fixed in formalin, tissue slides are
mostly of frozen tissue."""

FIELDS = {"id": "file_id", "filename": "file_name", "md5": "md5sum", "size": "file_size"}
"""Column of a manifest -> name of the portal's field."""

PAGE = 1000


def find_slides(
    portal: Portal,
    projects: Sequence[str],
    *,
    slide_type: str,
    patience: Patience,
    stop: threading.Event,
) -> list[GdcFile]:
    """Return the slides of projects, in the order of their ids.

    Parameters
    ----------
    slide_type
        One of `STRATEGIES`.

    Raises
    ------
    DownloadError
        The portal does not answer, refuses, or answers what makes no sense.
    CohortError
        It names a file that would be no file here.
    """
    question = {
        "filters": _both(
            _in("cases.project.project_id", projects),
            _in("data_type", ["Slide Image"]),
            _in("experimental_strategy", STRATEGIES[slide_type]),
        ),
        "fields": ",".join(FIELDS.values()),
        "sort": "file_id:asc",
        "size": PAGE,
        "format": "JSON",
    }
    retries = Retries(patience, stop)
    hits = list(_hits(portal, question, retries))
    found = [(gdc_file(_cells(hit), f"{portal.address}, hit {n}"), n) for n, hit in hits]
    refuse_twins(((file, f"hit {number}") for file, number in found), portal.address)
    return [file for file, _ in found]


def _hits(
    portal: Portal, question: dict[str, Any], retries: Retries
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield every hit with its number from 1, page by page."""
    n_hits, total = 0, None
    while total is None or n_hits < total:
        answer = _answer(portal, question | {"from": n_hits}, retries)
        try:
            hits, total_now = answer["data"]["hits"], answer["data"]["pagination"]["total"]
            well = all(isinstance(hit, dict) for hit in hits) and type(total_now) is int
        except (TypeError, KeyError):
            well = False
        if not well:
            msg = f"{portal.address}/files: its answer lacks hits or their number; is this a data "
            msg += "portal (portal=...)?"
            raise DownloadError(msg)
        if (total is not None and total_now != total) or (not hits and n_hits < total_now):
            msg = f"{portal.address}/files: it announced {counted(total or total_now, 'file')} and "
            msg += f"then other numbers, after {n_hits:,}; ask again"
            raise DownloadError(msg)
        total = total_now
        yield from enumerate(hits, start=n_hits + 1)
        n_hits += len(hits)


def _answer(portal: Portal, question: dict[str, Any], retries: Retries) -> Any:
    while True:
        try:
            answer = portal.ask("files", question)
        except Trouble as trouble:
            retries.wait(trouble)
        else:
            retries.reset()
            return answer


def _cells(hit: dict[str, Any]) -> dict[str, str]:
    return {name: str(hit.get(field, "")) for name, field in FIELDS.items()}


def _in(field: str, values: Sequence[str]) -> dict[str, Any]:
    return {"op": "in", "content": {"field": field, "value": list(values)}}


def _both(*filters: dict[str, Any]) -> dict[str, Any]:
    return {"op": "and", "content": list(filters)}
