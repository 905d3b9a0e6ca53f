from __future__ import annotations

import io
import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from histofed.review.app import STATIC, create_app
from histofed.review.security import CONTENT_SECURITY_POLICY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import FastAPI

    from histofed.review.data import ReviewData
    from histofed.review.store import ReviewStore


@pytest.fixture(scope="module")
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, base_url="http://127.0.0.1") as client:
        yield client


def picture(answer) -> np.ndarray:
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/jpeg"
    return np.asarray(Image.open(io.BytesIO(answer.content))).astype(float)


def test_cases_come_uncertain_first(client: TestClient) -> None:
    answer = client.get("/api/cases").json()
    distances = [abs(case["outputs"]["probability"] - 0.5) for case in answer["cases"]]
    assert distances == sorted(distances)
    assert (answer["n"], answer["n_matching"], answer["n_reviewed_any"]) == (6, 6, 0)
    assert answer["cases"][1] == {
        "patient_id": "P-two",
        "site": "North",
        "label": None,
        "outputs": {"probability": 0.45},
        "interval": None,
        "possible": None,
        "unusual": None,
        "discordant": None,
        "uncertainty": pytest.approx(0.9),
        "slide_ids": ["made-1", "made-2"],
        "verdicts": [],
    }


def test_a_slide_is_described(client: TestClient) -> None:
    slide = client.get("/api/slides/made-1").json()
    assert (slide["width_px0"], slide["height_px0"], slide["mpp"]) == (2500, 1900, 0.5)
    assert (slide["min_level"], slide["max_level"]) == (0, 12)
    assert (slide["zoom_tile_px"], slide["overlap_px"]) == (512, 1)
    assert slide["side_px0"] == 224
    assert [head["name"] for head in slide["heads"]] == ["attention", "evidence"]
    assert slide["heads"][0]["low"] == pytest.approx(0.001)
    # The sign of the evidence has a meaning: its colours are even about zero.
    assert slide["heads"][1]["low"] == -slide["heads"][1]["high"] < 0


def test_scores_arrive_raw(client: TestClient, site: ReviewData) -> None:
    answer = client.get("/api/slides/made-1/scores/attention")
    triples = np.frombuffer(answer.content, dtype="<f4").reshape(-1, 3)
    stored = site.scores.read("made-1")
    np.testing.assert_array_equal(triples[:, :2], stored.coords_N2)
    np.testing.assert_array_equal(triples[:, 2], stored.scores["attention"])


def test_zoom_tiles_put_together_are_the_slide(client: TestClient, made: np.ndarray) -> None:
    whole = np.zeros((1900, 2500, 3))
    for row in range(4):
        for col in range(5):
            tile = picture(client.get(f"/tiles/made-1/12/{col}_{row}.jpg"))
            # Each but the first begins one pixel early, each but the last ends one pixel late.
            top, left = max(512 * row - 1, 0), max(512 * col - 1, 0)
            bottom, right = min(512 * row + 513, 1900), min(512 * col + 513, 2500)
            assert tile.shape[:2] == (bottom - top, right - left)
            whole[top:bottom, left:right] = tile
    assert np.abs(whole - made).mean() < 3
    assert np.percentile(np.abs(whole - made), 99.5) < 12


def test_a_coarse_tile_shows_the_same_field(client: TestClient, made: np.ndarray) -> None:
    # Zoom level 9 is 8 level-0 pixels a pixel: 2500 / 8 = 312.5 x 237.5, one tile.
    tile = picture(client.get("/tiles/made-1/9/0_0.jpg"))
    assert tile.shape == (238, 313, 3)
    means = made[:1896, :2496].reshape(237, 8, 312, 8, 3).mean(axis=(1, 3))
    assert np.abs(tile[:237, :312] - means).mean() < 3


def test_the_real_slide(client: TestClient, test_data) -> None:
    slide = client.get("/api/slides/real").json()
    assert (slide["width_px0"], slide["height_px0"]) == (2220, 2967)
    tile = picture(client.get(f"/tiles/real/{slide['max_level']}/4_5.jpg"))
    assert tile.shape == (2967 - 5 * 512 + 1, 2220 - 4 * 512 + 1, 3)
    assert picture(client.get("/tiles/real/0/0_0.jpg")).shape == (1, 1, 3)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("/api/slides/ghost", "no slide ghost"),
        ("/api/slides/ghost/scores/attention", "no slide ghost"),
        ("/api/slides/made-1/scores/ghost", "no heat map “ghost”"),
        ("/api/slides/no scores/scores/attention", "no heat map"),
        ("/tiles/ghost/0/0_0.jpg", "no slide ghost"),
        ("/tiles/made-1/12/5_0.jpg", "no such part"),
        ("/tiles/made-1/99/0_0.jpg", "no such part"),
        ("/tiles/made-1/-1/0_0.jpg", "no such part"),
        ("/tiles/made-1/x/0_0.jpg", "nothing at this address"),
        ("/tiles/made-1/" + "9" * 5000 + "/0_0.jpg", "nothing at this address"),
        ("/tiles/..%2F..%2Fetc%2Fpasswd/0/0_0.jpg", "Not Found"),
        ("/api/slides/..%2Fmade.svs", "Not Found"),
        ("/api/slides/..", "Not Found"),
        ("/api/slides/%2e%2e", "no slide .."),
        ("/api/slides/%252e%252e%252fmade.svs", "Not Found"),
        ("/api/slides/..\\made.svs", "no slide"),
        ("/api/slides/made.svs", "no slide"),
        ("/api/slides/made-1%00", "no slide"),
        ("/static/..%2Fapp.py", "Not Found"),
        ("/static/%2e%2e/app.py", "Not Found"),
        ("/static//etc/passwd", "Not Found"),
        ("/static/vendor", "Not Found"),
        ("/docs", "Not Found"),
        ("/openapi.json", "Not Found"),
    ],
)
def test_what_is_not_there_is_404_in_words(client: TestClient, address: str, words: str) -> None:
    answer = client.get(address)
    assert answer.status_code == 404
    assert words in answer.json()["detail"]


