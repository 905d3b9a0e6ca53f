from __future__ import annotations

import csv
import dataclasses
import io
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote

import numpy as np
import pytest
from fastapi.testclient import TestClient

from histofed.errors import OutputUnwritable, SlideUnreadable
from histofed.io.readers import open_slide
from histofed.io.store import ScoreStore
from histofed.review.app import create_app
from histofed.review.pool import SlidePool
from histofed.review.results import results
from histofed.review.store import ReviewStore, Verdict

if TYPE_CHECKING:
    from histofed.core.types import Slide
    from histofed.io.readers import SlideReader
    from histofed.review.data import ReviewData


@pytest.fixture
def own_store(tmp_path) -> ReviewStore:
    return ReviewStore(tmp_path / "reviews.sqlite")


@pytest.fixture
def app(site: ReviewData, own_store: ReviewStore):
    return create_app(site, own_store)


class Browser:
    """Somebody who has given a name."""

    def __init__(self, app, name: str) -> None:
        self.client = TestClient(app, base_url="http://127.0.0.1")
        self.headers = {"X-Review-Token": self.client.get("/api/session").json()["csrf"]}
        signed_in = self.post("/api/session", reviewer=name)
        self.headers = {"X-Review-Token": signed_in.json()["csrf"]}
        self.get = self.client.get

    def post(self, at: str, **content):
        return self.client.post(at, json=content, headers=self.headers)

    def say(self, verdict: str, patient_id: str = "P-two", **changed):
        given = {"scope": "case", "patient_id": patient_id, "model_digest": "of-m"}
        return self.post("/api/verdicts", **(given | changed), verdict=verdict)

    def of_tile(self, verdict: str, tile: int, **changed):
        digest = self.get("/api/slides/made-1").json()["scores_digest"]
        place = {"scope": "tile", "slide_id": "made-1", "tile": tile, "head": "attention"}
        return self.say(verdict, **(place | {"scores_digest": digest} | changed))


@pytest.fixture
def ada(app) -> Browser:
    return Browser(app, "Ada")


def test_a_verdict_is_stored_with_what_it_was_given_on(ada: Browser) -> None:
    answer = ada.say("agree", comment="clear", view={"zoom": 3}, elapsed_ms=1200)
    assert answer.status_code == 201
    row = answer.json()
    assert (row["reviewer"], row["model_digest"], row["arm"]) == ("Ada", "of-m", "federated")
    assert ada.get("/api/verdicts", params={"patient_id": "P-two"}).json() == {"verdicts": [row]}
    assert ada.get("/api/verdicts", params={"patient_id": "P-sure"}).json() == {"verdicts": []}
    assert ada.get("/api/case?patient_id=P-two").json()["history"] == [row]


def test_a_changed_mind_is_added_and_the_latest_counts(ada: Browser) -> None:
    ada.say("agree")
    ada.say("disagree")
    case = ada.get("/api/case?patient_id=P-two").json()
    assert [row["verdict"] for row in case["history"]] == ["disagree", "agree"]
    assert case["verdicts"] == [{"reviewer": "Ada", "verdict": "disagree"}]


def test_what_was_said_of_another_models_prediction_counts_nowhere(
    ada: Browser, own_store: ReviewStore
) -> None:
    region = [(0.0, 0.0), (90.0, 0.0), (90.0, 90.0)]
    given = Verdict(
        reviewer="Ada",
        scope="case",
        patient_id="P-two",
        verdict="disagree",
        arm="local",
        model_digest="of another",
    )
    of_slide = {"slide_id": "made-1", "head": "attention", "scores_digest": "of another"}
    own_store.add(given)
    own_store.add(replace(given, scope="region", region=region, **of_slide))
    own_store.add(
        replace(given, scope="tile", tile=0, rank=1, percentile=1.0, verdict="relevant", **of_slide)
    )
    own_store.add(replace(given, patient_id="of another run", model_digest="of-m"))
    case = ada.get("/api/case?patient_id=P-two").json()
    assert (case["verdicts"], case["history"]) == ([], [])
    assert [row["scope"] for row in case["earlier"]] == ["tile", "region", "case"]
    assert ada.get("/api/cases").json()["n_reviewed_any"] == 0
    assert len(ada.get("/api/cases?reviewed=mine").json()["cases"]) == 0
    found = ada.get("/api/results").json()
    assert (found["n_not_counted"], found["n_reviewed"]) == (4, 0)
    assert found["reviewers"] == found["precision_at_k"] == []
    drawn = ada.get("/api/export/slides/made-1.geojson?top=0").json()
    assert drawn["features"] == []
    assert len(ada.get("/api/export/verdicts.json").json()["verdicts"]) == 4
    # They were shown the label after that verdict all the same.
    assert ada.say("agree", view={"hidden": True}).json()["view"]["hidden"] is False


