"""The page in a real browser: verdicts on cases, two views, results and what is saved."""

from __future__ import annotations

import contextlib
import io
import json
import re
import urllib.request
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from histofed.review import colourmaps
from histofed.review.store import Verdict

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from histofed.review.data import ReviewData
    from histofed.review.store import ReviewStore

pytestmark = pytest.mark.slow

VIEW = "#viewer [role=application]"


def test_a_verdict_is_a_key_and_the_next_case_is_there(
    tab: Page, reviewer: Any, store: ReviewStore, me: str
) -> None:
    reviewer.open_patient("P-close")
    tab.keyboard.press("m")
    tab.keyboard.type("no glands at all")
    tab.keyboard.press("Escape")
    tab.keyboard.press("d")
    reviewer.expect(tab.locator("#patient")).to_have_text("P-two")
    reviewer.wait_for_slide()
    reviewer.keep("next-case")
    tab.keyboard.press("k")
    reviewer.expect(tab.locator("#patient")).to_have_text("P-close")
    reviewer.wait_for_slide()
    reviewer.expect(tab.locator("[data-verdict=disagree]")).to_have_attribute(
        "aria-pressed", "true"
    )
    tab.locator("#go-on").uncheck()
    tab.locator("[data-verdict=agree]").click()
    reviewer.expect(tab.locator("[data-verdict=agree]")).to_have_attribute("aria-pressed", "true")
    reviewer.expect(tab.locator("#history li").first).to_contain_text("agree")
    rows = store.rows(reviewer=me)
    assert [(row["scope"], row["patient_id"], row["verdict"]) for row in rows] == [
        ("case", "P-close", "disagree"),
        ("case", "P-close", "agree"),
    ]
    assert [row["comment"] for row in rows] == ["no glands at all", ""]
    assert rows[0]["elapsed_ms"] > 0
    assert rows[0]["view"]["h"] == "attention"
    tab.keyboard.press("w")
    row = tab.locator("#cases tr", has_text="P-close")
    reviewer.expect(row).to_contain_text(f"agree, {me}")
    reviewer.expect(tab.locator("#progress-text")).to_contain_text("1 of 6 reviewed by you")
    reviewer.keep("worklist")


def test_a_slip_of_the_hand_is_no_second_verdict(
    tab: Page, reviewer: Any, store: ReviewStore, me: str
) -> None:
    """A key held too long, a key struck twice, a double click: the next case was not looked at."""
    reviewer.open_patient("P-close")
    tab.wait_for_timeout(600)
    for _ in range(5):
        tab.keyboard.down("d")
    tab.keyboard.up("d")
    reviewer.expect(tab.locator("#patient")).to_have_text("P-two")
    tab.keyboard.press("d")
    reviewer.expect(tab.locator("#status")).to_contain_text(
        re.compile("No verdict was given: the case (has only just been|is still being) opened")
    )
    reviewer.wait_for_slide()
    tab.wait_for_timeout(600)
    tab.locator("[data-verdict=agree]").dblclick()
    reviewer.kept("agree, case of P-two")
    tab.wait_for_timeout(600)
    assert [row["patient_id"] for row in store.rows(reviewer=me)] == ["P-close", "P-two"]


def test_a_comment_that_was_not_sent_waits_for_its_case(tab: Page, reviewer: Any) -> None:
    asked: list[str] = []
    tab.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    reviewer.open_patient("P-close")
    tab.keyboard.press("m")
    tab.keyboard.type("a draft")
    reviewer.open_patient("P-two")
    reviewer.expect(tab.locator("#comment")).to_have_value("")
    with contextlib.suppress(Exception):  # who is asked stays
        tab.goto(tab.url.split("#")[0] + "?again", timeout=3000)
    assert asked == ["beforeunload"]
    reviewer.open_patient("P-close")
    reviewer.expect(tab.locator("#comment")).to_have_value("a draft")
    tab.wait_for_timeout(600)
    tab.locator("[data-verdict=agree]").click()
    reviewer.kept("agree, case of P-close")
    reviewer.open_patient("P-close")
    reviewer.expect(tab.locator("#comment")).to_have_value("")


