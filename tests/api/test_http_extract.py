"""Whole documents over HTTP, read by a vendor's model: fields, summaries, labels, comparisons."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from folioscope.settings import load_settings
from ingest import Library
from tests.support.answering import MODEL, reading_server, taken_in
from tests.support.serving import serving
from tests.support.vendors import Vendors

pytest.importorskip("openai", reason="needs the extra: pip install 'folioscope[openai]'")

SCHEMA = {
    "type": "object", "properties": {"number": {"type": "string"}, "total": {"type": "number"}}, "required": ["number"],
}  # fmt: skip


@pytest.fixture(scope="module")
def vendors() -> Iterator[Vendors]:
    with Vendors() as server:
        yield server
        assert server.complaints == []


@pytest.fixture(scope="module")
def served(vendors: Vendors, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Library, httpx2.Client]]:
    with reading_server(vendors, tmp_path_factory.mktemp("data")) as found:
        yield found


@pytest.fixture(scope="module")
def client(served: tuple[Library, httpx2.Client]) -> httpx2.Client:
    return served[1]


@pytest.fixture(scope="module")
def invoices(client: httpx2.Client, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("pdf")
    return [
        taken_in(client, folder, "a.pdf", "Invoice 4711 of Kiln and Sons", "The total is 35.50 crowns."),
        taken_in(client, folder, "b.pdf", "Invoice 4712 of the harbour", "The total is 41 crowns."),
    ]


def test_fields_come_with_their_citations(client, invoices, vendors) -> None:
    evidence = [
        {"field": "/number", "page": 1, "quote": "Invoice 4711"},
        {"field": "/total", "page": 2, "quote": "total is 35.50 crowns"},
    ]
    vendors.reply = json.dumps({"data": {"number": "4711", "total": 35.5}, "evidence": evidence})
    found = client.post("/v1/extract", json={"document": invoices[0], "schema": SCHEMA})
    assert found.status_code == 200, found.text
    body = found.json()
    assert body["data"] == {"number": "4711", "total": 35.5}
    assert (body["problems"], body["unsupported"], body["model"]) == ([], [], MODEL)
    total = body["citations"][body["fields"]["/total"] - 1]
    assert (total["page"], total["quote_status"], total["document"]["filename"]) == (2, "exact", "a.pdf")
    assert client.get(total["image_url"]).status_code == 200
    assert len(vendors.asked[-1].pictures) == 2


def test_only_some_pages(client, invoices, vendors) -> None:
    evidence = [{"field": "/total", "page": 1, "quote": "total is 35.50 crowns"}]
    vendors.reply = json.dumps({"data": {"total": 35.5}, "evidence": evidence})
    body = client.post("/v1/extract", json={"document": invoices[0], "schema": SCHEMA, "pages": [2]}).json()
    assert len(vendors.asked[-1].pictures) == 1
    assert body["citations"][0]["page"] == 2
    assert "number" in body["problems"][0]
    lost = client.post("/v1/extract", json={"document": invoices[0], "schema": SCHEMA, "pages": [3]})
    assert (lost.status_code, lost.json()["code"]) == (404, "document_not_found")


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "objekt"},
        {"type": "string", "pattern": "(a+)+$"},
        {"properties": {"x": {"$ref": "#/$defs/none"}}},
        {"$ref": "https://example.com/schema"},
        {"properties": {"x": {"$ref": "#"}}},
        json.loads('{"not": ' * 300 + "{}" + "}" * 300),
    ],
)
def test_a_schema_that_is_none_is_said_before_the_model_is_asked(client, invoices, vendors, schema) -> None:
    before = len(vendors.asked)
    refused = client.post("/v1/extract", json={"document": invoices[0], "schema": schema})
    assert (refused.status_code, refused.json()["code"]) == (422, "query_invalid")
    assert len(vendors.asked) == before


def test_a_summary_a_label_and_a_comparison(client, invoices, vendors) -> None:
    evidence = [{"page": 2, "quote": "The total is 35.50 crowns"}]
    vendors.reply = json.dumps({"claims": [{"text": "It is over 35.50 crowns.", "evidence": evidence}]})
    summary = client.post("/v1/summarize", json={"document": invoices[0]}).json()
    assert (summary["text"], summary["segments"][0]["citations"]) == ("It is over 35.50 crowns.", [1])

    vendors.reply = json.dumps({"label": "invoice", "reason": "It has a total.", "evidence": evidence})
    labels = {"document": invoices[0], "labels": ["invoice", "letter"]}
    label = client.post("/v1/classify", json=labels).json()
    assert (label["label"], label["citations"][0]["quote_status"]) == ("invoice", "exact")
    refused = client.post("/v1/classify", json={**labels, "labels": ["same", "same"]})
    assert (refused.status_code, refused.json()["code"]) == (422, "query_invalid")

    second = {"text": "41", "evidence": [{"page": 4, "quote": "The total is 41 crowns"}]}
    differences = [{"topic": "total", "first": {"text": "35.50", "evidence": evidence}, "second": second}]
    vendors.reply = json.dumps({"summary": "Two invoices.", "similarities": [], "differences": differences})
    sides = {side: {"document": document} for side, document in zip(("first", "second"), invoices, strict=True)}
    compared = client.post("/v1/compare", json=sides).json()
    assert [each["filename"] for each in compared["documents"]] == ["a.pdf", "b.pdf"]
    assert [each["document"]["filename"] for each in compared["citations"]] == ["a.pdf", "b.pdf"]
    assert compared["differences"][0]["second"]["citations"] == [2]


def test_a_document_that_was_not_read_is_none_to_read(client, served) -> None:
    library, _ = served
    collection = library.collection()
    job = library.catalog.create_job("ingest", collection.id)
    made = library.catalog.register(collection, job, filename="x.pdf", source="x", sha256=None, size=0)
    refused = client.post("/v1/summarize", json={"document": made.document_id})
    assert (refused.status_code, "queued" in refused.json()["detail"]) == (422, True)
    library.cancel(job)


def test_without_the_extra_it_says_what_to_install(client, invoices, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    refused = client.post("/v1/extract", json={"document": invoices[0], "schema": SCHEMA})
    assert (refused.status_code, refused.json()["code"]) == (422, "extra_missing")
    assert "folioscope[extract]" in refused.json()["detail"]


def test_a_model_that_reads_words_alone_is_said_to_be_none(tmp_path: Path) -> None:
    settings = load_settings({"data_dir": tmp_path, "channels": "lexical", "model": "extractive"})
    with Library(settings=settings) as library, serving(library) as client:
        collection = library.create_collection()
        job = library.catalog.create_job("ingest", collection.id)
        made = library.catalog.register(collection, job, filename="x.pdf", source="x", sha256=None, size=0)
        library.catalog.ready(made.document_id, made.version)
        bodies: dict[str, dict[str, Any]] = {"extract": {"schema": SCHEMA}, "summarize": {}}
        for path, more in bodies.items():
            refused = client.post(f"/v1/{path}", json={"document": made.document_id, **more})
            assert (refused.status_code, refused.json()["code"]) == (422, "vision_model_needed")
            assert "vision-language model" in refused.json()["detail"]