def test_the_worklist_knows_who_said_what(app, ada: Browser) -> None:
    bob = Browser(app, "Bob")
    ada.say("agree")
    ada.say("agree", "P-sure")
    bob.say("disagree")
    found = {
        reviewed: [
            case["patient_id"]
            for case in ada.get(f"/api/cases?order=patient&reviewed={reviewed}").json()["cases"]
        ]
        for reviewed in ("mine", "todo", "nobody", "disagreement")
    }
    assert found["mine"] == ["P-sure", "P-two"]
    assert found["todo"] == found["nobody"] == ["P-bare", "P-close", "P-none", "P-torn"]
    todo = bob.get("/api/cases?order=patient&reviewed=todo").json()["cases"]
    assert [case["patient_id"] for case in todo] == [*found["nobody"][:-1], "P-sure", "P-torn"]
    assert found["disagreement"] == ["P-two"]
    answer = bob.get("/api/cases").json()
    assert (answer["n_reviewed_mine"], answer["n_reviewed_any"]) == (1, 2)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("patient_id=P-close", ("P-none", 2)),
        ("patient_id=P-close&by=-1", ("P-bare", 0)),
        ("patient_id=P-bare&by=-1", None),
        ("patient_id=P-two", None),
        ("patient_id=P-none&todo=true", ("P-torn", 4)),  # P-sure has her verdict
        ("patient_id=P-sure&reviewed=todo", ("P-torn", 3)),  # not among those listed herself
        ("patient_id=P-torn&reviewed=todo&by=-1", ("P-none", 2)),
        ("patient_id=P-bare&site=South", ("P-close", 0)),
        ("patient_id=P-none&find=no such", None),
    ],
)
def test_the_next_case(ada: Browser, asked, found) -> None:
    ada.say("agree", "P-sure")
    answer = ada.get(f"/api/neighbour?order=patient&{asked}").json()
    assert answer == (found and {"patient_id": found[0], "place": found[1]})


@pytest.mark.parametrize(
    ("asked", "status"), [("patient_id=nobody", 404), ("", 422), ("patient_id=P-two&by=2", 422)]
)
def test_next_to_nobody_is_no_case(ada: Browser, asked, status) -> None:
    assert ada.get(f"/api/neighbour?{asked}").status_code == status


def test_a_reviewer_is_known_again_however_the_name_is_typed(app, ada: Browser) -> None:
    Browser(app, "Dr. Anna M\u00fcller").say("agree")
    for typed in ("dr. anna m\u00fcller", "DR.  ANNA MU\u0308LLER"):
        again = Browser(app, typed).get("/api/session").json()
        assert again["reviewer"] == "Dr. Anna M\u00fcller"
    assert (
        Browser(app, "Anna M\u00fcller").get("/api/session").json()["reviewer"]
        == "Anna M\u00fcller"
    )


def test_reviewers_are_one_before_either_has_judged(app) -> None:
    Browser(app, "Nora Fresh")
    assert Browser(app, "nora fresh").get("/api/session").json()["reviewer"] == "Nora Fresh"


def test_the_label_is_not_found_it_may_be_hidden(ada: Browser) -> None:
    assert ada.get("/api/cases?find=wild type").json()["n_matching"] == 0
    assert ada.get("/api/cases?find=south").json()["n_matching"] == 2


def test_names_that_differ_in_more_than_capitals_are_two(app) -> None:
    Browser(app, "Dr. Gro\u00df").say("agree")
    assert Browser(app, "Dr. Gross").get("/api/session").json()["reviewer"] == "Dr. Gross"


