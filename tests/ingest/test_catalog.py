"""The catalog's promises, on SQLite and on Postgres."""

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from folioscope.domain import Coverage, Page, PageKey, Problem, Words
from folioscope.errors import (
    CollectionNotFound,
    ConfigError,
    DocumentNotFound,
    NotFoundError,
    QueryError,
    StorageError,
)
from ingest import lookups
from ingest.catalog import Catalog, Collection, Registered
from ingest.database import Database
from ingest.migrate import FIRST_TABLES, VERSION_TABLE
from ingest.page_store import CollectionPages
from ingest.schema import metadata


def words(*texts: str) -> Words:
    numbers = np.arange(len(texts), dtype=np.int32)
    boxes = np.tile(np.array([0.1, 0.1, 0.2, 0.2], np.float32), (len(texts), 1))
    return Words(texts, boxes, numbers, numbers, "text-layer")


def page(number: int, *texts: str, problem: Problem | None = None) -> Page:
    return Page(number, 600.0, 800.0, words(*texts) if texts else Words.empty(), problem=problem)


@pytest.fixture
def catalog(database_url: str) -> Iterator[Catalog]:
    database = Database(database_url)
    yield Catalog(database)
    database.close()


@pytest.fixture
def reports(catalog: Catalog) -> Collection:
    return catalog.create_collection("reports", {"semantic": "semantic", "lexical": "lexical"})


def register(catalog: Catalog, collection: Collection, source: str, sha256: str, **more) -> Registered:
    job = catalog.create_job("ingest", collection.id)
    name = source.rsplit("/", 1)[-1]
    return catalog.register(collection, job, filename=name, source=source, sha256=sha256, size=9, **more)


def read(catalog: Catalog, entry: Registered, *pages: Page) -> None:
    catalog.opened(entry.document_id, entry.version, len(pages))
    catalog.add_pages(entry.document_id, entry.version, pages)
    catalog.ready(entry.document_id, entry.version)


def test_immediate_channels_come_first(reports: Collection) -> None:
    assert [recipe.name for recipe in reports.channels] == ["lexical", "semantic"]


def test_an_unknown_collection_suggests_the_near_name(catalog: Catalog, reports: Collection) -> None:
    with pytest.raises(CollectionNotFound, match="Did you mean 'reports'"):
        catalog.collection("report")
    assert catalog.create_collection("reports", {"lexical": "lexical"}) == reports


def test_the_same_bytes_are_a_duplicate_and_other_bytes_of_the_same_source_a_version(
    catalog: Catalog, reports: Collection
) -> None:
    first = register(catalog, reports, "/a/report.pdf", "aa")
    assert not first.duplicate
    again = register(catalog, reports, "/b/copy.pdf", "aa")
    assert again == Registered(first.document_id, 1, duplicate=True)
    changed = register(catalog, reports, "/a/report.pdf", "bb")
    assert changed == Registered(first.document_id, 2, duplicate=False)
    elsewhere = catalog.create_collection("other", {"lexical": "lexical"})
    assert not register(catalog, elsewhere, "/a/report.pdf", "aa").duplicate


def test_files_that_cannot_be_read_are_no_duplicates_and_nothing_is_outstanding(
    catalog: Catalog, reports: Collection
) -> None:
    job = catalog.create_job("ingest", reports.id)
    unread = {"sha256": None, "size": 0, "problem": Problem("document_unreadable", "Its rights.")}
    entries = [catalog.register(reports, job, filename=name, source=name, **unread) for name in ("a.pdf", "b.pdf")]
    assert not any(entry.duplicate for entry in entries)
    assert catalog.outstanding_versions() == []
    assert {document.problem.code for document in catalog.documents(reports)} == {"document_unreadable"}


