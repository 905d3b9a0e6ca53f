"""How far reviewers agree: with the model, with one another, and with the scores of tiles."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from histofed.core.metrics.discrimination import auroc
from histofed.core.metrics.intervals import wilson
from histofed.core.metrics.raters import cohen_kappa, share_of_groups
from histofed.review.worklist import latest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

AT_K = (1, 5, 10, 20)

WHICH_TILE = ("reviewer", "slide_id", "scores_digest", "head", "tile")
"""What of a verdict tells of whom, and on which tile of which heat map, it is."""


def of_tiles_given(
    rows: Sequence[Mapping[str, Any]], blinded: Literal["any", "yes", "no"]
) -> list[Mapping[str, Any]]:
    """Return the verdicts without those on tiles that were not given blinded, or were.

    A tile that its reviewer had judged with a score in sight is not blinded any more, whichever
    heat map it was: the picture is the same.
    """
    found: list[Mapping[str, Any]] = []
    seen: set[tuple[object, ...]] = set()
    for row in rows:
        if row["scope"] != "tile":
            found.append(row)
            continue
        picture = tuple(row[name] for name in WHICH_TILE if name != "head")
        if not row["blinded"]:
            seen.add(picture)
        truly = row["blinded"] and picture not in seen
        if blinded == "any" or truly == (blinded == "yes"):
            found.append({**row, "blinded": truly})
    return found


def results(rows: Sequence[Mapping[str, Any]], *, n_cases: int) -> dict[str, Any]:
    """Return the results of stored verdicts.

    Parameters
    ----------
    rows
        In the order in which they were given: the last of a reviewer on a thing counts.
    n_cases
        Of the run.
    """
    of_cases = [row for row in rows if row["scope"] == "case"]
    given = latest((row["patient_id"], row["reviewer"], row["verdict"]) for row in of_cases)
    said: dict[str, dict[str, str]] = {}
    for patient_id, by_reviewer in given.items():
        for reviewer, verdict in by_reviewer.items():
            said.setdefault(reviewer, {})[patient_id] = verdict
    tiles = _tiles(rows)
    return {
        "reviewers": _reviewers(rows, said),
        "pairs": [
            found
            for a, b in combinations(sorted(said), 2)
            if (found := _pair(a, b, said[a], said[b]))
        ],
        "precision_at_k": [found for k in AT_K if (found := _precision(tiles, k))],
        "auroc_of_relevance": _relevance(tiles),
        "n_cases": n_cases,
        "n_reviewed": len(given),
    }


def _reviewers(
    rows: Sequence[Mapping[str, Any]], said: Mapping[str, Mapping[str, str]]
) -> list[dict[str, Any]]:
    """Return what each reviewer said of cases, and on how many regions and tiles they said any."""
    things = {
        (row["reviewer"], row["scope"], row["slide_id"], row["tile"], str(row["region"]))
        for row in rows
    }
    n_of = Counter((reviewer, scope) for reviewer, scope, *_ in things)
    return [
        _cases(name, said.get(name, {}))
        | {"n_regions": n_of[name, "region"], "n_tiles": n_of[name, "tile"]}
        for name in sorted({name for name, _ in n_of})
    ]


def _cases(name: str, verdict_of: Mapping[str, str]) -> dict[str, Any]:
    said = list(verdict_of.values())
    n = {word: said.count(word) for word in ("agree", "disagree", "unsure")}
    decided = n["agree"] + n["disagree"]
    found = wilson(n["agree"], decided) if decided else None
    agreement = None if found is None else [found.value, found.low, found.high]
    return {"reviewer": name, "n_cases": len(said), **n, "agreement": agreement}


def _pair(
    a: str, b: str, said_a: Mapping[str, str], said_b: Mapping[str, str]
) -> dict[str, Any] | None:
    both = sorted(said_a.keys() & said_b.keys())
    if not both:
        return None
    kappa = cohen_kappa([said_a[each] for each in both], [said_b[each] for each in both])
    found: dict[str, Any] = {"reviewers": [a, b], "n": len(both)}
    if kappa is None:
        return found | {"kappa": None, "low": None, "high": None}
    return found | {"kappa": kappa.value} | _ends(kappa.low, kappa.high)


def _tiles(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return each reviewer's latest verdict on each tile whose place was known; not the unsure."""
    found: dict[tuple[object, ...], Mapping[str, Any]] = {}
    for row in rows:
        if row["scope"] == "tile" and row["rank"] is not None:
            found[tuple(row[name] for name in WHICH_TILE)] = row
    return [row for row in found.values() if row["verdict"] != "unsure"]


def _precision(tiles: Sequence[Mapping[str, Any]], k: int) -> dict[str, Any] | None:
    """Return the part of the k highest tiles that are relevant, of those looked at.

    Tiles of a patient are alike, so the interval is over patients.
    """
    top = [row for row in tiles if row["rank"] <= k]
    if not top:
        return None
    relevant = [float(row["verdict"] == "relevant") for row in top]
    found = share_of_groups(relevant, [row["patient_id"] for row in top])
    return {"k": k, "value": found.value, "n": len(top)} | _ends(found.low, found.high)


def _relevance(tiles: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return how well scores tell relevant tiles from others, of tiles judged without scores.

    Tiles are compared within the heat map of a slide, by one reviewer.
    """
    blind = [row for row in tiles if row["blinded"]]
    labels = np.array([row["verdict"] == "relevant" for row in blind], dtype=np.int64)
    within = [f"{row['reviewer']}\n{row['scores_digest']}\n{row['head']}" for row in blind]
    both = {each for each, label in zip(within, labels, strict=True) if label} & {
        each for each, label in zip(within, labels, strict=True) if not label
    }
    if not both:
        return None
    value = auroc(labels, [row["percentile"] for row in blind], within_P=within)
    return {"value": value, "n": len(blind)}


def _ends(low: float, high: float) -> dict[str, float | None]:
    told = np.isfinite([low, high]).all()
    return {"low": low if told else None, "high": high if told else None}