def test_reviewers_at_once_lose_nothing(app) -> None:
    browsers = [Browser(app, f"r{i}") for i in range(4)]
    with ThreadPoolExecutor(4) as threads:
        said = [
            threads.submit(each.say, "agree", patient)
            for each in browsers
            for patient in ("P-two", "P-sure", "P-bare")
        ]
        assert {each.result().status_code for each in said} == {201}
    cases = browsers[0].get("/api/cases").json()["cases"]
    assert sorted(len(case["verdicts"]) for case in cases) == [0, 0, 0, 4, 4, 4]


def test_who_has_no_name_is_asked_for_it(app) -> None:
    client = TestClient(app, base_url="http://127.0.0.1")
    csrf = client.get("/api/session").json()["csrf"]
    given = {"scope": "case", "patient_id": "P-two", "verdict": "agree", "model_digest": "of-m"}
    answer = client.post("/api/verdicts", json=given, headers={"X-Review-Token": csrf})
    assert (answer.status_code, "who you are" in answer.json()["detail"]) == (401, True)
    assert client.post("/api/verdicts", json=given).status_code == 403


REGION = [[0, 0], [10, 0], [10, 10]]
OF_REGION = {"scope": "region", "slide_id": "made-1", "region": REGION}
OF_TILE = {"scope": "tile", "slide_id": "made-1", "tile": 1, "verdict": "relevant"}