def test_the_words_of_pages_are_found_without_reading_the_whole_table(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'catalog.sqlite'}")
    catalog = Catalog(database)
    reports = catalog.create_collection("reports", {"lexical": "lexical"})
    entries = [register(catalog, reports, f"/{name}.pdf", name) for name in "abc"]
    for entry in entries:
        read(catalog, entry, *(page(number, entry.document_id, str(number)) for number in range(1, 4)))
    keys = [PageKey(entry.document_id, 1, number) for entry in entries[:2] for number in (3, 1)]
    asked: list[tuple[str, Any]] = []

    def hear(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append((statement, parameters))

    sa.event.listen(sa.Engine, "before_cursor_execute", hear)
    try:
        found = catalog.words([*keys, PageKey("doc_gone", 1, 1), keys[0]])
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", hear)
    assert {key: list(words.texts) for key, words in found.items()} == {
        key: [key.document_id, str(key.number)] for key in keys
    }
    [(statement, parameters)] = asked
    with contextlib.closing(sqlite3.connect(tmp_path / "catalog.sqlite")) as db:
        plan = [row[-1] for row in db.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]
    assert plan
    assert not any("SCAN" in step for step in plan), plan
    database.close()


def test_what_was_deleted_meanwhile_is_not_read_again(catalog: Catalog, reports: Collection) -> None:
    entry = register(catalog, reports, "/a/report.pdf", "aa")
    job = catalog.create_job("reingest", reports.id)
    again = {"sha256": "aa", "size": 9}
    assert catalog.register_again(entry.document_id, job, **again) == Registered(entry.document_id, 2, duplicate=False)
    catalog.delete(entry.document_id)
    for _ in range(2):
        with pytest.raises(DocumentNotFound):
            catalog.register_again(entry.document_id, job, **again)
        catalog.purge(entry.document_id)
    assert catalog.documents(reports) == []
    assert catalog.outstanding_versions() == []


def test_what_is_handed_in_while_its_collection_is_removed_comes_before_or_not_at_all(
    catalog: Catalog, reports: Collection
) -> None:
    entry = register(catalog, reports, "/a/report.pdf", "aa")
    assert not catalog.remove_collection(reports.id)
    assert catalog.outstanding_versions() == [(entry.document_id, 1)]
    catalog.delete(entry.document_id)
    assert catalog.remove_collection(reports.id)
    with pytest.raises(CollectionNotFound):
        register(catalog, reports, "/b/late.pdf", "bb")
    assert catalog.outstanding_versions() == []
    assert catalog.originals() == set()


def test_versions_of_one_source_that_come_at_once_come_one_after_the_other(
    catalog: Catalog, reports: Collection
) -> None:
    with ThreadPoolExecutor(8) as threads:
        entries = list(threads.map(lambda n: register(catalog, reports, "/a/report.pdf", f"{n:02x}"), range(24)))
    assert len({entry.document_id for entry in entries}) == 1
    assert sorted(entry.version for entry in entries) == list(range(1, 25))


def test_a_version_is_searched_from_the_switch_on(catalog: Catalog, reports: Collection) -> None:
    pages = CollectionPages(reports.id, catalog)
    old = register(catalog, reports, "/a/report.pdf", "aa")
    assert not pages.current([old.document_id])
    read(catalog, old, page(1, "old"))
    assert pages.current([old.document_id])[old.document_id].version == 1
    new = register(catalog, reports, "/a/report.pdf", "bb")
    catalog.opened(new.document_id, 2, 2)
    catalog.add_pages(new.document_id, 2, [page(1, "new")])
    assert pages.current([old.document_id])[old.document_id].version == 1
    assert catalog.pages_done(new.document_id, 2) == 1
    catalog.add_pages(new.document_id, 2, [page(2, "pages")])
    catalog.ready(new.document_id, 2)
    assert pages.current([old.document_id])[old.document_id].version == 2
    assert catalog.stale() == [(reports.id, old.document_id, 1)]
    assert catalog.purge(old.document_id, 1) == ["aa"]
    assert catalog.stale() == []
    assert [p.words.text() for p in catalog.pages(old.document_id, 1)] == []
    key = PageKey(old.document_id, 2, 2)
    assert catalog.words([key, PageKey(old.document_id, 1, 1)])[key].text() == "pages"


def test_a_slower_channel_that_starts_over_takes_no_page_from_who_reads(catalog: Catalog, reports: Collection) -> None:
    entry = register(catalog, reports, "/a/report.pdf", "aa")
    catalog.opened(entry.document_id, 1, 2)
    catalog.add_pages(entry.document_id, 1, [page(1, "half")])
    catalog.fills.reset(reports.id, "semantic", immediate=False)
    assert catalog.pages_done(entry.document_id, 1) == 1
    catalog.fills.reset(reports.id, "lexical")
    assert catalog.pages_done(entry.document_id, 1) == 0


def test_a_failed_version_leaves_the_ready_one(catalog: Catalog, reports: Collection) -> None:
    old = register(catalog, reports, "/a/report.pdf", "aa")
    read(catalog, old, page(1, "old"))
    new = register(catalog, reports, "/a/report.pdf", "bb")
    catalog.failed(new.document_id, new.version, Problem("document_corrupt", "broken"))
    document = catalog.document(reports, "report.pdf")
    assert (document.status, document.version) == ("ready", 1)
    row = catalog.version(new.document_id, 2)
    assert row is not None
    assert (row.status, row.problem) == ("failed", Problem("document_corrupt", "broken"))
    retried = register(catalog, reports, "/a/report.pdf", "bb")
    assert (retried.version, retried.duplicate) == (3, False)


def test_coverage_counts_current_versions_and_what_is_outstanding(catalog: Catalog, reports: Collection) -> None:
    entry = register(catalog, reports, "/a/report.pdf", "aa")
    assert catalog.outstanding_versions() == [(entry.document_id, 1)]
    read(catalog, entry, page(1, "a"), page(2, "b"), page(3, problem=Problem("parser_timeout", "slow")))
    assert catalog.outstanding_versions() == []
    assert catalog.fills.outstanding() == [(entry.document_id, 1, "semantic", reports.id)]
    assert catalog.fills.coverage(reports.id) == {"lexical": Coverage(3, 3), "semantic": Coverage(0, 3)}
    catalog.fills.advance(entry.document_id, 1, "semantic", 2)
    assert catalog.fills.done(entry.document_id, 1, "semantic") == 2
    document = catalog.documents(reports)[0]
    assert document.coverage["semantic"] == Coverage(2, 3)
    assert (document.pages, document.page_problems) == (3, 1)
    assert [note.number for note in catalog.page_notes(entry.document_id, 1)] == [3]
    catalog.fills.advance(entry.document_id, 1, "semantic", 3)
    assert catalog.fills.outstanding() == []


def test_deleting_hides_at_once_and_purging_leaves_no_row(catalog: Catalog, reports: Collection) -> None:
    pages = CollectionPages(reports.id, catalog)
    entry = register(catalog, reports, "/a/report.pdf", "aa")
    read(catalog, entry, page(1, "secret"))
    assert pages.current([entry.document_id])
    catalog.delete(entry.document_id)
    assert not pages.current([entry.document_id])
    assert catalog.version(entry.document_id, 1) is None
    assert catalog.stale() == [(reports.id, entry.document_id, None)]
    assert catalog.purge(entry.document_id) == ["aa"]
    assert catalog.stale() == []
    assert catalog.words([PageKey(entry.document_id, 1, 1)]) == {}
    with pytest.raises(DocumentNotFound):
        catalog.document(reports, "report.pdf")


def test_an_original_stays_while_another_document_has_the_same_bytes(catalog: Catalog, reports: Collection) -> None:
    entry = register(catalog, reports, "/a/report.pdf", "aa")
    elsewhere = catalog.create_collection("other", {"lexical": "lexical"})
    register(catalog, elsewhere, "/a/report.pdf", "aa")
    catalog.delete(entry.document_id)
    assert catalog.purge(entry.document_id) == []


def test_documents_are_found_by_id_name_and_near_name(catalog: Catalog, reports: Collection) -> None:
    entry = register(catalog, reports, "/a/report.pdf", "aa")
    assert catalog.document(reports, entry.document_id).filename == "report.pdf"
    with pytest.raises(DocumentNotFound, match=r"Did you mean 'report\.pdf'"):
        catalog.document(reports, "reprot.pdf")
    register(catalog, reports, "/b/report.pdf", "bb")
    with pytest.raises(DocumentNotFound, match="2 documents"):
        catalog.document(reports, "report.pdf")


def test_what_has_a_nul_is_not_found_and_no_fault_of_the_database(catalog: Catalog) -> None:
    for look in (lookups.document, lookups.job):
        with pytest.raises((QueryError, NotFoundError)):
            look(catalog, "doc_\x00")


def test_jobs_tell_how_far_they_are(catalog: Catalog, reports: Collection) -> None:
    entry = register(catalog, reports, "/a/report.pdf", "aa")
    (job,) = catalog.jobs()
    assert (job.state, job.outstanding, job.ready) == ("running", 1, 0)
    read(catalog, entry, page(1, "a"))
    assert catalog.jobs()[0].state == "filling"
    catalog.fills.advance(entry.document_id, 1, "semantic", 1)
    (job,) = catalog.jobs()
    assert (job.state, job.outstanding, job.ready) == ("done", 0, 1)
    assert catalog.cancel_job(job.id) == []
    assert catalog.jobs()[0].state == "done"  # there was nothing to give up any more
    catalog.failed(entry.document_id, 1, Problem("document_corrupt", "said by a process that was taken for dead"))
    assert catalog.jobs()[0].ready == 1
    assert catalog.pages_done(entry.document_id, 1) == 1


def test_what_is_written_survives_closing(database_url: str) -> None:
    first = Catalog(Database(database_url))
    collection = first.create_collection("kept", {"lexical": "lexical"})
    entry = register(first, collection, "/a/b.pdf", "cc", metadata={"year": 2024, "draft": False})
    read(first, entry, page(1, "kept", "words"))
    first.database.close()
    second = Catalog(Database(database_url))
    document = second.document(second.collection("kept"), entry.document_id)
    assert document.metadata == {"year": 2024, "draft": False}
    assert second.pages(entry.document_id, 1)[0].words.text() == "kept\nwords"
    second.database.close()


def test_who_reads_does_not_wait_for_those_who_wait_to_write(tmp_path) -> None:
    catalog = Catalog(Database(f"sqlite:///{tmp_path / 'catalog.sqlite'}"))
    reports = catalog.create_collection("reports", {"lexical": "lexical"})
    other = sqlite3.connect(tmp_path / "catalog.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(30) as threads:
        jobs = [threads.submit(catalog.create_job, "ingest", reports.id) for _ in range(30)]
        until = time.monotonic() + 20
        while catalog.database._engine.pool.checkedout() < 30:
            assert time.monotonic() < until
            time.sleep(0.01)
        assert catalog.collections() == [reports]
        other.execute("ROLLBACK")
        assert len({job.result() for job in jobs}) == 30
    other.close()
    catalog.database.close()


def test_a_database_that_is_none(tmp_path) -> None:
    (tmp_path / "broken.sqlite").write_bytes(b"this is not a database, it is a sentence" * 100)
    with pytest.raises(StorageError, match="database failed"):
        Database(f"sqlite:///{tmp_path / 'broken.sqlite'}")


@pytest.mark.parametrize(
    "url", ["mysql://x/y", "postgres://x/y", "garbage", "postgresql+psycopg://x@y:secret/z"], ids=str.__len__
)
def test_a_database_url_that_is_none(url: str) -> None:
    with pytest.raises(ConfigError, match="The database URL can't be used") as refused:
        Database(url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("change", ["ALTER TABLE channels DROP COLUMN active", "DROP TABLE channels"])
def test_tables_of_another_version_are_refused_and_stay(database_url: str, change: str) -> None:
    database = Database(database_url)
    with database.write() as db:
        db.execute(sa.text(change))
        db.execute(sa.text(f"DROP TABLE {VERSION_TABLE}"))  # as before there were revisions
        for table in reversed(metadata.sorted_tables):
            if table.name not in FIRST_TABLES:
                db.execute(sa.text(f"DROP TABLE {table.name}"))
    with pytest.raises(StorageError, match=r"another version of Folioscope.*'channels'") as caught:
        Database(database_url)
    assert "FOLIOSCOPE_DATA_DIR" in caught.value.hint
    with database.read() as db:
        assert db.execute(sa.text("SELECT count(*) FROM documents")).scalar_one() == 0
        assert sa.inspect(db).has_table("channels") == change.startswith("ALTER")
    database.close()


def test_who_reads_does_not_wait_for_who_writes(catalog: Catalog, reports: Collection) -> None:
    with catalog.database.write() as db:
        db.execute(sa.text("UPDATE collections SET created = 'now'"))
        assert catalog.collection("reports").created == reports.created  # by another connection
    assert catalog.collection("reports").created == "now"
