"""The report as one HTML file that asks nothing of any host.

Every text is escaped, pictures are embedded, and the content security policy forbids scripts and
requests: the file can be mailed, archived and opened behind any firewall.
"""

from __future__ import annotations

import base64
import hashlib
import uuid
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING

from histofed.core.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from histofed.core.metrics import Interval
    from histofed.report.model import ArmSummary, Picture, Report, Section, SiteResult

POINT_NOTE = (
    "An interval without width means that every resample separated the classes perfectly: "
    "too few patients to show the uncertainty, not certainty."
)
NOTES = (
    "AUROC: probability that a positive patient is ranked above a negative one; 0.5 is chance. "
    "AUPRC: average precision; chance is the share of positive patients. "
    "Brier: mean squared error of the probability; lower is better. "
    "In brackets: 95% bootstrap interval over patients, resampled within each class."
)


def write_report(path: Path, report: Report) -> Path:
    """Write the report as one self-contained HTML file; it appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.stem}.{uuid.uuid4().hex}.part"
    try:
        temporary.write_text(render(report), encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def render(report: Report) -> str:
    """Return the page as text."""
    css = files("histofed.report").joinpath("report.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )
    body = "\n".join(
        part
        for part in (
            _header(report),
            _summary(report.summary),
            _sites(report.sites),
            *(_section(i, each) for i, each in enumerate(report.sections, start=1)),
            _provenance(report.provenance),
        )
        if part
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{escape(report.title)}</title>\n<style>{css}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _header(report: Report) -> str:
    caveats = "".join(f"<li>{escape(each)}</li>" for each in report.caveats)
    links = "".join(
        f'<a href="#section-{i}">{escape(each.heading)}</a>'
        for i, each in enumerate(report.sections, start=1)
    )
    return (
        f"<header>\n<h1>{escape(report.title)}</h1>\n"
        f'<p class="subtitle">{escape(report.subtitle)}</p>\n'
        + (f'<ul class="caveats" aria-label="Caveats">{caveats}</ul>\n' if caveats else "")
        + (f'<nav aria-label="Sections">{links}</nav>\n' if links else "")
        + "</header>"
    )


def _summary(rows: Iterable[ArmSummary]) -> str:
    rows = list(rows)
    body = "".join(
        f'<tr><th scope="row">{escape(each.arm)}</th>'
        f"<td>{each.n_patients}<small>{each.n_positive} positive</small></td>"
        f"<td>{_interval(each.auroc)}{_bar(each.auroc)}</td>"
        f"<td>{_interval(each.auprc)}</td><td>{_interval(each.brier)}</td></tr>\n"
        for each in rows
    )
    head = "".join(
        f'<th scope="col">{name}</th>' for name in ("model", "patients", "AUROC", "AUPRC", "Brier")
    )
    notes = NOTES + (f" {POINT_NOTE}" if any(_is_point(each.auroc) for each in rows) else "")
    return (
        '<section id="summary">\n<h2>Result on held-out patients</h2>\n'
        f'<div class="table"><table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table>'
        f'</div>\n<p class="how">{notes}</p>\n</section>'
    )


def _sites(results: Iterable[SiteResult]) -> str:
    """Return a table of hospitals down and ways of training across."""
    by_site: dict[str, dict[str, SiteResult]] = {}
    for each in results:
        by_site.setdefault(each.site, {})[each.arm] = each
    if not by_site:
        return ""
    arms = list(dict.fromkeys(arm for row in by_site.values() for arm in row))
    body = ""
    for site, row in by_site.items():
        first = next(iter(row.values()))
        cells = "".join(_site_cell(row.get(arm), first) for arm in arms)
        body += (
            f'<tr><th scope="row">{escape(site)}</th><td>{first.n_patients}'
            f"<small>{first.n_positive} positive</small></td>{cells}</tr>\n"
        )
    head = "".join(f'<th scope="col">{escape(each)}</th>' for each in arms)
    every = (each.auroc for row in by_site.values() for each in row.values())
    is_point = any(each is not None and _is_point(each) for each in every)
    return (
        '<section id="sites">\n<h2>AUROC at each hospital</h2>\n'
        '<div class="table"><table><thead><tr><th scope="col">hospital</th>'
        f'<th scope="col">patients</th>{head}</tr></thead><tbody>\n{body}</tbody></table></div>\n'
        '<p class="how">The bar spans 0 to 1 with a tick at chance (0.5). Few patients make wide '
        f"intervals.{' ' + POINT_NOTE if is_point else ''}</p>\n</section>"
    )


def _site_cell(result: SiteResult | None, first: SiteResult) -> str:
    if result is None:
        return '<td class="none">not run</td>'
    if result.auroc is None:
        return '<td class="none">one class only</td>'
    same = (result.n_patients, result.n_positive) == (first.n_patients, first.n_positive)
    count = "" if same else f"<small>{counted(result.n_patients, 'patient')}</small>"
    return f"<td>{_interval(result.auroc)}{_bar(result.auroc)}{count}</td>"


def _interval(interval: Interval) -> str:
    return (
        f"<b>{interval.value:.3f}</b> "
        f'<span class="range">({interval.low:.3f}&ndash;{interval.high:.3f})</span>'
    )


def _is_point(interval: Interval) -> bool:
    return interval.low == interval.high


def _bar(interval: Interval) -> str:
    """Return a small drawing of the interval on 0..1, repeating what the numbers say."""
    low, value, high = (100 * each for each in (interval.low, interval.value, interval.high))
    return (
        '<svg class="bar" viewBox="-3 0 106 10" aria-hidden="true">'
        '<line class="axis" x1="0" x2="100" y1="5" y2="5"/>'
        '<line class="chance" x1="50" x2="50" y1="1" y2="9"/>'
        f'<line class="whisker" x1="{low:.1f}" x2="{high:.1f}" y1="5" y2="5"/>'
        f'<circle class="dot" cx="{value:.1f}" cy="5" r="2.6"/></svg>'
    )


def _section(number: int, section: Section) -> str:
    pictures = "".join(_picture(each) for each in section.pictures)
    return (
        f'<section id="section-{number}">\n<h2>{escape(section.heading)}</h2>\n'
        f'<p>{escape(section.paragraph)}</p>\n<div class="pictures">{pictures}</div>\n</section>'
    )


def _picture(picture: Picture) -> str:
    data = base64.b64encode(picture.png).decode()
    return (
        f'<figure><img src="data:image/png;base64,{data}" alt="{escape(picture.alt)}">'
        f"<figcaption>{escape(picture.how_to_read)}</figcaption></figure>\n"
    )


def _provenance(facts: Mapping[str, str]) -> str:
    if not facts:
        return ""
    rows = "".join(
        f"<dt>{escape(str(key))}</dt><dd>{escape(str(value))}</dd>" for key, value in facts.items()
    )
    return (
        '<section id="provenance">\n<h2>How these numbers were made</h2>\n'
        f"<dl>{rows}</dl>\n</section>"
    )