@pytest.mark.parametrize(
    ("changed", "status", "words"),
    [
        ({"verdict": "relevant"}, 422, "agree, disagree, unsure"),
        ({"patient_id": "ghost"}, 404, "no patient ghost"),
        ({"slide_id": "real"}, 404, "P-two has no slide real"),
        ({"slide_id": "../made.svs"}, 404, "has no slide"),
        ({"model_digest": "old"}, 409, "another model by now"),
        ({"scope": "tile", "verdict": "relevant", "tile": 1}, 422, "names its slide"),
        ({"scope": "tile", "verdict": "relevant", "slide_id": "made-1"}, 422, "A tile belongs"),
        ({"region": REGION}, 422, "A region belongs"),
        ({"tile": 3}, 422, "A tile belongs"),
        ({"region": REGION[:2]}, 422, "region"),
        ({"region": [[0, 0], [1e12, 0], [1, 1]]}, 422, "region"),
        (OF_REGION | {"region": [[0, 0], [10, 10], [20, 20]]}, 422, "a pixel"),
        (OF_REGION | {"region": [[0, 0], [0, 9], [0.5, 9], [0.5, 0]]}, 422, "a pixel"),
        (OF_REGION | {"region": [[0, 0], [1e6, 0], [10, 10]]}, 422, "beyond the slide"),
        (OF_REGION | {"region": [[-1, 0], [10, 0], [10, 10]]}, 422, "beyond the slide"),
        (OF_REGION | {"head": "of nobody"}, 409, "made again"),
        (OF_TILE, 422, "names the heat map"),
        ({"comment": "x" * 4001}, 422, "comment: longer than 4,000 letters"),
        ({"comment": "a\0b"}, 422, "no text"),
        ({"blinded": True}, 422, "Only tiles"),
        ({"elapsed_ms": -1}, 422, "elapsed_ms"),
        ({"view": {"a": "x" * 30_000}}, 422, "too long"),
        ({"view": {"a": json.loads("[" * 900 + "]" * 900)}}, 422, "single value"),
        ({"scope": "slide"}, 422, "scope"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_words(ada: Browser, changed, status, words) -> None:
    answer = ada.say(**({"verdict": "agree"} | changed))
    assert answer.status_code == status
    assert words in answer.json()["detail"]
    assert ada.get("/api/verdicts").json() == {"verdicts": []}


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ('"view": {"zoom": NaN}', "no number"),
        ('"view": {"zoom": 1e999}', "no number"),
        ('"comment": "\\ud800"', "comment"),
    ],
)
def test_what_python_reads_and_json_forbids_is_refused(ada: Browser, broken, words) -> None:
    given = '"scope": "case", "patient_id": "P-two", "verdict": "agree", "model_digest": "of-m"'
    headers = ada.headers | {"Content-Type": "application/json"}
    answer = ada.client.post("/api/verdicts", content=f"{{{given}, {broken}}}", headers=headers)
    assert (answer.status_code, words in answer.json()["detail"]) == (422, True)


def test_a_region_names_a_heat_map_that_there_is(ada: Browser) -> None:
    digest = ada.get("/api/slides/made-1").json()["scores_digest"]
    given = OF_REGION | {"scores_digest": digest}
    assert ada.say("agree", **given, head="of nobody").status_code == 404
    assert ada.say("agree", **given, head="attention").status_code == 201
    assert ada.say("agree", **OF_REGION).status_code == 201  # with the heat map off


def test_a_region_of_a_slide_that_has_gone_is_kept(app, ada: Browser, monkeypatch) -> None:
    def gone(_slide_id: str) -> None:
        raise SlideUnreadable

    monkeypatch.setattr(app.state.page.pool, "lend", gone)
    assert ada.say("agree", **OF_REGION).status_code == 201


def test_a_tile_is_stored_with_its_place(ada: Browser, site: ReviewData) -> None:
    scores_N = site.scores.read("made-1").scores["attention"]
    best = int(np.argmax(scores_N))
    row = ada.of_tile("relevant", best, blinded=True).json()
    assert (row["rank"], row["tile"], row["blinded"]) == (1, best, True)
    assert row["score"] == pytest.approx(float(scores_N[best]))
    assert row["percentile"] == pytest.approx(1 - 0.5 / len(scores_N))
    assert ada.of_tile("relevant", len(scores_N)).status_code == 404
    assert ada.of_tile("relevant", 0, head="ghost").status_code == 404
    refused = ada.of_tile("relevant", 0, scores_digest="old")
    assert (refused.status_code, "made again" in refused.json()["detail"]) == (409, True)


def test_a_full_disk_is_told_to_the_reviewer(ada: Browser, own_store, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OutputUnwritable("disk full")

    monkeypatch.setattr(own_store, "add", full)
    answer = ada.say("agree")
    assert answer.status_code == 507
    assert "NOT stored" in answer.json()["detail"]


def test_nothing_is_removed_over_the_network(ada: Browser) -> None:
    row = ada.say("agree").json()
    for method in ("DELETE", "PUT", "PATCH"):
        for at in ("/api/verdicts", f"/api/verdicts/{row['id']}"):
            answer = ada.client.request(method, at, headers=ada.headers)
            assert answer.status_code in (404, 405)
    assert len(ada.get("/api/verdicts").json()["verdicts"]) == 1


def test_who_has_judged_has_seen_the_label(ada: Browser) -> None:
    """Also in another browser, where they say who they are only with the verdict."""
    for scope in ({}, {"scope": "region", "slide_id": "made-1", "region": REGION}, {}):
        ada.say("agree", view={"hidden": True}, **scope)
    ada.say("agree", patient_id="P-sure", view={"hidden": True})
    said = [row["view"]["hidden"] for row in ada.get("/api/verdicts").json()["verdicts"]]
    assert said == [True, False, False, True]


def test_tables_hold_every_row(ada: Browser) -> None:
    ada.say("agree", comment="=HYPERLINK(1)", view={"a": 1})
    ada.say("unsure", comment='ä, "b"\nc')
    answer = ada.get("/api/export/verdicts.csv")
    assert "attachment" in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))
    assert [row["verdict"] for row in rows] == ["agree", "unsure"]
    # A spreadsheet runs no cell of ours; JSON holds what was said.
    assert rows[0]["comment"] == "'=HYPERLINK(1)"
    assert (rows[1]["comment"], json.loads(rows[0]["view"])) == ('ä, "b"\nc', {"a": 1})
    content = ada.get("/api/export/verdicts.json").json()
    assert (content["format"], content["format_version"]) == ("histofed/verdicts", 1)
    predictions = [row.pop("prediction") for row in content["verdicts"]]
    assert content["verdicts"] == ada.get("/api/verdicts").json()["verdicts"]
    assert (
        predictions
        == [json.loads(row["prediction"]) for row in rows]
        == [{"probability": 0.45}] * 2
    )
    assert {row["question"] for row in rows} == {content["question"]} == {"Is it mutated?"}
    assert content["verdicts"][0]["comment"] == "=HYPERLINK(1)"