def test_a_key_struck_twice_is_one_verdict(
    tab: Page, reviewer: Any, store: ReviewStore, me: str
) -> None:
    reviewer.open_patient("P-close")
    tab.locator("#go-on").uncheck()
    tab.keyboard.press("a")
    tab.wait_for_timeout(120)
    tab.keyboard.press("a")
    reviewer.expect(tab.locator("[data-verdict=agree]")).to_have_attribute("aria-pressed", "true")
    tab.wait_for_timeout(600)
    tab.locator("[data-verdict=disagree]").focus()
    for _ in range(5):
        tab.keyboard.down("Enter")
    tab.keyboard.up("Enter")
    reviewer.kept("disagree, case of P-close")
    assert [row["verdict"] for row in store.rows(reviewer=me)] == ["agree", "disagree"]


def test_the_next_case_is_one_that_the_reviewer_has_not_judged(
    tab: Page, reviewer: Any, store: ReviewStore, me: str
) -> None:
    for patient in ("P-two", "P-close"):  # most uncertain first: P-close, P-two, P-torn
        reviewer.open_patient(patient)
        tab.keyboard.press("a")
        reviewer.expect(tab.locator("#patient")).to_have_text("P-torn")
    tab.keyboard.press("k")
    reviewer.expect(tab.locator("#patient")).to_have_text("P-two")
    tab.keyboard.press("w")
    tab.locator("#reviewed").select_option("todo")
    reviewer.expect(tab.locator("#count")).to_have_text("4 of 6 cases")
    reviewer.expect(tab.locator("#cases .case").first).to_have_text("P-torn")
    tab.locator(".case").first.click()
    reviewer.expect(tab.locator("#patient")).to_have_text("P-torn")
    tab.keyboard.press("k")  # back to what has left the list
    reviewer.expect(tab.locator("#patient")).to_have_text("P-two")
    tab.keyboard.press("w")
    tab.reload()
    reviewer.expect(tab.locator("#count")).to_have_text("4 of 6 cases")
    assert tab.locator("#reviewed").input_value() == "todo"


def test_a_case_that_is_opened_again_shows_what_was_said_meanwhile(
    tab: Page, reviewer: Any, store: ReviewStore, me: str
) -> None:
    reviewer.open_patient("P-sure")
    tab.locator("#go-on").uncheck()
    tab.locator("[data-verdict=agree]").click()
    reviewer.kept("agree, case of P-sure")
    tab.keyboard.press("w")
    reviewer.expect(tab.locator(".case").first).to_be_visible()
    (row,) = store.rows(reviewer=me)
    names = (each.name for each in fields(Verdict))
    store.add(Verdict(**{name: row[name] for name in names} | {"reviewer": "Dr Meanwhile"}))
    reviewer.open_patient("P-sure")
    reviewer.expect(tab.locator("#history")).to_contain_text("Dr Meanwhile")


def test_a_case_without_slides_says_so_for_as_long_as_it_is_open(tab: Page, reviewer: Any) -> None:
    tab.locator(".case", has_text="P-none").click()
    reviewer.expect(tab.locator("#status")).to_contain_text("no slide to show")
    reviewer.open_patient("P-sure")
    reviewer.expect(tab.locator("#status")).not_to_contain_text("no slide to show")


def test_a_case_that_failed_once_can_be_asked_for_again(tab: Page, reviewer: Any) -> None:
    failed = {"detail": "The server failed; its log says why."}
    reviewer.route("case?patient_id=P-two", lambda route: route.fulfill(status=503, json=failed))
    tab.locator(".case", has_text="P-two").click()
    reviewer.expect(tab.locator("#status")).to_contain_text("The server failed")
    assert tab.title() == "Demo run · review"
    tab.unroute_all(behavior="wait")
    tab.locator(".case", has_text="P-two").click()
    reviewer.expect(tab.locator("#patient")).to_have_text("P-two")


def test_a_label_seen_in_another_tab_is_not_recorded_as_hidden(
    tab: Page, reviewer: Any, store: ReviewStore, me: str
) -> None:
    reviewer.open_patient("P-sure")
    other = tab.context.new_page()
    other.goto(tab.url)
    other.locator("#to-worklist").click()
    other.locator("#hide").uncheck()
    reviewer.expect(other.locator("#cases")).not_to_contain_text("hidden")
    other.locator("#hide").check()
    reviewer.expect(other.locator("#cases")).to_contain_text("hidden")
    tab.keyboard.press("a")
    reviewer.kept("agree, case of P-sure")
    (row,) = store.rows(reviewer=me)
    assert row["view"]["hidden"] is False
    other.close()


