"""Webhooks: real documents, a real receiver on this machine that sometimes fails."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from api.fetch import PUBLIC, Network
from api.webhooks import Caller, Hooks
from folioscope.errors import NotFoundError, Unfetchable
from folioscope.settings import load_settings
from ingest import Library
from ingest import schema as t
from tests.support.serving import finished, serving, upload

ANYWHERE = Network(private=True)


@dataclass
class Receiver:
    """``answers``: statuses to answer with, 0 to hang up, then 200 for ever. ``got``: (headers, body) of each call."""

    port: int
    answers: list[int] = field(default_factory=list)
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/in"

    def told(self) -> list[dict[str, Any]]:
        """The bodies."""
        return [json.loads(body) for _, body in self.got]

    def wait(self, calls: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.got) >= calls, 30), self.told()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = socket.create_server(("127.0.0.1", 0))
    found = Receiver(server.getsockname()[1])

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as stream:
                lines = []
                while (line := stream.readline().strip()) != b"":
                    lines.append(line.decode())
                headers = dict(line.lower().split(": ", 1) for line in lines[1:])
                body = stream.read(int(headers["content-length"]))
                status = found.answers.pop(0) if found.answers else 200
                if status:
                    connection.sendall(
                        f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
                    )
                with found.changed:
                    found.got.append(({**headers, "line": lines[0]}, body))
                    found.changed.notify_all()

    thread = threading.Thread(target=serve)
    thread.start()
    yield found
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join()


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with Library(settings=load_settings({"data_dir": tmp_path / "data", "channels": "lexical"})) as opened:
        opened.create_collection()
        yield opened


@contextmanager
def calling(library: Library, **more: Any) -> Iterator[Caller]:
    caller = Caller(library, ANYWHERE, **{"first_retry_s": 0.01, **more})
    thread = threading.Thread(target=caller.run)
    thread.start()
    try:
        yield caller
    finally:
        caller.stop()
        thread.join()


def settled(library: Library, count: int) -> list[Any]:
    """The rows once so many deliveries wait no more."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with library.catalog.database.read() as db:
            rows = list(db.execute(sa.select(t.deliveries).where(t.deliveries.c.state != "waiting")))
        if len(rows) >= count:
            return rows
        time.sleep(0.02)
    raise AssertionError("nothing was settled")


def make(library: Library, receiver: Receiver, **more: Any) -> str:
    """A hook; returns its secret."""
    events = more.pop("events", ("document.ready", "document.failed", "job.done"))
    return Hooks(library.catalog.database, ANYWHERE).create(receiver.url, events, **more)[1]


def test_a_hook_is_told_signed_and_again_until_it_takes_it(library, receiver, make_pdf) -> None:
    receiver.answers[:] = [500, 0]
    secret = make(library, receiver, events=["document.ready"])
    library.ingest([make_pdf("heron.pdf", ["The heron."])])
    with calling(library):
        receiver.wait(3)
        (row,) = settled(library, 1)
    assert (row.state, row.attempts, row.body) == ("delivered", 3, "")
    assert len({body for _, body in receiver.got}) == 1
    for headers, body in receiver.got:
        stamp, signed = (part.partition("=")[2] for part in headers["folioscope-signature"].split(","))
        assert signed == hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
        assert abs(time.time() - int(stamp)) < 60
        assert headers["folioscope-delivery"] == row.id
        assert headers["folioscope-event"] == "document.ready"
        assert headers["line"] == "POST /in HTTP/1.1"
    told = receiver.told()[0]
    assert (told["id"], told["type"], told["collection"]) == (row.id, "document.ready", library.collection().id)
    assert (told["data"]["filename"], told["data"]["pages"], told["data"]["status"]) == ("heron.pdf", 1, "ready")
    assert "heron." not in json.dumps(told).replace("heron.pdf", "")
    (hook,) = Hooks(library.catalog.database, ANYWHERE).all()
    assert (hook.waiting, hook.failing_since, hook.error) == (0, None, None)


def test_it_is_told_of_each_thing_once_and_of_nothing_before_it_was_made(library, receiver, make_pdf, tmp_path) -> None:
    library.ingest([make_pdf("before.pdf", ["Before."])])
    with library.catalog.database.write() as db:  # a second is what times are told apart by
        db.execute(t.versions.update().values(created="2020-01-01T00:00:00Z"))
        db.execute(t.jobs.update().values(created="2020-01-01T00:00:00Z"))
    make(library, receiver)
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.7\nnothing else")
    library.ingest([make_pdf("one.pdf", ["One."]), tmp_path / "broken.pdf"])
    caller = Caller(library, ANYWHERE)
    caller.note()
    caller.note()  # as after a restart, and in another process
    with calling(library):
        receiver.wait(3)
        settled(library, 3)
    told = {(each["type"], each["data"].get("filename")): each["data"] for each in receiver.told()}
    assert set(told) == {("document.ready", "one.pdf"), ("document.failed", "broken.pdf"), ("job.done", None)}
    assert told["document.failed", "broken.pdf"]["error"]["code"] == "document_corrupt"
    done = told["job.done", None]
    assert (done["state"], done["ready"], done["failed"]) == ("done", 1, 1)
    assert len(receiver.got) == 3


