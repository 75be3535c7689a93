"""Documents over HTTP beyond handing them in: reading them again, finding them in a list, deleting several."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from folioscope.settings import load_settings
from ingest import Library
from tests.support.serving import finished, serving, upload


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    settings = {"data_dir": tmp_path_factory.mktemp("data"), "channels": "lexical", "model": "extractive"}
    with Library(settings=load_settings(settings)) as opened:
        opened.create_collection()
        yield opened


@pytest.fixture(scope="module")
def client(library: Library) -> Iterator[httpx2.Client]:
    with serving(library) as found:
        yield found


def taken(client: httpx2.Client, path: Any, **fields: Any) -> dict[str, Any]:
    """The document, read."""
    made = upload(client, path, **fields).json()
    finished(client, made["job"])
    return dict(client.get(f"/v1/documents/{made['document']['id']}").json())


def test_a_document_is_read_again_as_a_new_version(client, make_pdf) -> None:
    first = taken(client, make_pdf("again.pdf", ["Herons stand."]))
    answer = client.post(f"/v1/documents/{first['id']}/reingest")
    assert answer.status_code == 202
    assert answer.json()["version"] == 2
    assert answer.headers["location"] == f"/v1/jobs/{answer.json()['job']}"
    done = finished(client, answer.json()["job"])
    assert (done["kind"], done["ready"]) == ("reingest", 1)
    assert client.get(f"/v1/documents/{first['id']}").json()["version"] == 2
    (hit,) = client.post("/v1/search", json={"query": "herons"}).json()["hits"]
    assert hit["version"] == 2


def test_an_encrypted_document_is_read_with_the_password_that_is_sent_later(client, tmp_path) -> None:
    import pymupdf

    path = tmp_path / "locked.pdf"
    with pymupdf.open() as pdf:
        pdf.new_page().insert_text((40, 60), "The vault opens at nine.")
        pdf.save(path, encryption=pymupdf.PDF_ENCRYPT_AES_256, user_pw="sesame", owner_pw="sesame")
    locked = taken(client, path)
    assert (locked["status"], locked["error"]["code"]) == ("failed", "document_encrypted")
    again = client.post(f"/v1/documents/{locked['id']}/reingest", json={"password": "sesame"}).json()
    assert finished(client, again["job"])["ready"] == 1
    assert client.get(f"/v1/documents/{locked['id']}").json()["status"] == "ready"


def test_a_document_whose_original_was_never_stored_is_not_read_again(client, library) -> None:
    collection = library.collection()
    job = library.catalog.create_job("ingest", collection.id)
    entry = library.catalog.register(collection, job, filename="lost.pdf", source="lost", sha256=None, size=0)
    library.cancel(job)
    answer = client.post(f"/v1/documents/{entry.document_id}/reingest")
    assert (answer.status_code, answer.json()["code"]) == (404, "document_not_found")
    client.delete(f"/v1/documents/{entry.document_id}")


def test_a_list_holds_what_was_asked_for(client, make_pdf, tmp_path) -> None:
    client.post("/v1/collections", json={"name": "listed"})
    for year in (2023, 2024, 2025):
        path = make_pdf(f"Report 100%_{year}.pdf", [f"Year {year}"])
        finished(client, upload(client, path, "listed", metadata=f'{{"year": {year}, "kind": "report"}}').json()["job"])
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.7\nnothing else")
    finished(client, upload(client, tmp_path / "broken.pdf", "listed").json()["job"])

    def found(**asked: Any) -> list[str]:
        answer = client.get("/v1/documents", params={"collection": "listed", **asked})
        assert answer.status_code == 200, answer.text
        return sorted(each["filename"] for each in answer.json()["data"])

    assert len(found()) == 4
    assert found(status="failed") == ["broken.pdf"]
    assert len(found(status="ready")) == 3
    assert found(q="100%_") == [f"Report 100%_{year}.pdf" for year in (2023, 2024, 2025)]
    assert found(q="BROKEN") == ["broken.pdf"]
    assert found(q="%x") == []
    assert found(metadata='{"year": 2024}') == ["Report 100%_2024.pdf"]
    assert found(metadata='{"kind": "report"}', status="failed") == []
    page = client.get("/v1/documents", params={"collection": "listed", "metadata": '{"kind": "report"}', "limit": 2})
    assert page.json()["has_more"] is True
    assert len(found(metadata='{"kind": "report"}', limit=2, after=page.json()["last_id"])) == 1
    for wrong in ({"status": "gone"}, {"metadata": "[1]"}, {"metadata": "{"}, {"q": "x" * 256}):
        assert client.get("/v1/documents", params={"collection": "listed", **wrong}).status_code == 422


def test_several_are_deleted_or_none(client, make_pdf) -> None:
    ids = [taken(client, make_pdf(f"several-{n}.pdf", [f"Number {n}"]))["id"] for n in range(3)]
    unknown = client.post("/v1/documents/delete", json={"documents": [*ids, "doc_0"]})
    assert unknown.status_code == 404
    assert client.get(f"/v1/documents/{ids[0]}").status_code == 200
    assert client.post("/v1/documents/delete", json={"documents": [*ids[:2], ids[0]]}).json() == {"deleted": ids[:2]}
    assert [client.get(f"/v1/documents/{each}").status_code for each in ids] == [404, 404, 200]
    assert client.post("/v1/documents/delete", json={"documents": []}).status_code == 422


def test_pages_that_could_not_be_read_are_listed_alone(client, make_pdf, library) -> None:
    whole = taken(client, make_pdf("whole.pdf", ["One", "Two"]))
    assert client.get(f"/v1/documents/{whole['id']}/errors").json()["data"] == []
    from ingest import schema as t

    with library.catalog.database.write() as db:  # no file breaks one page alone on every machine
        page = (t.pages.c.document_id == whole["id"]) & (t.pages.c.number == 2)
        db.execute(t.pages.update().where(page).values(code="parser_timeout", message="It took too long."))
    (told,) = client.get(f"/v1/documents/{whole['id']}/errors").json()["data"]
    assert told == {"page": 2, "error": {"code": "parser_timeout", "message": "It took too long."}}


def test_a_collection_gets_another_name_and_keeps_its_id(client) -> None:
    made = client.post("/v1/collections", json={"name": "before"}).json()
    client.post("/v1/collections", json={"name": "taken"})
    renamed = client.patch("/v1/collections/before", json={"name": "after"}).json()
    assert (renamed["id"], renamed["name"]) == (made["id"], "after")
    assert client.get("/v1/collections/before").status_code == 404
    clash = client.patch("/v1/collections/after", json={"name": "taken"})
    assert (clash.status_code, clash.json()["code"]) == (409, "collection_exists")
    assert client.patch("/v1/collections/after", json={"name": "../x"}).status_code == 422