def test_what_was_said_of_another_model_stands_apart(
    tab: Page, reviewer: Any, store: ReviewStore, me: str
) -> None:
    given = Verdict(
        reviewer=me,
        scope="case",
        patient_id="P-bare",
        verdict="disagree",
        comment="of the first model",
        arm="local",
        model_digest="of another",
    )
    store.add(given)
    tab.locator("#to-worklist").click()
    tab.locator(".case", has_text="P-bare").click()
    reviewer.expect(tab.locator("#history")).to_contain_text(
        re.compile("On predictions of other models:.*disagree.*of the first model")
    )
    reviewer.expect(tab.locator("#verdict [aria-pressed=true]")).to_have_count(0)
    reviewer.keep("of-another-model")
    tab.locator("#to-results").click()
    reviewer.expect(tab.locator("#results-count")).to_contain_text(
        re.compile("Not counted: \\d+ verdict.* on predictions of other models")
    )


def test_a_verdict_that_is_not_kept_is_told(
    tab: Page, reviewer: Any, store: ReviewStore, me: str
) -> None:
    reviewer.open_patient("P-close")
    full = json.dumps({"detail": "The disk is full."})
    reviewer.route("verdicts", lambda route: route.fulfill(status=507, body=full))
    tab.locator("#comment").fill("long thought over")
    tab.locator("[data-verdict=agree]").click()
    reviewer.expect(tab.locator("#status")).to_contain_text("was not kept. The disk is full.")
    reviewer.expect(tab.locator("#patient")).to_have_text("P-close")
    assert tab.locator("#comment").input_value() == "long thought over"
    assert store.rows(reviewer=me) == []


def test_after_the_last_case_nobody_is_taken_elsewhere(tab: Page, reviewer: Any) -> None:
    reviewer.open_patient("P-sure")
    tab.keyboard.press("a")
    reviewer.expect(tab.locator("#status")).to_have_text(
        "Kept: agree, case of P-sure. No case that you have not judged follows in the worklist."
    )
    reviewer.expect(tab.locator("#patient")).to_have_text("P-sure")


def test_a_double_click_zooms_in_and_a_click_does_not(tab: Page, reviewer: Any) -> None:
    reviewer.open_patient("P-sure")
    before = tab.evaluate("histofed.view.place().z")
    tab.locator(VIEW).click()
    tab.wait_for_timeout(600)
    assert tab.evaluate("histofed.view.place().z") == pytest.approx(before)
    tab.locator(VIEW).dblclick()
    tab.wait_for_timeout(600)
    assert tab.evaluate("histofed.view.place().z") == pytest.approx(2 * before, rel=0.01)


def test_two_views_move_together(tab: Page, reviewer: Any) -> None:
    reviewer.open_patient("P-two")
    reviewer.open_slide("made-2")
    tab.keyboard.press("t")
    second = "histofed.screen.second.view"
    reviewer.wait_until(f"{second}?.image?.getFullyLoaded()")
    tab.locator("#slide-2").select_option("made-2")
    reviewer.wait_until(f"{second}.slide?.slide_id === 'made-2' && {second}.image")
    tab.locator("#head-2").select_option("evidence")
    reviewer.wait_until(f"{second}.heatmap.scores?.length > 0")
    for key in ("4", "ArrowRight", "r"):
        tab.locator(VIEW).focus()
        tab.keyboard.press(key)
        tab.wait_for_timeout(600)
        reviewer.settle()
        first = tab.evaluate("histofed.view.place()")
        assert tab.evaluate(f"{second}.place()") == pytest.approx(first, abs=0.01)
    reviewer.keep("side-by-side")
    tab.locator("#viewer-2 [role=application]").focus()
    tab.keyboard.press("ArrowDown")
    tab.wait_for_timeout(600)
    moved = tab.evaluate("histofed.view.place()")
    assert moved != pytest.approx(first, abs=1)
    assert tab.evaluate(f"{second}.place()") == pytest.approx(moved, abs=0.01)
    tab.keyboard.press("3")  # as the second one has the focus: both are magnified
    tab.wait_for_timeout(600)
    nearer = tab.evaluate("histofed.view.place()")
    assert nearer["z"] != pytest.approx(moved["z"], rel=0.1)
    assert tab.evaluate(f"{second}.place()") == pytest.approx(nearer, abs=0.01)
    tab.locator("#viewer-2 [role=application]").hover()
    tab.mouse.wheel(0, -300)
    tab.wait_for_timeout(600)
    tab.locator("#magnifications [data-times='20']").click()
    tab.wait_for_timeout(600)
    assert tab.evaluate(f"{second}.place()") == pytest.approx(
        tab.evaluate("histofed.view.place()"), abs=0.01
    )


