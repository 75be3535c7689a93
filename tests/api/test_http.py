"""The HTTP interface: a real server, real sample documents, what clients see."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from PIL import Image

from api import samples
from folioscope.settings import load_settings
from ingest import Library
from tests.support.serving import events, finished, serving, upload

REPORT = "skerrow-ferries-annual-report-2025.pdf"
DIVIDEND = "What dividend does the board propose?"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    folder = tmp_path_factory.mktemp("data")
    with Library(settings=load_settings({"data_dir": folder, "max_file_mb": 1, "model": "extractive"})) as opened:
        yield opened


@pytest.fixture(scope="module")
def client(library: Library) -> Iterator[httpx2.Client]:
    with serving(library) as found:
        yield found


@pytest.fixture(scope="module")
def report(client: httpx2.Client) -> dict[str, Any]:
    """The annual report, handed in over HTTP and read."""
    with samples.folder() as folder:
        answer = upload(client, folder / REPORT, metadata='{"year": 2025, "final": true}')
    assert answer.status_code == 202
    assert finished(client, answer.json()["job"])["ready"] == 1
    found: dict[str, Any] = client.get(f"/v1/documents/{answer.json()['document']['id']}").json()
    return found


def test_an_upload_is_a_job_and_the_same_bytes_again_are_a_duplicate(client, report, make_pdf) -> None:
    with samples.folder() as folder:
        again = upload(client, folder / REPORT)
    assert again.status_code == 200
    assert again.json()["duplicate"] is True
    assert again.json()["document"]["id"] == report["id"]
    assert again.json()["job"] is None
    answer = upload(client, make_pdf("../../etc/passwd.pdf", ["A page about herons."]))
    assert answer.status_code == 202
    job = client.get(answer.headers["location"]).json()
    assert job["id"] == answer.json()["job"]
    assert finished(client, job["id"])["pages"] == {"done": 1, "total": 1}
    assert answer.json()["document"]["filename"] == "passwd.pdf"


def test_another_file_of_the_same_name_takes_nobodys_place(client, make_pdf) -> None:
    first = upload(client, make_pdf("a/letter.pdf", ["First letter."])).json()
    second = upload(client, make_pdf("b/letter.pdf", ["Second letter."])).json()
    finished(client, first["job"])
    finished(client, second["job"])
    assert first["document"]["id"] != second["document"]["id"]
    assert client.get(f"/v1/documents/{first['document']['id']}").json()["status"] == "ready"


def test_a_document_tells_no_path_of_the_server(client, library, report) -> None:
    assert report["status"] == "ready"
    assert report["pages"] == 6
    assert report["created"].endswith("Z")
    assert report["coverage"]["lexical"] == {"done": 6, "total": 6}
    assert str(library.folder.path) not in json.dumps(report)
    assert "source" not in report


def test_lists_go_on_where_they_left_off(client, report, make_pdf) -> None:
    client.post("/v1/collections", json={"name": "listed", "channels": ["lexical"]})
    ids = [upload(client, make_pdf(f"{n}.pdf", [f"Number {n}"]), "listed").json()["document"]["id"] for n in range(3)]
    seen: list[str] = []
    asked: dict[str, Any] = {"collection": "listed", "limit": 2}
    while True:
        page = client.get("/v1/documents", params=asked).json()
        seen += [each["id"] for each in page["data"]]
        asked["after"] = page["last_id"]
        if not page["has_more"]:
            break
    assert sorted(seen) == sorted(ids)
    lost = client.get("/v1/documents", params={"collection": "listed", "after": report["id"]})
    assert (lost.status_code, lost.json()["code"]) == (422, "query_invalid")
    assert client.delete("/v1/collections/listed").status_code == 204
    assert client.get("/v1/collections/listed").status_code == 404


def test_changed_metadata_counts_at_once(client, report, make_pdf) -> None:
    other = upload(client, make_pdf("dividend.pdf", ["The dividend of the harbour board."])).json()
    finished(client, other["job"])

    def found(metadata: dict[str, Any]) -> set[str]:
        hits = client.post("/v1/search", json={"query": "dividend", "metadata": metadata}).json()["hits"]
        return {hit["document"]["id"] for hit in hits}

    assert found({"year": 2025}) == {report["id"]}
    assert found({"final": 1}) == set()
    changed = client.patch(f"/v1/documents/{other['document']['id']}", json={"metadata": {"year": 2025}})
    assert changed.json()["metadata"] == {"year": 2025}
    assert found({"year": 2025}) == {report["id"], other["document"]["id"]}
    assert found({"year": 2025, "final": True}) == {report["id"]}


def test_a_deleted_document_is_gone_everywhere(client, make_pdf) -> None:
    made = upload(client, make_pdf("gone.pdf", ["The zebra crossing."])).json()
    finished(client, made["job"])
    place = f"/v1/documents/{made['document']['id']}"
    ask = {"query": "zebra", "documents": [made["document"]["id"]]}
    assert len(client.post("/v1/search", json=ask).json()["hits"]) == 1
    assert client.delete(place).status_code == 204
    assert client.post("/v1/search", json=ask).json()["hits"] == []
    for path in ("", "/file", "/pages", "/pages/1/image", "/pages/1/text"):
        assert client.get(place + path).status_code == 404
    assert client.delete(place).status_code == 404


def test_the_original_comes_as_an_attachment(client, report) -> None:
    answer = client.get(f"/v1/documents/{report['id']}/file")
    with samples.folder() as folder:
        assert answer.content == (folder / REPORT).read_bytes()
    assert answer.headers["content-disposition"] == f'attachment; filename="{REPORT}"'
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(("wanted", "status"), [("bytes=abc", 400), ("bytes=99999999-", 416)])
def test_a_range_that_is_none_is_a_problem(client, report, wanted: str, status: int) -> None:
    refused = client.get(f"/v1/documents/{report['id']}/file", headers={"range": wanted})
    assert (refused.status_code, refused.headers["content-type"]) == (status, "application/problem+json")
    assert refused.headers.get("content-range", "bytes */").startswith("bytes */")


def test_page_images_have_the_width_asked_for_and_are_kept_by_browsers(client, report) -> None:
    pages = client.get(f"/v1/documents/{report['id']}/pages", params={"limit": 4, "after": 1}).json()
    assert [page["number"] for page in pages["data"]] == [2, 3, 4, 5]
    assert pages["has_more"] is True
    first = client.get(pages["data"][0]["image_url"], params={"version": 1, "width": 320, "format": "png"})
    assert first.headers["content-type"] == "image/png"
    assert abs(Image.open(io.BytesIO(first.content)).width - 320) <= 1
    assert first.headers["cache-control"] == "private, max-age=31536000, immutable"
    again = client.get(str(first.url), headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    loose = client.get(f"/v1/documents/{report['id']}/pages/2/image")
    assert loose.headers["cache-control"] == "private, no-cache"
    assert Image.open(io.BytesIO(loose.content)).format == "JPEG"
    assert client.get(f"/v1/documents/{report['id']}/pages/2/image?version=2").status_code == 404
    assert client.get(f"/v1/documents/{report['id']}/pages/7/image").status_code == 404
    assert client.get(f"/v1/documents/{report['id']}/pages/2/image?width=100000").status_code == 422


def test_a_pages_text_with_its_words(client, report) -> None:
    place = f"/v1/documents/{report['id']}/pages/2/text"
    plain = client.get(place).json()
    assert "dividend of 0.35 euros a share" in plain["text"].replace("\n", " ")
    assert plain["words"] is None
    words = client.get(place, params={"include": "words"}).json()["words"]
    assert [word["text"] for word in words] == plain["text"].split()
    assert all(0 <= x0 <= x1 <= 1 and 0 <= y0 <= y1 <= 1 for x0, y0, x1, y1 in (word["box"] for word in words))


def test_an_answer_cites_the_page_and_a_streamed_one_comes_in_order(client, report) -> None:
    whole = client.post("/v1/ask", json={"question": DIVIDEND, "documents": [report["id"]]}).json()
    assert whole["status"] == "answered"
    (citation,) = whole["citations"]
    assert (citation["document"]["id"], citation["page"], citation["quote_status"]) == (report["id"], 2, "exact")
    assert "0.35 euros" in citation["quote"]
    assert len(citation["boxes"]) == 3  # a sentence over two lines, and the one after it
    assert client.get(citation["image_url"]).headers["content-type"] == "image/jpeg"
    told = events(client, "POST", "/v1/ask", json={"question": DIVIDEND, "documents": [report["id"]], "stream": True})
    names = [name for name, _, _ in told]
    assert names == ["ask.created", "retrieval.done", "answer.delta", "citation.added", "segment.done", "answer.done"]
    assert told[3][1] == citation
    assert told[0][1]["id"] == told[5][1]["id"]
    assert told[5][1]["text"] == whole["text"]


def test_what_no_page_says_is_not_found(client, report) -> None:
    answer = client.post("/v1/ask", json={"question": "Who won the chess championship in Reykjavik?"}).json()
    assert answer["status"] == "not_found"
    assert answer["citations"] == []


def test_a_jobs_events_are_told_once_also_to_who_comes_back(client, make_pdf) -> None:
    job = upload(client, make_pdf("told.pdf", ["One", "Two"])).json()["job"]
    told = events(client, "GET", f"/v1/jobs/{job}/events")
    assert told[-1][0] == "job.done"
    assert told[-1][1]["documents"][0]["status"] == "ready"
    ((_, document, last),) = [each for each in told if each[0] == "document.ready"]
    assert (document["filename"], document["pages"]) == ("told.pdf", 2)
    again = events(client, "GET", f"/v1/jobs/{job}/events", headers={"last-event-id": last})
    assert [name for name, _, _ in again] == ["job.progress", "job.done"]
    fresh = events(client, "GET", f"/v1/jobs/{job}/events", headers={"last-event-id": "nonsense"})
    assert [name for name, _, _ in fresh] == ["document.ready", "job.progress", "job.done"]


def test_a_job_that_is_given_up_fails_what_it_had_not_read(client, library) -> None:
    collection = library.collection()
    job = library.catalog.create_job("ingest", collection.id)
    # Registered and not enqueued, so that nothing reads it first.
    library.catalog.register(collection, job, filename="never.pdf", source="never", sha256=None, size=0)
    assert client.get(f"/v1/jobs/{job}").json()["state"] == "running"
    given_up = client.post(f"/v1/jobs/{job}/cancel").json()
    assert (given_up["state"], given_up["outstanding"]) == ("cancelled", 0)
    assert given_up["documents"][0]["error"]["code"] == "cancelled"
    assert client.post("/v1/jobs/job_0/cancel").status_code == 404


def test_a_broken_file_is_a_failed_document_with_a_code(client, tmp_path) -> None:
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.7\nnothing else")
    done = finished(client, upload(client, tmp_path / "broken.pdf").json()["job"])
    assert (done["failed"], done["documents"][0]["error"]["code"]) == (1, "document_corrupt")


def test_collections_are_made_once(client) -> None:
    made = client.post("/v1/collections", json={"name": "board"})
    assert made.status_code == 201
    assert client.get(made.headers["location"]).json() == made.json()
    assert client.get("/v1/collections/board").json() == made.json()
    for name in ("a\u0301", "a\u200db", "board\n", "-a", "a b"):  # what a letter is, libraries see differently
        assert client.post("/v1/collections", json={"name": name}).json()["code"] == "request_invalid"
    again = client.post("/v1/collections", json={"name": "board"})
    assert (again.status_code, again.json()["code"]) == (409, "collection_exists")
    assert "board" in [each["name"] for each in client.get("/v1/collections").json()["data"]]
    assert {"docs", "docs/board"} <= {each["id"] for each in client.get("/v1/models").json()["data"]}


FILE_PART = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.pdf"\r\n\r\n%PDF-'
Case = Callable[[httpx2.Client], httpx2.Response]
REFUSED: dict[str, tuple[Case, int, str]] = {
    "no route": (lambda c: c.get("/v1/nothing"), 404, "not_found"),
    "method": (lambda c: c.put("/v1/documents"), 405, "method_not_allowed"),
    "host": (lambda c: c.get("/healthz", headers={"host": "rebound.example"}), 400, "host_not_allowed"),
    "origin": (
        lambda c: c.post("/v1/documents", files={"file": b"%PDF-1"}, headers={"origin": "https://else.example"}),
        403,
        "origin_not_allowed",
    ),
    "no origin to name": (lambda c: c.delete("/v1/x", headers={"origin": "null"}), 403, "origin_not_allowed"),
    "no json": (lambda c: c.post("/v1/search", content=b"{"), 422, "request_invalid"),
    "half a character": (lambda c: c.post("/v1/search", content=b'{"query": "\\ud800"}'), 422, "request_invalid"),
    "field": (lambda c: c.post("/v1/ask", json={"question": "?", "temperature": 1}), 422, "request_invalid"),
    "blank": (lambda c: c.post("/v1/ask", json={"question": " "}), 422, "query_invalid"),
    "long": (lambda c: c.post("/v1/ask", json={"question": "x" * 10_001}), 422, "request_invalid"),
    "collection": (lambda c: c.post("/v1/ask", json={"question": "?", "collection": "x"}), 404, "collection_not_found"),
    "name": (lambda c: c.post("/v1/collections", json={"name": "../x"}), 422, "request_invalid"),
    "document": (lambda c: c.get("/v1/documents/doc_0"), 404, "document_not_found"),
    "nul": (lambda c: c.get("/v1/documents/%00"), 404, "document_not_found"),
    "no file": (lambda c: c.post("/v1/documents", data={"a": "b"}), 422, "query_invalid"),
    "no form": (lambda c: c.post("/v1/documents", content=b"%PDF-"), 422, "query_invalid"),
    "text": (lambda c: c.post("/v1/documents", files={"file": b"words"}), 415, "unsupported_media_type"),
    "empty": (lambda c: c.post("/v1/documents", files={"file": b""}), 422, "document_empty"),
    "two files": (lambda c: c.post("/v1/documents", files=[("file", b"%PDF-1"), ("b", b"x")]), 400, "bad_request"),
    "not metadata": (
        lambda c: c.post("/v1/documents", files={"file": b"%PDF-1"}, data={"metadata": "[1]"}),
        422,
        "request_invalid",
    ),
    "file": (lambda c: c.post("/v1/documents", files={"file": b"%PDF-" + bytes(1 << 20)}), 413, "payload_too_large"),
    "body": (lambda c: c.post("/v1/search", content=bytes((1 << 20) + 1)), 413, "payload_too_large"),
    "chunks": (lambda c: c.post("/v1/search", content=iter([bytes(1 << 20), b"1"])), 413, "payload_too_large"),
    "flood": (
        lambda c: c.post(
            "/v1/documents",
            content=iter([FILE_PART, *[bytes(1 << 20)] * 3]),
            headers={"content-type": "multipart/form-data; boundary=x"},
        ),
        413,
        "payload_too_large",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_a_problem_document(client: httpx2.Client, library: Library, name: str) -> None:
    case, status, code = REFUSED[name]
    answer = case(client)
    assert (answer.status_code, answer.json().get("code")) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body.keys() >= {"type", "title", "status", "detail", "code", "instance", "request_id"}
    assert body["request_id"] == answer.headers["x-request-id"]
    assert body["status"] == status
    for secret in (str(library.folder.path), "Traceback", str(Path.home())):
        assert secret not in answer.text


def test_what_is_refused_says_what_to_do(client: httpx2.Client) -> None:
    text = client.post("/v1/documents", files={"file": b"words"}).json()["detail"]
    assert "type that is not known" in text
    assert "PDF" in text
    assert client.get("/v1/v1/documents").json()["detail"].startswith("There is nothing at /v1/v1/documents; /docs")


def test_pages_of_this_machine_may_ask(client) -> None:
    assert client.post("/v1/search", json={"query": "fuel"}, headers={"origin": "http://localhost:8000"}).is_success


def test_every_answer_carries_the_strict_headers_and_a_request_id(client) -> None:
    for path in ("/healthz", "/v1/nothing", "/v1/collections", "/openapi.json"):
        answer = client.get(path, headers={"x-request-id": "mine-1"})
        assert answer.headers["x-request-id"] == "mine-1"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in answer.headers
    assert client.get("/healthz", headers={"x-request-id": "no spaces"}).headers["x-request-id"].startswith("req_")
