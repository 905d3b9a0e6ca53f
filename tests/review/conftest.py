"""A small site: real and made slides, known scores, and slides that cannot be shown."""

from __future__ import annotations

import os
import re
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from PIL import Image

from histofed.core.types import Slide, TileScores
from histofed.io.pyramid import write_pyramid
from histofed.io.store import ScoreStore
from histofed.review.app import VIEWER_SCRIPT, create_app
from histofed.review.data import Case, Output, ReviewData
from histofed.review.serve import bind, server
from histofed.review.store import ReviewStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from fastapi import FastAPI
    from playwright.sync_api import Browser, ConsoleMessage, Page, Route

REPO = Path(__file__).parents[2]
TEST_DATA = Path(os.environ.get("HISTOFED_TEST_DATA", REPO / ".." / "shared" / "data"))
REAL_SLIDE = TEST_DATA / "slides" / "CMU-1-Small-Region.svs"
SIDE_PX0 = 224.0
UNEVEN_SIDE_PX0 = 221.61  # 112 um at 0.5054 mpp: corners are rounded, the side is not
MADE_SIZE_PX0 = (2500, 1900)

ARTEFACTS = REPO / "test-artifacts" / "page"
CHROMIUM = Path("/usr/bin/chromium")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_S = 60
"""A machine with much else to do is slow, not wrong."""
SCREEN = {"width": 1360, "height": 850}
BOUNDS = "JSON.stringify(histofed.view.viewer.viewport.getBounds(true))"


def made_picture() -> np.ndarray:
    """Smooth colours, so that JPEG keeps them to a few grey levels."""
    coarse = np.random.default_rng(3).integers(90, 250, (6, 8, 3), dtype=np.uint8)
    picture = Image.fromarray(coarse).resize(MADE_SIZE_PX0, Image.Resampling.BICUBIC)
    return np.asarray(picture)


@pytest.fixture(scope="session")
def made() -> np.ndarray:
    return made_picture()


