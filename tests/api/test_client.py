"""The client of the HTTP interface: against a real server; its connection against one that misbehaves."""

from __future__ import annotations

import dataclasses
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

from api import problems, samples
from api.answering import open_answer_model
from api.client import Client
from api.connection import ERRORS, Connection, error_of
from api.schemas import answers as wire
from api.schemas import documents as wire_documents
from api.schemas.jobs import JobDocumentOut, JobOut, JobProgress
from folioscope import errors
from folioscope.domain import (
    Answer,
    Box,
    ChannelScore,
    Citation,
    Coverage,
    Document,
    DocumentRef,
    Page,
    PageHit,
    PageKey,
    Problem,
    Region,
    SearchResult,
    Segment,
    Turn,
    Where,
    Words,
)
from folioscope.settings import load_settings
from generation import answer, open_model
from ingest import Library
from retrieval import analyzer
from tests.support.serving import serving

REPORT = "skerrow-ferries-annual-report-2025.pdf"
DIVIDEND = "What dividend does the board propose?"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    folder = tmp_path_factory.mktemp("data")
    settings = load_settings({"data_dir": folder, "channels": "lexical", "model": "extractive", "max_file_mb": 1})
    with Library(settings=settings) as opened:
        yield opened


@pytest.fixture(scope="module")
def client(library: Library) -> Iterator[Client]:
    with serving(library) as server, Client(str(server.base_url)) as found:
        yield found


@pytest.fixture(scope="module")
def report(client: Client) -> Document:
    with samples.folder() as folder:
        done = client.upload(folder / REPORT, metadata={"year": 2025})
    assert (done.duplicate, client.wait(done.job or "").ready) == (False, 1)
    return client.document(done.document.id)


# --- what goes over the wire and back -------------------------------------------------------------------------------

HIT = PageHit(
    1,
    DocumentRef("doc_1", 2, "a.pdf", 7),
    3,
    0.5,
    {"lexical": ChannelScore(1, 4.25)},
    "a snippet\u2028of words",
    (Region(Box(0.1, 0.2, 0.3, 0.4), 1.0, "text_match"), Region(Box(0, 0, 1, 1), 0.5, "similarity")),
)


def test_a_search_survives_the_wire() -> None:
    result = SearchResult("q", (HIT,), {"total": 1.5}, {"lexical": Coverage(1, 2)}, ("a note",))
    sent = wire.search_out(result).model_dump_json()
    assert wire.search_in(wire.SearchOut.model_validate_json(sent)) == result


def test_an_answer_survives_the_wire() -> None:
    boxes = (Box(0.1, 0.2, 0.3, 0.4), Box(0.1, 0.5, 0.3, 0.6))
    whole = Answer(
        question="q",
        status="partial",
        segments=(Segment("It is.", (1,)), Segment("I like it.")),
        citations=(Citation(1, HIT.document, 3, "is", "fuzzy", boxes, moved=True),),
        pages_used=(HIT,),
        model="extractive",
        confidence=0.25,
        usage={"input_tokens": 3},
        warnings=("careful",),
        took_ms=12.5,
        query="rewritten",
    )
    sent = wire.answer_out(whole, "ans_1").model_dump_json()
    assert wire.answer_in(wire.AnswerOut.model_validate_json(sent)) == whole
    assert wire.AnswerOut.model_validate_json(sent).text == whole.text


def test_a_document_survives_the_wire_but_for_where_it_lies() -> None:
    document = Document(
        "doc_1",
        "default",
        "a.pdf",
        "/home/me/a.pdf",
        "ab" * 32,
        2,
        "failed",
        7,
        1,
        "2026-01-01T00:00:00Z",
        Problem("document_corrupt", "It is broken."),
        {"year": 2025, "final": True, "rate": 0.5},
        {"lexical": Coverage(3, 7)},
    )
    sent = wire_documents.document_out(document).model_dump_json()
    back = wire_documents.document_in(wire_documents.DocumentOut.model_validate_json(sent))
    assert back == dataclasses.replace(document, source="")


def test_pages_and_words_survive_the_wire() -> None:
    rng = np.random.default_rng(0)
    words = Words(
        ("one", "two"),
        rng.random((2, 4), np.float32),
        np.array([0, 1], np.int32),
        np.array([0, 0], np.int32),
        "ocr",
    )
    key = PageKey("doc_1", 2, 3)
    sent = wire_documents.page_text(key, words, with_words=True).model_dump_json()
    back = wire_documents.words_in(wire_documents.PageText.model_validate_json(sent))
    assert (back.texts, back.source) == (words.texts, words.source)
    for name in ("boxes", "lines", "blocks"):
        was, now = getattr(words, name), getattr(back, name)
        assert (was.dtype, was.shape, was.tolist()) == (now.dtype, now.shape, now.tolist())
    page = Page(3, 420.0, 595.5, words, ("no_words",), Problem("ocr_failed", "It gave up."))
    row = wire_documents.PageOut.model_validate_json(wire_documents.page_out(page, key).model_dump_json())
    read = wire_documents.page_in(row)
    assert read.words.source == "ocr"
    assert dataclasses.replace(read, words=words) == page


