"""Whose turn it is, and documents that are read again."""

from __future__ import annotations

import asyncio
import io
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from folioscope.errors import NotFoundError
from folioscope.settings import Settings
from ingest import Library
from ingest.intake import Origin

MakePdf = Callable[..., Path]


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with Library(settings=Settings(data_dir=tmp_path / "data", channels=("lexical",), workers=1)) as opened:
        yield opened


def test_a_single_document_and_another_collection_do_not_wait_for_a_folder(library: Library, make_pdf: MakePdf) -> None:
    many = [make_pdf(f"folder/{n}.pdf", [f"{n} page {p}" for p in range(20)]) for n in range(30)]
    (single, other) = (make_pdf(f"{name}.pdf", [f"The only page of {name}."]) for name in ("single", "other"))
    quiet = library.create_collection("quiet")
    ready: list[str] = []
    begun = threading.Event()

    def hear(event) -> None:
        if event.kind == "ready":
            ready.append(event.filename)
            begun.set()

    library.listen(hear)
    thread = threading.Thread(target=library.ingest, args=(many,))
    thread.start()
    assert begun.wait(60)
    library.submit(single, Origin("single.pdf", "upload:1"), collection=library.collection())
    library.submit(other, Origin("other.pdf", "upload:2"), collection=quiet)
    before = len(ready)
    thread.join(120)
    library.run_outstanding()
    assert len(ready) == 32
    assert ready.index("single.pdf") < before + 8  # behind those that had been begun
    assert ready.index("other.pdf") < 31  # its collection has every other turn, by chance


def test_what_failed_is_read_again_and_what_is_ready_is_not(
    library: Library, tmp_path: Path, make_pdf: MakePdf
) -> None:
    broken = tmp_path / "broken.pdf"
    broken.write_bytes(b"%PDF-1.7 and then nothing that makes sense")
    events: list[tuple[str, str]] = []
    library.listen(lambda event: events.append((event.kind, event.filename)))
    report = library.ingest([make_pdf("good.pdf", ["The lamp is lit."]), broken])
    assert sorted(outcome.status for outcome in report.outcomes) == ["failed", "ready"]
    events.clear()
    assert library.retry(report.job, wait=True) == 1
    assert events == [("failed", "broken.pdf")]
    (job,) = library.jobs()
    assert (job.state, job.ready, job.failed) == ("done", 1, 1)
    with pytest.raises(NotFoundError):
        library.retry("job_none")


def test_what_was_given_up_is_read_when_it_is_tried_again(library: Library, make_pdf: MakePdf) -> None:
    path = make_pdf("a.pdf", ["The lamp is lit."])
    target = library.create_collection()
    job = library.catalog.create_job("ingest", target.id)
    library.ingest([path], collection="elsewhere")  # its bytes are stored by that
    sha256 = library.document("a.pdf", "elsewhere").sha256
    library.catalog.register(target, job, filename="a.pdf", source="a", sha256=sha256, size=1)
    assert library.cancel(job) == 1
    assert library.catalog.jobs()[0].state in ("cancelled", "done")
    assert library.retry(job, wait=True) == 1
    assert [document.status for document in library.documents()] == ["ready"]
    assert {entry.state for entry in library.jobs()} == {"done"}


def test_a_version_that_was_overtaken_is_not_tried_again(library: Library, make_pdf: MakePdf, tmp_path: Path) -> None:
    broken = tmp_path / "a.pdf"
    broken.write_bytes(b"%PDF-1.7 and then nothing that makes sense")
    first = library.ingest([broken])
    make_pdf("a.pdf", ["The lamp is lit."])
    library.ingest([broken])
    assert library.retry(first.job, wait=True) == 0
    assert library.document("a.pdf").status == "ready"


def test_what_has_ended_is_forgotten_and_what_is_outstanding_is_not(
    library: Library, make_pdf: MakePdf, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rows() -> dict[str, int]:
        with sqlite3.connect(library.folder / "jobs.sqlite") as db:
            names = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            counts = {name: db.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in names}
        db.close()
        return {name: count for name, count in counts.items() if count}

    library.start()
    empty = rows()
    library.ingest([make_pdf(f"{n}.pdf", [f"Page of {n}."]) for n in range(3)])
    jobs = library.work.started()
    until = time.monotonic() + 60
    while rows() != empty:
        assert time.monotonic() < until, rows()
        monkeypatch.setattr("ingest.jobs.KEPT", timedelta(0))
        jobs.reconcile()
        time.sleep(0.05)
    monkeypatch.undo()
    library.ingest([make_pdf("more.pdf", ["One more."])])
    assert rows() != empty
    assert {document.status for document in library.documents()} == {"ready"}


def test_documents_are_taken_in_where_an_event_loop_runs(tmp_path: Path, make_pdf: MakePdf) -> None:
    """As in a notebook."""
    paths = [make_pdf(f"{name}.pdf", [f"The page of {name}."]) for name in ("one", "two")]

    async def cell() -> tuple[str, ...]:
        with Library(settings=Settings(data_dir=tmp_path / "data", channels=("lexical",), workers=1)) as library:
            first = library.ingest(paths[:1], wait=True)
            second = library.ingest(paths, wait=True)
            library.backfill()
            library.rebuild()
        return tuple(outcome.status for report in (first, second) for outcome in report.outcomes)

    assert asyncio.run(cell()) == ("ready", "duplicate", "ready")


def test_jobs_run_where_the_stderr_of_the_first_time_is_closed(
    tmp_path: Path, make_pdf: MakePdf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("dbos"), "handlers", [])  # as in a new process
    for name in ("a.pdf", "b.pdf"):
        with io.StringIO() as stream, monkeypatch.context() as patch:
            patch.setattr("sys.stderr", stream)
            with Library(settings=Settings(data_dir=tmp_path / "data", channels=("lexical",), workers=1)) as library:
                report = library.ingest([make_pdf(name, [f"The lamp of {name} is lit."])])
        assert [outcome.status for outcome in report.outcomes] == ["ready"]