def test_results_are_shown(tab: Page, reviewer: Any, store: ReviewStore, me: str) -> None:
    reviewer.open_patient("P-close")
    tab.keyboard.press("a")
    reviewer.expect(tab.locator("#patient")).to_have_text("P-two")
    tab.keyboard.press("s")
    row = tab.locator("#figures tr", has_text=me).first
    reviewer.expect(row).to_contain_text("100%")
    reviewer.expect(row.locator("td").nth(-1)).to_have_text("0")
    reviewer.keep("results")


def test_results_say_where_there_is_no_interval_and_show_kappa_below_0(
    tab: Page, reviewer: Any
) -> None:
    pair = {"reviewers": ["Ada", "Bob"], "n": 9, "kappa": -0.5, "low": -0.75, "high": 0.5}
    top = {"k": 1, "n": 1, "value": 1, "low": None, "high": None}

    def below_chance(route: Any) -> None:
        found = route.fetch().json() | {"pairs": [pair], "precision_at_k": [top]}
        route.fulfill(json=found)

    reviewer.route("results*", below_chance)
    tab.locator("#to-results").click()
    row = tab.locator("#figures tr", has_text="Ada and Bob")
    reviewer.expect(row).to_contain_text("-0.50 (-0.75 to 0.50)")
    x, width = [row.locator(".figure-line").get_attribute(name) or "" for name in ("x", "width")]
    assert (float(x), float(width)) == (12.5, 62.5)
    row = tab.locator("#figures tr", has_text="1 highest")
    reviewer.expect(row).to_contain_text("100% (an interval needs tiles of 2 patients)")
    reviewer.keep("results-dark")
    tab.emulate_media(color_scheme="light")
    reviewer.keep("results-light")


def test_the_geojson_names_the_highest_tile(
    tab: Page, reviewer: Any, site: ReviewData, page: str
) -> None:
    reviewer.open_patient("P-sure")
    tab.locator(".menu summary").click()
    address = tab.locator("#save-geojson").get_attribute("href")
    with urllib.request.urlopen(f"{page}/{address}") as answer:
        features = json.load(answer)["features"]
    tiles = [each for each in features if each["properties"]["objectType"] == "tile"]
    stored = site.scores.read("made-1")
    first = int(np.argmax(stored.scores["attention"]))
    highest = max(tiles, key=lambda each: each["properties"]["measurements"]["attention_raw"])
    corners = np.asarray(highest["geometry"]["coordinates"][0])
    assert corners.min(axis=0) == pytest.approx(stored.coords_N2[first], abs=0.5)
    assert np.ptp(corners, axis=0) == pytest.approx([stored.side_px0] * 2, abs=0.5)


def test_the_picture_holds_slide_heat_map_bars_and_where_it_is_from(
    tab: Page, reviewer: Any
) -> None:
    reviewer.open_patient("P-sure")
    tab.locator("#opacity").fill("100")
    tab.locator(".menu summary").click()
    with tab.expect_download() as waiting:
        tab.locator("#save-picture").click()
    picture = Image.open(io.BytesIO(waiting.value.path().read_bytes())).convert("RGB")
    box = tab.locator("#viewer").bounding_box()
    assert box is not None
    assert waiting.value.suggested_filename == "made-1.png"
    assert picture.size == (round(box["width"]), round(box["height"]) + 92)
    pixels = np.asarray(picture).astype(int)
    seen = np.asarray(Image.open(io.BytesIO(tab.locator("#viewer").screenshot())).convert("RGB"))
    middle = np.s_[200:400, 400:700]
    differs = np.abs(pixels[middle] - seen[middle].astype(int)).max(axis=2) > 2
    assert differs.mean() < 0.03  # edges of tiles: the view may begin between two screen pixels
    foot = pixels[-92:]
    shown = {tuple(colour) for colour in foot.reshape(-1, 3).tolist()}
    bar = {tuple(colour) for colour in colourmaps.colours("viridis").tolist()}
    assert bar <= shown
    assert (foot.sum(axis=2) < 100).sum() > 300  # words and scale bar
    picture.save(reviewer.artefacts / "saved.png")


