"""How fast the review page answers: several people at once, on the demo's slides.

Run `python benchmarks/review.py [--quick] [--server-only] [--json FILE]`.

A server is started as `histofed review` starts it, in a process of its own, on loopback; it shows
10,000 cases with verdicts of three reviewers. Everything below is asked over HTTP, verdicts
included. Figures, in milliseconds:

- ``tile_p95_ms``, ``tile_p50_ms``: tiles of the viewer for eight people at once. Each asks for the
  six tiles of a field one after the other, looks at them for half a second, and moves on.
  Nobody ever asks for a tile that anybody asked for before: none comes from the server's memory.
- ``again_p95_ms``: the same, when every tile was asked for before.
- ``worklist_ms``: all 10,000 cases in one answer; ``worklist_page_ms``: the first hundred.
- ``first_view_ms``: page, scripts, worklist, first slide with its scores and the tiles of a
  screen, of a server that has answered nothing before.
- ``verdict_p95_ms``: a verdict from being sent to being on the disk, of eight people at once.
- ``recolour_ms_1m``: of `recolour.py`, in a browser, unless ``--server-only``.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np

N_VIEWERS = 8
N_CASES = 10_000
FIELD = 6
LOOK_S = 0.5
DIGEST = "benchmark"


def make(folder: Path, *, quick: bool) -> None:
    """Make slides and their scores."""
    from histofed.core.types import TileScores
    from histofed.io.readers import open_slide
    from histofed.io.store import ScoreStore
    from histofed.synth.cohort import CohortSpec, make_cohort

    make_cohort(folder, CohortSpec(patients_per_site=3 if quick else 14))
    store = ScoreStore(folder / "scores")
    for path in sorted((folder / "slides").rglob("*.svs")):
        with open_slide(path) as slide:
            info = slide.info
        xs = np.arange(0, info.width_px0 - 223, 224)
        ys = np.arange(0, info.height_px0 - 223, 224)
        coords = np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2)
        scores = np.random.default_rng(0).random(len(coords), dtype=np.float32)
        store.write(
            TileScores(
                slide_id=path.stem,
                coords_N2=coords,
                side_px0=224.0,
                scores={"attention": scores},
                model_digest=DIGEST,
                features_digest=DIGEST,
            )
        )


def serve(folder: Path) -> None:
    """Serve until killed; print the address."""
    from histofed.core.types import Slide
    from histofed.io.store import ScoreStore
    from histofed.review.app import create_app
    from histofed.review.data import Case, Output, ReviewData
    from histofed.review.serve import serve as serve_page
    from histofed.review.store import ReviewStore

    paths = {path.stem: path for path in sorted((folder / "slides").rglob("*.svs"))}
    names = [*paths, *(f"more-{number}" for number in range(N_CASES - len(paths)))]
    site = ReviewData(
        title="benchmark",
        question="Is it mutated?",
        kind="binary",
        outputs=(Output("probability", "chance of mutated"),),
        positive="mutated",
        cases=tuple(
            Case(
                patient_id=name,
                site=f"site-{number % 4}",
                label=("wild type", "mutated")[number % 2],
                outputs=(number / N_CASES,),
                intervals={"probability": (0.1, 0.9)},
                possible=("wild type", "mutated"),
                unusual=number % 100 / 100,
                discordant=number % 3 == 0,
                against=number % 100 / 100,
                uncertainty=1 - number / N_CASES,
                slide_ids=(name,) if name in paths else (),
            )
            for number, name in enumerate(names)
        ),
        slides={
            name: Slide(slide_id=name, patient_id=name, site="a", path=path)
            for name, path in paths.items()
        },
        scores=ScoreStore(folder / "scores"),
        models=frozenset({DIGEST}),
        arm="federated",
        model_digest=DIGEST,
    )
    app = create_app(site, ReviewStore(folder / "reviews.sqlite"))
    serve_page(app, port=0, on_start=lambda address: print(address, flush=True))


class Viewer:
    """Somebody with one connection."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.headers: dict[str, str] = {}
        self.times_ms: list[float] = []

    def ask(self, at: str, *, method: str = "GET", content: Any = None) -> bytes:
        """Ask, and remember how long it took."""
        body = None if content is None else json.dumps(content)
        headers = self.headers | ({"Content-Type": "application/json"} if body else {})
        started = time.perf_counter()
        self.connection.request(method, f"/{at}", body=body, headers=headers)
        answer = self.connection.getresponse()
        found = answer.read()
        self.times_ms.append(1000 * (time.perf_counter() - started))
        if cookie := answer.headers.get("set-cookie"):
            self.headers["Cookie"] = cookie.split(";")[0]
        if answer.status >= 300:
            msg = f"/{at}: {answer.status} {found[:200]!r}"
            raise RuntimeError(msg)
        return found

    def sign_in(self, name: str) -> None:
        """Give a name."""
        csrf = json.loads(self.ask("api/session"))["csrf"]
        self.headers["X-Review-Token"] = csrf
        answer = self.ask("api/session", method="POST", content={"reviewer": name})
        self.headers["X-Review-Token"] = json.loads(answer)["csrf"]

    def look(self, tiles: list[str]) -> list[float]:
        """Ask for tiles, a field at a time; return how long each took."""
        self.times_ms = []
        self.connection.close()  # the server has hung up meanwhile; the next question opens another
        for start in range(0, len(tiles), FIELD):
            for tile in tiles[start : start + FIELD]:
                self.ask(tile)
            time.sleep(LOOK_S)
        return self.times_ms

    def judge(self, patients: list[str]) -> list[float]:
        """Give a verdict on each; return how long each took."""
        self.times_ms = []
        self.connection.close()
        given = {"scope": "case", "verdict": "agree", "model_digest": DIGEST}
        for patient in patients:
            self.ask("api/verdicts", method="POST", content=given | {"patient_id": patient})
        return self.times_ms