@pytest.mark.parametrize("kind", sorted(set(ERRORS.values()), key=lambda kind: kind.code), ids=lambda kind: kind.code)
def test_an_error_comes_back_as_what_it_was(kind: type[errors.FolioscopeError]) -> None:
    was = kind("What happened.")
    body = problems.of_error(was, "/v1/x", "req_1")
    now = error_of(body["status"], body, "http://x", "7")
    assert type(now) is kind
    assert now.message == problems.told(was)
    if isinstance(now, errors.TooManyRequests | errors.ModelBusy):
        assert now.retry_after == 7


def test_every_code_has_one_error() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    assert all(ERRORS[kind.code] is kind for kind in kinds)


# --- against a server -----------------------------------------------------------------------------------------------


def test_documents_and_collections(client: Client, library: Library, report: Document) -> None:
    assert dataclasses.replace(library.document(report.id), source="") == report
    assert report.metadata == {"year": 2025}
    assert report in list(client.documents())
    assert client.set_metadata(report.id, {"year": 2024}).metadata == {"year": 2024}
    made = client.create_collection("board", ["lexical"])
    assert (made.name, made.channels, made.documents) == ("board", ["lexical"], 0)
    with samples.folder() as folder:
        original = (folder / REPORT).read_bytes()
        done = client.upload(folder / REPORT, collection="board", source="here")
        assert client.upload(folder / REPORT, collection="board", source="here").duplicate
    client.wait(done.job or "")
    assert client.collection(made.id).documents == 1
    assert b"".join(client.file(done.document.id)) == original
    client.remove(done.document.id)
    assert list(client.documents("board")) == []
    client.remove_collection("board")
    assert "board" not in [each.name for each in client.collections()]
    with pytest.raises(errors.CollectionNotFound):
        client.collection("board")
    with pytest.raises(errors.NotFoundError):
        client.document("../healthz")


def test_another_file_from_the_same_source_is_a_new_version(client: Client, make_pdf) -> None:
    first = client.upload(make_pdf("a.pdf", ["First."]), source="pc:/a.pdf")
    client.wait(first.job or "")
    second = client.upload(make_pdf("a.pdf", ["Second."]), source="pc:/a.pdf")
    client.wait(second.job or "")
    assert second.document.id == first.document.id
    assert client.document(first.document.id).version == 2


def test_lists_are_read_to_their_end(client: Client, library: Library, monkeypatch, make_pdf) -> None:
    monkeypatch.setattr("api.client.AT_ONCE", 2)
    done = client.upload(make_pdf("five.pdf", [f"Page {n}" for n in range(5)]))
    client.wait(done.job or "")
    assert [page.number for page in client.pages(done.document.id)] == [1, 2, 3, 4, 5]
    assert {each.id for each in client.documents()} == {each.id for each in library.documents()}


def test_pages(client: Client, library: Library, report: Document) -> None:
    key = PageKey(report.id, 1, 2)
    mine, theirs = client.words([key, PageKey(report.id, 1, 99)]), library.words([key])
    assert mine.keys() == {key}
    assert mine[key].text() == theirs[key].text()
    assert mine[key].boxes.tolist() == theirs[key].boxes.tolist()
    image = client.image(key, 700)
    assert (image.dtype, image.shape[2]) == (np.uint8, 3)
    assert abs(max(image.shape) - 700) <= 1
    drawn = library.image(key, max(image.shape))
    assert image.shape == drawn.shape
    assert np.abs(image.astype(float) - drawn).mean() < 3  # one of them may come from the cache, a JPEG
    assert client.image_bytes(key, 100)[:2] == b"\xff\xd8"
    with pytest.raises(errors.DocumentNotFound):
        client.image(PageKey(report.id, 1, 99))


def test_questions(client: Client, library: Library, report: Document) -> None:
    here = library.retriever().search("dividend", 3)
    there = client.search("dividend", 3)
    assert dataclasses.replace(there, timings={}) == dataclasses.replace(here, timings={})
    assert client.search("dividend", where=Where(frozenset())).hits == ()
    where = Where(frozenset([report.id]))
    expected = answer(DIVIDEND, library.retriever(), open_answer_model(library), where=where)
    *told, found = list(client.stream(DIVIDEND, where=where))
    for got in (found, client.ask(DIVIDEND, where=where)):
        assert isinstance(got, Answer)
        assert dataclasses.replace(got, took_ms=0) == dataclasses.replace(expected, took_ms=0)
    assert [type(each) for each in told] == [SearchResult, str, Citation, Segment]
    follow_up = client.ask(DIVIDEND, where=where, history=[Turn("user", "Hello?"), Turn("assistant", "Hello.")])
    assert "can't rewrite a follow-up" in " ".join(follow_up.warnings)
    with pytest.raises(errors.QueryError):
        client.search("")


def test_a_model_here_reads_what_the_server_finds(client: Client, library: Library, report: Document) -> None:
    model = open_model("extractive", library.settings, analyzer=analyzer())
    found = answer(DIVIDEND, client.retriever(), model, images=client)
    assert [(each.document.id, each.page) for each in found.citations] == [(report.id, 2)]