@pytest.mark.parametrize(
    ("said", "safe"),
    [
        ("=1", "'=1"),
        (" @SUM(1)", "' @SUM(1)"),
        ("＝1", "'＝1"),
        ("a;=cmd|' /C calc'!A0", "a;'=cmd|' /C calc'!A0"),  # where lists are parted so
        ("a\n+1", "a\n'+1"),
        ("2 - 1 = 1; fine", "2 - 1 = 1; fine"),
    ],
)
def test_a_spreadsheet_runs_nothing_that_was_said(ada: Browser, said: str, safe: str) -> None:
    ada.say("agree", comment=said, view={"a": said})
    text = ada.get("/api/export/verdicts.csv").content.decode("utf-8-sig")
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    assert row["comment"] == safe
    assert json.loads(row["view"]) == {"a": said}
    assert ";=" not in text


@pytest.mark.parametrize("region", [[(9, 9)] * 4, [(0, 9), (50, 9), (99, 9)]])
def test_a_region_without_a_size_is_refused(ada: Browser, region) -> None:
    answer = ada.say("relevant", scope="region", slide_id="made-1", region=region)
    assert answer.status_code == 422
    assert "at least a pixel" in answer.json()["detail"]


def test_qupath_gets_the_highest_tiles_and_ones_own_regions(app, ada: Browser, site) -> None:
    ada.say("relevant", scope="region", slide_id="made-1", region=REGION)
    Browser(app, "Bob").say("artefact", scope="region", slide_id="made-1", region=REGION)
    content = ada.get("/api/export/slides/made-1.geojson?head=evidence&top=3").json()
    *tiles, drawn = content["features"]
    stored = site.scores.read("made-1")
    order = np.argsort(-stored.scores["evidence"], kind="stable")
    for feature, tile in zip(tiles, order[:3], strict=True):
        xs, ys = zip(*feature["geometry"]["coordinates"][0], strict=True)
        x, y = stored.coords_N2[tile]
        assert (min(xs), max(xs), min(ys), max(ys)) == (x, x + 224, y, y + 224)
    assert drawn["properties"]["classification"]["name"] == "relevant"
    assert drawn["geometry"]["coordinates"][0][:3] == REGION
    assert ada.get("/api/export/slides/ghost.geojson").status_code == 404
    assert ada.get("/api/export/slides/made-1.geojson?head=ghost").status_code == 404
    assert ada.get("/api/export/colours/viridis.tsv").text.count("\n") == 256
    assert ada.get("/api/export/colours/jet.tsv").status_code == 404


def test_qupath_counts_from_the_corner_of_what_was_scanned(app, ada: Browser, site) -> None:
    """MIRAX leaves a margin of thousands of pixels, which QuPath does not show."""

    def with_margin(slide: Slide) -> SlideReader:
        reader = open_slide(slide.path)
        reader.info = dataclasses.replace(reader.info, scanned_from_px0=(100, 50))
        return reader

    ada.say("relevant", scope="region", slide_id="made-1", region=REGION)
    app.state.page.pool = SlidePool(site.slides, opener=with_margin)
    tile, drawn = ada.get("/api/export/slides/made-1.geojson?top=1").json()["features"]
    stored = site.scores.read("made-1")
    x, y = stored.coords_N2[np.argmax(stored.scores["attention"])]
    assert tile["geometry"]["coordinates"][0][0] == [x - 100, y - 50]
    assert drawn["geometry"]["coordinates"][0][:3] == [[x - 100, y - 50] for x, y in REGION]


def test_where_qupath_counts_from_must_be_known(ada: Browser, site) -> None:
    """A slide that is gone does not say it; tiles in the wrong place would look right."""
    scores = dataclasses.replace(site.scores.read("made-1"), slide_id="vanished")
    site.scores.write(scores)
    try:
        answer = ada.get("/api/export/slides/vanished.geojson")
    finally:
        site.scores.path("vanished").unlink()
    assert (answer.status_code, "missing or damaged" in answer.json()["detail"]) == (503, True)


def case_row(reviewer: str, patient_id: str, verdict: str) -> dict[str, object]:
    said = {"reviewer": reviewer, "patient_id": patient_id, "verdict": verdict}
    of_case = {"slide_id": None, "tile": None, "region": None, "rank": None, "blinded": False}
    return {"scope": "case"} | of_case | said


