"""Whatever is asked, as the OpenAPI document says or not: no crash, nothing of other files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from histofed.review.app import create_app
from histofed.review.store import ReviewStore

if TYPE_CHECKING:
    from fastapi import FastAPI

    from histofed.review.data import ReviewData

SECRET = "secret of another file"
TRAVERSALS = (
    "..",
    "../../secret.txt",
    "..%2f..%2fsecret.txt",
    "%2e%2e%2fsecret.txt",
    "....//secret.txt",
    "/etc/passwd",
    "C:\\secret.txt",
    "..\\secret.txt",
    "made-1\x00.jpg",
    "file:///etc/passwd",
)
KNOWN = (
    "made-1",
    "made-2",
    "torn",
    "vanished",
    "bag",
    "bad-scores",
    "P-two",
    "attention",
    "viridis",
)

texts = st.one_of(
    st.sampled_from(TRAVERSALS), st.sampled_from(KNOWN), st.text(min_size=1, max_size=30)
)
numbers = st.one_of(st.integers(-3, 30), st.integers(), st.floats())
scalars = st.one_of(st.none(), st.booleans(), numbers, texts)
anything = st.recursive(
    scalars,
    lambda inside: st.one_of(st.lists(inside), st.dictionaries(texts, inside)),
    max_leaves=8,
)
verdicts = st.fixed_dictionaries(
    {},
    optional={
        "scope": st.one_of(st.sampled_from(["case", "tile", "region"]), scalars),
        "patient_id": st.one_of(st.just("P-two"), scalars),
        "slide_id": st.one_of(st.just("made-1"), scalars),
        "tile": scalars,
        "region": st.one_of(st.lists(st.tuples(numbers, numbers)), anything),
        "verdict": st.one_of(st.sampled_from(["agree", "relevant", "unsure"]), scalars),
        "comment": scalars,
        "head": scalars,
        "view": anything,
        "blinded": scalars,
        "elapsed_ms": scalars,
        "model_digest": st.one_of(st.just("of-m"), scalars),
        "scores_digest": scalars,
        "reviewer": scalars,
        "token": scalars,
    },
)


Asked = tuple[str, str, dict[str, Any]]


def operations(app: FastAPI) -> list[Asked]:
    """Method, address and description of all that the document names."""
    return [
        (method.upper(), address, operation)
        for address, methods in app.openapi()["paths"].items()
        for method, operation in methods.items()
    ]


@pytest.fixture(scope="module")
def client(site: ReviewData, tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    """Somebody signed in, who goes on after a crash; beside the slides lies a file not shown."""
    (site.scores.folder.parent / "secret.txt").write_text(SECRET)
    app = create_app(site, ReviewStore(tmp_path_factory.mktemp("fuzz") / "reviews.sqlite"))
    client = TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False)
    client.headers["X-Review-Token"] = client.get("/api/session").json()["csrf"]
    signed_in = client.post("/api/session", json={"reviewer": "Ada"})
    client.headers["X-Review-Token"] = signed_in.json()["csrf"]
    return client


@st.composite
def requests(draw: st.DrawFn, asked: list[Asked]) -> tuple[str, str, Any]:
    """One request: what the document names, filled with what it allows and what it does not."""
    method, address, operation = draw(st.sampled_from(asked))
    query = []
    for parameter in operation.get("parameters", []):
        value = draw(st.one_of(texts, numbers.map(str)))
        if parameter["in"] == "path":
            safe = draw(st.sampled_from(["", "/%\\:"]))
            encoded = quote(value, safe=safe, errors="replace")
            address = address.replace("{" + parameter["name"] + "}", encoded or "-")
        elif draw(st.booleans()):
            query.append(f"{parameter['name']}={quote(value, errors='replace')}")
    body = draw(verdicts) if method == "POST" else None
    return method, "?".join([address, "&".join(query)]).rstrip("?"), body


def answered(client: TestClient, site: ReviewData, method: str, address: str, body: Any) -> None:
    """Ask, and see that nothing crashed and nothing of another file was said."""
    content = None if body is None else json.dumps(body)
    headers = {} if body is None else {"Content-Type": "application/json"}
    answer = client.request(
        method, address, content=content, headers=headers, follow_redirects=False
    )
    # 503 says in words that a slide or its scores cannot be shown; 500 would be a crash.
    assert answer.status_code < 500 or answer.status_code == 503, (method, address, body)
    if answer.status_code >= 400:
        assert answer.json()["detail"]
    for hidden in (SECRET, "root:", str(site.scores.folder.parent), "Traceback"):
        assert hidden.encode() not in answer.content


def fuzz(client: TestClient, site: ReviewData, *, n: int) -> None:
    asked = operations(client.app)  # type: ignore[arg-type]
    assert len(asked) > 15

    @settings(max_examples=n, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(requests(asked))
    def one(request: tuple[str, str, Any]) -> None:
        method, address, body = request
        if (method, address) != ("DELETE", "/api/session"):
            answered(client, site, method, address, body)

    one()


def test_whatever_is_asked_is_answered(client: TestClient, site: ReviewData) -> None:
    fuzz(client, site, n=150)


@pytest.mark.slow
def test_whatever_is_asked_is_answered_at_length(client: TestClient, site: ReviewData) -> None:
    fuzz(client, site, n=6000)


@pytest.mark.parametrize("named", TRAVERSALS)
def test_no_name_leads_to_another_file(client: TestClient, site: ReviewData, named: str) -> None:
    for method, address, operation in operations(client.app):  # type: ignore[arg-type]
        names = [each["name"] for each in operation.get("parameters", []) if each["in"] == "path"]
        for name in names if method == "GET" else []:
            for value in (named, quote(named, safe="")):
                at = address.replace("{" + name + "}", value.replace("\x00", "%00"))
                for rest in ("slide_id", "patient_id", "head", "level", "col", "row", "tile"):
                    at = at.replace("{" + rest + "}", "made-1" if rest == "slide_id" else "1")
                answered(client, site, "GET", at, None)
