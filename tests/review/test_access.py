from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest
from fastapi.testclient import TestClient

from histofed.errors import ReviewError
from histofed.review.access import (
    ASKED_S,
    FAILURES_S,
    MAX_FAILURES,
    SESSION_S,
    Access,
    Invitations,
    Patience,
    Sessions,
    SignedIn,
    checked_name,
    invite,
    reviewer_of_token,
)
from histofed.review.app import create_app
from histofed.review.page import checked_prefix
from histofed.review.serve import bind
from histofed.review.store import ReviewStore

if TYPE_CHECKING:
    from histofed.review.data import ReviewData

PROXY = "10.0.0.5"


@pytest.fixture
def own_store(tmp_path) -> ReviewStore:
    return ReviewStore(tmp_path / "reviews.sqlite")


@pytest.fixture
def client_of(site: ReviewData, own_store: ReviewStore):
    """Return the maker of browsers, at an address, of a page with some access."""

    def make(kind="none", *, proxies=(), prefix="", address="127.0.0.1", base="http://127.0.0.1"):
        app = create_app(site, own_store, access=Access(kind, proxies), prefix=prefix)
        return TestClient(app, base_url=base, client=(address, 50000))

    return make


def sign_in(client: TestClient, at: str = "/api/session", **given: str):
    csrf = client.get(at).json()["csrf"]
    return client.post(at, json=given, headers={"X-Review-Token": csrf})


def test_without_access_control_a_name_is_enough(client_of) -> None:
    client = client_of()
    first = client.get("/api/session").json()
    assert (first["access"], first["reviewer"]) == ("none", None)
    assert client.get("/api/cases").status_code == 200
    answer = sign_in(client, reviewer="  Ada   Lovelace ")
    assert answer.json()["reviewer"] == "Ada Lovelace"
    assert client.get("/api/session").json() == answer.json()
    assert sign_in(client, reviewer=" ").status_code == 422


def test_a_token_opens_the_page_and_nothing_else_does(client_of, own_store) -> None:
    token = invite(own_store, "Ada", valid_days=1)
    client = client_of("token")
    for address in (
        "/api/run",
        "/api/cases",
        "/tiles/made-1/12/0_0.jpg",
        "/api/export/verdicts.csv",
    ):
        assert client.get(address).status_code == 401
    assert client.get("/").status_code == 200  # where to sign in
    assert sign_in(client, token=token[:-1]).status_code == 401
    assert sign_in(client, reviewer="Ada").status_code == 401
    assert sign_in(client, token=token).json()["reviewer"] == "Ada"
    assert client.get("/api/cases").status_code == 200
    csrf = client.get("/api/session").json()["csrf"]
    assert client.delete("/api/session", headers={"X-Review-Token": csrf}).status_code == 200
    assert client.get("/api/cases").status_code == 401


def test_only_the_hash_of_a_token_is_kept(own_store) -> None:
    token = invite(own_store, "Ada", valid_days=1)
    files = own_store.path.parent.iterdir()
    assert all(token.encode() not in file.read_bytes() for file in files)
    assert reviewer_of_token(own_store, token) == "Ada"
    later = invite(own_store, "Ada", valid_days=1)
    assert reviewer_of_token(own_store, token) is None
    assert reviewer_of_token(own_store, later) == "Ada"


def test_a_token_out_of_date_opens_nothing(own_store) -> None:
    import hashlib

    digest = hashlib.sha256(b"old").hexdigest()
    own_store.invite("Ada", token_sha256=digest, until="2020-01-01T00:00:00+00:00")
    assert reviewer_of_token(own_store, "old") is None


def test_cookies_stay_with_the_browser_and_the_page(client_of, own_store) -> None:
    token = invite(own_store, "Ada", valid_days=1)
    before = client_of("token", base="https://review.hospital.example")
    cookie = before.get("/api/session").headers["set-cookie"].lower()
    assert {"httponly", "samesite=strict", "secure", "path=/"} <= set(cookie.split("; "))
    assert "secure" not in client_of().get("/api/session").headers["set-cookie"].lower()
    # Whoever planted a cookie before the sign-in does not share the session after it.
    name, planted = next(iter(before.cookies.items()))
    sign_in(before, token=token)
    assert before.cookies[name] != planted
    other = client_of("token", base="https://review.hospital.example")
    assert other.get("/api/cases", headers={"cookie": f"{name}={planted}"}).status_code == 401


def test_writes_from_elsewhere_are_refused(client_of) -> None:
    client = client_of()
    csrf = client.get("/api/session").json()["csrf"]
    for token in (None, "", "é", csrf[:-1]):
        sent = {} if token is None else {"X-Review-Token": token.encode()}
        answer = client.post("/api/session", json={"reviewer": "Eve"}, headers=sent)
        assert answer.status_code == 403
    stranger = client_of()
    answer = stranger.post(
        "/api/session", json={"reviewer": "Eve"}, headers={"X-Review-Token": csrf}
    )
    assert answer.status_code == 403


