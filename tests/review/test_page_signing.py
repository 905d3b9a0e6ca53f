"""The page in a real browser: who enters, when they leave, and when somebody else comes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from histofed.review.access import Access, invite
from histofed.review.app import create_app
from histofed.review.store import ReviewStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page, Route

pytestmark = pytest.mark.slow

LOOKED_AT = "document.dispatchEvent(new Event('visibilitychange'))"
"""What a browser tells a page whose tab is chosen again."""


@pytest.fixture
def by_token(
    browser: Browser, site: Any, tmp_path: Path, serve_page: Any, reviewer_at: Any
) -> Iterator[SimpleNamespace]:
    """A page for which Ada and Bo have tokens, and a browser in which nobody has signed in."""
    store = ReviewStore(tmp_path / "reviews.sqlite")
    tokens = {name: invite(store, name, valid_days=1) for name in ("Ada", "Bo")}
    with serve_page(create_app(site, store, access=Access(kind="token"))) as address:
        context = browser.new_context()
        tab = context.new_page()
        yield SimpleNamespace(
            address=address, tab=tab, reviewer=reviewer_at(tab), store=store, tokens=tokens
        )
        context.close()


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


@pytest.mark.parametrize("is_lost", [True, False], ids=["lost", "late"])
def test_whoever_comes_sees_nothing_of_who_was_here_whatever_the_server_does(
    browser: Browser, page: str, reviewer_at: Any, is_lost: bool
) -> None:
    context = browser.new_context()
    tab, other = context.new_page(), context.new_page()
    reviewer = reviewer_at(tab)
    tab.goto(page)
    enter(tab, f"Rita {is_lost}")
    reviewer.open_patient("P-sure")
    tab.locator("#go-on").uncheck()
    tab.locator("[data-verdict=agree]").click()
    reviewer.kept("agree, case of P-sure")
    other.goto(page)
    other.locator("#who").click()
    enter(other, f"Sven {is_lost}")
    reviewer.expect(other.locator("#who")).to_have_text(f"Sven {is_lost}")
    if is_lost:
        reviewer.route("run", lambda route: route.abort())
        tab.evaluate(LOOKED_AT)
        reviewer.expect(tab.locator("#status")).to_contain_text("does not answer")
        assert "P-" not in tab.locator("body").inner_text()
        tab.unroute_all(behavior="wait")
        tab.evaluate(LOOKED_AT)
    else:
        tab.keyboard.press("w")
        with reviewer.held("slides/made-1") as asked:
            tab.locator(".case", has_text="P-sure").click()
            asked()
            tab.evaluate(LOOKED_AT)
            reviewer.expect(tab.locator("#who")).to_have_text(f"Sven {is_lost}")
    reviewer.expect(tab.locator("#who")).to_have_text(f"Sven {is_lost}")
    reviewer.expect(tab.locator("#summary")).to_contain_text("shown after your verdict")
    reviewer.wait_for_slide()
    reviewer.expect(tab.locator("#history")).not_to_contain_text("Rita")
    context.close()


def test_what_one_began_is_not_kept_under_the_name_that_another_gives(
    browser: Browser, page: str, reviewer_at: Any, store: ReviewStore
) -> None:
    """The session ended under an open page; then somebody else sits down at it."""
    context = browser.new_context()
    tab = context.new_page()
    reviewer = reviewer_at(tab)
    tab.goto(page)
    enter(tab, "Rita first")
    reviewer.open_patient("P-close")
    tab.locator("#comment").fill("Rita's own words")
    context.clear_cookies()
    tab.evaluate(LOOKED_AT)
    reviewer.expect(tab.locator("#who")).to_have_text("Only looking")
    tab.locator("[data-verdict=agree]").click()
    enter(tab, "Sven second")
    reviewer.expect(tab.locator("#who")).to_have_text("Sven second")
    reviewer.expect(tab.locator("#status")).to_contain_text("it was begun by Rita first")
    reviewer.expect(tab.locator("#comment")).to_have_value("")
    assert store.rows(reviewer="Sven second") == []
    context.close()


def test_what_needs_a_sign_in_asks_for_it(by_token: SimpleNamespace) -> None:
    """Signed out in another window, both in sight: nobody has chosen this one again."""
    tab, reviewer = by_token.tab, by_token.reviewer
    tab.goto(by_token.address)
    enter(tab, by_token.tokens["Ada"])
    reviewer.open_patient("P-close")
    tab.context.clear_cookies()
    tab.keyboard.press("w")
    assert_nothing_in_sight(tab, reviewer)
    enter(tab, by_token.tokens["Ada"])
    reviewer.expect(tab.locator("#entry")).not_to_be_visible()
    reviewer.open_patient("P-close")
    tab.locator("#comment").fill("kept")
    tab.context.clear_cookies()
    tab.locator("[data-verdict=agree]").click()
    reviewer.expect(tab.locator("#entry-problem")).to_contain_text("give it again")
    assert_nothing_in_sight(tab, reviewer)
    enter(tab, by_token.tokens["Ada"])
    reviewer.expect(tab.locator("#entry")).not_to_be_visible()
    reviewer.wait_for_slide()
    tab.locator("[data-verdict=agree]").click()
    reviewer.expect(tab.locator("#patient")).to_have_text("P-two")
    assert [row["comment"] for row in by_token.store.rows()] == ["kept"]


def test_who_signed_out_leaves_nothing(by_token: SimpleNamespace) -> None:
    tab, reviewer = by_token.tab, by_token.reviewer
    tab.goto(by_token.address)
    assert_nothing_in_sight(tab, reviewer)
    enter(tab, by_token.tokens["Ada"])
    reviewer.open_patient("P-close")
    thumbnail = tab.locator(".thumbnail img").first.get_attribute("src")
    tab.keyboard.press("s")
    reviewer.expect(tab.locator("#results")).to_be_visible()
    tab.go_back()
    reviewer.wait_for_slide()
    tab.locator("#who").click()
    tab.locator("#leaving [value=leave]").click()
    assert_nothing_in_sight(tab, reviewer)
    for way in (tab.go_back, tab.go_forward, lambda: tab.goto(f"{by_token.address}/#case=P-close")):
        way()
        assert_nothing_in_sight(tab, reviewer)
    assert tab.url == f"{by_token.address}/"
    answer = f"fetch('{thumbnail}').then(({{ status }}) => status)"
    assert tab.evaluate(answer) == 401  # not kept by the browser
    enter(tab, by_token.tokens["Bo"])
    reviewer.expect(tab.locator("#who")).to_have_text("Bo")
    reviewer.wait_for_slide()


@pytest.mark.parametrize(("who", "comment"), [("Ada", "Ada's own words"), ("Bo", "")])
def test_a_tab_that_was_signed_out_elsewhere_shows_nothing_and_keeps_what_was_written(
    by_token: SimpleNamespace, who: str, comment: str
) -> None:
    tab, reviewer = by_token.tab, by_token.reviewer
    tab.goto(by_token.address)
    enter(tab, by_token.tokens["Ada"])
    reviewer.open_patient("P-close")
    tab.evaluate("location.hash = 'case=P-close&s=P-other'")
    reviewer.expect(tab.locator("#status")).to_contain_text("has no slide “P-other”")
    tab.locator("#comment").fill("Ada's own words")
    tab.context.clear_cookies()
    tab.evaluate(LOOKED_AT)
    assert_nothing_in_sight(tab, reviewer)
    assert tab.url == f"{by_token.address}/"
    reviewer.keep("signed-out-elsewhere")
    enter(tab, by_token.tokens[who])
    reviewer.expect(tab.locator("#who")).to_have_text(who)
    reviewer.expect(tab.locator("#patient")).to_have_text("P-close")
    reviewer.expect(tab.locator("#comment")).to_have_value(comment)


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


def test_a_token_opens_the_page_and_a_wrong_one_does_not(by_token: SimpleNamespace) -> None:
    tab, reviewer = by_token.tab, by_token.reviewer
    tab.goto(f"{by_token.address}/#case=P-close")
    reviewer.expect(tab.locator("#entry-later")).not_to_be_visible()
    tab.locator("#entry-text").fill("guessed")
    tab.keyboard.press("Enter")
    reviewer.expect(tab.locator("#entry-problem")).to_contain_text("not valid")
    tab.keyboard.press("Escape")
    reviewer.expect(tab.locator("#entry")).to_be_visible()
    tab.locator("#entry-text").fill(by_token.tokens["Ada"])
    tab.keyboard.press("Enter")
    reviewer.expect(tab.locator("#who")).to_have_text("Ada")
    reviewer.expect(tab.locator("#patient")).to_have_text("P-close")
    for stay in ("Escape", "Enter"):  # one slip of the mouse does not cost the token
        tab.locator("#who").click()
        reviewer.expect(tab.locator("#leaving")).to_be_visible()
        tab.keyboard.press(stay)
        reviewer.expect(tab.locator("#leaving")).not_to_be_visible()
    reviewer.expect(tab.locator("#case")).to_be_visible()
    tab.locator("#who").click()
    tab.locator("#leaving [value=leave]").click()
    reviewer.expect(tab.locator("#entry")).to_be_visible()
    reviewer.expect(tab.locator("#case")).not_to_be_visible()


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


def answer_late(tab: Page, late_ms: dict[str, int]) -> None:
    """Let the server's answers about these parts of it come later."""

    def wait(route: Route) -> None:
        tab.wait_for_timeout(next(ms for part, ms in late_ms.items() if part in route.request.url))
        route.continue_()

    for part in late_ms:
        tab.route(f"**/api/{part}**", wait)


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
    written = "[...document.querySelectorAll('input, textarea')].map(({ value }) => value).join()"
    left = (tab.locator("body").text_content() or "") + tab.title() + tab.evaluate(written)
    assert "P-" not in left
    assert "own words" not in left
