"""Conversations over HTTP, and their tables on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

from api.conversations import MOST_TURNS, Conversations
from api.feedback import Answered, Answers, PageGiven
from folioscope.settings import load_settings
from ingest import Library, schema
from tests.support.answering import taken_in
from tests.support.serving import events, serving

BOAT = "The boat's warranty lasts two years."


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    folder = tmp_path_factory.mktemp("data")
    settings = load_settings({"data_dir": folder, "channels": "lexical", "model": "extractive", "answers_kept": 50})
    with Library(settings=settings) as opened:
        opened.create_collection()
        yield opened


@pytest.fixture(scope="module")
def client(library: Library) -> Iterator[httpx2.Client]:
    with serving(library) as found:
        yield found


@pytest.fixture(scope="module")
def boat(client: httpx2.Client, tmp_path_factory: pytest.TempPathFactory) -> str:
    return taken_in(client, tmp_path_factory.mktemp("pdf"), "boat.pdf", BOAT)


def begun(client: httpx2.Client, **body: Any) -> str:
    made = client.post("/v1/conversations", json=body)
    assert made.status_code == 201
    assert made.headers["location"] == f"/v1/conversations/{made.json()['id']}"
    return made.headers["location"]


def test_a_conversation_keeps_its_turns_in_order(client, boat) -> None:
    place = begun(client)
    asked = [f"{place}/ask", {"question": "How long is the boat's warranty?"}]
    first = client.post(asked[0], json=asked[1]).json()
    assert first["status"] == "answered"
    told = events(client, "POST", asked[0], json={"question": "Who won the chess championship?", "stream": True})
    assert [told[0][0], told[-1][0]] == ["ask.created", "answer.done"]
    found = client.get(place).json()
    assert found["title"] == "How long is the boat's warranty?"
    assert found["collection"] == "default"
    assert [turn["id"] for turn in found["turns"]] == [first["id"], told[0][1]["id"]]
    assert found["turns"][0]["answer"] == first
    assert found["turns"][1]["answer"] == told[-1][1]
    assert "can't rewrite a follow-up" in " ".join(told[-1][1]["warnings"])
    assert client.delete(place).status_code == 204
    assert client.get(place).status_code == 404
    assert client.post(asked[0], json=asked[1]).status_code == 404


def test_the_list_goes_on_where_it_left_off(client) -> None:
    ids = {begun(client, title=f"{n}").rpartition("/")[2] for n in range(5)}
    seen: list[str] = []
    asked: dict[str, Any] = {"limit": 2, "collection": "default"}
    more = True
    while more:
        page = client.get("/v1/conversations", params=asked).json()
        seen += [each["id"] for each in page["data"]]
        more, asked["after"] = page["has_more"], page["last_id"]
    assert len(seen) == len(set(seen))
    assert ids <= set(seen)
    lost = client.get("/v1/conversations", params={"after": "cnv_0"})
    assert (lost.status_code, lost.json()["code"]) == (422, "query_invalid")


def test_turns_added_at_the_same_time_all_stay(client, boat) -> None:
    place = begun(client)
    with ThreadPoolExecutor(6) as threads:
        asked = [threads.submit(client.post, f"{place}/ask", json={"question": f"Warranty {n}?"}) for n in range(6)]
        ids = {each.result().json()["id"] for each in asked}
    assert {turn["id"] for turn in client.get(place).json()["turns"]} == ids


def test_a_full_conversation_says_so(client, library) -> None:
    place = begun(client)
    with library.catalog.database.write() as db:
        rows = [
            {"id": f"ans_{n}", "conversation_id": place.rpartition("/")[2], "number": n, "question": "?", "created": ""}
            for n in range(1, MOST_TURNS + 1)
        ]
        db.execute(schema.turns.insert(), rows)
    full = client.post(f"{place}/ask", json={"question": "One more?"})
    assert (full.status_code, str(MOST_TURNS) in full.json()["detail"]) == (422, True)
    assert client.delete(place).status_code == 204


# --- the tables, on both databases ------------------------------------------------------------------------------------


def test_deleting_waits_for_who_is_storing(postgres_url: str) -> None:
    """On Postgres a document may be marked as deleted by another host in the middle of a turn being stored."""
    from ingest import traces
    from ingest.catalog import Catalog
    from ingest.database import Database

    catalog = Catalog(Database(postgres_url))
    database = catalog.database
    collection = catalog.create_collection("c", {"lexical": "bm25"})
    job = catalog.create_job("ingest", collection.id)
    document = catalog.register(collection, job, filename="x", source="x", sha256=None, size=0).document_id
    talks = Conversations(database)
    found = talks.create("", collection.id, "")
    known = Answered("ans_1", "", collection.id, "?", "answered", (PageGiven(document, 1, True),))
    with ThreadPoolExecutor(1) as thread, database.write() as db:
        assert traces.leave(db, "ans_0", [document])
        deleting = thread.submit(catalog.delete, document)
        with database.read() as other:
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            while not other.exec_driver_sql(waiting).scalar():
                assert not deleting.done()
        db.commit()
        deleting.result(30)
    with database.read() as db:
        assert db.execute(schema.traces.select()).all() == []
    talks.add(found, known, {"text": "secret"}, [], 10)
    assert [turn.answer for turn in talks.turns(found.id)] == [None]
    Answers(database).keep(known, 10)
    assert Answers(database).find("ans_1") is None
    database.close()


def test_only_the_last_answers_are_known(database_url: str) -> None:
    from ingest.database import Database

    database = Database(database_url)
    answers = Answers(database)
    for number in range(5):
        answers.keep(Answered(f"ans_{number}", "", "col_1", "?", "not_found", ()), 3)
    assert [bool(answers.find(f"ans_{number}")) for number in range(5)] == [False, False, True, True, True]
    database.close()
