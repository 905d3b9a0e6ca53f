"""The page in a real browser: who is at it, when they leave, and when somebody else comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from histofed.review.access import Access, invite
from histofed.review.app import create_app
from histofed.review.store import ReviewStore

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow

LOOKED_AT = "document.dispatchEvent(new Event('visibilitychange'))"
"""What a browser tells a page whose tab is chosen again."""


@pytest.mark.parametrize("is_told", [False, True])
def test_what_one_wrote_is_never_kept_under_who_was_signed_in_meanwhile(
    browser: Browser, site: Any, tmp_path: Path, serve_page: Any, reviewer_at: Any, is_told: bool
) -> None:
    store = ReviewStore(tmp_path / "reviews.sqlite")
    app = create_app(site, store, access=Access("proxy", ("127.0.0.1",)))
    with serve_page(app) as address:
        context = browser.new_context(extra_http_headers={"X-Remote-User": "Alice"})
        tab = context.new_page()
        reviewer = reviewer_at(tab)
        tab.goto(address)
        reviewer.open_patient("P-close")
        tab.locator("#go-on").uncheck()
        tab.locator("[data-verdict=agree]").click()
        reviewer.kept("agree, case of P-close")
        tab.locator("#comment").fill("Alice's own words")
        context.set_extra_http_headers({"X-Remote-User": "Bob"})
        if is_told:
            tab.evaluate(LOOKED_AT)
        else:
            tab.locator("[data-verdict=disagree]").click()
            reviewer.expect(tab.locator("#status")).to_contain_text("somebody else signed in")
        reviewer.expect(tab.locator("#who")).to_have_text("Bob")
        reviewer.expect(tab.locator("#summary")).to_contain_text("shown after your verdict")
        reviewer.expect(tab.locator("#comment")).to_have_value("")
        reviewer.expect(tab.locator("#history")).not_to_contain_text("Alice")
        reviewer.wait_for_slide()
        tab.locator("[data-verdict=unsure]").click()
        reviewer.kept("unsure, case of P-close")
        context.close()
    rows = [(row["reviewer"], row["verdict"], row["comment"]) for row in store.rows()]
    assert rows == [("Alice", "agree", ""), ("Bob", "unsure", "")]


def test_another_tab_of_the_browser_changes_who_is_here_too(
    browser: Browser, page: str, reviewer_at: Any, store: ReviewStore
) -> None:
    context = browser.new_context()
    tab, other = context.new_page(), context.new_page()
    reviewer = reviewer_at(tab)
    tab.goto(page)
    enter(tab, "Tab One")
    reviewer.open_patient("P-close")
    tab.locator("#comment").fill("of one")
    other.goto(page)
    other.locator("#who").click()
    enter(other, "Tab Two")
    reviewer.expect(other.locator("#who")).to_have_text("Tab Two")
    tab.evaluate(LOOKED_AT)
    reviewer.expect(tab.locator("#who")).to_have_text("Tab Two")
    reviewer.expect(tab.locator("#patient")).to_have_text("P-close")
    reviewer.expect(tab.locator("#comment")).to_have_value("")
    assert store.rows(reviewer="Tab Two") == []
    context.close()


def test_who_signed_out_leaves_nothing(
    browser: Browser, site: Any, tmp_path: Path, serve_page: Any, reviewer_at: Any
) -> None:
    store = ReviewStore(tmp_path / "reviews.sqlite")
    tokens = {name: invite(store, name, valid_days=1) for name in ("Ada", "Bo")}
    with serve_page(create_app(site, store, access=Access(kind="token"))) as address:
        context = browser.new_context()
        tab = context.new_page()
        reviewer = reviewer_at(tab)
        tab.goto(address)
        assert_nothing_in_sight(tab, reviewer)
        enter(tab, tokens["Ada"])
        reviewer.open_patient("P-close")
        tab.keyboard.press("s")
        reviewer.expect(tab.locator("#results")).to_be_visible()
        tab.go_back()
        reviewer.wait_for_slide()
        tab.locator("#who").click()
        tab.locator("#leaving [value=leave]").click()
        assert_nothing_in_sight(tab, reviewer)
        for way in (tab.go_back, tab.go_forward, lambda: tab.goto(f"{address}/#case=P-close")):
            way()
            assert_nothing_in_sight(tab, reviewer)
        enter(tab, tokens["Bo"])
        reviewer.expect(tab.locator("#who")).to_have_text("Bo")
        reviewer.wait_for_slide()
        context.close()


@pytest.mark.parametrize(("who", "comment"), [("Ada", "Ada's own words"), ("Bo", "")])
def test_a_tab_that_was_signed_out_elsewhere_shows_nothing_and_keeps_what_was_written(
    browser: Browser,
    site: Any,
    tmp_path: Path,
    serve_page: Any,
    reviewer_at: Any,
    who: str,
    comment: str,
) -> None:
    store = ReviewStore(tmp_path / "reviews.sqlite")
    tokens = {name: invite(store, name, valid_days=1) for name in ("Ada", "Bo")}
    with serve_page(create_app(site, store, access=Access(kind="token"))) as address:
        context = browser.new_context()
        tab = context.new_page()
        reviewer = reviewer_at(tab)
        tab.goto(address)
        enter(tab, tokens["Ada"])
        reviewer.open_patient("P-close")
        tab.locator("#comment").fill("Ada's own words")
        context.clear_cookies()
        tab.evaluate(LOOKED_AT)
        assert_nothing_in_sight(tab, reviewer)
        reviewer.keep("signed-out-elsewhere")
        enter(tab, tokens[who])
        reviewer.expect(tab.locator("#who")).to_have_text(who)
        reviewer.expect(tab.locator("#patient")).to_have_text("P-close")
        reviewer.expect(tab.locator("#comment")).to_have_value(comment)
        context.close()


def enter(tab: Page, words: str) -> None:
    """Give a name or a token to the page that asks for it."""
    tab.locator("#entry-text").fill(words)
    tab.keyboard.press("Enter")


def assert_nothing_in_sight(tab: Page, reviewer: Any) -> None:
    """The page asks who it is, whatever is pressed, and shows no patient behind it."""
    reviewer.expect(tab.locator("#entry")).to_be_visible()
    for _ in range(3):
        tab.keyboard.press("Escape")
    tab.wait_for_timeout(200)
    reviewer.expect(tab.locator("#entry")).to_be_visible()
    assert "P-" not in tab.locator("body").inner_text() + tab.title()
