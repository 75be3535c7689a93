"""Documents from URLs over HTTP, from a server on this machine that passes for a public one."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest

from folioscope.settings import load_settings
from ingest import Library
from tests.api.test_fetch import listening, network, replying
from tests.support.serving import finished, serving


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    settings = {
        "data_dir": tmp_path_factory.mktemp("data"),
        "channels": "lexical",
        "fetch_urls": True,
        "max_file_mb": 1,
    }
    with Library(settings=load_settings({**settings, "model": "extractive"})) as opened:
        yield opened


@pytest.fixture(scope="module")
def client(library: Library) -> Iterator[httpx2.Client]:
    with serving(library) as found:
        yield found


def test_a_document_from_a_url_and_again_as_a_new_version(client, make_pdf) -> None:
    old, new = (make_pdf(f"{n}.pdf", [f"Number {n} of the herons."]).read_bytes() for n in range(2))
    asked = {"url": "http://files.example/reports/the%20herons.pdf#page=2", "metadata": {"year": 2025}}
    with listening(replying("200 OK", old)) as port:
        client.app.state.service.network = network(port)
        made = client.post("/v1/documents", json=asked)
        assert made.status_code == 202, made.text
        assert finished(client, made.json()["job"])["ready"] == 1
        again = client.post("/v1/documents", json=asked)
        assert (again.status_code, again.json()["duplicate"]) == (200, True)
    document = made.json()["document"]
    assert (document["filename"], document["metadata"]) == ("the herons.pdf", {"year": 2025})
    with listening(replying("200 OK", new)) as port:
        client.app.state.service.network = network(port)
        changed = client.post("/v1/documents", json=asked).json()
        finished(client, changed["job"])
    assert changed["document"]["id"] == document["id"]
    assert client.get(f"/v1/documents/{document['id']}").json()["version"] == 2


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"url": "http://127.0.0.1/"}, 422, "url_unfetchable"),
        ({"url": "file:///etc/passwd"}, 422, "url_unfetchable"),
        ({"url": "http://words.example/"}, 415, "unsupported_media_type"),
        ({}, 422, "request_invalid"),
        ({"url": "http://x.example/", "proxy": "y"}, 422, "request_invalid"),
        ({"url": "http://x.example/\0"}, 422, "request_invalid"),
        ({"url": "x" * 70_000}, 413, "payload_too_large"),
    ],
)
def test_what_is_not_fetched(client, body, status, code) -> None:
    with listening(replying("200 OK", b"only words")) as port:
        client.app.state.service.network = network(port, {"127.0.0.1": ["127.0.0.1"]})
        answer = client.post("/v1/documents", json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_file_that_is_too_large_is_refused(client) -> None:
    with listening(replying("200 OK", b"%PDF-" + bytes(1 << 20))) as port:
        client.app.state.service.network = network(port)
        assert client.post("/v1/documents", json={"url": "http://big.example/"}).status_code == 413
