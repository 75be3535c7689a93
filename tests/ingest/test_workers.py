"""Several processes on one catalog: Postgres, a server of vectors and a shared folder of originals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from folioscope.domain import Page, PageKey, Words
from folioscope.errors import ConfigError, StorageError
from folioscope.settings import Settings
from ingest import Library
from ingest.catalog import Catalog, Overtaken
from ingest.database import Database
from ingest.recipes import ChannelEntry
from tests.support.qdrant import QdrantServer, serving

MakePdf = Callable[..., Path]
WORKER = [sys.executable, "-c", "from api.cli.main import main; main()", "worker", "-q"]

pytestmark = [
    pytest.mark.filterwarnings("ignore:Payload indexes have no effect in the local Qdrant:UserWarning"),
]


@pytest.fixture
def qdrant() -> Iterator[QdrantServer]:
    with serving() as made:
        yield made


@pytest.fixture
def place(tmp_path: Path, postgres_url: str, qdrant: QdrantServer) -> Callable[..., Settings]:
    """Settings of a process of that name."""

    def of(name: str, **more: Any) -> Settings:
        return Settings(
            data_dir=tmp_path / name,
            **{
                "database_url": postgres_url,
                "qdrant_url": qdrant.url,
                "files_url": f"file://{tmp_path}/originals",
                "channels": ("lexical",),
                "workers": 1,
                **more,
            },
        )

    return of


def environment(settings: Settings) -> dict[str, str]:
    names = ("data_dir", "database_url", "qdrant_url", "files_url", "workers")
    return {
        **os.environ,
        **{f"FOLIOSCOPE_{name.upper()}": str(getattr(settings, name)) for name in names},
        "FOLIOSCOPE_CHANNELS": ",".join(settings.channels),
    }


@contextmanager
def worker(settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(WORKER, env=environment(settings), stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            said = process.communicate(timeout=60)[1].decode()
    assert "Traceback" not in said, said


def until(done: Callable[[], bool], seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def workflows(url: str, name: str) -> list[Any]:
    engine = sa.create_engine(url)
    with engine.connect() as db:
        query = sa.text("SELECT workflow_uuid, status, executor_id FROM dbos.workflow_status WHERE name = :name")
        rows = db.execute(query, {"name": name}).all()
    engine.dispose()
    return list(rows)


def test_two_workers_read_each_document_once(
    tmp_path: Path, make_pdf: MakePdf, place: Callable[..., Settings], postgres_url: str, qdrant: QdrantServer
) -> None:
    paths = [make_pdf(f"d{n}.pdf", [f"common d{n}p{p}x" for p in (1, 2)]) for n in range(12)]
    with Library(settings=place("front", run_jobs=False)) as front:
        target = front.create_collection()
        front.start()
        with worker(place("one")), worker(place("two")):
            until(lambda: len(workers_of(front)) == 3)
            for path in paths:
                job = front.catalog.create_job("ingest", target.id)
                front._intake.take(path, target, job, password=None, metadata=None)
            until(lambda: not front.catalog.outstanding_versions())
            retriever = front.retriever()
            (hit,) = retriever.search("d7p2x").hits  # in a process that wrote none of it
            assert (hit.document.filename, hit.page) == ("d7.pdf", 2)
            front.remove("d7.pdf")
            assert not retriever.search("d7p2x").hits
        assert {document.status for document in front.documents()} == {"ready"}
        assert sum(qdrant.collections().values()) == 2 * 11
    done = workflows(postgres_url, "read_document")
    assert Counter(row.status for row in done) == {"SUCCESS": 12}
    assert len({row.executor_id for row in done}) == 2  # both had their share


def workers_of(library: Library) -> set[int]:
    """Processes that take part in the catalog."""
    with library.catalog.database.read() as db:
        query = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ShareLock'"
        return set(db.execute(sa.text(query)).scalars())


@pytest.mark.slow
def test_what_a_killed_worker_left_is_taken_over(
    tmp_path: Path, make_pdf: MakePdf, place: Callable[..., Settings], qdrant: QdrantServer
) -> None:
    path = make_pdf("long.pdf", [f"common words and p{p}x" for p in range(1, 1201)])
    with Library(settings=place("front", run_jobs=False)) as front:
        target = front.create_collection()
        front.start()
        with worker(place("one")) as first:
            job = front.catalog.create_job("ingest", target.id)
            entry = front._intake.take(path, target, job, password=None, metadata=None)
            until(lambda: front.catalog.pages_done(entry.document_id, 1) > 0)
            first.kill()
            first.wait()
            before = front.catalog.pages_done(entry.document_id, 1)
            assert 0 < before < 1200
            with worker(place("two")):
                until(lambda: not front.catalog.outstanding_versions())
        pages = front.catalog.pages(entry.document_id, 1)
        assert [page.number for page in pages] == list(range(1, 1201))
        assert sum(qdrant.collections().values()) == 1200


def test_a_slower_channel_is_filled_once_by_two_workers(
    tmp_path: Path, make_pdf: MakePdf, place: Callable[..., Settings], qdrant: QdrantServer
) -> None:
    both = {"channels": ("lexical", "semantic")}
    paths = [make_pdf(f"d{n}.pdf", [f"d{n} page {p}" for p in (1, 2, 3)]) for n in range(8)]
    with Library(settings=place("front", run_jobs=False, **both)) as front:
        target = front.create_collection()
        front.start()
        with worker(place("one", **both)), worker(place("two", **both)):
            for path in paths:
                job = front.catalog.create_job("ingest", target.id)
                front._intake.take(path, target, job, password=None, metadata=None)
            until(lambda: not front.catalog.outstanding_versions() and not front.catalog.fills.outstanding())
        assert sorted(qdrant.collections().values()) == [24, 24]
        coverage = front.catalog.fills.coverage(target.id)
        assert {(share.done, share.total) for share in coverage.values()} == {(24, 24)}


def test_channels_that_another_process_adds_or_removes_are_followed(
    make_pdf: MakePdf, place: Callable[..., Settings]
) -> None:
    with Library(settings=place("one")) as first, Library(settings=place("two")) as second:
        first.ingest([make_pdf("a.pdf", ["The lamp is lit."])])
        retriever = second.retriever()
        assert len(retriever.search("lamp").hits) == 1
        entry = first.add_channel(None, "semantic")
        assert entry.key != "semantic"  # never one that a process elsewhere may still have open
        first.run_outstanding()
        assert set(retriever.search("lamp").coverage) == {"lexical", "semantic"}
        first.remove_channel(None, "semantic")
        assert set(retriever.search("lamp").coverage) == {"lexical"}
        with pytest.raises(StorageError, match="Other processes have the catalog open"):
            first.rebuild()
        second.remove_collection("default")
        assert first.catalog.collections() == []
        first.tend()
    with Library(settings=place("one")) as first:
        first.ingest([make_pdf("a.pdf", ["The lamp is lit."])])
        first.rebuild()  # alone it may
        assert len(first.retriever().search("lamp").hits) == 1


def test_a_collection_is_removed_with_the_indexes_that_only_others_have_opened(
    place: Callable[..., Settings], make_pdf: MakePdf, qdrant: QdrantServer
) -> None:
    with Library(settings=place("one")) as first, Library(settings=place("two")) as second:
        first.ingest([make_pdf("a.pdf", ["The lamp is lit."])])
        first.remove("a.pdf")
        assert len(qdrant.collections()) == 1
        second.remove_collection("default")
        assert qdrant.collections() == {}


def test_of_two_processes_that_add_a_channel_one_comes_too_late(database_url: str) -> None:
    catalog = Catalog(Database(database_url))
    target = catalog.create_collection("c", {"lexical": "lexical"})
    for active in (True, False):
        catalog.recipes.add(target.id, ChannelEntry(f"image-{active}", "image", "image:a", active))
        with pytest.raises(ConfigError, match="another process"):
            catalog.recipes.add(target.id, ChannelEntry(f"image-{active}-too", "image", "image:b", active))
    assert len(catalog.collection("c").channels) == 3
    catalog.database.close()


def test_who_keeps_something_to_itself_has_the_catalog_alone(
    tmp_path: Path, place: Callable[..., Settings], postgres_url: str
) -> None:
    with Library(settings=place("one")):
        with pytest.raises(StorageError, match=r"Another process has the catalog open.*Set FOLIOSCOPE_QDRANT_URL for"):
            Library(settings=place("two", qdrant_url=""))
        with pytest.raises(StorageError, match=r"FOLIOSCOPE_QDRANT_URL and FOLIOSCOPE_FILES_URL"):
            Library(settings=Settings(data_dir=tmp_path / "two", database_url=postgres_url))
        with Library(settings=place("two")):
            pass
    with (
        Library(settings=Settings(data_dir=tmp_path / "three", database_url=postgres_url)),
        pytest.raises(StorageError, match="keeps vectors or originals in its own"),
    ):
        Library(settings=place("one"))


@pytest.mark.parametrize("more", [{"database_url": ""}, {"qdrant_url": ""}, {"files_url": ""}])
def test_jobs_are_left_to_others_only_where_others_can_do_them(
    place: Callable[..., Settings], more: dict[str, str]
) -> None:
    with pytest.raises(ConfigError, match="FOLIOSCOPE_"):
        Library(settings=place("one", run_jobs=False, **more))


def test_vectors_that_moved_between_a_server_and_a_folder_fill_anew(
    make_pdf: MakePdf, place: Callable[..., Settings]
) -> None:
    pages = ["The lamp is lit.", "The tide is out."]
    with Library(settings=place("one")) as library:
        library.ingest([make_pdf("a.pdf", pages)])
    with Library(settings=place("one", qdrant_url="")) as library:
        library.run_outstanding()
        assert len(library.retriever().search("tide").hits) == 1
        library.ingest([make_pdf("b.pdf", ["The tide is in."])])
    with Library(settings=place("two")) as library:  # which has never seen the folder
        library.run_outstanding()
        assert len(library.retriever().search("tide").hits) == 2


def test_originals_of_another_catalog_are_refused(tmp_path: Path) -> None:
    shared = {"files_url": f"file://{tmp_path}/originals"}
    with (
        Library(settings=Settings(data_dir=tmp_path / "one", **shared)),
        pytest.raises(ConfigError, match="another catalog"),
    ):
        Library(settings=Settings(data_dir=tmp_path / "two", **shared))
    with pytest.raises(ConfigError, match="file:///absolute"):
        Library(settings=Settings(data_dir=tmp_path / "three", files_url="file://elsewhere/x"))


def test_of_two_that_read_the_same_version_one_leaves_off(database_url: str) -> None:
    catalog = Catalog(Database(database_url))
    target = catalog.create_collection("c", {"lexical": "lexical"})
    job = catalog.create_job("ingest", target.id)
    entry = catalog.register(target, job, filename="a", source="a", sha256="aa", size=1)
    catalog.opened(entry.document_id, 1, 3)
    pages = [Page(number, 1.0, 1.0, Words.empty()) for number in (1, 2, 3)]
    catalog.add_pages(entry.document_id, 1, pages[:2])
    with pytest.raises(Overtaken):
        catalog.add_pages(entry.document_id, 1, pages[1:])
    catalog.add_pages(entry.document_id, 1, pages[2:])
    assert catalog.pages_done(entry.document_id, 1) == 3
    assert catalog.words([PageKey(entry.document_id, 1, 3)])
    catalog.database.close()


def test_what_a_database_that_was_restarted_has_forgotten_is_noticed(
    place: Callable[..., Settings], make_pdf: MakePdf, postgres_url: str
) -> None:
    with Library(settings=place("one")) as library:
        library.ingest([make_pdf("a.pdf", ["The lamp is lit."])])
        engine = sa.create_engine(postgres_url)
        with engine.connect() as db:  # as a restart does, to all but this connection
            db.execute(
                sa.text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid != pg_backend_pid()"
                )
            )
        engine.dispose()

        def recovered() -> bool:
            try:
                library.tend()
            except StorageError:
                return False
            return library.fault is None

        until(recovered)
        assert library._membership.lasts
        assert library.ingest([make_pdf("b.pdf", ["The tide is out."])]).outcomes[0].status == "ready"
        with pytest.raises(StorageError, match="Another process"):
            Library(settings=place("two", qdrant_url=""))
