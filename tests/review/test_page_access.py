"""The page in a real browser: readable by everybody, by keys alone, with a large worklist."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from histofed.review.app import create_app
from histofed.review.store import ReviewStore

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow

REPO = Path(__file__).parents[2]
RULES = """
async () => (await axe.run(document, { resultTypes: ["violations"] })).violations.map(
    ({ id, nodes }) => [id, ...nodes.map(({ html }) => html.slice(0, 120))])
"""


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script of axe-core, fetched by npm in the version that package.json names."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed")
    version = json.loads((REPO / "package.json").read_text())["devDependencies"]["axe-core"]
    folder = tmp_path_factory.mktemp("axe")
    quiet = ["--ignore-scripts", "--no-package-lock", "--no-audit", "--no-fund"]
    command = [npm, "install", *quiet, "--prefix", str(folder), f"axe-core@{version}"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=300)
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text("utf-8")


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_axe_finds_nothing_on_any_screen(tab: Page, reviewer: Any, axe: str, theme: str) -> None:
    tab.emulate_media(color_scheme=theme)
    tab.evaluate(axe)
    reviewer.expect(tab.locator(".case").first).to_be_visible()
    found = {"worklist": tab.evaluate(RULES)}
    reviewer.open_patient("P-close")
    found["slide"] = tab.evaluate(RULES)
    tab.keyboard.press("a")
    reviewer.expect(tab.locator("#patient")).to_have_text("P-two")
    reviewer.wait_for_slide()
    tab.keyboard.press("t")
    reviewer.wait_until("histofed.screen.second.view?.heatmap.scores?.length > 0")
    found["side by side"] = tab.evaluate(RULES)
    reviewer.keep(f"side-by-side-{theme}")
    tab.keyboard.press("t")
    tab.keyboard.press("b")
    found["drawing"] = tab.evaluate(RULES)
    tab.keyboard.press("Enter")
    for key in ("ArrowRight", "ArrowDown"):
        tab.keyboard.press(key)
        tab.wait_for_timeout(500)
    tab.keyboard.press("Enter")
    reviewer.expect(tab.locator("[data-region=agree]")).to_be_visible()
    found["region to be judged"] = tab.evaluate(RULES)
    tab.locator("#region-cancel").click()
    tab.keyboard.press("g")
    reviewer.expect(tab.locator(".tile")).to_have_count(24)
    found["gallery"] = tab.evaluate(RULES)
    tab.locator("#gallery-which").select_option("blinded")
    reviewer.expect(tab.locator("#gallery-note")).to_contain_text("mixed order")
    tab.keyboard.press("1")
    reviewer.expect(tab.locator("#gallery-note")).to_contain_text("1 of 24")
    found["blinded gallery"] = tab.evaluate(RULES)
    tab.keyboard.press("s")
    reviewer.expect(tab.locator("#figures table").first).to_be_visible()
    found["results"] = tab.evaluate(RULES)
    reviewer.keep(f"results-{theme}")
    tab.keyboard.press("?")
    found["keys"] = tab.evaluate(RULES)
    reviewer.keep(f"keys-{theme}")
    tab.keyboard.press("Escape")
    tab.locator("#who").click()
    reviewer.expect(tab.locator("#entry")).to_be_visible()
    found["entry"] = tab.evaluate(RULES)
    assert {screen: rules for screen, rules in found.items() if rules} == {}


def test_everything_is_reached_by_the_tab_key(tab: Page, reviewer: Any) -> None:
    reviewer.open_patient("P-close")
    reached = set()
    for _ in range(70):
        tab.keyboard.press("Tab")
        reached.add(tab.evaluate("document.activeElement.id || document.activeElement.className"))
    wanted = {"comment", "go-on", "show-gallery", "zoom-in", "degrees", "beside", "draw-polygon"}
    wanted |= {"show", "head", "scale-choice", "colours", "opacity", "threshold", "help", "theme"}
    assert wanted - reached == set()


def test_without_motion_the_slide_jumps(browser: Browser, page: str) -> None:
    context = browser.new_context(reduced_motion="reduce")
    tab = context.new_page()
    tab.goto(page)
    assert tab.evaluate("histofed.view.viewer.animationTime") == 0
    context.close()


def test_ten_thousand_cases_are_shown_a_page_at_a_time(
    browser: Browser, site: Any, tmp_path: Path, serve_page: Any
) -> None:
    from playwright.sync_api import expect

    one = site.cases[0]
    cases = tuple(replace(one, patient_id=f"P-{number:05d}") for number in range(10_000))
    app = create_app(replace(site, cases=cases), ReviewStore(tmp_path / "reviews.sqlite"))
    with serve_page(app) as address:
        context = browser.new_context()
        tab = context.new_page()
        tab.goto(address)
        tab.locator("#entry-later").click()
        expect(tab.locator("#page-text")).to_have_text("1 to 100 of 10,000")
        tab.locator("#page-on").click()
        expect(tab.locator("#page-text")).to_have_text("101 to 200 of 10,000")
        expect(tab.locator(".case")).to_have_count(100)
        tab.locator(".case").last.click()
        expect(tab.locator("#patient")).to_have_text("P-00199")
        tab.locator("#viewer [role=application]").wait_for()
        for _ in site.cases[0].slide_ids:
            tab.keyboard.press("j")
        expect(tab.locator("#patient")).to_have_text("P-00200")
        context.close()