def test_results_of_reviewers_and_pairs() -> None:
    rows = [
        *(case_row("Ada", f"p{i}", "agree" if i < 8 else "disagree") for i in range(10)),
        case_row("Ada", "p0", "unsure"),  # a changed mind
        *(case_row("Bob", f"p{i}", "agree" if i < 7 else "disagree") for i in range(1, 10)),
        case_row("Cy", "elsewhere", "unsure"),
    ]
    found = results(rows, n_cases=30)
    ada, bob, cy = found["reviewers"]
    assert (ada["n_cases"], ada["agree"], ada["disagree"], ada["unsure"]) == (10, 7, 2, 1)
    assert ada["agreement"][0] == pytest.approx(7 / 9)
    assert ada["agreement"][1] < 7 / 9 < ada["agreement"][2]
    assert bob["n_cases"] == 9
    assert cy["agreement"] is None
    assert (ada["n_regions"], ada["n_tiles"]) == (0, 0)
    (pair,) = found["pairs"]  # nobody shares a case with Cy
    assert (pair["reviewers"], pair["n"]) == (["Ada", "Bob"], 9)
    # 8 of 9 alike; chance: (7 x 6 + 2 x 3) / 81.
    assert pair["kappa"] == pytest.approx((8 / 9 - 48 / 81) / (1 - 48 / 81))
    assert (found["n_cases"], found["n_reviewed"]) == (30, 11)


def test_results_of_tiles(ada: Browser, site: ReviewData) -> None:
    scores_N = site.scores.read("made-1").scores["attention"]
    order = np.argsort(-scores_N, kind="stable").tolist()
    said = ["relevant", "artefact", "relevant", "unsure", "not relevant"]
    for tile, verdict in zip(order[:5], said, strict=True):
        ada.of_tile(verdict, tile, blinded=True)
    ada.of_tile("relevant", order[9])
    ada.of_tile("relevant", order[9])  # once more
    found = ada.get("/api/results").json()
    assert [(each["n_cases"], each["n_tiles"]) for each in found["reviewers"]] == [(0, 6)]
    assert [each["k"] for each in found["precision_at_k"]] == [1, 5, 10, 20]
    assert [each["value"] for each in found["precision_at_k"]] == [1, 0.5, 0.6, 0.6]
    assert found["precision_at_k"][1]["low"] is None  # one patient
    # Ranks 1 and 3 relevant, 2 and 5 not: 3 of 4 pairs in order; the one seen with scores is out.
    assert found["auroc_of_relevance"] == {"value": 0.75, "n": 4}
    assert ada.get("/api/results?blinded=no").json()["auroc_of_relevance"] is None
    assert ada.get("/api/results?blinded=maybe").status_code == 422


def test_a_gallery_shows_the_ends_and_nothing_twice(ada: Browser, site: ReviewData) -> None:
    scores_N = site.scores.read("made-1").scores["attention"]
    order = np.argsort(-scores_N, kind="stable").tolist()
    top = ada.get("/api/slides/made-1/gallery?n=5").json()["tiles"]
    assert [each["tile"] for each in top] == order[:5]
    assert top[0]["score"] == pytest.approx(float(scores_N.max()))
    bottom = ada.get("/api/slides/made-1/gallery?n=5&which=bottom").json()["tiles"]
    assert [each["tile"] for each in bottom] == order[::-1][:5]
    part_lower = [(scores_N < scores_N[each["tile"]]).mean() for each in top + bottom]
    assert [each["above"] for each in top + bottom] == pytest.approx(part_lower)
    ask = "/api/slides/made-1/gallery?n=12&which=random&seed="
    assert ada.get(ask + "1").json() == ada.get(ask + "1").json() != ada.get(ask + "2").json()
    every = ada.get("/api/slides/made-1/gallery?n=500&which=random").json()["tiles"]
    assert sorted(each["tile"] for each in every) == list(range(len(scores_N)))
    assert ada.get("/api/slides/made-1/gallery?head=ghost").status_code == 404


def count_high(ada: Browser, site: ReviewData, head: str, seed: int) -> int:
    """How many of twelve blinded tiles are of the twelve highest."""
    order = np.argsort(-site.scores.read("made-1").scores[head], kind="stable").tolist()
    ask = f"/api/slides/made-1/gallery?n=12&which=blinded&head={head}&seed={seed}"
    return sum(order.index(each["tile"]) < 12 for each in ada.get(ask).json()["tiles"])