def test_jobs(client: Client, make_pdf) -> None:
    done = client.upload(make_pdf("told.pdf", ["One", "Two"]))
    told = list(client.job_events(done.job or ""))
    assert {type(each) for each in told} == {JobProgress, JobDocumentOut, JobOut}
    assert client.job(done.job or "") == told[-1]
    assert client.cancel(done.job or "").documents == told[-1].documents
    with pytest.raises(errors.NotFoundError):
        client.wait("job_0")


def test_what_the_server_says_of_itself(client: Client) -> None:
    from folioscope import __version__

    assert client.version() == __version__
    assert client.model() == "extractive"
    assert "docs" in client.models()


def test_a_file_that_is_no_document_is_refused(client: Client, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(errors.UnsupportedType):
        client.upload(tmp_path / "a.txt")
    (tmp_path / "big.pdf").write_bytes(b"%PDF-1.7" + bytes(3 << 20))
    with pytest.raises(errors.TooLarge):
        client.upload(tmp_path / "big.pdf")


# --- against one that misbehaves ------------------------------------------------------------------------------------


@contextmanager
def answering(*replies: bytes) -> Iterator[tuple[str, list[str]]]:
    """A server that gives these replies, one a connection, and closes it; yields its URL and what it was sent."""
    asked: list[str] = []

    def serve() -> None:
        for reply in replies:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                asked.append(connection.recv(65536).decode())
                connection.sendall(reply)
                with suppress(ConnectionError):
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(65536):  # closed with something unread, it would reset what was answered
                        pass

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", asked
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


def reply(body: str, kind: str = "application/json", status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\nconnection: close\r\n\r\n{body}".encode()


def test_reading_is_tried_again_and_nothing_else() -> None:
    with answering(b"", b"", reply('{"version": "9"}')) as (url, asked), Client(url) as client:
        assert client.version() == "9"
        assert len(asked) == 3
    with answering(b"", reply("{}")) as (url, asked), Client(url) as client:
        with pytest.raises(errors.ServerUnreachable, match="broke off"):
            client.search("a")
        assert len(asked) == 1


def test_a_jobs_events_go_on_where_they_broke_off() -> None:
    document = '{"document":"doc_1","version":1,"filename":"a","status":"ready","pages":1,"error":null}'
    done = (
        '{"id":"job_1","state":"done","ready":1,"failed":0,"outstanding":0,"pages":{"done":1,"total":1},"channels":{},'
        '"object":"job","kind":"ingest","collection":"col_1","created":"","documents":[]}'
    )
    first = reply(
        f": keep-alive\n\nevent: document.ready\ndata: {document}\nid: 1f\n\nevent: job.pro", "text/event-stream"
    )
    second = reply(f"event: unheard.of\ndata: {{}}\n\nevent: job.done\ndata: {done}\n\n", "text/event-stream")
    with answering(first, second) as (url, asked), Client(url) as client:
        assert [type(each) for each in client.job_events("job_1")] == [JobDocumentOut, JobOut]
    assert "last-event-id" not in asked[0].lower()
    assert "last-event-id: 1f" in asked[1].lower()


def test_an_answer_that_breaks_off_is_an_error() -> None:
    cut = reply('event: answer.delta\ndata: {"text": "It"}\n\n', "text/event-stream")
    with answering(cut) as (url, _), Client(url) as client, pytest.raises(errors.ServerError, match="broke off"):
        client.ask("a")
    failed = reply(
        'event: error\ndata: {"status": 502, "code": "upstream_model_error", "detail": "It failed."}\n\n',
        "text/event-stream",
    )
    with answering(failed) as (url, _), Client(url) as client, pytest.raises(errors.ModelError, match="It failed"):
        client.ask("a")


STRANGERS: tuple[Callable[[Client], object], ...] = (
    Client.version,
    Client.models,
    Client.collections,
    Client.keys,
    lambda client: list(client.documents()),
    lambda client: list(client.jobs()),
    lambda client: client.upload(__file__),
    lambda client: client.search("a"),
    lambda client: client.ask("a"),
    lambda client: client.job("job_1"),
)


def test_what_is_no_folioscope_server() -> None:
    page = reply("<html>Bad gateway", "text/html", "502 Bad Gateway")
    with answering(page) as (url, _), Client(url) as client, pytest.raises(errors.ServerError, match="answered 502"):
        client.search("a")
    for page in (reply("<html>Welcome", "text/html"), reply('{"hello": 1}'), reply("[]")):
        for ask in STRANGERS:
            refused = pytest.raises(errors.ServerError, match="does not answer as a Folioscope server")
            with answering(page) as (url, _), Client(url) as client, refused:
                ask(client)
    with answering() as (url, _):
        pass
    with Client(url) as client, pytest.raises(errors.ServerUnreachable, match="can't be reached"):
        client.search("a")


@pytest.mark.parametrize("url", ["", "localhost:8000", "ftp://x", "http://"])
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(errors.ConfigError, match="no URL"):
        Connection(url)


def test_what_is_no_key() -> None:
    with pytest.raises(errors.ConfigError, match="key"):
        Connection("http://localhost", "fol_\n")
