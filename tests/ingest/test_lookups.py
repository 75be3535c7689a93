"""What a server asks the catalog, on SQLite and on Postgres."""

from __future__ import annotations

import pytest

from folioscope.domain import Problem
from folioscope.errors import CollectionExists
from ingest import lookups
from ingest.catalog import Catalog, Collection
from ingest.database import Database
from ingest.lookups import documents, rename


@pytest.fixture
def catalog(database_url):
    database = Database(database_url)
    yield Catalog(database)
    database.close()


@pytest.fixture
def collection(catalog: Catalog) -> Collection:
    """Four documents: one ready with a newer version that failed, two queued, one failed."""
    made = catalog.create_collection("library", {"lexical": "lexical"})
    job = catalog.create_job("ingest", made.id)

    def register(name: str, **more):
        return catalog.register(made, job, filename=name, source=name, sha256=None, size=0, **more)

    ready = register("Ready 100%.pdf", metadata={"year": 2024, "final": True})
    catalog.ready(ready.document_id, 1)
    catalog.failed(ready.document_id, register("Ready 100%.pdf").version, Problem("document_corrupt", "!"))
    register("queued.pdf", metadata={"year": 2024, "final": 1})
    register("queued too.pdf")
    failed = register("failed.pdf")
    catalog.failed(failed.document_id, 1, Problem("document_empty", "!"))
    return made


def test_documents_are_chosen_by_what_they_are_now(catalog, collection) -> None:
    def found(**asked) -> list[str]:
        shown, more = documents(catalog, collection, 10, None, **asked)
        assert not more
        return sorted(each.filename for each in shown)

    assert len(found()) == 4
    assert found(status="ready") == ["Ready 100%.pdf"]
    assert found(status="failed") == ["failed.pdf"]
    assert found(status="queued") == ["queued too.pdf", "queued.pdf"]
    assert found(name="READY") == ["Ready 100%.pdf"]
    assert found(name="0%") == ["Ready 100%.pdf"]
    assert found(name="y%1") == []
    assert found(metadata={"year": 2024}) == ["Ready 100%.pdf", "queued.pdf"]
    assert found(metadata={"final": True}) == ["Ready 100%.pdf"]
    assert found(metadata={"year": 2024}, status="queued", name="q") == ["queued.pdf"]


def test_a_chosen_list_goes_on_where_it_left_off(catalog, collection) -> None:
    first, more = documents(catalog, collection, 1, None, metadata={"year": 2024})
    assert more
    rest, more = documents(catalog, collection, 1, first[0].id, metadata={"year": 2024})
    assert not more
    assert {first[0].filename, rest[0].filename} == {"Ready 100%.pdf", "queued.pdf"}


def test_two_collections_never_have_one_name(catalog, collection) -> None:
    catalog.create_collection("taken", {"lexical": "lexical"})
    with pytest.raises(CollectionExists):
        rename(catalog, collection, "taken")
    rename(catalog, collection, "archive")
    assert catalog.collection("archive").id == collection.id


def test_a_job_that_is_done_shows_no_document_that_is_not(catalog, monkeypatch) -> None:
    made = catalog.create_collection("one", {"lexical": "lexical"})
    job = catalog.create_job("ingest", made.id)
    entry = catalog.register(made, job, filename="a.pdf", source="a.pdf", sha256=None, size=0)
    states = lookups._states

    def meanwhile(db, rows):
        catalog.failed(entry.document_id, 1, Problem("document_empty", "!"))
        return states(db, rows)

    monkeypatch.setattr(lookups, "_states", meanwhile)
    found = lookups.job(catalog, job)
    assert found.counts == {"failed": 1}
    assert [each.problem for each in found.documents] == [Problem("document_empty", "!")]
    assert [each.state for each in catalog.jobs()] == ["done"]
