"""Requests that are sent again, at the same time and later; what is deleted stays so; ETags."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa

from api.keys import Keys
from folioscope.settings import load_settings
from ingest import Library, schema
from ingest.database import Database
from tests.support.answering import taken_in
from tests.support.qdrant import serving as vectors
from tests.support.serving import finished, serving, upload

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    folder = tmp_path_factory.mktemp("data")
    with Library(settings=load_settings({"data_dir": folder, "channels": "lexical", "model": "extractive"})) as opened:
        opened.create_collection()
        yield opened


@pytest.fixture(scope="module")
def client(library: Library) -> Iterator[httpx2.Client]:
    with serving(library) as found:
        yield found


def keyed(key: str) -> dict[str, str]:
    return {"idempotency-key": key}


def same(first: httpx2.Response, again: httpx2.Response) -> None:
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers.get("location") == first.headers.get("location")
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers


def test_what_was_made_is_told_again_and_not_made_again(client, make_pdf) -> None:
    document = taken_in(client, make_pdf("x", ["x"]).parent, "herons.pdf", "Herons eat fish.")
    requests: dict[str, dict[str, Any]] = {
        "/v1/collections": {"name": "once"},
        "/v1/conversations": {"title": "once"},
        "/v1/ask": {"question": "What do herons eat?"},
        "/v1/feedback": {"query": "What do herons eat?", "document": document, "page": 1, "value": "up"},
    }
    for path, body in requests.items():
        first, again = (client.post(path, json=body, headers=keyed(f"made {path}".replace(" ", "-"))) for _ in "ab")
        assert first.is_success, first.text
        same(first, again)
    place = client.post("/v1/conversations", json={}).headers["location"]
    first, again = (
        client.post(f"{place}/ask", json={"question": "What do herons eat?"}, headers=keyed("turn")) for _ in "ab"
    )
    same(first, again)
    assert len(client.get(place).json()["turns"]) == 1
    assert client.post("/v1/collections", json={"name": "once"}).status_code == 409


def test_an_upload_that_is_sent_again_is_told_of_its_job(client, make_pdf) -> None:
    path = make_pdf("again.pdf", ["Sent again."])
    form = {"files": {"file": ("again.pdf", path.read_bytes())}, "headers": keyed("upload")}
    first = client.post("/v1/documents", **form)
    again = client.post("/v1/documents", **form)
    assert first.status_code == 202
    same(first, again)
    finished(client, first.json()["job"])
    other = {**form, "files": {"file": ("again.pdf", make_pdf("b.pdf", ["Other bytes."]).read_bytes())}}
    tagged = {**form, "data": {"metadata": '{"year": 2025}'}}
    for changed in (other, tagged, {**form, "params": {"collection": "default"}}):
        refused = client.post("/v1/documents", **changed)
        assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")
    assert client.delete(f"/v1/documents/{first.json()['document']['id']}").status_code == 204
    gone = client.post("/v1/documents", **form)  # nothing comes back because somebody's retry was late
    assert (gone.status_code, gone.json()["code"]) == (404, "not_found")


def test_a_key_is_for_one_request(client) -> None:
    client.post("/v1/conversations", json={"title": "a"}, headers=keyed("k1"))
    for path, body in (("/v1/conversations", {"title": "b"}), ("/v1/collections", {"name": "k1"})):
        refused = client.post(path, json=body, headers=keyed("k1"))
        assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")
    for key in ("", "x" * 256, "with space"):
        refused = client.post("/v1/conversations", json={}, headers=keyed(key))
        assert (refused.status_code, refused.json()["code"]) == (422, "request_invalid")
    refused = client.post("/v1/ask", json={"question": "x", "stream": True}, headers=keyed("k2"))
    assert (refused.status_code, refused.json()["code"]) == (422, "query_invalid")


def test_what_was_made_and_deleted_is_not_told_again(client) -> None:
    made = client.post("/v1/conversations", json={}, headers=keyed("short"))
    client.delete(made.headers["location"])
    assert client.post("/v1/conversations", json={}, headers=keyed("short")).status_code == 404


def test_what_failed_may_be_tried_again(client) -> None:
    body = {"title": "t", "collection": "later"}
    assert client.post("/v1/conversations", json=body, headers=keyed("retry")).status_code == 404
    client.post("/v1/collections", json={"name": "later"})
    made = client.post("/v1/conversations", json=body, headers=keyed("retry"))
    assert (made.status_code, "idempotency-replayed" in made.headers) == (201, False)


def test_after_a_day_a_key_is_new(client, library) -> None:
    first = client.post("/v1/conversations", json={}, headers=keyed("old"))
    with library.catalog.database.write() as db:
        db.execute(schema.replays.update().where(schema.replays.c.key == "old").values(created="2020-01-01T00:00:00Z"))
    again = client.post("/v1/conversations", json={}, headers=keyed("old"))
    assert again.json()["id"] != first.json()["id"]
    with library.catalog.database.read() as db:
        orphans = sa.select(schema.traces).where(
            schema.traces.c.holder.like("rpl%"), schema.traces.c.holder.not_in(sa.select(schema.replays.c.id))
        )
        assert db.execute(orphans).all() == []
    same(again, client.post("/v1/conversations", json={}, headers=keyed("old")))


def test_of_many_at_a_time_one_is_carried_out(client, library) -> None:
    start = threading.Barrier(12)

    def send() -> httpx2.Response:
        start.wait()
        return client.post("/v1/conversations", json={"title": "crowd"}, headers=keyed("crowd"))

    with ThreadPoolExecutor(12) as threads:
        answers = [each.result() for each in [threads.submit(send) for _ in range(12)]]
    made = {each.json()["id"] for each in answers if each.status_code == 201}
    assert len(made) == 1
    for other in answers:
        if other.status_code != 201:
            assert (other.status_code, other.json()["code"]) == (409, "idempotency_in_flight")
            assert other.headers["retry-after"] == "1"
    titles = [each["title"] for each in client.get("/v1/conversations", params={"limit": 100}).json()["data"]]
    assert titles.count("crowd") == 1


def test_while_one_is_carried_out_the_other_is_told_so(client, library) -> None:
    with library.catalog.database.attempt("idempotency  held"):
        refused = client.post("/v1/conversations", json={}, headers=keyed("held"))
    assert (refused.status_code, refused.json()["code"]) == (409, "idempotency_in_flight")
    assert client.post("/v1/conversations", json={}, headers=keyed("held")).status_code == 201


def test_each_api_key_has_keys_of_its_own(client, library) -> None:
    ids = set()
    for name in "ab":
        secret = Keys(library.catalog.database).create(name, "read")[1]
        headers = {**keyed("shared"), "x-api-key": secret}
        ids.add(client.post("/v1/conversations", json={"title": name}, headers=headers).json()["id"])
    assert len(ids) == 2


HOLDER = """
import sys, time
from ingest.database import Database
with Database(sys.argv[1]).attempt("one") as free:
    print(free, flush=True)
    time.sleep(600)
