"""The page in a real browser: answers of the server that come late, and what is done meanwhile."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

    from histofed.review.store import ReviewStore

pytestmark = pytest.mark.slow

TWICE_MS = 400
"""So soon after another a verdict is taken for a key struck twice, and a little longer."""


def test_who_writes_while_a_verdict_is_sent_is_not_taken_to_the_next_case(
    tab: Page, reviewer: Any, store: ReviewStore, me: str
) -> None:
    """Its letters would be verdicts there."""
    reviewer.open_patient("P-close")
    with reviewer.held("verdicts") as asked:
        tab.keyboard.press("u")
        asked()
        tab.keyboard.press("m")
        tab.keyboard.type("a du")
    reviewer.kept("unsure, case of P-close")
    tab.keyboard.type("ct")
    tab.wait_for_timeout(600)
    reviewer.expect(tab.locator("#patient")).to_have_text("P-close")
    reviewer.expect(tab.locator("#comment")).to_have_value("a duct")
    assert [row["verdict"] for row in store.rows(reviewer=me)] == ["unsure"]


def test_a_verdict_that_comes_before_the_last_was_kept_is_told_to_be_none(
    tab: Page, reviewer: Any, store: ReviewStore, me: str
) -> None:
    reviewer.open_patient("P-close")
    with reviewer.held("verdicts") as asked:
        tab.keyboard.press("a")
        asked()
        tab.keyboard.press("j")
        reviewer.expect(tab.locator("#patient")).to_have_text("P-two")
        reviewer.wait_for_slide()
        tab.keyboard.press("d")
        reviewer.expect(tab.locator("#status")).to_contain_text("the last one is still being sent")
    reviewer.kept("agree, case of P-close")
    reviewer.expect(tab.locator("#patient")).to_have_text("P-two")
    assert [row["patient_id"] for row in store.rows(reviewer=me)] == ["P-close"]


def test_a_key_while_the_next_case_is_looked_for_is_no_verdict_on_the_last(
    tab: Page, reviewer: Any, store: ReviewStore, me: str
) -> None:
    reviewer.open_patient("P-close")
    with reviewer.held("neighbour**") as asked:
        tab.keyboard.press("a")
        asked()
        for wait_ms, why in ((TWICE_MS, ""), (700, "the next case is being looked for")):
            tab.wait_for_timeout(wait_ms)
            tab.keyboard.press("a")
            told = f"No verdict was given: {why}"
            reviewer.expect(tab.locator("#status")).to_contain_text(told)
    reviewer.expect(tab.locator("#patient")).to_have_text("P-two")
    assert [row["patient_id"] for row in store.rows(reviewer=me)] == ["P-close"]


@pytest.mark.parametrize("late", ["neighbour**", "case?patient_id=*"])
def test_who_writes_while_the_next_case_is_looked_for_stays(
    tab: Page, reviewer: Any, store: ReviewStore, me: str, late: str
) -> None:
    reviewer.open_patient("P-close")
    with reviewer.held(late) as asked:
        tab.keyboard.press("a")
        asked()
        tab.keyboard.press("m")
        tab.keyboard.type("fat, a duc")
    tab.wait_for_timeout(300)
    tab.keyboard.type("t and a")
    tab.wait_for_timeout(600)
    reviewer.expect(tab.locator("#patient")).to_have_text("P-close")
    reviewer.expect(tab.locator("#comment")).to_have_value("fat, a duct and a")
    assert [row["verdict"] for row in store.rows(reviewer=me)] == ["agree"]


def test_the_address_is_that_of_the_case_one_goes_to(tab: Page, reviewer: Any) -> None:
    reviewer.open_patient("P-close")
    with reviewer.held("case?patient_id=*") as asked:
        tab.keyboard.press("j")
        asked()
        tab.keyboard.press("+")
        tab.wait_for_timeout(900)
        assert "case=P-two" in tab.url
    reviewer.expect(tab.locator("#patient")).to_have_text("P-two")


@pytest.mark.parametrize("way", ["j", "back"])
def test_nothing_is_written_on_a_case_that_is_being_left(
    tab: Page, reviewer: Any, store: ReviewStore, me: str, way: str
) -> None:
    reviewer.open_patient("P-two")
    reviewer.open_patient("P-close")
    tab.evaluate("location.hash = 'case=P-sure'")
    reviewer.expect(tab.locator("#patient")).to_have_text("P-sure")
    reviewer.wait_for_slide()
    tab.keyboard.press("m")
    tab.keyboard.type("a draft")
    with reviewer.held("case?patient_id=*") as asked:
        tab.go_back() if way == "back" else tab.keyboard.press("Escape")
        if way == "j":
            tab.keyboard.press("k")
        asked()
        tab.keyboard.press("m")
        tab.keyboard.type("add a dull", delay=40)
    tab.keyboard.type("xdx xax", delay=20)
    tab.wait_for_timeout(700)
    assert store.rows(reviewer=me) == []
    reviewer.open_patient("P-sure")
    reviewer.expect(tab.locator("#comment")).to_have_value("a draft")


def test_who_is_still_typing_as_a_case_comes_has_not_looked_at_it(
    tab: Page, reviewer: Any, store: ReviewStore, me: str
) -> None:
    reviewer.open_patient("P-close")
    tab.keyboard.press("j")
    reviewer.expect(tab.locator("#patient")).to_have_text("P-two")
    tab.keyboard.type("axdx uxax dxux " * 3, delay=30)  # more than a second; x does nothing
    reviewer.expect(tab.locator("#patient")).to_have_text("P-two")
    assert store.rows(reviewer=me) == []
    reviewer.wait_for_slide()
    tab.keyboard.press("d")
    reviewer.kept("disagree, case of P-two")


def test_who_writes_on_while_a_region_is_sent_loses_nothing(
    tab: Page, reviewer: Any, store: ReviewStore, me: str
) -> None:
    reviewer.open_patient("P-sure")
    reviewer.draw_with_keys()
    tab.keyboard.type("a nest")
    with reviewer.held("verdicts") as asked:
        tab.locator("[data-region=agree]").click()
        asked()
        tab.keyboard.press("m")
        tab.keyboard.press("End")
        tab.keyboard.type(", d")
    reviewer.kept("agree, region")
    tab.keyboard.type("ull")
    reviewer.expect(tab.locator("#region-comment")).to_have_value("a nest, dull")
    assert [row["comment"] for row in store.rows(reviewer=me)] == ["a nest"]


def test_a_region_that_waits_is_there_before_another_can_be_drawn(
    tab: Page, reviewer: Any, store: ReviewStore, me: str
) -> None:
    reviewer.open_patient("P-two")
    reviewer.draw_with_keys()
    tab.keyboard.type("the first")
    tab.go_back()
    reviewer.expect(tab.locator("#worklist")).to_be_visible()
    with reviewer.held("slides/made-1/scores/**") as asked:
        tab.go_forward()
        asked()
        reviewer.expect(tab.locator("#region-comment")).to_have_value("the first")
        reviewer.expect(tab.locator("#region-comment")).to_be_focused()  # as after drawing
        tab.keyboard.press("Enter")
        tab.keyboard.press("b")
        reviewer.expect(tab.locator("#status")).to_contain_text("Answer for the region first")
    tab.keyboard.press("u")
    reviewer.kept("unsure, region")
    assert [row["comment"] for row in store.rows(reviewer=me)] == ["the first"]


def test_a_verdict_that_is_refused_while_nobody_can_enter_is_told(
    tab: Page, reviewer: Any, store: ReviewStore, me: str
) -> None:
    """A web server in front whose own sign-in ran out answers everything with its page."""
    reviewer.open_patient("P-sure")
    reviewer.draw_with_keys()
    reviewer.route("**", lambda route: route.fulfill(status=403, body="<html>Sign in</html>"))
    tab.locator("[data-region=agree]").click()
    reviewer.expect(tab.locator("#status")).to_contain_text("The verdict was not kept")
    tab.unroute_all(behavior="wait")
    tab.wait_for_timeout(400)
    tab.keyboard.press("w")
    reviewer.expect(tab.locator("#status")).to_contain_text("Answer for the region first")
    tab.locator("[data-region=agree]").click()
    reviewer.kept("agree, region")
    assert len(store.rows(reviewer=me)) == 1


def test_what_is_written_while_a_verdict_is_sent_stays(
    tab: Page, reviewer: Any, store: ReviewStore, me: str
) -> None:
    reviewer.open_patient("P-close")
    tab.locator("#go-on").uncheck()
    with reviewer.held("verdicts") as asked:
        tab.locator("#comment").fill("a fold")
        tab.locator("[data-verdict=agree]").click()
        asked()
        tab.locator("#comment").fill("a fold, and more")
    reviewer.kept("agree, case of P-close")
    reviewer.expect(tab.locator("#comment")).to_have_value("a fold, and more")
    assert [row["comment"] for row in store.rows(reviewer=me)] == ["a fold"]


def test_an_answer_that_comes_late_takes_nobody_out_of_their_comment(
    tab: Page, reviewer: Any, store: ReviewStore, me: str
) -> None:
    """What is typed on would be verdicts on tiles, and then on the case."""
    reviewer.open_patient("P-sure")
    tab.keyboard.press("g")
    reviewer.expect(tab.locator(".tile-picture").first).to_be_focused()
    with reviewer.held("verdicts") as asked:
        tab.keyboard.press("1")
        asked()
        tab.keyboard.press("m")
        tab.keyboard.type("2 d")
    reviewer.kept("relevant")
    tab.keyboard.type("ucts")
    reviewer.expect(tab.locator("#comment")).to_have_value("2 ducts")
    assert [row["verdict"] for row in store.rows(reviewer=me)] == ["relevant"]


def test_who_leaves_a_case_that_is_still_being_opened_is_not_brought_back(
    tab: Page, reviewer: Any
) -> None:
    reviewer.open_patient("P-close")
    with reviewer.held("case?patient_id=*") as asked:
        tab.evaluate("location.hash = 'case=P-two'")
        asked()
        tab.evaluate("location.hash = ''")
        reviewer.expect(tab.locator(".case").first).to_be_visible()
    tab.wait_for_timeout(600)
    reviewer.expect(tab.locator(".case").first).to_be_visible()
    assert tab.evaluate("document.body.dataset.screen") == "worklist"


def test_results_of_an_earlier_choice_that_come_late_are_dropped(tab: Page, reviewer: Any) -> None:
    def late_and_odd(route: Route) -> None:
        found = route.fetch().json() | {"n_cases": 99}
        tab.wait_for_timeout(600)
        route.fulfill(json=found)

    tab.locator("#to-results").click()
    reviewer.expect(tab.locator("#results-count")).to_contain_text("of 6 cases")
    reviewer.route("results*yes", late_and_odd)
    tab.locator("#results-blinded").select_option("yes")
    tab.locator("#results-blinded").select_option("no")
    tab.wait_for_timeout(1200)
    tab.unroute_all(behavior="wait")
    reviewer.expect(tab.locator("#results-count")).to_contain_text("of 6 cases")


def test_no_region_is_changed_over_one_that_may_not_be_kept(
    tab: Page, reviewer: Any, store: ReviewStore, me: str
) -> None:
    reviewer.open_patient("P-sure")
    reviewer.draw_with_keys()
    tab.locator("[data-region=agree]").click()
    reviewer.kept("agree, region")
    reviewer.draw_with_keys()
    tab.keyboard.type("a nest")
    with reviewer.held("verdicts", json.dumps({"detail": "The disk is full."})) as asked:
        tab.locator("[data-region=unsure]").click()
        asked()
        tab.get_by_role("button", name="Change this verdict on the region").click()
        reviewer.expect(tab.locator("#status")).to_contain_text("still being sent")
    reviewer.expect(tab.locator("#status")).to_contain_text("was not kept")
    reviewer.expect(tab.locator("#region-comment")).to_have_value("a nest")
    tab.wait_for_timeout(TWICE_MS)
    tab.locator("[data-region=unsure]").click()
    reviewer.kept("unsure, region")
    assert [row["comment"] for row in store.rows(reviewer=me)] == ["", "a nest"]


def test_a_tile_is_judged_under_the_heat_map_it_was_chosen_by(
    tab: Page, reviewer: Any, store: ReviewStore, me: str
) -> None:
    """Also while a region waits that was refused as the gallery was open."""
    reviewer.open_patient("P-sure")
    reviewer.draw_with_keys()
    with reviewer.held("verdicts", json.dumps({"detail": "The disk is full."})) as asked:
        tab.locator("[data-region=agree]").click()
        asked()
        tab.keyboard.press("g")
        reviewer.expect(tab.locator(".tile-picture").first).to_be_focused()
    reviewer.expect(tab.locator("#status")).to_contain_text("was not kept")
    before = tab.locator(".tile .number").first.text_content() or ""
    tab.locator("#head").select_option("evidence")
    reviewer.expect(tab.locator(".tile .number").first).not_to_have_text(before)
    tab.wait_for_timeout(TWICE_MS)
    tab.locator("[data-tile-verdict=artefact]").first.click()
    reviewer.kept("artefact, tile")
    assert [(row["head"], row["rank"]) for row in store.rows(reviewer=me)] == [("evidence", 1)]


def test_no_region_is_begun_over_one_that_may_not_be_kept(
    tab: Page, reviewer: Any, store: ReviewStore, me: str
) -> None:
    reviewer.open_patient("P-sure")
    reviewer.draw_with_keys()
    tab.keyboard.type("a nest")
    full = json.dumps({"detail": "The disk is full."})
    for failed in (full, None):
        with reviewer.held("verdicts", failed) as asked:
            tab.locator("[data-region=agree]").click()
            asked()
            for kind in ("polygon", "rectangle"):
                tab.locator(f"#draw-{kind}").click()
                reviewer.expect(tab.locator("#status")).to_contain_text("still being sent")
        if failed:
            reviewer.expect(tab.locator("#status")).to_contain_text("was not kept")
            reviewer.expect(tab.locator("#region-comment")).to_have_value("a nest")
            tab.wait_for_timeout(TWICE_MS)
    reviewer.kept("agree, region")
    reviewer.expect(tab.locator("#region-comment")).not_to_be_visible()
    assert [row["comment"] for row in store.rows(reviewer=me)] == ["a nest"]
    tab.locator("#draw-polygon").click()
    reviewer.expect(tab.locator("#draw-polygon")).to_have_attribute("aria-pressed", "true")


def test_a_verdict_whose_answer_is_lost_is_not_told_as_not_kept(
    tab: Page, reviewer: Any, store: ReviewStore, me: str
) -> None:
    def lose(route: Route) -> None:
        route.fetch()
        route.fulfill(status=504, body="<html>Gateway Timeout</html>")

    reviewer.open_patient("P-sure")
    tab.locator("#comment").fill("thought over")
    reviewer.route("verdicts", lose)
    tab.locator("[data-verdict=agree]").click()
    reviewer.expect(tab.locator("#status")).to_contain_text(
        "not known whether the verdict was kept"
    )
    tab.unroute_all(behavior="wait")
    reviewer.expect(tab.locator("#comment")).to_have_value("thought over")
    tab.wait_for_timeout(TWICE_MS)
    tab.locator("[data-verdict=agree]").click()
    reviewer.kept("agree, case of P-sure")
    assert [row["comment"] for row in store.rows(reviewer=me)] == ["thought over"] * 2


def test_no_numbers_stand_under_a_heat_map_that_is_refused(tab: Page, reviewer: Any) -> None:
    refused = {"detail": "The heat map is damaged."}
    reviewer.open_patient("P-sure")
    reviewer.expect(tab.locator("#ticks")).not_to_be_empty()
    reviewer.route(
        "slides/*/scores/evidence", lambda route: route.fulfill(status=503, json=refused)
    )
    tab.locator("#head").select_option("evidence")
    reviewer.expect(tab.locator("#status")).to_contain_text("The heat map is damaged.")
    reviewer.expect(tab.locator("#ticks")).to_be_empty()
    reviewer.expect(tab.locator("#threshold-text")).to_be_empty()
    tab.locator("#head").select_option("attention")
    reviewer.expect(tab.locator("#threshold-text")).to_have_text("All tiles are coloured.")


def test_a_heat_map_beside_that_fails_late_is_not_told_of_another(tab: Page, reviewer: Any) -> None:
    def late(route: Route) -> None:
        tab.wait_for_timeout(600)
        route.fulfill(status=503, json={"detail": "The evidence is damaged."})

    reviewer.open_patient("P-two")
    tab.keyboard.press("t")
    reviewer.wait_until("histofed.screen.second.view?.heatmap.scores?.length > 0")
    reviewer.route("slides/*/scores/evidence", late)
    tab.locator("#head-2").select_option("evidence")
    tab.locator("#head-2").select_option("attention")
    tab.wait_for_timeout(1200)
    tab.unroute_all(behavior="wait")
    assert "damaged" not in (tab.locator("#status").text_content() or "")


def test_a_tile_kept_late_is_not_marked_on_the_next_slide(tab: Page, reviewer: Any) -> None:
    reviewer.open_patient("P-two")
    tab.keyboard.press("g")
    reviewer.expect(tab.locator(".tile")).to_have_count(24)
    with reviewer.held("verdicts") as asked:
        tab.locator("[data-tile-verdict=relevant]").first.click()
        asked()
        tab.keyboard.press("j")
        reviewer.wait_until("histofed.view.slide?.slide_id === 'made-2'")
        reviewer.wait_for_slide()
        tab.keyboard.press("g")
        reviewer.expect(tab.locator("#gallery-note")).to_contain_text("0 of 24")
    reviewer.kept("relevant")
    for which, words in (("bottom", "lowest first"), ("top", "highest first")):
        tab.locator("#gallery-which").select_option(which)
        reviewer.expect(tab.locator("#gallery-note")).to_contain_text(words)
    assert "0 of 24" in (tab.locator("#gallery-note").text_content() or "")
