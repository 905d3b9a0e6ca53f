"""How fast the review page gives a heat map of a million tiles other colours.

Run `python benchmarks/recolour.py [--quick] [--json FILE]`; it needs playwright and the Debian
package chromium, which runs headless and without a graphics card.

The page's own modules draw 1000 x 1000 tiles (``--quick``: 300 x 300) on a canvas of 1200 x 800
pixels. Each turn changes colour map and threshold, draws, and reads one pixel back, so that nothing
is still waiting to be drawn. Figures are medians of the turns, in milliseconds:
``recolour_ms_1m`` (other colours or threshold) and ``rescale_ms_1m`` (from scores to ranks, where
every score is placed anew).
"""

from __future__ import annotations

import argparse
import functools
import http.server
import json
import os
import platform
import statistics
import threading
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

STATIC = Path(__file__).parents[1] / "src/histofed/review/static"
CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]

TURNS = """
async ([side, turns]) => {
    const { Heatmap } = await import("/heatmap.js");
    const { TileScores } = await import("/tilescores.js");
    const triples = new Float32Array(3 * side * side);
    for (let i = 0; i < side * side; i += 1) {
        triples.set([224 * (i % side), 224 * Math.floor(i / side), Math.random() ** 4], 3 * i);
    }
    const container = document.createElement("div");
    Object.assign(container.style, { width: "1200px", height: "800px", position: "relative" });
    document.body.append(container);
    const zoom = 800 / (224 * side);
    const imageToScreen = (x, y) => ({ x: x * zoom, y: y * zoom });
    const heatmap = new Heatmap({ container, imageToScreen });
    Object.assign(heatmap.canvas.style, { width: "1200px", height: "800px" });
    const scores = new TileScores(triples, { sidePx0: 224, head: { low: 0, high: 1 } });
    heatmap.many = 0;
    heatmap.show(scores);
    const time = (look) => {
        const before = performance.now();
        heatmap.setLook(look);
        heatmap.canvas.getContext("2d").getImageData(400, 400, 1, 1);
        return performance.now() - before;
    };
    const names = ["viridis", "magma", "cividis", "coolwarm"];
    const looks = Array.from({ length: turns }, (_, i) => (
        { colours: names[i % 4], scale: "raw", threshold: (i % 10) / 20 }));
    time(looks[0]);
    const recolour = looks.map(time);
    const rescale = Array.from({ length: Math.ceil(turns / 5) }, (_, i) =>
        time({ colours: "viridis", scale: i % 2 ? "raw" : "percentile", threshold: 0 }));
    return { recolour, rescale: rescale.filter((_, i) => i % 2 === 0) };
}
"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves the page's modules, and an empty page to load them into."""

    def do_GET(self) -> None:
        if self.path != "/":
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>empty</title>")

    def log_message(self, *_: object) -> None:
        pass


def measure(*, side: int, turns: int) -> dict[str, Any]:
    """Return the result for ``side`` x ``side`` tiles."""
    handler = functools.partial(Quiet, directory=str(STATIC))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            tab = browser.new_page(viewport={"width": 1300, "height": 900})
            tab.goto(f"http://127.0.0.1:{server.server_address[1]}/")
            times = tab.evaluate(TURNS, [side, turns])
            version = browser.version
            browser.close()
        server.shutdown()
    return {
        "figures": {f"{name}_ms_1m": statistics.median(each) for name, each in times.items()},
        "rows": [
            {"job": name, "tiles": side**2, "turns": len(each), "max_ms": max(each)}
            for name, each in times.items()
        ],
        "environment": {
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "chromium": version,
            "load": os.getloadavg()[0],
        },
    }


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smaller size, under a minute")
    parser.add_argument("--json", type=Path, help="write the result here")
    arguments = parser.parse_args()
    result = measure(side=300 if arguments.quick else 1000, turns=20 if arguments.quick else 60)
    for name, value in result["figures"].items():
        print(f"{name}: {value:.1f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