def grid_scores(slide_id: str, size_px0: tuple[int, int], side_px0: float = SIDE_PX0) -> TileScores:
    """One tile per whole square; attention and evidence differ."""
    xs = np.rint(np.arange(int(size_px0[0] // side_px0)) * side_px0)
    ys = np.rint(np.arange(int(size_px0[1] // side_px0)) * side_px0)
    coords = np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2).astype(np.int64)
    ramp = np.linspace(0, 1, len(coords), dtype=np.float32)
    attention = 0.001 + 0.004 * (ramp + np.sin(coords[:, 0] / 400) ** 2).astype(np.float32)
    evidence = np.cos(coords[:, 1] / 500).astype(np.float32)
    return TileScores(
        slide_id=slide_id,
        coords_N2=coords,
        side_px0=side_px0,
        scores={"evidence": evidence, "attention": attention},
        model_digest="m",
        features_digest="f",
    )


def make_site(folder: Path) -> ReviewData:
    """Write the slides and scores and describe them."""
    made = write_pyramid(folder / "made.svs", made_picture(), mpp=0.5, objective_power=20)
    without_mpp = folder / "plain.tif"
    tifffile.imwrite(without_mpp, made_picture()[:600, :600], tile=(256, 256), photometric="rgb")
    (folder / "torn.svs").write_bytes(made.read_bytes()[:1000])
    paths = {
        "made-1": made,
        "made-2": made,
        "torn": folder / "torn.svs",
        "plain": without_mpp,
        "vanished": folder / "vanished.svs",
        "no scores": made,
        "bad-scores": made,
        "bag": None,
    }
    if REAL_SLIDE.is_file():
        paths["real"] = REAL_SLIDE
    store = ScoreStore(folder / "scores")
    for slide_id in ("made-1", "torn"):
        store.write(grid_scores(slide_id, MADE_SIZE_PX0))
    store.write(grid_scores("made-2", MADE_SIZE_PX0, UNEVEN_SIDE_PX0))
    store.write(grid_scores("real", (2220, 2967)))
    store.path("bad-scores").write_bytes(b"not HDF5")
    cases = [
        ("P-sure", "North", "mutated", 0.97, ("made-1",)),
        ("P-close", "South", "wild type", 0.52, ("real",) if "real" in paths else ("made-1",)),
        ("P-two", "North", None, 0.45, ("made-1", "made-2")),
        ("P-torn", "West", "wild type", 0.31, ("torn",)),
        ("P-bare", "West", "wild type", 0.2, ("no scores",)),
        ("P-none", "South", "mutated", 0.05, ()),
    ]
    return ReviewData(
        title="Demo run",
        question="Is it mutated?",
        kind="binary",
        outputs=(Output("probability", "chance of mutated"),),
        positive="mutated",
        cases=tuple(
            Case(
                patient_id=who,
                site=site,
                label=label,
                outputs=(p,),
                slide_ids=slides,
                uncertainty=1 - abs(2 * p - 1),
            )
            for who, site, label, p, slides in cases
        ),
        slides={
            slide_id: Slide(slide_id=slide_id, patient_id="P", site="S", path=path)
            for slide_id, path in paths.items()
        },
        scores=store,
        models=frozenset({"m"}),
        arm="federated",
        model_digest="of-m",
    )


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> ReviewData:
    return make_site(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> ReviewStore:
    return ReviewStore(tmp_path_factory.mktemp("reviews") / "reviews.sqlite")


@pytest.fixture(scope="session")
def app(site: ReviewData, store: ReviewStore) -> FastAPI:
    if not VIEWER_SCRIPT.is_file():
        pytest.skip(f"{VIEWER_SCRIPT.name} was not installed (npm); install histofed again")
    return create_app(site, store)


@pytest.fixture(scope="session")
def page(app: FastAPI) -> Iterator[str]:
    """The address of the running page."""
    with running(app) as address:
        yield address


@contextmanager
def running(app: FastAPI) -> Iterator[str]:
    """Serve in a thread on a free port; gives the address."""
    listening = bind("127.0.0.1", 0)
    serving = server(app)
    thread = threading.Thread(target=serving.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + 20
        while not serving.started:
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.02)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        serving.should_exit = True
        thread.join(timeout=20)
        listening.close()


@pytest.fixture
def serve_page() -> Callable[[FastAPI], AbstractContextManager[str]]:
    """Serves another page for a while; gives its address."""
    return running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.is_file():
        pytest.skip(f"no browser at {CHROMIUM}; install the Debian package chromium")
    playwright_api = pytest.importorskip("playwright.sync_api")
    playwright_api.expect.set_options(timeout=1000 * PATIENCE_S)
    with playwright_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def tab(browser: Browser, page: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The page, opened by a reviewer of this test alone.

    Afterwards: no error in the console, no request to anywhere else.
    """
    context = browser.new_context(viewport=SCREEN, color_scheme="dark")
    tab = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    tab.on("console", lambda message: said.append(message.text) if is_complaint(message) else None)
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(page)
    tab.locator("#entry-text").fill(f"Dr {request.node.name}"[:80])
    tab.locator("#entry-form [type=submit]").click()
    yield tab
    context.close()
    expected = re.compile("status of (403|404|422|503|504|507)")
    assert [line for line in said if not expected.search(line)] == []
    assert len(asked) > 5
    assert [url for url in asked if not url.startswith((page, f"blob:{page}", "data:"))] == []


def is_complaint(message: ConsoleMessage) -> bool:
    """OpenSeadragon remarks as a warning that a tile came after the slide was left: no fault."""
    return message.type == "error" or "Security Policy" in message.text


class Reviewer:
    """Someone at the page who chooses patients and waits until a slide is there."""

    def __init__(self, tab: Page) -> None:
        from playwright.sync_api import expect

        self.tab = tab
        self.expect = expect

    def open_patient(self, patient_id: str) -> None:
        self.tab.locator("#to-worklist").click()
        self.tab.locator(".case", has_text=patient_id).click()
        self.expect(self.tab.locator("#patient")).to_have_text(patient_id)
        self.wait_for_slide()

    def open_slide(self, slide_id: str) -> None:
        self.tab.locator(f"#slides [data-slide={slide_id}]").click()
        self.wait_until(f"histofed.view.slide?.slide_id === '{slide_id}'")
        self.wait_for_slide()

    def wait_for_slide(self) -> None:
        self.wait_until("histofed.view.slide && histofed.view.image?.getFullyLoaded()")
        self.wait_until("histofed.view.heatmap.scores?.length > 0")
        self.wait_until("histofed.whyNot() === null")
        self.settle()

    def draw_with_keys(self) -> None:
        """Draw a box; its comment has the focus."""
        self.tab.keyboard.press("b")
        for key in ("Enter", "ArrowRight", "ArrowDown", "Enter"):
            self.tab.keyboard.press(key)
            self.settle()

    def kept(self, words: str) -> None:
        """Expect the page to say that a verdict was kept."""
        self.expect(self.tab.locator("#status")).to_contain_text(f"Kept: {words}")
        self.tab.wait_for_timeout(600)  # sooner it would be a key struck twice

    def route(self, address: str, answer: Callable[[Route], None]) -> None:
        """Answer in the server's stead what the page asks of its address.

        A busy browser lets pass what is asked right after `Page.route`: wait until it does not.
        """
        stopped: list[Route] = []

        def stop(route: Route) -> None:
            stopped.append(route)
            route.fulfill(status=204)

        self.tab.route(f"**/api/{address}", answer)
        self.tab.route("**/api/stopped", stop)
        while not stopped:
            self.tab.evaluate("fetch('api/stopped').then(() => null, () => null)")
        self.tab.unroute("**/api/stopped")

    @contextmanager
    def held(self, address: str, failed: str | None = None) -> Iterator[Callable[[], None]]:
        """Keep back what the page asks of the server's address until the end, or let it fail then.

        Gives how to wait until it has asked.
        """
        held: list[Route] = []

        def asked() -> None:
            deadline = time.monotonic() + PATIENCE_S
            while not held:
                assert time.monotonic() < deadline, f"{address} is not asked for"
                self.tab.wait_for_timeout(50)

        self.route(address, lambda route: held.append(route))
        yield asked
        while held:
            route = held.pop()
            route.continue_() if failed is None else route.fulfill(status=507, body=failed)
        self.tab.unroute(f"**/api/{address}")

    def wait_until(self, condition: str) -> None:
        """Poll from outside: the page's own policy forbids playwright's polling inside it."""
        deadline = time.monotonic() + PATIENCE_S
        while not self.tab.evaluate(condition):
            assert time.monotonic() < deadline, f"still not: {condition}"
            self.tab.wait_for_timeout(30)

    def settle(self) -> None:
        """Wait until nothing moves any more."""
        before = None
        while before != (before := self.tab.evaluate(BOUNDS)):
            self.tab.wait_for_timeout(150)

    def keep(self, name: str) -> None:
        """Keep a picture of the screen for whoever looks at the test's artefacts."""
        self.tab.screenshot(path=self.artefacts / f"{name}.png")

    @property
    def artefacts(self) -> Path:
        """A folder that git ignores."""
        ARTEFACTS.mkdir(parents=True, exist_ok=True)
        return ARTEFACTS


@pytest.fixture
def reviewer_at() -> type[Reviewer]:
    """Makes the reviewer of a page that a test opened itself."""
    return Reviewer


@pytest.fixture
def reviewer(tab: Page) -> Reviewer:
    return Reviewer(tab)


@pytest.fixture
def me(tab: Page, reviewer: Reviewer) -> str:
    """Name of the tab's reviewer."""
    reviewer.expect(tab.locator("#who")).to_contain_text("Dr")
    return tab.locator("#who").text_content() or ""