def test_the_picture_of_a_narrow_view_holds_the_whole_colour_bar(tab: Page, reviewer: Any) -> None:
    reviewer.open_patient("P-two")
    tab.keyboard.press("t")
    reviewer.wait_until("histofed.screen.second.view?.heatmap.scores?.length > 0")
    tab.set_viewport_size({"width": 1100, "height": 800})
    reviewer.settle()
    tab.locator(".menu summary").click()
    with tab.expect_download() as waiting:
        tab.locator("#save-picture").click()
    reviewer.expect(tab.locator("#status")).to_contain_text("the first of both views")
    picture = Image.open(io.BytesIO(waiting.value.path().read_bytes())).convert("RGB")
    assert picture.width < 560
    foot = np.asarray(picture)[-148:]
    bar = {tuple(colour) for colour in colourmaps.colours("viridis").tolist()}
    assert bar <= {tuple(colour) for colour in foot.reshape(-1, 3).tolist()}
    assert (foot[:, -8:] == 255).all()  # nothing is cut at the border
    picture.save(reviewer.artefacts / "saved-narrow.png")


def test_what_is_asked_names_what_is_predicted(tab: Page, reviewer: Any) -> None:
    asked = {"P-sure": "Does “97% chance of mutated” fit what you see?"}
    asked["P-close"] = "“52% chance of mutated”: it could be either. Does that fit what you see?"
    for patient, words in asked.items():
        reviewer.open_patient(patient)
        reviewer.expect(tab.locator("#verdict-question")).to_have_text(words)


def test_the_scale_goes_along_with_the_threshold(tab: Page, reviewer: Any) -> None:
    reviewer.open_patient("P-close")
    tab.locator("#scale-choice").select_option("percentile")
    tab.keyboard.press(".")
    for patient in ("P-none", "P-two"):  # also past a case that has no heat map
        tab.locator("#to-worklist").click()
        tab.locator(".case", has_text=patient).click()
        reviewer.expect(tab.locator("#patient")).to_have_text(patient)
    reviewer.wait_for_slide()
    look = tab.evaluate("histofed.screen.controls.look")
    assert (look["scale"], look["threshold"]) == ("percentile", 0.01)


def test_keys_work_again_after_a_turn_was_typed(tab: Page, reviewer: Any) -> None:
    reviewer.open_patient("P-sure")
    tab.locator("#degrees").fill("37")
    tab.keyboard.press("Enter")
    reviewer.expect(tab.locator(VIEW)).to_be_focused()
    reviewer.wait_until("histofed.view.viewport.getRotation(true) === 37")
    tab.keyboard.press("h")
    reviewer.expect(tab.locator("#show")).not_to_be_checked()


def test_the_turn_of_a_slide_is_its_own_and_in_its_address(tab: Page, reviewer: Any) -> None:
    reviewer.open_patient("P-two")
    tab.keyboard.press("r")
    reviewer.settle()
    tab.wait_for_timeout(500)
    turned = tab.url
    assert "r=90" in turned
    tab.keyboard.press("j")
    reviewer.wait_until("histofed.view.slide?.slide_id === 'made-2'")
    reviewer.wait_for_slide()
    reviewer.expect(tab.locator("#degrees")).to_have_value("0")
    assert tab.evaluate("histofed.view.place().r") == pytest.approx(0)
    tab.goto("about:blank")
    tab.goto(turned)
    reviewer.wait_for_slide()
    assert tab.evaluate("histofed.view.place().r") == pytest.approx(90)
    reviewer.expect(tab.locator("#degrees")).to_have_value("90")