"""


def test_a_name_is_held_among_processes_and_goes_with_a_killed_one(postgres_url: str) -> None:
    database = Database(postgres_url)
    call = [sys.executable, "-c", HOLDER, postgres_url]
    with subprocess.Popen(call, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "True\n"
            with database.attempt("one") as free:
                assert not free
            with database.attempt("two") as free:
                assert free
        finally:
            process.kill()
    for _ in range(10_000):  # until the server has noticed
        with database.attempt("one") as free:
            if free:
                break
    assert free
    database.close()


def test_a_name_is_free_again_afterwards(database_url: str) -> None:
    database = Database(database_url)
    for _ in range(2):
        with database.attempt("n") as first, database.attempt("n") as second:
            assert (first, second) == (True, False)
    with pytest.raises(ZeroDivisionError), database.attempt("n"):
        raise ZeroDivisionError
    with database.attempt("n") as free:
        assert free
    database.close()


def test_two_servers_on_one_database_carry_out_one(postgres_url: str, tmp_path: Path) -> None:
    start = threading.Barrier(8)

    def send(client: httpx2.Client) -> httpx2.Response:
        start.wait()
        return client.post("/v1/conversations", json={"title": "both"}, headers=keyed("both"))

    with ExitStack() as opened:
        qdrant = opened.enter_context(vectors())
        shared = {
            "database_url": postgres_url,
            "qdrant_url": qdrant.url,
            "files_url": f"file://{tmp_path}/originals",
            "channels": "lexical",
            "model": "extractive",
        }
        libraries = [
            opened.enter_context(Library(settings=load_settings({"data_dir": tmp_path / name, **shared})))
            for name in "ab"
        ]
        libraries[0].create_collection()
        one, two = (opened.enter_context(serving(library)) for library in libraries)
        with ThreadPoolExecutor(8) as threads:
            sent = [threads.submit(send, client) for client in (one, two) * 4]
            codes = [each.result().status_code for each in sent]
        assert set(codes) <= {201, 409}
        again = two.post("/v1/conversations", json={"title": "both"}, headers=keyed("both"))
        assert again.headers["idempotency-replayed"] == "true"
        assert len(one.get("/v1/conversations").json()["data"]) == 1


# --- ETags ------------------------------------------------------------------------------------------------------------


def test_who_has_it_is_told_so(client, make_pdf) -> None:
    made = upload(client, make_pdf("tagged.pdf", ["Tags."])).json()
    finished(client, made["job"])
    for place in (f"/v1/documents/{made['document']['id']}", "/v1/collections/default"):
        first = client.get(place)
        tag = first.headers["etag"]
        assert first.headers["cache-control"] == "private, no-cache"
        for known in (tag, f'"other", {tag}', f"W/{tag}", "*"):
            again = client.get(place, headers={"if-none-match": known})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert client.get(place, headers={"if-none-match": '"other"'}).json() == first.json()


def test_only_what_was_seen_is_changed(client, make_pdf) -> None:
    made = upload(client, make_pdf("changed.pdf", ["Change."])).json()
    finished(client, made["job"])
    place = f"/v1/documents/{made['document']['id']}"
    tag = client.get(place).headers["etag"]
    refused = client.patch(place, json={"metadata": {"a": 1}}, headers={"if-match": f"W/{tag}"})
    assert (refused.status_code, refused.json()["code"]) == (412, "precondition_failed")
    changed = client.patch(place, json={"metadata": {"a": 1}}, headers={"if-match": tag})
    assert (changed.status_code, changed.json()["metadata"]) == (200, {"a": 1})
    assert client.get(place).headers["etag"] == changed.headers["etag"] != tag
    assert client.patch(place, json={"metadata": {}}, headers={"if-match": tag}).status_code == 412
    assert client.patch(place, json={"metadata": {}}, headers={"if-match": "*"}).status_code == 200


def test_a_collection_is_renamed_as_it_was_seen(client) -> None:
    place = client.post("/v1/collections", json={"name": "before"}).headers["location"]
    tag = client.get(place).headers["etag"]
    renamed = client.patch(place, json={"name": "after"}, headers={"if-match": tag})
    assert (renamed.status_code, renamed.json()["name"]) == (200, "after")
    late = client.patch(place, json={"name": "later"}, headers={"if-match": tag})
    assert (late.status_code, client.get(place).json()["name"]) == (412, "after")
    assert client.get(place).headers["etag"] == renamed.headers["etag"]


def test_of_two_changes_to_the_same_one_comes_second(client, make_pdf) -> None:
    made = upload(client, make_pdf("two.pdf", ["Two."])).json()
    finished(client, made["job"])
    place = f"/v1/documents/{made['document']['id']}"
    tag = client.get(place).headers["etag"]
    start = threading.Barrier(6)

    def change(number: int) -> int:
        start.wait()
        return client.patch(place, json={"metadata": {"n": number}}, headers={"if-match": tag}).status_code

    with ThreadPoolExecutor(6) as threads:
        codes = list(threads.map(change, range(6)))
    assert sorted(codes) == [200, 412, 412, 412, 412, 412]


def test_an_answer_that_is_told_again_goes_with_its_document(client, library, make_pdf) -> None:
    made = upload(client, make_pdf("otters.pdf", ["Otters hold hands."])).json()
    finished(client, made["job"])
    body = {"question": "What do otters hold?", "documents": [made["document"]["id"]]}
    assert "hands" in client.post("/v1/ask", json=body, headers=keyed("otters")).text
    client.delete(f"/v1/documents/{made['document']['id']}")
    assert client.post("/v1/ask", json=body, headers=keyed("otters")).status_code == 404
    with library.catalog.database.read() as db:
        assert "hands" not in json.dumps([list(map(str, row)) for row in db.execute(schema.replays.select())])