def test_guessing_is_slowed_down_by_address(client_of, own_store) -> None:
    token = invite(own_store, "Ada", valid_days=1)
    client = client_of("token")
    answers = [sign_in(client, token="wrong").status_code for _ in range(MAX_FAILURES + 1)]
    assert answers == [401] * MAX_FAILURES + [429]
    refused = sign_in(client, token=token)
    assert refused.status_code == 429
    assert 0 < int(refused.headers["retry-after"]) <= FAILURES_S
    assert "try again in" in refused.json()["detail"]


def test_patience_comes_back() -> None:
    now = 0.0
    patience = Patience(clock=lambda: now)
    for _ in range(MAX_FAILURES):
        assert patience.wait_s("a") == 0
        patience.failed("a")
    assert patience.wait_s("a") == FAILURES_S
    assert patience.wait_s("b") == 0
    now = FAILURES_S + 1.0
    assert patience.wait_s("a") == 0


def test_a_session_nobody_uses_ends() -> None:
    now = 0.0
    sessions = Sessions(clock=lambda: now)
    cookie = sessions.sign_in("Ada")
    now = SESSION_S - 1.0
    assert sessions.signed_in(cookie) == SignedIn("Ada", "")
    now += SESSION_S - 1.0
    assert sessions.signed_in(cookie) == SignedIn("Ada", "")  # used in between
    now += SESSION_S + 1.0
    assert sessions.signed_in(cookie) is None


def test_a_session_ends_with_its_token(client_of, own_store) -> None:
    client = client_of("token")
    asked_at = 0.0
    client.app.state.page.invitations = Invitations(own_store, clock=lambda: asked_at)
    assert sign_in(client, token=invite(own_store, "Ada", valid_days=1)).status_code == 200
    assert client.get("/api/cases").status_code == 200
    later = invite(own_store, "Ada", valid_days=1)
    asked_at = ASKED_S + 1.0
    assert client.get("/api/cases").status_code == 401
    assert client.get("/api/session").json()["reviewer"] is None
    assert sign_in(client, token=later).status_code == 200  # at once
    assert client.get("/api/cases").status_code == 200


def test_a_session_does_not_outlive_its_token(own_store) -> None:
    own_store.invite("Ada", token_sha256="old", until="2020-01-01T00:00:00+00:00")
    assert not Invitations(own_store).hold("old")


def test_what_one_wrote_is_not_kept_under_another(client_of) -> None:
    """The web server in front may come to name somebody else while the page is open."""
    behind = client_of("proxy", proxies=(PROXY,), address=PROXY, base="https://review.example")
    csrf = behind.get("/api/session", headers={"X-Remote-User": "alice"}).json()["csrf"]
    statuses = {
        who: behind.post(
            "/api/verdicts", json={}, headers={"X-Remote-User": who, "X-Review-Token": csrf}
        ).status_code
        for who in ("alice", "bob")
    }
    assert statuses == {"alice": 422, "bob": 403}  # alice's is only incomplete


def test_a_name_that_the_web_server_passes_on_as_typed_is_one_person(client_of) -> None:
    """Sign-ins that do not tell capitals apart often pass on what was typed."""
    behind = client_of("proxy", proxies=(PROXY,), address=PROXY, base="https://review.example")
    found = [
        behind.get("/api/session", headers={"X-Remote-User": who}).json()["reviewer"]
        for who in ("Ada", "ADA", "bo", "ada")
    ]
    assert found == ["Ada", "Ada", "bo", "Ada"]


def test_the_web_server_in_front_is_believed_from_its_address_alone(client_of) -> None:
    https = "https://review.hospital.example"
    behind = client_of("proxy", proxies=(PROXY,), address=PROXY, base=https)
    said = {"X-Remote-User": "ada"}
    assert behind.get("/api/session", headers=said).json()["reviewer"] == "ada"
    assert behind.get("/api/cases", headers=said).status_code == 200
    assert behind.get("/api/cases").status_code == 401
    twice = [*said.items(), ("X-Remote-User", "eve")]
    assert behind.get("/api/cases", headers=twice).status_code == 401
    csrf = behind.get("/api/session", headers=said).json()["csrf"]
    headers = said | {"X-Review-Token": csrf}
    answer = behind.post("/api/session", json={"reviewer": "eve"}, headers=headers)
    assert answer.status_code == 409
    spoofed = said | {"X-Forwarded-For": PROXY}
    elsewhere = client_of("proxy", proxies=(PROXY,), address="10.0.0.6")
    for address in ("/", "/api/cases", "/api/session", "/static/style.css"):
        answer = elsewhere.get(address, headers=spoofed)
        assert (answer.status_code, "web server only" in answer.json()["detail"]) == (403, True)


def test_a_header_says_nothing_where_tokens_are_asked_for(client_of) -> None:
    client = client_of("token")
    assert client.get("/api/cases", headers={"X-Remote-User": "eve"}).status_code == 401


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("1.2.3.4", "", "1.2.3.4"),
        ("1.2.3.4", "9.9.9.9", "1.2.3.4"),  # nobody of ours said so
        (PROXY, "9.9.9.9", "9.9.9.9"),
        (PROXY, "6.6.6.6, 9.9.9.9", "9.9.9.9"),  # the first was said by the client itself
        (PROXY, f"9.9.9.9, {PROXY}", "9.9.9.9"),
        (PROXY, "", PROXY),
        (f"::ffff:{PROXY}", "9.9.9.9", "9.9.9.9"),  # of a socket for both kinds of addresses
    ],
)
def test_who_asks_a_proxy_is_the_last_address_it_heard(peer, forwarded, expected) -> None:
    assert Access("token", (PROXY,)).client(peer, forwarded) == expected


