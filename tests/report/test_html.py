"""The page is whole, harmless and asks nothing of any host."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from histofed.core.evaluation.base import Result
from histofed.core.evaluation.binary import BinaryMeasures
from histofed.core.evaluation.regression import RegressionMeasures
from histofed.core.metrics import Interval
from histofed.report.html import render, write_report
from histofed.report.model import (
    HOW_TO_READ,
    ArmSummary,
    Picture,
    Report,
    Section,
    SiteResult,
    Table,
)
from histofed.report.words import POINT_NOTE

EVIL = '<script>alert("1")</script>'
INTERVAL = Interval(0.912, 0.843, 0.968)
ONE_CLASS = "all 15 patients have label 0"


def result(found: Interval | None = INTERVAL, *, n: int = 15, positive: int = 6) -> Result:
    return Result(
        counts={"n_patients": n, "n_positive": positive},
        numbers=dict.fromkeys(("auroc", "auprc", "brier"), found),
        reasons={} if found else {"auroc": ONE_CLASS},
    )


class Page(HTMLParser):
    """Collects tags, attributes and text; complains of tags that do not close."""

    VOID = ("meta", "img", "line", "circle")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture
def report():
    return Report(
        title="Demo",
        subtitle="60 patients",
        measures=BinaryMeasures(),
        summary=(ArmSummary(arm="federated", result=result(n=60, positive=25)),),
        sites=tuple(
            SiteResult(site=site, arm=arm, result=result(found))
            for site, found in (("Aachen", INTERVAL), ("Bern", None))
            for arm in ("federated", "pooled")
        ),
        sections=(
            Section(
                heading="Ranking",
                paragraph="As good as pooled.",
                pictures=(Picture(png=b"\x89PNG", alt="a curve", how_to_read=HOW_TO_READ["roc"]),),
            ),
        ),
        provenance={"seed": "7"},
        caveats=("Research use only.", "Synthetic cohort."),
    )


def test_everything_is_on_the_page(report):
    page = Page(render(report))
    for text in (
        "Demo", "60 patients", "federated", "25 positive", "0.912", "0.843", "0.968", "Aachen",
        "cannot be told", f"for Bern: {ONE_CLASS}.", "As good as pooled.", "How to read", "seed",
        "Synthetic cohort.",
    ):  # fmt: skip
        assert text in page.text
    (image,) = [attributes for tag, attributes in page.tags if tag == "img"]
    assert image["alt"] == "a curve"
    assert base64.b64decode(image["src"].removeprefix("data:image/png;base64,")) == b"\x89PNG"


def test_every_text_is_escaped(report):
    nasty = Report(
        title=EVIL,
        subtitle=EVIL,
        measures=BinaryMeasures(),
        summary=(replace(report.summary[0], arm=EVIL),),
        sites=(replace(report.sites[0], site=EVIL, arm=EVIL),),
        sections=(
            Section(
                heading=EVIL,
                paragraph=f"Patient {EVIL}",
                pictures=(Picture(png=b"", alt=f'" onerror="{EVIL}', how_to_read=EVIL),),
                tables=(Table(columns=(EVIL,), rows=((EVIL, EVIL),), note=EVIL),),
            ),
        ),
        provenance={EVIL: EVIL},
        caveats=(EVIL,),
    )
    page = Page(render(nasty))
    tags = {tag for tag, _ in page.tags}
    assert "script" not in tags
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    # title, h1, subtitle, caveat, nav, arm, site, column, heading, paragraph, caption, key, value;
    # of the table: column, heading of the row, cell, note
    assert page.text.count(EVIL) == 17


def test_nothing_is_asked_of_any_host(report):
    text = render(report)
    assert not re.search(r"https?:|//[a-z]|url\(|@import|<script|<link|javascript:", text)
    for _, attributes in Page(text).tags:
        for name in ("src", "href", "srcset", "action"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/png;base64,"))


def test_the_policy_admits_our_style_and_nothing_else(report):
    text = render(report)
    (policy,) = [a["content"] for t, a in Page(text).tags if t == "meta" and "http-equiv" in a]
    (css,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    assert policy.startswith("default-src 'none'; img-src data:; ")
    assert f"style-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy
    assert ' style="' not in text


def test_a_table_shows_texts_numbers_and_what_cannot_be_told(report):
    table = Table(
        columns=("gene", "r", "AUROC"),
        rows=(("TP53", Interval(-0.1, -0.3, 0.2), None),),
        note="Few patients.",
    )
    section = Section(heading="Genes", paragraph="One.", tables=(table,))
    page = Page(render(replace(report, sections=(section,))))
    for text in ("gene", "TP53", "-0.100", "(-0.300 to 0.200)", "cannot be told", "Few patients."):
        assert text in page.text
    assert not [attributes for tag, attributes in page.tags if tag == "img"]


def test_the_bar_has_chance_in_its_middle(report):
    def middle(text: str) -> str:
        return re.findall(r'<circle class="dot" cx="([\d.]+)"', text)[0]

    def with_value(value: float, measures) -> str:
        found = Interval(value, value - 0.1, value + 0.1)
        numbers = {metric.name: found for metric in measures.metrics}
        summary = ArmSummary(arm="a", result=replace(result(), numbers=numbers))
        return render(replace(report, measures=measures, summary=(summary,), sites=()))

    assert middle(with_value(0.5, BinaryMeasures())) == "50.0"
    assert middle(with_value(0.0, RegressionMeasures(("x",)))) == "50.0"
    assert middle(with_value(0.75, BinaryMeasures())) == "75.0"


def test_links_lead_to_sections(report):
    page = Page(render(report))
    targets = {attributes.get("id") for _, attributes in page.tags}
    links = [attributes["href"] for tag, attributes in page.tags if tag == "a"]
    assert links == ["#section-1"]
    assert {link.removeprefix("#") for link in links} <= targets


def test_an_interval_without_width_is_explained(report):
    assert POINT_NOTE not in render(report)
    perfect = replace(report.sites[0], result=result(Interval(1.0, 1.0, 1.0)))
    assert POINT_NOTE in render(replace(report, sites=(perfect,)))


def test_a_hospital_scored_on_other_patients_or_not_at_all_says_so(report):
    first, second = report.sites[:2]
    fewer = render(replace(report, sites=(first, replace(second, result=result(n=9)))))
    assert "9 patients" in fewer
    missing = render(replace(report, sites=(first, second, replace(first, site="Cork"))))
    assert "not run" in missing


def test_a_report_of_the_bare_minimum_has_no_empty_boxes(report):
    bare = Report(title="T", subtitle="S", measures=BinaryMeasures(), summary=report.summary)
    tags = Page(render(bare)).tags
    assert [a.get("id") for t, a in tags if t == "section"] == ["summary"]
    assert not [t for t, _ in tags if t in ("nav", "ul", "dl", "img")]


def test_the_file_is_written_whole(tmp_path, report):
    path = write_report(tmp_path / "deep" / "report.html", report)
    assert path.read_text(encoding="utf-8") == render(report)
    assert [each.name for each in path.parent.iterdir()] == ["report.html"]