def first_view(port: int) -> float:
    """Return the milliseconds until a slide is on the screen of a first visitor."""
    viewer, started = Viewer(port), time.perf_counter()
    page = viewer.ask("").decode()
    for script in re.findall(r'(?:src|href)="(static/[^"]+)"', page):
        viewer.ask(script)
    viewer.ask("api/session")
    viewer.ask("api/run")
    case = json.loads(viewer.ask("api/cases?order=patient&find=-00"))["cases"][0]
    slide_id = next(iter(case["slide_ids"]))
    viewer.ask(f"api/case?{urlencode({'patient_id': case['patient_id']})}")
    slide = json.loads(viewer.ask(f"api/slides/{slide_id}"))
    viewer.ask(f"api/slides/{slide_id}/scores/attention")
    for tile in tiles_of(slide, levels=2)[:FIELD]:
        viewer.ask(tile)
    return 1000 * (time.perf_counter() - started)


def tiles_of(slide: dict[str, Any], *, levels: int = 5) -> list[str]:
    """Return the tiles of a slide's last levels, those of one field beside one another."""
    found = []
    for level in range(slide["max_level"], slide["max_level"] - levels, -1):
        side_px0 = slide["zoom_tile_px"] << (slide["max_level"] - level)
        columns = -(-slide["width_px0"] // side_px0)
        rows = -(-slide["height_px0"] // side_px0)
        found += [
            f"tiles/{slide['slide_id']}/{level}/{column}_{row}.jpg"
            for row in range(rows)
            for column in range(columns)
        ]
    return found


def at_once(viewers: list[Viewer], what: str, shares: list[list[str]]) -> list[float]:
    """Let every viewer do their share at the same time; return all times."""
    with ThreadPoolExecutor(len(viewers)) as threads:
        done = [
            threads.submit(getattr(viewer, what), share)
            for viewer, share in zip(viewers, shares, strict=True)
        ]
        return [time_ms for each in done for time_ms in each.result()]


def measure(folder: Path, *, quick: bool) -> dict[str, Any]:
    """Return the result of a server of its own process."""
    server = subprocess.Popen(
        [sys.executable, __file__, "--serve", str(folder)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        port = int(server.stdout.readline().strip().rstrip("/").rsplit(":", 1)[1])
        return ask_everything(port, folder, quick=quick)
    finally:
        server.terminate()
        server.wait(timeout=30)


def ask_everything(port: int, folder: Path, *, quick: bool) -> dict[str, Any]:
    """Return all figures of a server."""
    figures = {"first_view_ms": first_view(port)}
    viewers = [Viewer(port) for _ in range(N_VIEWERS)]
    for number, viewer in enumerate(viewers):
        viewer.sign_in(f"reviewer-{number}")
    slide_ids = sorted(path.stem for path in (folder / "slides").rglob("*.svs"))
    # The first view's slide has been seen.
    every = [
        tile
        for slide_id in slide_ids[1:]
        for tile in tiles_of(json.loads(viewers[0].ask(f"api/slides/{slide_id}")))
    ]
    part = len(every) // N_VIEWERS
    shares = [every[number * part : (number + 1) * part] for number in range(N_VIEWERS)]
    cold_ms = at_once(viewers, "look", shares)
    warm_ms = at_once(viewers, "look", shares[1:] + shares[:1])
    verdicts_ms = at_once(
        viewers, "judge", [[f"more-{i}" for i in range(40 if quick else 200)]] * N_VIEWERS
    )
    worklist_ms = []
    for limit in (N_CASES, 100):
        viewers[0].times_ms = []
        for _ in range(9):
            viewers[0].ask(f"api/cases?order=discordant&limit={limit}")
        worklist_ms.append(statistics.median(viewers[0].times_ms))
    figures |= {
        "tile_p95_ms": float(np.percentile(cold_ms, 95)),
        "tile_p50_ms": float(np.percentile(cold_ms, 50)),
        "again_p95_ms": float(np.percentile(warm_ms, 95)),
        "verdict_p95_ms": float(np.percentile(verdicts_ms, 95)),
        "worklist_ms": worklist_ms[0],
        "worklist_page_ms": worklist_ms[1],
    }
    return {
        "figures": figures,
        "rows": [
            {"job": name, "n": len(times), "max_ms": max(times)}
            for name, times in (("new", cold_ms), ("again", warm_ms), ("verdicts", verdicts_ms))
        ],
        "environment": {
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "viewers": N_VIEWERS,
            "slides": len(slide_ids),
            "load": os.getloadavg()[0],
        },
    }


def recolour(*, quick: bool) -> dict[str, Any]:
    """Return what `recolour.py` measures."""
    with tempfile.TemporaryDirectory() as scratch:
        found = Path(scratch) / "recolour.json"
        script = str(Path(__file__).with_name("recolour.py"))
        options = ["--json", str(found), *(["--quick"] if quick else [])]
        subprocess.run([sys.executable, script, *options], check=True, stdout=subprocess.DEVNULL)
        return json.loads(found.read_text())


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smaller size, under a minute")
    parser.add_argument("--json", type=Path, help="write the result here")
    parser.add_argument("--server-only", action="store_true", help="without a browser")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve)
        return
    with tempfile.TemporaryDirectory() as scratch:
        make(Path(scratch), quick=arguments.quick)
        result = measure(Path(scratch), quick=arguments.quick)
    if not arguments.server_only:
        drawn = recolour(quick=arguments.quick)
        result["figures"] |= drawn["figures"]
        result["rows"] += drawn["rows"]
    for name, value in result["figures"].items():
        print(f"{name}: {value:.1f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