def test_what_a_browser_forwards_itself_does_not_slow_others_down(client_of, own_store) -> None:
    """Some web servers add a second line instead of lengthening the one that came."""
    client = client_of("token", proxies=(PROXY,), address=PROXY, base="https://hospital.example")
    csrf = client.get("/api/session").json()["csrf"]
    answers = []
    for number in range(MAX_FAILURES + 1):
        said = [("X-Forwarded-For", f"6.6.6.{number}"), ("X-Forwarded-For", "9.9.9.9")]
        headers = [*said, ("X-Review-Token", csrf)]
        answers.append(client.post("/api/session", json={"token": "wrong"}, headers=headers))
    assert [answer.status_code for answer in answers] == [401] * MAX_FAILURES + [429]


@pytest.mark.parametrize("taken_off", [False, True])
def test_under_a_prefix_that_the_web_server_leaves_or_takes_off(client_of, taken_off) -> None:
    client = client_of(prefix="/review/")
    at = "" if taken_off else "/review"
    assert client.get(f"{at}/api/cases").status_code == 200
    assert client.get(f"{at}/static/style.css").status_code == 200
    assert "path=/review/" in client.get(f"{at}/api/session").headers["set-cookie"].lower()
    if not taken_off:
        moved = client.get("/review", follow_redirects=False)
        assert (moved.status_code, moved.headers["location"]) == (308, "/review/")
        assert client.get("/reviewer/api/cases").status_code == 404
    moved = client.get(f"{at}/api/cases/", follow_redirects=False)
    assert (moved.status_code, "location" in moved.headers) == (404, False)
    assert client.head(f"{at}/").status_code == 200  # how some web servers see who is alive


@pytest.mark.parametrize("prefix", ["review", "/a b", "/a//b", "/../x?", "/<script>"])
def test_a_prefix_is_a_path(prefix: str) -> None:
    with pytest.raises(ReviewError, match="it is a path such as /review"):
        checked_prefix(prefix)


@pytest.mark.parametrize(
    ("kind", "proxies", "words"),
    [
        ("open", (), "it is one of none, token, proxy"),
        ("proxy", (), "needs the addresses"),
        ("token", ("hospital.example",), "is no address or network"),
        ("proxy", ("0.0.0.0/0",), "is every address"),
        ("proxy", (PROXY, "::/0"), "is every address"),
    ],
)
def test_access_that_protects_nobody_is_refused(kind, proxies, words) -> None:
    with pytest.raises(ReviewError, match=words):
        Access(kind, proxies)


def test_beyond_this_machine_only_behind_a_named_web_server() -> None:
    with pytest.raises(ReviewError, match=r"access is none.*SSH tunnel"):
        bind("0.0.0.0", 0, access=Access("none", (PROXY,)))
    with pytest.raises(ReviewError, match="would travel unencrypted"):
        bind("0.0.0.0", 0, access=Access("token"))
    bind("0.0.0.0", 0, access=Access("token", (PROXY,))).close()


@pytest.mark.parametrize(
    "name", ["", "  ", "a" * 81, "a\x00b", "\u202etxt", "\u3164", "ada\u2800", "\uffa0b"]
)
def test_names_that_cannot_be_shown_are_refused(name: str) -> None:
    with pytest.raises(ReviewError, match="1 to 80 letters"):
        checked_name(name)


def test_too_long_a_request_is_not_read(client_of) -> None:
    client = client_of()
    assert client.post("/api/session", content=b"x" * (3 << 20)).status_code == 413
    assert client.post("/api/session", content=iter([b"{}"])).status_code == 411


def test_two_pages_on_one_machine_do_not_share_a_cookie(site, own_store, tmp_path) -> None:
    other = ReviewStore(tmp_path / "other" / "reviews.sqlite")
    another = dataclasses.replace(site, model_digest="of another arm")
    served = [(site, own_store), (site, other), (another, own_store)]
    names = {create_app(*each).state.page.cookie_name for each in served}
    assert len(names) == 3


def test_the_page_says_which_slides_are_of_another_model(site, own_store) -> None:
    changed = dataclasses.replace(site, models=frozenset({"another"}))
    client = TestClient(create_app(changed, own_store), base_url="http://127.0.0.1")
    slide = client.get("/api/slides/made-1").json()
    assert (slide["width_px0"], slide["heads"]) == (2500, [])
    assert "made by another model" in slide["heads_problem"]
    assert client.get("/api/slides/made-1/scores/attention").status_code == 503
    assert client.get("/api/cases").status_code == 200
    of_case = client.get("/api/case?patient_id=P-two").json()["slides"]
    assert [each["n_tiles"] for each in of_case] == [None, None]
    assert all("another model" in each["problem"] for each in of_case)