def test_a_blinded_gallery_gives_nothing_away(ada: Browser, site: ReviewData) -> None:
    order = np.argsort(-site.scores.read("made-1").scores["attention"], kind="stable").tolist()
    numbers = {
        head: [count_high(ada, site, head, seed) for seed in range(12)]
        for head in ("attention", "evidence")
    }
    assert numbers["attention"] != numbers["evidence"]  # of one nothing is learned for another
    n_high = set()
    for seed in range(12):
        found = ada.get(f"/api/slides/made-1/gallery?n=12&which=blinded&seed={seed}").json()
        assert found["seed"] == seed
        assert {key for each in found["tiles"] for key in each} == {"tile", "x_px0", "y_px0"}
        places = [order.index(each["tile"]) for each in found["tiles"]]
        assert len(set(places)) == 12
        assert places != sorted(places)
        n_high.add(sum(place < 12 for place in places))
    assert len(n_high) > 2
    assert min(n_high) >= 4
    assert max(n_high) <= 9


def test_a_tile_seen_with_its_score_is_not_judged_blinded_later(
    ada: Browser, site: ReviewData
) -> None:
    order = np.argsort(-site.scores.read("made-1").scores["attention"], kind="stable").tolist()
    for tile in order[:-4]:
        ada.of_tile("relevant", tile)
    ask = "/api/slides/made-1/gallery?which=blinded&n=24"
    for head in ("attention", "evidence"):  # of either it is the same picture
        drawn = ada.get(f"{ask}&head={head}").json()["tiles"]
        assert {each["tile"] for each in drawn} == set(order[-4:])
    ada.of_tile("not relevant", order[0], blinded=True)
    ada.of_tile("relevant", order[-1], blinded=True)
    assert ada.get("/api/results").json()["auroc_of_relevance"] is None
    assert ada.get("/api/results?blinded=yes").json()["precision_at_k"] == []
    assert ada.get("/api/results?blinded=no").json()["precision_at_k"][0]["value"] == 0


def test_a_choice_of_tile_verdicts_leaves_those_of_cases(ada: Browser) -> None:
    ada.say("agree")
    for blinded in ("any", "yes", "no"):
        assert ada.get(f"/api/results?blinded={blinded}").json()["n_reviewed"] == 1