@pytest.mark.parametrize(
    ("interval", "words"),
    [
        ([0.33, 0.6], "33% to 60% are mutated, fewer than the model says."),
        ([0.982, 1.0], "98% to 100% are mutated, more than the model says."),
        ([0.9, 0.974], "90% to 97% are mutated."),
    ],
)
def test_the_interval_is_said_of_patients_not_of_the_models_number(
    tab: Page, reviewer: Any, interval: list[float], words: str
) -> None:
    def with_interval(route: Any) -> None:
        found = route.fetch().json()
        found["interval"] = {"probability": interval}
        route.fulfill(json=found)

    reviewer.route("case?patient_id=P-sure", with_interval)
    reviewer.open_patient("P-sure")
    said = tab.locator("#prediction")
    reviewer.expect(said.locator("strong")).to_have_text("97%")
    reviewer.expect(said.locator(".interval")).to_have_text(
        f"Of patients scored like this, {words}"
    )
    reviewer.expect(said).not_to_contain_text("between")
    reviewer.keep(f"interval-{interval[0]}")


def test_a_signed_map_is_explained_without_colours(tab: Page, reviewer: Any) -> None:
    reviewer.open_patient("P-sure")
    tab.locator("#head").select_option("evidence")
    reviewer.expect(tab.locator("#note")).to_contain_text("High (positive) = speaks for “mutated”")
    reviewer.expect(tab.locator("#note")).not_to_contain_text("ight")


def test_labels_and_others_verdicts_are_hidden_until_one_has_judged(
    tab: Page, reviewer: Any, store: ReviewStore, me: str
) -> None:
    other = "Dr Other who came first"
    sign_as(tab, reviewer, other)
    reviewer.open_patient("P-sure")
    tab.locator("#go-on").uncheck()
    tab.locator("#comment").fill("plainly mucinous")
    tab.locator("[data-verdict=unsure]").click()
    reviewer.kept("unsure")
    sign_as(tab, reviewer, me)
    row = tab.locator("#cases tr", has_text="P-sure")
    tab.locator("#to-worklist").click()
    reviewer.expect(tab.locator("#hide")).to_be_checked()
    reviewer.expect(row.locator("td").nth(2)).to_have_text("hidden")
    reviewer.expect(row).not_to_contain_text(other)
    reviewer.keep("hidden-worklist")
    row.locator(".case").click()
    reviewer.wait_for_slide()
    reviewer.expect(tab.locator("#summary")).to_have_text("North · label: shown after your verdict")
    reviewer.expect(tab.locator("#history")).not_to_contain_text("mucinous")
    reviewer.keep("hidden-case")
    tab.locator("[data-verdict=agree]").click()
    reviewer.expect(tab.locator("#summary")).to_have_text("North · label: mutated")
    reviewer.expect(tab.locator("#history")).to_contain_text("mucinous")
    assert store.rows(reviewer=me)[0]["view"]["hidden"] is True
    tab.locator("#to-worklist").click()
    reviewer.expect(row).to_contain_text(f"unsure, {other}")
    still = tab.locator("#cases tr", has_text="P-close").locator("td").nth(2)
    reviewer.expect(still).to_have_text("hidden")
    tab.locator("#hide").uncheck()
    reviewer.expect(still).to_have_text("wild type")
    tab.reload()
    reviewer.expect(tab.locator("#hide")).not_to_be_checked()
    reviewer.expect(still).to_have_text("wild type")
    tab.locator("#hide").check()
    reviewer.expect(still).to_have_text("hidden")
    beside = tab.context.new_page()  # who has seen a label has seen it
    beside.goto(tab.url)
    there = type(reviewer)(beside)
    there.open_patient("P-close")
    there.expect(beside.locator("#summary")).to_contain_text("shown after your verdict")
    beside.locator("[data-verdict=agree]").click()
    there.kept("agree, case of P-close")
    assert store.rows(reviewer=me)[-1]["view"]["hidden"] is False


def sign_as(tab: Page, reviewer: Any, name: str) -> None:
    tab.locator("#who").click()
    tab.locator("#entry-text").fill(name)
    tab.locator("#entry-form [type=submit]").click()
    reviewer.expect(tab.locator("#who")).to_have_text(name)