@pytest.mark.parametrize(
    ("slide_id", "status"), [("torn", 503), ("vanished", 503), ("bag", 503), ("plain", 422)]
)
@pytest.mark.parametrize("address", ["/api/slides/{}", "/tiles/{}/0/0_0.jpg"])
def test_a_slide_that_cannot_be_shown_is_named_without_its_path(
    client: TestClient, site: ReviewData, address: str, slide_id: str, status: int
) -> None:
    answer = client.get(address.format(slide_id))
    assert answer.status_code == status
    assert f"Slide {slide_id} cannot be shown" in answer.json()["detail"]
    assert str(site.scores.folder.parent) not in answer.text


def test_missing_and_damaged_scores_leave_the_slide_visible(client: TestClient) -> None:
    slide = client.get("/api/slides/no scores").json()
    assert (slide["width_px0"], slide["heads"]) == (2500, [])
    assert "No heat map was made" in slide["heads_problem"]
    assert "damaged" in client.get("/api/slides/bad-scores").json()["heads_problem"]
    assert client.get("/api/slides/bad-scores/scores/attention").status_code == 503


@pytest.mark.parametrize(
    "address",
    [
        "/",
        "/static/app.js",
        "/static/vendor/openseadragon.min.js",
        "/static/nowhere.js",
        "/api/cases",
        "/api/slides/made-1/scores/attention",
        "/api/slides/torn",
        "/api/slides/plain",
        "/tiles/made-1/9/0_0.jpg",
        "/nowhere",
    ],
)
def test_every_answer_carries_the_strict_headers(client: TestClient, address: str) -> None:
    headers = client.get(address).headers
    assert headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"].startswith("private")


def test_a_path_of_the_mapping_is_no_name_of_a_slide(client: TestClient, site: ReviewData) -> None:
    path = site.slides["made-1"].path
    for name in (str(path), str(path).replace("/", "%2F"), f"%2F..{path}"):
        assert client.get(f"/tiles/{name}/12/0_0.jpg").status_code == 404


def test_nothing_can_be_written(client: TestClient) -> None:
    for address in ("/", "/api/cases", "/api/slides/made-1", "/static/app.js"):
        answer = client.post(address)
        assert answer.status_code == 405
        assert "content-security-policy" in answer.headers


def test_many_requests_at_once_get_their_own_pixels(client: TestClient) -> None:
    addresses = [
        f"/tiles/{s}/12/{i % 5}_{i % 4}.jpg" for s in ("made-1", "made-2") for i in range(20)
    ]
    one_by_one = [client.get(address).content for address in addresses]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(lambda each: client.get(each).content, addresses)) == one_by_one


@pytest.mark.parametrize("at", ["tiles/made-1/9/0_0.jpg", "thumbnails/made-1.jpg"])
def test_a_browser_keeps_pictures_for_itself_and_asks_each_time(
    client: TestClient, at: str
) -> None:
    answer = client.get(f"/{at}")
    assert answer.headers["cache-control"] == "private, no-cache"
    again = client.get(f"/{at}", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.1", ""])
def test_another_host_name_is_refused(client: TestClient, host: str) -> None:
    answer = client.get("/api/cases", headers={"host": host})
    assert answer.status_code == 400
    assert "content-security-policy" in answer.headers


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1:9", "[::1]:8000"])
def test_this_machine_is_not_refused(client: TestClient, host: str) -> None:
    assert client.get("/api/cases", headers={"host": host}).status_code == 200


def test_a_fault_of_the_server_is_told_in_words(
    site: ReviewData, store: ReviewStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("histofed.review.worklist.Worklist.page", fail)
    client = TestClient(
        create_app(site, store), base_url="http://127.0.0.1", raise_server_exceptions=False
    )
    answer = client.get("/api/cases")
    assert answer.status_code == 500
    assert answer.json() == {"detail": "The server failed; its log says why."}
    assert "content-security-policy" in answer.headers


def test_the_page_names_no_other_host() -> None:
    for file in STATIC.glob("*.*"):
        text = file.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}/", text), file.name