def test_a_hook_of_one_collection_hears_of_no_other(library, receiver, make_pdf) -> None:
    mine = library.create_collection("mine")
    make(library, receiver, events=["document.ready"], collection=mine.id)
    library.ingest([make_pdf("other.pdf", ["Other."])])
    library.ingest([make_pdf("mine.pdf", ["Mine."])], collection="mine")
    with calling(library):
        receiver.wait(1)
        settled(library, 1)
    assert [each["data"]["filename"] for each in receiver.told()] == ["mine.pdf"]


def test_two_processes_tell_each_thing_once(tmp_path, database_url, receiver, make_pdf) -> None:
    settings = {"data_dir": tmp_path / "data", "channels": "lexical", "database_url": database_url}
    with Library(settings=load_settings(settings)) as library:
        library.create_collection()
        make(library, receiver, events=["document.ready"])
        with calling(library), calling(library):
            library.ingest([make_pdf(f"{n}.pdf", [f"Number {n}"]) for n in range(8)])
            receiver.wait(8)
            settled(library, 8)
    assert sorted(each["data"]["filename"] for each in receiver.told()) == [f"{n}.pdf" for n in range(8)]


def test_who_took_a_lease_and_died_is_followed_by_another(library, receiver, make_pdf) -> None:
    make(library, receiver, events=["document.ready"])
    library.ingest([make_pdf("a.pdf", ["A."])])
    at = time.time()
    died = Caller(library, ANYWHERE, clock=lambda: at)
    died.note()
    assert len(died._taken()) == 1
    assert died._taken() == []
    with calling(library, clock=lambda: at + 61):
        receiver.wait(1)
        settled(library, 1)


def test_after_days_of_failure_it_is_called_no_more(library, receiver, make_pdf) -> None:
    receiver.answers[:] = [500] * 1000
    make(library, receiver, events=["document.ready"])
    library.ingest([make_pdf("a.pdf", ["A."])])
    at = [time.time()]
    caller = Caller(library, ANYWHERE, clock=lambda: at[0])
    hooks = Hooks(library.catalog.database, ANYWHERE)
    caller.note()
    days = 0.0
    while hooks.all()[0].disabled is None and days < 5:
        for hook in caller._taken():
            caller._serve(hook)
        at[0] += 3600
        days += 1 / 24
    assert 3 <= days < 3.2
    (hook,) = hooks.all()
    assert hook.error == "It answered with the status 500."
    assert len(receiver.got) < 90  # a call an hour
    calls = len(receiver.got)
    at[0] += 86_400
    caller.note()
    assert caller._taken() == []
    assert len(receiver.got) == calls


def test_it_calls_nobody_inside_unless_the_settings_say_so(library, receiver, make_pdf) -> None:
    with pytest.raises(Unfetchable):
        Hooks(library.catalog.database, PUBLIC).create(receiver.url, ["document.ready"])
    make(library, receiver, events=["document.ready"])  # or a name that pointed elsewhere when it was made
    library.ingest([make_pdf("a.pdf", ["A."])])
    caller = Caller(library, PUBLIC)
    caller.note()
    for hook in caller._taken():
        caller._serve(hook)
    assert receiver.got == []
    assert "public" in (Hooks(library.catalog.database, PUBLIC).all()[0].error or "")


def test_over_http_it_is_made_told_and_removed(tmp_path, receiver, make_pdf: Callable[..., Path]) -> None:
    settings = {"data_dir": tmp_path / "data", "channels": "lexical", "webhooks_private": True}
    with Library(settings=load_settings(settings)) as library, serving(library) as client:
        client.post("/v1/collections", json={"name": "default"})
        answer = client.post("/v1/webhooks", json={"url": receiver.url, "collection": "default"})
        assert answer.status_code == 201, answer.text
        made = answer.json()
        assert made["secret"].startswith("whs_")
        job = upload(client, make_pdf("a.pdf", ["A."])).json()["job"]
        finished(client, job)
        receiver.wait(2)
        assert {each["type"] for each in receiver.told()} == {"document.ready", "job.done"}
        assert {each["data"].get("job", each["data"].get("id")) for each in receiver.told()} == {job}
        settled(library, 2)
        (listed,) = client.get("/v1/webhooks").json()["data"]
        assert listed == {name: value for name, value in made.items() if name != "secret"}
        assert client.delete(answer.headers["location"]).status_code == 204
        assert client.delete(answer.headers["location"]).status_code == 404
        assert client.get("/v1/webhooks").json()["data"] == []
        for wrong in (
            {"url": "file:///etc/passwd"},
            {"url": "http://me:it@host/"},
            {"url": receiver.url, "events": []},
        ):
            assert client.post("/v1/webhooks", json=wrong).status_code == 422
        nowhere = {"url": receiver.url, "collection": "nowhere"}
        assert client.post("/v1/webhooks", json=nowhere).status_code == 404
    with pytest.raises(NotFoundError), Library(settings=load_settings(settings)) as library:
        Hooks(library.catalog.database, ANYWHERE).remove(made["id"])
