"""What a follow-up is told of earlier turns, and that turns forget a document that is deleted."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from api.keys import Keys
from folioscope.settings import load_settings
from ingest import Library, schema
from tests.support.answering import REWRITING, drafted, reading_server, taken_in
from tests.support.serving import serving
from tests.support.vendors import Asked, Reply, Vendors

BOAT = "The boat's warranty lasts two years."
OARS = "The oars' warranty lasts five years."


@pytest.fixture
def vendors() -> Iterator[Vendors]:
    pytest.importorskip("openai", reason="needs the extra: pip install 'folioscope[openai]'")
    with Vendors() as server:
        yield server
        assert server.complaints == []


def replying(asked: Asked) -> str:
    if REWRITING in asked.system:
        return "How long is the oars' warranty, as the boat's is two years?"
    if "oars" in asked.text:
        return drafted(("Five years, not two.", 1, "The oars' warranty lasts five years"))
    return drafted(("Two years.", 1, "The boat's warranty lasts two years"))


@pytest.fixture
def talk(vendors: Vendors, tmp_path: Path) -> Iterator[tuple[Library, httpx2.Client, list[str], str]]:
    """Library, client, the documents, and a conversation of two turns: on the first, then on the second."""
    vendors.reply = replying
    with reading_server(vendors, tmp_path / "data") as (library, client):
        documents = [taken_in(client, tmp_path, "boat.pdf", BOAT), taken_in(client, tmp_path, "oars.pdf", OARS)]
        place = client.post("/v1/conversations", json={"title": "Warranties"}).headers["location"]
        for question, document in (("How long is the boat's warranty?", 0), ("And the oars?", 1)):
            body = {"question": question, "documents": [documents[document]]}
            assert client.post(f"{place}/ask", json=body).json()["status"] == "answered"
        yield library, client, documents, place


def test_a_follow_up_is_understood_from_the_turns_before(talk, vendors) -> None:
    _, client, _, place = talk
    follow_up = client.get(place).json()["turns"][1]
    assert follow_up["question"] == "And the oars?"
    assert follow_up["answer"]["query"] == "How long is the oars' warranty, as the boat's is two years?"
    rewriting, answering = vendors.asked[-2:]
    assert rewriting.history == [("user", "How long is the boat's warranty?"), ("assistant", "Two years.")]
    assert answering.history == rewriting.history


def test_a_deleted_document_goes_from_every_turn_that_was_told_of_it(talk) -> None:
    library, client, documents, place = talk
    ids = [turn["id"] for turn in client.get(place).json()["turns"]]
    assert client.delete(f"/v1/documents/{documents[1]}").status_code == 204
    turns = client.get(place).json()["turns"]
    assert turns[0]["answer"]["text"] == "Two years."
    assert (turns[1]["question"], turns[1]["answer"]) == ("And the oars?", None)
    assert client.delete(f"/v1/documents/{documents[0]}").status_code == 204
    assert [turn["answer"] for turn in client.get(place).json()["turns"]] == [None, None]
    for answer in ids:
        assert client.post("/v1/feedback", json={"answer": answer, "value": "up"}).status_code == 404
    with library.catalog.database.read() as db:
        left = [row for table in (schema.turns, schema.answers, schema.traces) for row in db.execute(table.select())]
    assert [row.question for row in left] == ["How long is the boat's warranty?", "And the oars?"]
    assert "years" not in str(left)


def test_an_answer_that_was_told_of_an_earlier_one_goes_with_its_document(talk) -> None:
    _, client, documents, place = talk
    client.delete(f"/v1/documents/{documents[0]}")
    assert [turn["answer"] for turn in client.get(place).json()["turns"]] == [None, None]


def test_a_document_that_is_deleted_while_it_is_read_stays_out_of_the_turn(talk, vendors) -> None:
    _, client, documents, place = talk
    hold = threading.Event()
    vendors.reply = lambda asked: replying(asked) if REWRITING in asked.system else Reply(replying(asked), hold=hold)
    with ThreadPoolExecutor(1) as thread:
        try:
            before = len(vendors.asked)
            coming = thread.submit(
                client.post, f"{place}/ask", json={"question": "The oars again?", "documents": [documents[1]]}
            )
            while len(vendors.asked) < before + 2:
                assert not coming.done()
            client.delete(f"/v1/documents/{documents[1]}")
        finally:
            hold.set()
        assert coming.result().json()["status"] == "answered"
    assert client.get(place).json()["turns"][2]["answer"] is None


def test_a_conversation_that_is_deleted_while_it_is_asked_is_not_found(talk, vendors) -> None:
    _, client, _, place = talk
    hold = threading.Event()
    vendors.reply = lambda asked: Reply(replying(asked), hold=hold)
    with ThreadPoolExecutor(1) as thread:
        try:
            before = len(vendors.asked)
            coming = thread.submit(client.post, f"{place}/ask", json={"question": "Once more?"})
            while len(vendors.asked) == before:
                assert not coming.done()
            assert client.delete(place).status_code == 204
        finally:
            hold.set()
        assert coming.result().status_code == 404


def test_a_collection_goes_with_its_conversations(talk) -> None:
    library, client, _, place = talk
    assert client.delete("/v1/collections/default").status_code == 204
    assert client.get(place).status_code == 404
    with library.catalog.database.read() as db:
        for table in (schema.conversations, schema.turns, schema.answers, schema.traces):
            assert db.execute(table.select()).all() == [], table


def test_a_key_sees_its_own(tmp_path) -> None:
    settings = load_settings({"data_dir": tmp_path, "channels": "lexical", "model": "extractive"})
    with Library(settings=settings) as library, serving(library, needs_key=True) as client:
        library.create_collection()
        one, other = (
            {"authorization": f"Bearer {Keys(library.catalog.database).create(name, 'admin')[1]}"} for name in "ab"
        )
        client.headers.update(one)
        place = client.post("/v1/conversations", json={}).headers["location"]
        assert client.get(place).status_code == 200
        answer = client.post(f"{place}/ask", json={"question": "What?"}).json()["id"]
        for method, path, body in [
            ("GET", place, None),
            ("DELETE", place, None),
            ("POST", f"{place}/ask", {"question": "What?"}),
            ("POST", "/v1/feedback", {"answer": answer, "value": "up"}),
        ]:
            foreign = client.request(method, path, json=body, headers=other)
            assert (foreign.status_code, foreign.json()["code"]) == (404, "not_found")
        assert client.get("/v1/conversations", headers=other).json()["data"] == []
        assert len(client.get("/v1/conversations").json()["data"]) == 1
