"""What a server asks the catalog, on SQLite and on Postgres."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from folioscope.domain import Problem
from folioscope.errors import CollectionExists
from ingest.catalog import Catalog, Collection
from ingest.database import Database
from ingest.lookups import documents, job, rename


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
    catalog.failed(ready.document_id, register("Ready 100%.pdf", again=True).version, Problem("document_corrupt", "!"))
    register("queued.pdf", again=True, metadata={"year": 2024, "final": 1})
    register("queued too.pdf", again=True)
    failed = register("failed.pdf", again=True)
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


def test_a_job_that_is_over_has_no_document_that_is_not(catalog, database_url) -> None:
    made = catalog.create_collection("reports", {"lexical": "lexical"})
    other = Catalog(Database(database_url))
    torn = []
    try:
        for moment in range(1, 7):  # the document becomes ready behind one of the statements by which the job is read
            task = catalog.create_job("ingest", made.id)
            name = f"{moment}.pdf"
            entry = catalog.register(made, task, filename=name, source=name, sha256=name, size=9)
            catalog.opened(entry.document_id, 1, 1)
            seen = 0

            def interfere(*_: Any, moment: int = moment, document_id: str = entry.document_id) -> None:
                nonlocal seen
                seen += 1
                if seen == moment:
                    other.ready(document_id, 1)

            sa.event.listen(catalog.database._engine, "after_cursor_execute", interfere)
            state = job(catalog, task)
            sa.event.remove(catalog.database._engine, "after_cursor_execute", interfere)
            torn += [moment] * ("processing" not in state.counts and state.documents[0].status == "processing")
            assert job(catalog, task).documents[0].status == "ready" or seen < moment
    finally:
        other.database.close()
    assert not torn
