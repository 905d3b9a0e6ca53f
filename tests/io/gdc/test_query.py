"""The slides of a project, page by page; an answer that makes no sense is refused."""

from __future__ import annotations

import threading

import pytest

from histofed.errors import CohortError, DownloadError, PortalSilent
from histofed.io.gdc import Patience, Portal, find_slides


def hit(number, **other):
    return {
        "file_id": f"00000000-0000-0000-0000-{number:012}",
        "file_name": f"TCGA-3H-{number:04}-01Z-00-DX1.svs",
        "md5sum": f"{number:032}",
        "file_size": 1000 + number,
        "id": "the portal adds this",
    } | other


def find(portal, *projects, slide_type="diagnostic"):
    return find_slides(
        Portal(portal.address),
        projects or ["TCGA-MESO"],
        slide_type=slide_type,
        patience=Patience(attempts=3, first_s=0.001),
        stop=threading.Event(),
    )


@pytest.mark.parametrize(("n_hits", "page"), [(0, 3), (1, 3), (3, 3), (7, 3), (1000, 1000)])
def test_every_page_is_read(gdc_portal, n_hits, page):
    gdc_portal.hits, gdc_portal.page = [hit(number) for number in range(n_hits)], page
    files = find(gdc_portal)
    assert [file.id for file in files] == [each["file_id"] for each in gdc_portal.hits]
    assert [file.size for file in files] == [1000 + number for number in range(n_hits)]
    assert len(gdc_portal.questions) == max(1, -(-n_hits // page))


@pytest.mark.parametrize(
    ("slide_type", "strategies"),
    [
        ("diagnostic", ["Diagnostic Slide"]),
        ("tissue", ["Tissue Slide"]),
        ("both", ["Diagnostic Slide", "Tissue Slide"]),
    ],
)
def test_what_is_asked(gdc_portal, slide_type, strategies):
    find(gdc_portal, "TCGA-LUAD", "TCGA-LUSC", slide_type=slide_type)
    question = gdc_portal.questions[0]
    asked = {
        each["content"]["field"]: each["content"]["value"]
        for each in question["filters"]["content"]
    }
    assert question["filters"]["op"] == "and"
    assert asked == {
        "cases.project.project_id": ["TCGA-LUAD", "TCGA-LUSC"],
        "data_type": ["Slide Image"],
        "experimental_strategy": strategies,
    }
    assert question["sort"] == "file_id:asc"
    assert set(question["fields"].split(",")) == {"file_id", "file_name", "md5sum", "file_size"}
    path, headers = gdc_portal.requests[0]
    assert path == "/files"
    assert headers["content-type"] == "application/json"


def test_a_busy_portal_is_asked_again(gdc_portal):
    """As often for every page."""
    gdc_portal.hits, gdc_portal.page = [hit(1), hit(2)], 1
    first = {"data": {"hits": [hit(1)], "pagination": {"total": 2}}}
    busy = [gdc_portal.status(503), gdc_portal.status(429)]
    gdc_portal.plan("files", *busy, gdc_portal.send_json(first), *busy)
    assert len(find(gdc_portal)) == 2
    gdc_portal.plan("files", *[gdc_portal.status(503)] * 3)
    with pytest.raises(PortalSilent, match="503"):
        find(gdc_portal)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ([], "lacks hits"),
        ({"data": {"hits": []}}, "lacks hits"),
        ({"data": {"hits": None, "pagination": {"total": 1}}}, "lacks hits"),
        ({"data": {"hits": ["x"], "pagination": {"total": 1}}}, "lacks hits"),
        ({"data": {"hits": [], "pagination": {"total": "1"}}}, "lacks hits"),
        ({"data": {"hits": [], "pagination": {"total": 5}}}, "announced 5 files"),
    ],
)
def test_answers_that_make_no_sense(gdc_portal, answer, words):
    gdc_portal.plan("files", *[gdc_portal.send_json(answer)] * 3)
    with pytest.raises(DownloadError, match=words):
        find(gdc_portal)
    assert len(gdc_portal.questions) == 1


def test_hits_that_become_more_meanwhile(gdc_portal):
    first = {"data": {"hits": [hit(1)], "pagination": {"total": 2}}}
    second = {"data": {"hits": [hit(2)], "pagination": {"total": 3}}}
    gdc_portal.plan("files", gdc_portal.send_json(first), gdc_portal.send_json(second))
    with pytest.raises(DownloadError, match="announced 2 files"):
        find(gdc_portal)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"file_name": "../../evil.svs"}, "hit 2: filename"),
        ({"file_id": "../x"}, "hit 2: id"),
        ({"md5sum": None}, "hit 2: md5"),
        ({"file_size": True}, "hit 2: size"),
        ({"file_id": hit(1)["file_id"]}, "hit 1 and again at hit 2"),
    ],
)
def test_a_hit_at_fault_is_named(gdc_portal, wrong, words):
    gdc_portal.hits = [hit(1), hit(2, **wrong)]
    with pytest.raises(CohortError, match=words):
        find(gdc_portal)
