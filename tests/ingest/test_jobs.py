"""Whose turn it is, and documents that are read again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
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