def test_pictures_are_known_by_their_tag(ada: Browser, site: ReviewData) -> None:
    addresses = [
        "/tiles/made-1/9/0_0.jpg",
        "/thumbnails/made-1.jpg",
        "/api/slides/made-1/tiles/3.jpg",
        "/api/slides/made-1/scores/attention",
    ]
    for at in addresses:
        first = ada.get(at)
        assert first.status_code == 200
        again = ada.get(at, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    assert ada.get("/api/slides/made-1/tiles/999999.jpg").status_code == 404
    assert ada.get("/api/slides/made-1/tiles/-1.jpg").status_code == 404
    assert ada.get("/thumbnails/torn.jpg").status_code == 503


def test_a_tile_is_what_the_model_saw(ada: Browser, site: ReviewData, made) -> None:
    from PIL import Image

    x, y = site.scores.read("made-1").coords_N2[13]
    answer = ada.get("/api/slides/made-1/tiles/13.jpg?side=224")
    picture = np.asarray(Image.open(io.BytesIO(answer.content))).astype(float)
    assert np.abs(picture - made[y : y + 224, x : x + 224]).mean() < 3
    small = Image.open(io.BytesIO(ada.get("/thumbnails/made-1.jpg").content))
    assert small.size == (313, 238)


def test_a_slide_that_vanishes_while_open_is_told_and_comes_back(app, ada, site, tmp_path) -> None:
    path = site.slides["made-1"].path
    kept = tmp_path / "kept.svs"
    at = "/tiles/made-1/10/0_0.jpg"
    before = ada.get(at).content
    shutil.move(path, kept)
    try:
        for each in (at, "/thumbnails/made-1.jpg", "/api/slides/made-1"):
            answer = ada.get(each)
            assert answer.status_code == 503
            assert "Slide made-1 cannot be shown" in answer.json()["detail"]
        (problem,) = {
            each["problem"] for each in ada.get("/api/case?patient_id=P-sure").json()["slides"]
        }
        assert "not there" in problem
    finally:
        shutil.move(kept, path)
    assert ada.get(at).content == before


def test_scores_of_another_slide_are_refused(site: ReviewData, own_store, tmp_path) -> None:
    import dataclasses

    folder = tmp_path / "scores"
    shutil.copytree(site.scores.folder, folder)
    shutil.copy(folder / "made-1.h5", folder / "made-2.h5")
    changed = dataclasses.replace(site, scores=ScoreStore(folder))
    client = TestClient(create_app(changed, own_store), base_url="http://127.0.0.1")
    assert "damaged" in client.get("/api/slides/made-2").json()["heads_problem"]
    assert client.get("/api/slides/made-1").json()["heads_problem"] is None


@pytest.mark.parametrize(
    "slide_id", ['"><script>alert(1)</script>', "100%", "é 标本 #1?&;'", "a b+c"]
)
@pytest.mark.parametrize(
    "patient_id", ["2026/0412", "..", "<img src=x onerror=alert(1)>", "50%/ü?#"]
)
def test_names_of_hospitals_are_found_whatever_they_hold(
    site: ReviewData, own_store, tmp_path, slide_id: str, patient_id: str
) -> None:
    slide_id = slide_id.replace("/", "|")  # they name files
    scores = ScoreStore(tmp_path / "scores")
    scores.write(dataclasses.replace(site.scores.read("made-1"), slide_id=slide_id))
    case = dataclasses.replace(site.cases[0], patient_id=patient_id, slide_ids=(slide_id,))
    slide = dataclasses.replace(site.slides["made-1"], slide_id=slide_id)
    named = dataclasses.replace(site, cases=(case,), slides={slide_id: slide}, scores=scores)
    ada = Browser(create_app(named, own_store), "Ada")
    who, which = quote(patient_id, safe=""), quote(slide_id, safe="")
    assert (
        ada.get("/api/case", params={"patient_id": patient_id}).json()["patient_id"] == patient_id
    )
    for address in (
        f"/api/slides/{which}",
        f"/api/slides/{which}/scores/attention",
        f"/api/slides/{which}/gallery",
        f"/api/slides/{which}/tiles/0.jpg",
        f"/thumbnails/{which}.jpg",
        f"/tiles/{which}/12/0_0.jpg",
        f"/api/export/slides/{which}.geojson",
    ):
        answer = ada.get(address)
        assert answer.status_code == 200
        assert "text/html" not in answer.headers["content-type"]
    stored = ada.say("agree", patient_id=patient_id).json()
    assert ada.get(f"/api/verdicts?patient_id={who}").json()["verdicts"] == [stored]


def test_a_class_may_be_named_in_any_alphabet(site: ReviewData, own_store, tmp_path) -> None:
    stored = site.scores.read("made-1")
    store, head = ScoreStore(tmp_path / "scores"), "tile_logit_腺癌"
    store.write(dataclasses.replace(stored, scores={head: stored.scores["attention"]}))
    app = create_app(dataclasses.replace(site, scores=store), own_store)
    client = TestClient(app, base_url="http://127.0.0.1")
    address = f"/api/slides/made-1/scores/{quote(head)}"
    answer = client.get(address)
    assert answer.status_code == 200
    again = client.get(address, headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304


def test_scores_made_again_are_read_again(site: ReviewData, own_store, tmp_path) -> None:
    import dataclasses

    folder = tmp_path / "scores"
    shutil.copytree(site.scores.folder, folder)
    changed = dataclasses.replace(site, scores=ScoreStore(folder))
    client = TestClient(create_app(changed, own_store), base_url="http://127.0.0.1")
    first = client.get("/api/slides/made-1").json()["scores_digest"]
    stored = changed.scores.read("made-1")
    changed.scores.write(dataclasses.replace(stored, features_digest="g"))
    assert client.get("/api/slides/made-1").json()["scores_digest"] != first


@pytest.mark.parametrize("view", [r'{"a": "\ud800"}', r'{"\ud800": 1}'])
def test_half_a_character_in_the_view_is_not_stored(ada: Browser, view: str) -> None:
    # Stored, it would keep the history and every export from being sent, for ever.
    given = '{"scope": "case", "patient_id": "P-two", "model_digest": "of-m", "verdict": "agree"'
    headers = ada.headers | {"Content-Type": "application/json"}
    answer = ada.client.post("/api/verdicts", content=f'{given}, "view": {view}}}', headers=headers)
    assert answer.status_code == 422
    assert "no text" in answer.json()["detail"]
    assert ada.get("/api/export/verdicts.json").json()["verdicts"] == []
