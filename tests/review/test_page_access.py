"""The page in a real browser: readable by everybody, and who may enter."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from histofed.review.access import Access, invite
from histofed.review.app import create_app
from histofed.review.store import ReviewStore

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

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


@pytest.mark.parametrize("late_ms", [{}, {"run": 400}, {"cases": 400}, {"verdicts": 400}], ids=str)
def test_the_name_is_asked_once_and_again_for_a_verdict(
    browser: Browser, page: str, store: Any, reviewer_at: Any, late_ms: dict[str, int]
) -> None:
    """Whichever answer comes late: entering a name begins the page again under the verdict."""
    from playwright.sync_api import expect

    context = browser.new_context()
    tab = context.new_page()
    answer_late(tab, late_ms)
    name = f"Dr Late {late_ms}"
    tab.goto(f"{page}/#case=P-close")
    tab.locator("#entry-later").click()
    expect(tab.locator("#patient")).to_have_text("P-close")
    reviewer_at(tab).wait_for_slide()
    tab.keyboard.press("u")
    expect(tab.locator("#entry")).to_be_visible()
    tab.locator("#entry-text").fill(name)
    tab.keyboard.press("Enter")
    expect(tab.locator("#patient")).to_have_text("P-two")
    assert [row["verdict"] for row in store.rows(reviewer=name)] == ["unsure"]
    tab.unroute_all(behavior="wait")
    tab.reload()
    expect(tab.locator("#who")).to_have_text(name)
    expect(tab.locator("#entry")).not_to_be_visible()
    context.close()


def test_who_leaves_a_case_that_is_still_being_opened_is_not_brought_back(
    tab: Page, reviewer: Any
) -> None:
    reviewer.open_patient("P-close")
    answer_late(tab, {"cases/": 600})
    tab.evaluate("location.hash = 'case=P-two'")
    tab.evaluate("location.hash = ''")
    reviewer.expect(tab.locator(".case").first).to_be_visible()
    tab.wait_for_timeout(1200)
    tab.unroute_all(behavior="wait")
    reviewer.expect(tab.locator(".case").first).to_be_visible()
    assert tab.evaluate("document.body.dataset.screen") == "worklist"


def test_results_of_an_earlier_choice_that_come_late_are_dropped(tab: Page, reviewer: Any) -> None:
    def late_and_odd(route: Route) -> None:
        found = route.fetch().json() | {"n_cases": 99}
        tab.wait_for_timeout(600)
        route.fulfill(json=found)

    tab.locator("#to-results").click()
    reviewer.expect(tab.locator("#results-count")).to_contain_text("of 6 cases")
    tab.route("**/api/results*yes", late_and_odd)
    tab.locator("#results-blinded").select_option("yes")
    tab.locator("#results-blinded").select_option("no")
    tab.wait_for_timeout(1200)
    tab.unroute_all(behavior="wait")
    reviewer.expect(tab.locator("#results-count")).to_contain_text("of 6 cases")


def test_a_region_begun_while_the_last_is_still_being_kept_stays(tab: Page, reviewer: Any) -> None:
    reviewer.open_patient("P-sure")
    tab.keyboard.press("b")
    for key in ("Enter", "ArrowRight", "ArrowDown", "Enter"):
        tab.keyboard.press(key)
        reviewer.settle()
    answer_late(tab, {"verdicts": 600})
    tab.locator("[data-region=agree]").click()
    tab.locator("#draw-polygon").click()
    reviewer.expect(tab.locator("#status")).to_contain_text("Kept: agree, region")
    tab.unroute_all(behavior="wait")
    tab.wait_for_timeout(200)
    reviewer.expect(tab.locator("#draw-polygon")).to_have_attribute("aria-pressed", "true")


def test_a_heat_map_beside_that_fails_late_is_not_told_of_another(tab: Page, reviewer: Any) -> None:
    def late(route: Route) -> None:
        tab.wait_for_timeout(600)
        route.fulfill(status=503, json={"detail": "The evidence is damaged."})

    reviewer.open_patient("P-two")
    tab.keyboard.press("t")
    reviewer.wait_until("histofed.screen.second.view?.heatmap.scores?.length > 0")
    tab.route("**/scores/evidence", late)
    tab.locator("#head-2").select_option("evidence")
    tab.locator("#head-2").select_option("attention")
    tab.wait_for_timeout(1200)
    tab.unroute_all(behavior="wait")
    assert "damaged" not in (tab.locator("#status").text_content() or "")


def test_a_tile_kept_late_is_not_marked_on_the_next_slide(tab: Page, reviewer: Any) -> None:
    reviewer.open_patient("P-two")
    tab.keyboard.press("g")
    reviewer.expect(tab.locator(".tile")).to_have_count(24)
    answer_late(tab, {"verdicts": 4000})
    tab.locator("[data-tile-verdict=relevant]").first.click()
    tab.keyboard.press("j")
    reviewer.wait_until("histofed.view.slide?.slide_id === 'made-2'")
    reviewer.wait_for_slide()
    tab.keyboard.press("g")
    reviewer.expect(tab.locator("#gallery-note")).to_contain_text("0 of 24")
    reviewer.expect(tab.locator("#status")).to_contain_text("Kept: relevant")
    tab.unroute_all(behavior="wait")
    for which, words in (("bottom", "lowest first"), ("top", "highest first")):
        tab.locator("#gallery-which").select_option(which)
        reviewer.expect(tab.locator("#gallery-note")).to_contain_text(words)
    assert "0 of 24" in (tab.locator("#gallery-note").text_content() or "")


def answer_late(tab: Page, late_ms: dict[str, int]) -> None:
    """Let the server's answers about these parts of it come later."""

    def wait(route: Route) -> None:
        tab.wait_for_timeout(next(ms for part, ms in late_ms.items() if part in route.request.url))
        route.continue_()

    for part in late_ms:
        tab.route(f"**/api/{part}**", wait)


