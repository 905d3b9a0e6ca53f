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
from histofed.report.words import POINT_NOTE, cannot, is_point

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from histofed.core.evaluation.base import Measures, Metric, Result
    from histofed.core.metrics import Interval
    from histofed.report.model import Cell, Picture, Report, Section, SiteResult, Table

INTERVAL_NOTE = (
    "In brackets: 95% bootstrap interval over patients, drawn again within each class where there "
    "are classes."
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
            _summary(report),
            _sites(report),
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


def _summary(report: Report) -> str:
    metrics = report.measures.metrics
    rows = [
        (
            escape(each.arm),
            _patients(report.measures, each.result),
            *(_number(each.result, metric, bar=i == 0) for i, metric in enumerate(metrics)),
        )
        for each in report.summary
    ]
    main = [each.result.numbers[metrics[0].name] for each in report.summary]
    notes = [f"{metric.title}: {metric.meaning}." for metric in metrics] + [INTERVAL_NOTE]
    notes += [POINT_NOTE] * any(is_point(each) for each in main)
    few = report.measures.few(report.summary[0].result.counts) if report.summary else ""
    notes.append(f"{few}." if few else "")
    notes.append(
        cannot((each.arm, why) for each in report.summary for why in each.result.reasons.values())
    )
    columns = ("model", "patients", *(metric.title for metric in metrics))
    return (
        '<section id="summary">\n<h2>Result on held-out patients</h2>\n'
        f'{_cells(columns, rows)}<p class="how">{_prose(notes)}</p>\n</section>'
    )


def _sites(report: Report) -> str:
    """Return a table of hospitals down and ways of training across."""
    by_site: dict[str, dict[str, SiteResult]] = {}
    for each in report.sites:
        by_site.setdefault(each.site, {})[each.arm] = each
    if not by_site:
        return ""
    metric = report.measures.metrics[0]
    arms = list(dict.fromkeys(arm for row in by_site.values() for arm in row))
    rows = []
    for site, row in by_site.items():
        first = next(iter(row.values())).result
        cells = (
            _site_cell(row[arm].result, first, metric) if arm in row else _nothing("not run")
            for arm in arms
        )
        rows.append((escape(site), _patients(report.measures, first), *cells))
    has_point = any(is_point(each.result.numbers[metric.name]) for each in report.sites)
    notes = ["Few patients make wide intervals."]
    if metric.chance is not None:
        low = 2 * metric.chance - 1
        chance = f"The bar spans {low:g} to 1 with a tick at chance ({metric.chance:g})."
        notes.insert(0, chance)
    reasons = ((each.site, each.result.reasons.get(metric.name)) for each in report.sites)
    notes += [POINT_NOTE] * has_point + [cannot(reasons)]
    return (
        f'<section id="sites">\n<h2>{escape(metric.title)} at each hospital</h2>\n'
        f"{_cells(('hospital', 'patients', *arms), rows)}"
        f'<p class="how">{_prose(notes)}</p>\n</section>'
    )


def _site_cell(result: Result, first: Result, metric: Metric) -> str:
    count = "" if result.counts == first.counts else counted(result.counts["n_patients"], "patient")
    return _number(result, metric, bar=True) + (f"<small>{count}</small>" if count else "")


def _patients(measures: Measures, result: Result) -> str:
    kinds = measures.in_words(result.counts)
    return f"{result.counts['n_patients']}<small>{escape(kinds)}</small>"


def _number(result: Result, metric: Metric, *, bar: bool) -> str:
    found = result.numbers[metric.name]
    if found is None:
        return _nothing("cannot be told")
    return _interval(found) + (_bar(found, metric.chance) if bar else "")


def _table(table: Table) -> str:
    rows = [tuple(_cell(cell) for cell in row) for row in table.rows]
    note = f'<p class="how">{escape(table.note)}</p>\n' if table.note else ""
    return _cells(table.columns, rows) + note


def _cell(cell: Cell) -> str:
    if cell is None:
        return _nothing("cannot be told")
    return escape(cell) if isinstance(cell, str) else _interval(cell)


def _cells(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of cells that are HTML already; the first of a row is its heading."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in columns)
    body = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in rest)}</tr>\n'
        for first, *rest in rows
    )
    return (
        f'<div class="table"><table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table>'
        "</div>\n"
    )


def _prose(sentences: Iterable[str]) -> str:
    return escape(" ".join(each for each in sentences if each))


def _nothing(words: str) -> str:
    return f'<span class="none">{words}</span>'


def _interval(interval: Interval) -> str:
    dash = "&ndash;" if interval.low >= 0 else " to "  # a dash before a minus cannot be read
    return (
        f"<b>{interval.value:.3f}</b> "
        f'<span class="range">({interval.low:.3f}{dash}{interval.high:.3f})</span>'
    )


def _bar(interval: Interval, chance: float | None) -> str:
    """Return a small drawing of the interval, chance in its middle and 1 at its end."""
    if chance is None:
        return ""
    start = 2 * chance - 1
    low, value, high = (
        100 * (max(each, start) - start) / (1 - start)
        for each in (interval.low, interval.value, interval.high)
    )
    return (
        '<svg class="bar" viewBox="-3 0 106 10" aria-hidden="true">'
        '<line class="axis" x1="0" x2="100" y1="5" y2="5"/>'
        '<line class="chance" x1="50" x2="50" y1="1" y2="9"/>'
        f'<line class="whisker" x1="{low:.1f}" x2="{high:.1f}" y1="5" y2="5"/>'
        f'<circle class="dot" cx="{value:.1f}" cy="5" r="2.6"/></svg>'
    )


def _section(number: int, section: Section) -> str:
    tables = "".join(_table(each) for each in section.tables)
    pictures = "".join(_picture(each) for each in section.pictures)
    if pictures:
        pictures = f'<div class="pictures">{pictures}</div>\n'
    return (
        f'<section id="section-{number}">\n<h2>{escape(section.heading)}</h2>\n'
        f"<p>{escape(section.paragraph)}</p>\n{tables}{pictures}</section>"
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
