"""Feedback on answers and pages, and what evaluation reads of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from api.keys import Keys
from folioscope.settings import load_settings
from ingest import Library
from tests.support.answering import taken_in
from tests.support.serving import serving

QUESTION = "What do herons eat?"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    folder = tmp_path_factory.mktemp("data")
    settings = load_settings({"data_dir": folder, "channels": "lexical", "model": "extractive", "answers_kept": 3})
    with Library(settings=settings) as opened:
        for name in ("default", "judged"):
            opened.create_collection(name)
        yield opened


@pytest.fixture(scope="module")
def client(library: Library) -> Iterator[httpx2.Client]:
    with serving(library) as found:
        yield found


@pytest.fixture(scope="module")
def herons(client: httpx2.Client, tmp_path_factory: pytest.TempPathFactory) -> str:
    pages = ("A book of birds.", "Herons eat fish and frogs.")
    return taken_in(client, tmp_path_factory.mktemp("pdf"), "herons.pdf", *pages, collection="judged")


def rows(client: httpx2.Client, **headers: str) -> list[dict]:
    asked = client.get("/v1/feedback", params={"format": "jsonl", "collection": "judged"}, headers=headers)
    assert asked.headers["content-type"].startswith("application/x-ndjson")
    return [json.loads(line) for line in asked.text.splitlines()]


def test_what_was_said_becomes_rows_that_evaluation_reads(client, herons) -> None:
    answer = client.post("/v1/ask", json={"question": QUESTION, "collection": "judged"}).json()
    cited = {"question": QUESTION, "document": herons, "page": 2}
    assert [each["page"] for each in answer["citations"]] == [2]

    good = client.post("/v1/feedback", json={"answer": answer["id"], "value": "up", "comment": "Just so."})
    assert good.status_code == 201
    assert (good.json()["query"], good.json()["pages"]) == (QUESTION, [{"document": herons, "page": 2}])
    assert rows(client) == [{**cited, "relevance": 1}]
    client.post("/v1/feedback", json={"answer": answer["id"], "value": "down"})
    client.post("/v1/feedback", json={"answer": answer["id"], "comment": "Hm."})
    assert rows(client) == [{**cited, "relevance": 1}]  # a bad answer may cite the right page

    page = {"query": "Which birds?", "document": herons, "page": 1}
    for judged, relevance in (({"relevance": 3}, 3), ({"value": "up"}, 1), ({"value": "down"}, 0)):
        assert client.post("/v1/feedback", json={**page, **judged}).status_code == 201
        assert {"question": "Which birds?", "document": herons, "page": 1, "relevance": relevance} in rows(client)
    assert len(rows(client)) == 4


def test_the_list_goes_on_where_it_left_off(client, herons) -> None:
    for number in range(5):
        body = {"query": f"Query {number}", "document": herons, "page": 1, "relevance": 0}
        assert client.post("/v1/feedback", json=body).status_code == 201
    seen: list[str] = []
    asked = {"limit": 2, "collection": "judged"}
    more = True
    while more:
        page = client.get("/v1/feedback", params=asked).json()
        seen += [each["id"] for each in page["data"]]
        more, asked["after"] = page["has_more"], page["last_id"]
    assert len(seen) == len(set(seen)) >= 5
    assert client.get("/v1/feedback", params={"collection": "default"}).json()["data"] == []
    assert client.get("/v1/feedback", params={"after": "fbk_0"}).status_code == 422


@pytest.mark.parametrize(
    "body",
    [
        {"value": "up"},
        {"answer": "ans_1"},
        {"answer": "ans_1", "relevance": 2},
        {"answer": "ans_1", "value": "up", "page": 1},
        {"query": "x", "document": "doc_1", "value": "up"},
        {"query": "x", "document": "doc_1", "page": 1},
        {"query": "x", "document": "doc_1", "page": 1, "value": "up", "relevance": 1},
        {"query": "x", "document": "doc_1", "page": 1, "relevance": 4},
        {"query": "x\0", "document": "doc_1", "page": 1, "relevance": 3},
        {"query": "\ud800", "document": "doc_1", "page": 1, "relevance": 3},
    ],
)
def test_what_says_nothing_or_of_two_things_is_refused(client, body) -> None:
    refused = client.post("/v1/feedback", content=json.dumps(body), headers={"content-type": "application/json"})
    assert (refused.status_code, refused.json()["code"]) == (422, "request_invalid")


def test_what_is_not_there_can_get_none(client, herons) -> None:
    for body in (
        {"answer": "ans_0", "value": "up"},
        {"query": "x", "document": "doc_0", "page": 1, "value": "up"},
        {"query": "x", "document": herons, "page": 3, "value": "up"},
    ):
        assert client.post("/v1/feedback", json=body).status_code == 404
    ids = [client.post("/v1/ask", json={"question": f"{n}?", "collection": "judged"}).json()["id"] for n in range(4)]
    known = [client.post("/v1/feedback", json={"answer": each, "value": "up"}).status_code for each in ids]
    assert set(known) == {201, 404}  # answers_kept, of those of one second any


def test_who_may_give_and_who_may_read_it(client, library, herons) -> None:
    keys = Keys(library.catalog.database)
    judged, other = (keys.create("x", "admin", [library.collection(name).id])[1] for name in ("judged", "default"))
    reader = keys.create("r", "read")[1]
    assert client.get("/v1/feedback", headers={"x-api-key": reader}).status_code == 403
    body = {"query": "Mine?", "document": herons, "page": 1, "relevance": 2}
    assert client.post("/v1/feedback", json=body, headers={"x-api-key": reader}).json()["key"].startswith("key_")
    assert client.post("/v1/feedback", json=body, headers={"x-api-key": other}).status_code == 404
    assert client.get("/v1/feedback", headers={"x-api-key": other}).json()["data"] == []
    assert len(rows(client, **{"x-api-key": judged})) >= 1


def test_it_goes_with_its_document(client, tmp_path: Path) -> None:
    document = taken_in(client, tmp_path, "gone.pdf", "Gone soon.", collection="judged")
    body = {"query": "What is gone?", "document": document, "page": 1, "relevance": 3, "comment": "It says: gone soon"}
    client.post("/v1/feedback", json=body)
    assert document in str(rows(client))
    client.delete(f"/v1/documents/{document}")
    assert document not in str(rows(client))
    assert "gone soon" not in client.get("/v1/feedback", params={"limit": 100}).text
