"""The page in a real browser: regions drawn on the slide and the verdicts on them."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from histofed.review.store import Verdict

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from histofed.review.store import ReviewStore

pytestmark = pytest.mark.slow

VIEW = "#viewer [role=application]"


@pytest.mark.parametrize("degrees", [0, 30])
def test_a_region_is_drawn_with_the_mouse(
    tab: Page, reviewer: Any, store: ReviewStore, me: str, degrees: int
) -> None:
    reviewer.open_patient("P-sure")
    tab.evaluate("(degrees) => histofed.view.turn(degrees)", degrees)
    reviewer.settle()
    tab.locator("#draw-rectangle").click()
    tab.wait_for_timeout(400)
    reviewer.settle()
    box = tab.locator("#viewer").bounding_box()
    assert box is not None
    left, top = box["x"] + box["width"] / 2 - 60, box["y"] + box["height"] / 2 - 50
    wanted = tab.evaluate(
        "(points) => points.map(([x, y]) => { const p = histofed.view.toSlide(x, y);"
        " return [p.x, p.y]; })",
        [
            [left + dx - box["x"], top + dy - box["y"]]
            for dx, dy in [(0, 0), (140, 0), (140, 90), (0, 90)]
        ],
    )
    tab.mouse.move(left, top)
    tab.mouse.down()
    tab.mouse.move(left + 70, top + 50, steps=5)
    tab.mouse.move(left + 140, top + 90, steps=5)
    tab.mouse.up()
    reviewer.expect(tab.locator("#region-hint")).to_have_text(
        "Does the heat map fit what you see here?"
    )
    reviewer.expect(tab.locator("#region-comment")).to_be_focused()
    tab.keyboard.type("a fold, dubious")  # letters that would be verdicts on the slide
    tab.locator("[data-region=disagree]").click()
    reviewer.kept("disagree, region")
    reviewer.expect(tab.locator(VIEW)).to_be_focused()
    (row,) = store.rows(reviewer=me)
    assert row["comment"] == "a fold, dubious"
    assert np.abs(np.asarray(row["region"]) - wanted).max() < 3
    reviewer.expect(tab.locator("#viewer .region.disagree").first).to_be_visible()
    reviewer.keep(f"region-{degrees}")


def test_a_quick_finger_draws_a_box_and_leaves_the_slide_where_it_is(
    tab: Page, reviewer: Any
) -> None:
    reviewer.open_patient("P-sure")
    tab.keyboard.press("4")
    reviewer.settle()
    tab.locator("#draw-rectangle").click()
    reviewer.settle()
    before = tab.evaluate("histofed.view.place()")
    box = tab.locator("#viewer").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2 - 80, box["y"] + box["height"] / 2 - 40
    touch = tab.context.new_cdp_session(tab)
    for i in range(9):
        place = {"x": x + 20 * i, "y": y + 10 * i}
        kind = "touchMove" if i else "touchStart"
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [place]})
        tab.wait_for_timeout(16)
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    reviewer.expect(tab.locator("[data-region=agree]")).to_be_visible()
    tab.wait_for_timeout(1500)
    assert tab.evaluate("histofed.view.place()") == before


def test_fingers_get_no_keyboard_over_the_answers(
    browser: Browser, page: str, reviewer_at: Any
) -> None:
    context = browser.new_context(
        viewport={"width": 768, "height": 1024}, has_touch=True, is_mobile=True
    )
    tab = context.new_page()
    tab.goto(page)
    tab.locator("#entry-later").tap()
    reviewer = reviewer_at(tab)
    reviewer.open_patient("P-sure")
    tab.locator("#draw-polygon").tap()
    tab.wait_for_timeout(400)
    box = tab.locator("#viewer").bounding_box()
    assert box is not None
    for dx, dy in ((-60, -40), (60, -40), (0, 50)):
        tab.touchscreen.tap(box["x"] + box["width"] / 2 + dx, box["y"] + box["height"] / 2 + dy)
        tab.wait_for_timeout(450)
    tab.locator("#region-finish").tap()
    reviewer.expect(tab.locator("[data-region=agree]")).to_be_focused()
    reviewer.keep("touch-region")
    context.close()


def test_a_region_is_drawn_with_keys(tab: Page, reviewer: Any, store: ReviewStore, me: str) -> None:
    reviewer.open_patient("P-sure")
    tab.keyboard.press("4")
    reviewer.settle()
    tab.keyboard.press("y")
    tab.wait_for_timeout(400)
    wanted = []
    for keys in ((), ("ArrowRight",), ("ArrowDown", "ArrowLeft")):
        for key in keys:
            tab.keyboard.press(key)
            tab.wait_for_timeout(500)
        reviewer.settle()
        place = tab.evaluate("histofed.view.place()")
        wanted.append([place["x"], place["y"]])
        tab.keyboard.press("Enter")
    tab.keyboard.press("f")
    reviewer.expect(tab.locator("#region-comment")).to_be_focused()
    tab.locator("[data-region=unsure]").press("Enter")
    reviewer.kept("unsure, region")
    (row,) = store.rows(reviewer=me)
    assert np.abs(np.asarray(row["region"]) - wanted).max() < 0.01


def test_a_box_of_no_size_is_none(tab: Page, reviewer: Any) -> None:
    reviewer.open_patient("P-sure")
    tab.keyboard.press("b")
    tab.keyboard.press("Enter")
    tab.keyboard.press("Enter")
    reviewer.expect(tab.locator("#region-hint")).to_contain_text("That box had no size")
    reviewer.expect(tab.locator("[data-region=agree]")).not_to_be_visible()


def test_keys_answer_what_is_asked_of_a_region_before_the_case(
    tab: Page, reviewer: Any, store: ReviewStore, me: str
) -> None:
    reviewer.open_patient("P-sure")
    tab.keyboard.press("b")
    tab.keyboard.press("a")
    reviewer.expect(tab.locator("#status")).to_contain_text("Finish the region first")
    tab.wait_for_timeout(400)
    box = tab.locator("#viewer").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    for dx in (-40, 40):
        tab.mouse.click(x + dx, y + dx)
        tab.wait_for_timeout(400)
    reviewer.expect(tab.locator("#region-comment")).to_be_focused()
    tab.locator("#verdict [data-verdict=agree]").click()
    reviewer.expect(tab.locator("#status")).to_contain_text("Answer for the region first")
    tab.locator(VIEW).focus()
    tab.keyboard.press("j")
    tab.keyboard.press("d")
    reviewer.kept("disagree, region")
    reviewer.expect(tab.locator("#patient")).to_have_text("P-sure")
    assert [(row["scope"], row["verdict"]) for row in store.rows(reviewer=me)] == [
        ("region", "disagree")
    ]


def test_a_region_waits_for_its_answer_wherever_the_reviewer_goes(
    tab: Page, reviewer: Any, store: ReviewStore, me: str
) -> None:
    asked: list[str] = []
    tab.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    reviewer.open_patient("P-sure")
    draw_box(tab, reviewer)
    tab.keyboard.type("a fold")
    tab.locator("#comment").focus()
    tab.keyboard.press("Escape")  # leaves the comment on the case, and nothing else
    reviewer.expect(tab.locator("#region-comment")).to_have_value("a fold")
    for way in ("#to-worklist", "#to-results"):
        tab.locator(way).click()
        reviewer.expect(tab.locator("#status")).to_contain_text("Answer for the region first")
    for kind in ("rectangle", "polygon"):
        tab.locator(f"#draw-{kind}").click()
    tab.go_back()
    reviewer.expect(tab.locator(".case").first).to_be_visible()
    for key, screen in (("s", "#results"), ("w", "#worklist")):  # there is nothing to answer here
        tab.keyboard.press(key)
        reviewer.expect(tab.locator(screen)).to_be_visible()
    with contextlib.suppress(Exception):  # who is asked stays
        tab.goto(tab.url.split("#")[0] + "?again", timeout=3000)
    assert asked == ["beforeunload"]
    reviewer.open_patient("P-close")
    reviewer.expect(tab.locator("#region-comment")).not_to_be_visible()
    reviewer.open_patient("P-sure")
    reviewer.expect(tab.locator("#region-comment")).to_have_value("a fold")
    reviewer.expect(tab.locator("#region-hint")).to_contain_text("heat map fit what you see here")
    reviewer.keep("region-waits")
    tab.locator("[data-region=unsure]").click()
    reviewer.kept("unsure, region")
    (row,) = store.rows(reviewer=me)
    assert (row["scope"], row["comment"], len(row["region"])) == ("region", "a fold", 4)
    reviewer.open_patient("P-close")
    reviewer.open_patient("P-sure")
    reviewer.expect(tab.locator("#region-comment")).not_to_be_visible()


def test_a_region_whose_verdict_is_on_its_way_is_not_given_up(
    tab: Page, reviewer: Any, store: ReviewStore, me: str
) -> None:
    reviewer.open_patient("P-sure")
    draw_box(tab, reviewer)
    with reviewer.held("verdicts") as asked:
        tab.locator("[data-region=disagree]").click()
        asked()
        tab.keyboard.press("Escape")
        reviewer.expect(tab.locator("#status")).to_contain_text("too late to give the region up")
        tab.keyboard.press("u")
        reviewer.expect(tab.locator("#status")).to_contain_text("still being sent")
        tab.keyboard.press("Escape")
        reviewer.expect(tab.locator("#status")).to_contain_text("too late to give the region up")
        reviewer.expect(tab.locator("#region-comment")).to_be_visible()
    reviewer.kept("disagree, region")
    reviewer.expect(tab.locator("#region-comment")).not_to_be_visible()
    assert [row["verdict"] for row in store.rows(reviewer=me)] == ["disagree"]


@pytest.mark.parametrize("key", ["Enter", "Escape"])
def test_who_has_written_a_comment_answers_with_a_key(
    tab: Page, reviewer: Any, store: ReviewStore, me: str, key: str
) -> None:
    reviewer.open_patient("P-sure")
    draw_box(tab, reviewer)
    tab.keyboard.type("add a nest, dubious")
    tab.keyboard.press(key)
    reviewer.expect(tab.locator(VIEW)).to_be_focused()
    tab.keyboard.press("m")
    reviewer.expect(tab.locator("#region-comment")).to_be_focused()
    tab.keyboard.press(key)
    reviewer.expect(tab.locator("#region-comment")).to_have_value("add a nest, dubious")
    tab.keyboard.press("d")
    reviewer.kept("disagree, region")
    draw_box(tab, reviewer)
    tab.keyboard.press("Escape")  # nothing is written
    reviewer.expect(tab.locator("#region-comment")).not_to_be_visible()
    said = [(row["scope"], row["verdict"], row["comment"]) for row in store.rows(reviewer=me)]
    assert said == [("region", "disagree", "add a nest, dubious")]


def test_with_the_heat_map_off_a_region_is_about_the_prediction(
    tab: Page, reviewer: Any, store: ReviewStore, me: str
) -> None:
    reviewer.open_patient("P-sure")
    draw_box(tab, reviewer)
    question = tab.locator("#region-hint")
    reviewer.expect(question).to_contain_text("Does the heat map fit")
    tab.locator(VIEW).focus()
    tab.keyboard.press("h")
    reviewer.expect(question).to_contain_text("Does the prediction fit")
    reviewer.expect(tab.locator("#threshold-text")).to_have_text("The heat map is not shown.")
    tab.keyboard.press("a")
    reviewer.kept("agree, region")
    assert [row["head"] for row in store.rows(reviewer=me)] == [None]


def test_a_changed_mind_on_a_region_is_a_new_verdict_on_the_same(
    tab: Page, reviewer: Any, store: ReviewStore, me: str
) -> None:
    reviewer.open_patient("P-two")
    draw_box(tab, reviewer)
    tab.keyboard.type("a nest")
    tab.locator("[data-region=agree]").click()
    reviewer.kept("agree, region")
    reviewer.open_slide("made-2")
    for slide_id in ("made-1 from made-2", "made-1"):
        tab.get_by_role("button", name="Change this verdict on the region").click()
        reviewer.wait_until("histofed.view.slide?.slide_id === 'made-1'")
        reviewer.expect(tab.locator("#region-comment")).to_have_value("a nest")
        reviewer.wait_for_slide()
        reviewer.keep("region-changed")
        if slide_id == "made-1":
            tab.keyboard.press("Enter")
            tab.keyboard.press("u")
        else:
            tab.keyboard.press("Escape")
            tab.keyboard.press("Escape")
    reviewer.kept("unsure, region")
    first, second = store.rows(reviewer=me)
    assert first["region"] == second["region"]
    assert (second["verdict"], second["comment"]) == ("unsure", "a nest")
    reviewer.expect(tab.locator("#viewer .region.unsure").first).to_be_visible()
    reviewer.expect(tab.locator("#viewer .region.agree")).to_have_count(0)
    reviewer.expect(tab.get_by_role("button", name="Change this verdict")).to_have_count(1)


def test_no_corner_is_lost_to_a_key_that_begins_another_region(tab: Page, reviewer: Any) -> None:
    reviewer.open_patient("P-sure")
    points = "histofed.screen.regions.points.length"
    for kind, others in (("y", "by"), ("b", "yb")):
        tab.keyboard.press(kind)
        tab.keyboard.press("Enter")
        for key in others:
            tab.keyboard.press(key)
            reviewer.expect(tab.locator("#status")).to_contain_text("Finish the region first")
            assert tab.evaluate(points) == 1
        tab.keyboard.press("Escape")
    tab.keyboard.press("y")
    tab.keyboard.press("b")  # without a corner yet
    reviewer.expect(tab.locator("#draw-rectangle")).to_have_attribute("aria-pressed", "true")
    tab.keyboard.press("b")
    reviewer.expect(tab.locator("#draw-rectangle")).to_have_attribute("aria-pressed", "false")


def test_regions_of_others_bear_their_names(
    tab: Page, reviewer: Any, store: ReviewStore, me: str
) -> None:
    reviewer.open_patient("P-two")
    draw_box(tab, reviewer)
    tab.locator("[data-region=agree]").click()
    reviewer.kept("agree, region")
    (own,) = store.rows(reviewer=me)
    other = {name: own[name] for name in Verdict.__slots__} | {"reviewer": "Dr Other <b>"}
    store.add(Verdict(**(other | {"region": [[x + 900, y] for x, y in own["region"]]})))
    tab.evaluate("localStorage.setItem('histofed-hide', 'no')")
    tab.reload()
    reviewer.wait_for_slide()
    names = tab.locator("#viewer .outline-name")
    reviewer.expect(names.filter(has_text="Dr Other <b>")).to_have_count(1)
    reviewer.expect(names.filter(has_text=me)).to_have_count(0)
    reviewer.keep("regions-of-others")


def test_a_region_that_was_left_as_its_verdict_was_sent_does_not_wait(
    tab: Page, reviewer: Any, store: ReviewStore, me: str
) -> None:
    reviewer.open_patient("P-two")
    draw_box(tab, reviewer)
    with reviewer.held("verdicts") as asked:
        tab.locator("[data-region=agree]").click()
        asked()
        tab.keyboard.press("j")
        reviewer.wait_until("histofed.view.slide?.slide_id === 'made-2'")
    reviewer.kept("agree, region")
    reviewer.open_slide("made-1")
    reviewer.expect(tab.locator("#region-comment")).not_to_be_visible()
    reviewer.expect(tab.locator("#viewer .region.agree").first).to_be_visible()
    assert len(store.rows(reviewer=me)) == 1


def test_a_region_that_one_comes_back_to_is_still_on_its_way(
    tab: Page, reviewer: Any, store: ReviewStore, me: str
) -> None:
    reviewer.open_patient("P-two")
    draw_box(tab, reviewer)
    with reviewer.held("verdicts") as asked:
        tab.locator("[data-region=agree]").click()
        asked()
        tab.keyboard.press("j")
        reviewer.wait_until("histofed.view.slide?.slide_id === 'made-2'")
        tab.keyboard.press("k")
        reviewer.wait_until("histofed.view.slide?.slide_id === 'made-1'")
        reviewer.expect(tab.locator("#region-comment")).to_be_visible()
        tab.keyboard.press("Escape")
        reviewer.expect(tab.locator("#status")).to_contain_text("too late to give the region up")
    reviewer.kept("agree, region")
    reviewer.expect(tab.locator("#region-comment")).not_to_be_visible()
    assert len(store.rows(reviewer=me)) == 1


def test_a_region_on_another_slide_of_the_case_is_answered_before_the_case(
    tab: Page, reviewer: Any, store: ReviewStore, me: str
) -> None:
    reviewer.open_patient("P-two")
    reviewer.open_slide("made-2")
    draw_box(tab, reviewer)
    tab.go_back()
    reviewer.wait_until("histofed.view.slide?.slide_id === 'made-1'")
    reviewer.wait_for_slide()
    tab.keyboard.press("a")
    reviewer.expect(tab.locator("#status")).to_contain_text("drew on slide 2 waits for its answer")
    tab.locator("#who").click()
    reviewer.expect(tab.locator("#entry-problem")).to_contain_text("did not send is lost")
    tab.keyboard.press("Escape")
    reviewer.open_slide("made-2")
    reviewer.expect(tab.locator("#region-comment")).to_be_focused()
    tab.keyboard.press("Enter")
    tab.keyboard.press("u")
    reviewer.kept("unsure, region")
    tab.locator("#go-on").uncheck()
    tab.locator("[data-verdict=agree]").click()
    reviewer.kept("agree, case")
    said = [(row["scope"], row["verdict"]) for row in store.rows(reviewer=me)]
    assert said == [("region", "unsure"), ("case", "agree")]


def test_a_region_on_a_slide_that_has_gone_can_be_given_up(
    tab: Page, reviewer: Any, store: ReviewStore, me: str
) -> None:
    reviewer.open_patient("P-two")
    reviewer.open_slide("made-2")
    draw_box(tab, reviewer)
    tab.go_back()
    reviewer.wait_until("histofed.view.slide?.slide_id === 'made-1'")
    gone = {"detail": "Slide made-2 cannot be shown."}
    reviewer.route("slides/made-2", lambda route: route.fulfill(status=503, json=gone))
    tab.evaluate("location.hash = 'case=P-two&s=none'")
    reviewer.expect(tab.locator("#status")).to_contain_text("has no slide")
    tab.keyboard.press("Escape")  # here none was drawn
    tab.locator("#slides [data-slide=made-2]").click()
    reviewer.expect(tab.locator("#status")).to_contain_text("cannot be shown")
    tab.wait_for_timeout(600)
    tab.keyboard.press("a")
    reviewer.expect(tab.locator("#status")).to_contain_text("waits for its answer, or for Esc")
    tab.keyboard.press("Escape")
    reviewer.expect(tab.locator("#status")).to_contain_text("given up")
    tab.keyboard.press("a")
    reviewer.kept("agree, case of P-two")
    assert [row["scope"] for row in store.rows(reviewer=me)] == ["case"]


def test_a_region_outlives_the_server(
    tab: Page, reviewer: Any, store: ReviewStore, me: str
) -> None:
    reviewer.open_patient("P-sure")
    draw_box(tab, reviewer)
    tab.keyboard.type("seen")
    tab.context.clear_cookies()  # sessions live in memory: a server that begins anew knows none
    tab.locator("[data-region=agree]").click()
    reviewer.expect(tab.locator("#entry")).to_be_visible()
    tab.locator("#entry-text").fill(me)
    tab.keyboard.press("Enter")
    reviewer.expect(tab.locator("#entry")).not_to_be_visible()
    reviewer.wait_for_slide()
    reviewer.expect(tab.locator("#region-comment")).to_have_value("seen")
    tab.locator("[data-region=agree]").click()
    reviewer.kept("agree, region")
    assert [row["comment"] for row in store.rows(reviewer=me)] == ["seen"]


def test_the_picture_holds_the_regions_and_says_the_turn(tab: Page, reviewer: Any) -> None:
    reviewer.open_patient("P-sure")
    tab.locator("#show").uncheck()
    tab.keyboard.press("r")
    draw_box(tab, reviewer)
    tab.locator("[data-region=agree]").click()
    reviewer.kept("agree, region")
    tab.evaluate(
        "() => { const { prototype } = CanvasRenderingContext2D, { fillText } = prototype;"
        " globalThis.said = []; prototype.fillText = function (words, ...more) {"
        " said.push(words); fillText.call(this, words, ...more); }; }"
    )
    tab.locator(".menu summary").click()
    with tab.expect_download() as waiting:
        tab.locator("#save-picture").click()
    picture = Image.open(io.BytesIO(waiting.value.path().read_bytes())).convert("RGB")
    corners = tab.locator("#viewer .region.agree").get_attribute("points") or ""
    xy = np.asarray([[float(part) for part in each.split(",")] for each in corners.split()])
    middle, top = round(xy[:, 0].mean()), round(xy[:, 1].min())
    across = {picture.getpixel((middle, top + dy)) for dy in range(-4, 5)}
    assert {(0, 105, 92), (255, 255, 255)} <= across  # the line and the light one behind it
    assert any("turned 90° clockwise" in words for words in tab.evaluate("said"))
    picture.save(reviewer.artefacts / "saved-regions.png")


def draw_box(tab: Page, reviewer: Any) -> None:
    tab.locator("#draw-rectangle").click()
    tab.wait_for_timeout(400)
    reviewer.settle()
    box = tab.locator("#viewer").bounding_box()
    assert box is not None
    left, top = box["x"] + box["width"] / 2 - 60, box["y"] + box["height"] / 2 - 50
    tab.mouse.move(left, top)
    tab.mouse.down()
    tab.mouse.move(left + 140, top + 90, steps=8)
    tab.mouse.up()
    reviewer.expect(tab.locator("#region-comment")).to_be_visible()
    reviewer.keep("drawn")