def test_a_token_opens_the_page_and_a_wrong_one_does_not(
    browser: Browser, site: Any, tmp_path: Path, serve_page: Any
) -> None:
    from playwright.sync_api import expect

    store = ReviewStore(tmp_path / "reviews.sqlite")
    token = invite(store, "Dr Token", valid_days=1)
    with serve_page(create_app(site, store, access=Access(kind="token"))) as address:
        context = browser.new_context()
        tab = context.new_page()
        tab.goto(f"{address}/#case=P-close")
        expect(tab.locator("#entry-later")).not_to_be_visible()
        tab.locator("#entry-text").fill("guessed")
        tab.keyboard.press("Enter")
        expect(tab.locator("#entry-problem")).to_contain_text("not valid")
        tab.keyboard.press("Escape")
        expect(tab.locator("#entry")).to_be_visible()
        tab.locator("#entry-text").fill(token)
        tab.keyboard.press("Enter")
        expect(tab.locator("#who")).to_have_text("Dr Token")
        expect(tab.locator("#patient")).to_have_text("P-close")
        for stay in ("Escape", "Enter"):  # one slip of the mouse does not cost the token
            tab.locator("#who").click()
            expect(tab.locator("#leaving")).to_be_visible()
            tab.keyboard.press(stay)
            expect(tab.locator("#leaving")).not_to_be_visible()
        expect(tab.locator("#case")).to_be_visible()
        tab.locator("#who").click()
        tab.locator("#leaving [value=leave]").click()
        expect(tab.locator("#entry")).to_be_visible()
        expect(tab.locator("#case")).not_to_be_visible()
        context.close()


def test_after_a_restart_of_the_server_a_verdict_can_be_given_again(
    browser: Browser, site: Any, tmp_path: Path, serve_page: Any, reviewer_at: Any
) -> None:
    store = ReviewStore(tmp_path / "reviews.sqlite")
    with serve_page(create_app(site, store)) as address:
        context = browser.new_context()
        tab = context.new_page()
        reviewer = reviewer_at(tab)
        tab.goto(address)
        tab.locator("#entry-text").fill("Dr Again")
        tab.keyboard.press("Enter")
        reviewer.open_patient("P-close")
        tab.locator("#comment").fill("long thought over")
        context.clear_cookies()  # sessions live in memory: a server that begins anew knows none
        agree = tab.locator("[data-verdict=agree]")
        agree.click()
        reviewer.expect(tab.locator("#status")).to_contain_text("not kept. The server was started")
        tab.locator("#entry-text").fill("Dr Again")
        tab.keyboard.press("Enter")
        reviewer.expect(tab.locator("#entry")).not_to_be_visible()
        reviewer.wait_for_slide()
        assert store.rows() == []
        agree.click()
        reviewer.expect(tab.locator("#patient")).to_have_text("P-two")
        (row,) = store.rows()
        assert (row["reviewer"], row["comment"]) == ("Dr Again", "long thought over")
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
