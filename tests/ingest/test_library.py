"""The opened data folder, end to end: real PDFs, real child processes, real Qdrant Edge, real DBOS."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from folioscope.domain import PageKey, Where
from folioscope.errors import (
    CollectionNotFound,
    ConfigError,
    DocumentNotFound,
    FingerprintMismatch,
    NotFoundError,
    StorageError,
)
from folioscope.settings import Settings
from generation import answer, open_model
from ingest import Event, Library
from ingest.lookups import set_metadata
from retrieval import analyzer

MakePdf = Callable[..., Path]


def settings(folder: Path, **more) -> Settings:
    return Settings(data_dir=folder, **{"channels": ("lexical",), "workers": 2, **more})


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with Library(settings=settings(tmp_path / "data")) as opened:
        yield opened


def found(library: Library, query: str, **more) -> list[tuple[str, int]]:
    hits = library.retriever().search(query, k=10, **more).hits
    return [(hit.document.filename, hit.page) for hit in hits]


def test_a_folder_becomes_searchable_and_bad_files_fail_alone(
    library: Library, make_pdf: MakePdf, tmp_path: Path
) -> None:
    make_pdf("docs/tides.pdf", ["The harbour master keeps the tide tables.", "Lighthouses burn paraffin."])
    make_pdf("docs/sub/bread.pdf", ["Sourdough needs patience and rye flour."])
    (tmp_path / "docs/broken.pdf").write_bytes(b"%PDF-1.7 and then nothing that makes sense")
    (tmp_path / "docs/empty.pdf").write_bytes(b"")
    (tmp_path / "docs/notes.txt").write_text("not a document")
    events: list[Event] = []
    library.listen(events.append)
    report = library.ingest([tmp_path / "docs"])
    by_name = {outcome.filename: outcome for outcome in report.outcomes}
    assert report.skipped == 1
    assert by_name["tides.pdf"].status == "ready"
    assert by_name["tides.pdf"].pages == 2
    assert by_name["bread.pdf"].status == "ready"
    assert by_name["broken.pdf"].problem is not None
    assert by_name["broken.pdf"].problem.code == "document_corrupt"
    assert by_name["empty.pdf"].problem is not None
    assert by_name["empty.pdf"].problem.code == "document_empty"
    assert {outcome.filename for outcome in report.failed} == {"broken.pdf", "empty.pdf"}
    assert found(library, "paraffin lighthouse") == [("tides.pdf", 2)]
    assert found(library, "rye")[0] == ("bread.pdf", 1)
    assert {event.kind for event in events} == {"queued", "pages", "ready", "failed"}
    (job,) = library.jobs()
    assert (job.state, job.ready, job.failed) == ("done", 2, 2)
    assert {document.status for document in library.documents()} == {"ready", "failed"}


def test_duplicates_versions_and_deletion_leave_no_ghost(library: Library, make_pdf: MakePdf, tmp_path: Path) -> None:
    path = make_pdf("report.pdf", ["Revenue was seventeen zorkmids.", "The outlook is bright."])
    copy = tmp_path / "copy.pdf"
    copy.write_bytes(path.read_bytes())
    (first,) = library.ingest([path]).outcomes
    (again,) = library.ingest([copy]).outcomes
    assert (again.status, again.document_id) == ("duplicate", first.document_id)
    make_pdf("report.pdf", ["Revenue was eighteen quatloos."])
    (second,) = library.ingest([path]).outcomes
    assert (second.status, second.document_id, second.version) == ("ready", first.document_id, 2)
    assert found(library, "zorkmids") == []
    assert found(library, "quatloos") == [("report.pdf", 1)]
    collection = library.collection()
    assert len(library.channels.of(collection.id)["lexical"].index) == 1
    originals = [path for path in library.files.originals.folder.rglob("*") if path.is_file()]
    assert len(originals) == 1  # the first version's is gone
    library.image(PageKey(first.document_id, 2, 1), 300)
    library.remove("report.pdf")
    assert found(library, "quatloos") == []
    assert len(library.channels.of(collection.id)["lexical"].index) == 0
    assert not [path for path in library.folder.path.rglob("*") if path.is_file() and path.suffix in (".jpg", ".pdf")]
    assert not [path for path in library.files.originals.folder.rglob("*") if path.is_file()]
    with pytest.raises(DocumentNotFound):
        library.document("report.pdf")


def test_filters_on_documents_and_metadata(library: Library, make_pdf: MakePdf) -> None:
    old = make_pdf("old.pdf", ["Budget of the lighthouse."])
    new = make_pdf("new.pdf", ["Budget of the harbour."])
    library.ingest([old], metadata={"year": 2019, "final": True})
    library.ingest([new], metadata={"year": 2024, "final": False})
    assert {name for name, _ in found(library, "budget")} == {"old.pdf", "new.pdf"}
    assert found(library, "budget", where=Where(metadata={"year": 2024})) == [("new.pdf", 1)]
    only = frozenset({library.document("old.pdf").id})
    assert found(library, "budget", where=Where(documents=only)) == [("old.pdf", 1)]
    assert found(library, "budget", where=Where(documents=only, metadata={"final": False})) == []
    set_metadata(library.catalog, library.document("old.pdf").id, {"year": 2024, "final": 1})
    assert {name for name, _ in found(library, "budget", where=Where(metadata={"year": 2024}))} == {
        "old.pdf",
        "new.pdf",
    }
    assert found(library, "budget", where=Where(metadata={"year": 2019})) == []
    assert found(library, "budget", where=Where(metadata={"final": True})) == []


def test_an_encrypted_document_waits_for_its_password(library: Library, tmp_path: Path) -> None:
    import pymupdf

    path = tmp_path / "secret.pdf"
    with pymupdf.open() as pdf:
        pdf.new_page().insert_text((50, 50), "The vault opens at midnight.")
        pdf.save(path, encryption=pymupdf.PDF_ENCRYPT_AES_256, user_pw="sesame", owner_pw="owner")
    (locked,) = library.ingest([path]).outcomes
    assert locked.problem is not None
    assert locked.problem.code == "document_encrypted"
    (wrong,) = library.ingest([path], password="guess").outcomes
    assert wrong.problem is not None
    assert wrong.problem.code == "document_encrypted"
    (opened,) = library.ingest([path], password="sesame").outcomes
    assert opened.status == "ready"
    assert found(library, "midnight vault") == [("secret.pdf", 1)]
    image = library.image(PageKey(opened.document_id, opened.version, 1), 200)
    assert image.shape[2] == 3
    assert max(image.shape) == 200
    (again,) = library.reingest(["secret.pdf"]).outcomes  # the password was kept
    assert again.status == "ready"


def test_reingesting_makes_a_version_and_a_failed_file_can_be_mended(library: Library, make_pdf: MakePdf) -> None:
    path = make_pdf("a.pdf", ["First light."])
    library.ingest([path])
    (outcome,) = library.reingest(["a.pdf"]).outcomes
    assert (outcome.status, outcome.version) == ("ready", 2)
    assert found(library, "light") == [("a.pdf", 1)]
    path.write_bytes(b"%PDF-1.4 broken")
    (failed,) = library.ingest([path]).outcomes
    assert failed.status == "failed"
    assert library.document("a.pdf").status == "ready"
    assert found(library, "light") == [("a.pdf", 1)]


def test_the_semantic_channel_fills_in_behind(tmp_path: Path, make_pdf: MakePdf) -> None:
    path = make_pdf("cars.pdf", ["The automobile would not start in the frost.", "Tulips bloom in April."])
    with Library(settings=settings(tmp_path / "data", channels=("lexical", "semantic"))) as library:
        library.ingest([path], wait=True)
        coverage = library.documents()[0].coverage
        assert {name: share.share for name, share in coverage.items()} == {"lexical": 1.0, "semantic": 1.0}
        result = library.retriever().search("car trouble in winter", k=1)
        assert result.hits[0].page == 1
        assert "semantic" in result.hits[0].scores
        assert result.coverage["semantic"].share == 1.0


def test_what_is_left_goes_on_when_opened_again(tmp_path: Path, make_pdf: MakePdf) -> None:
    path = make_pdf("a.pdf", [f"Page {n} speaks of topic{n}." for n in range(40)])
    with Library(settings=settings(tmp_path / "data", channels=("lexical", "semantic"))) as library:
        library.ingest([path])
    with Library(settings=settings(tmp_path / "data", channels=("lexical", "semantic"))) as library:
        library.run_outstanding()
        assert library.documents()[0].coverage["semantic"].share == 1.0
        (job,) = library.jobs()
        assert job.state == "done"


def test_absent_weights_turn_the_semantic_channel_off_and_nothing_else(
    tmp_path: Path, make_pdf: MakePdf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retrieval.encoders.sentence_model.PACKAGE", "no_such_package_of_weights")
    path = make_pdf("a.pdf", ["The lamp is lit."])
    with Library(settings=settings(tmp_path / "data", channels=("lexical", "semantic"))) as library:
        library.ingest([path], wait=True)
        assert "semantic" in library.unavailable
        result = library.retriever().search("lamp")
        assert [hit.page for hit in result.hits] == [1]
        assert any("semantic" in note for note in result.notes)
        reply = answer(
            "Which lamp?", library.retriever(), open_model("extractive", library.settings, analyzer=analyzer())
        )
        assert any("semantic" in warning for warning in reply.warnings)
        assert library.documents()[0].coverage["semantic"].done == 0


def test_another_encoder_is_refused_until_the_indexes_are_rebuilt(tmp_path: Path, make_pdf: MakePdf) -> None:
    path = make_pdf("a.pdf", ["The lamp is lit.", "The tide is out."])
    with Library(settings=settings(tmp_path / "data")) as library:
        library.ingest([path])
        folder = next((library.folder / "indexes").glob("*/lexical"))
    written = json.loads((folder / "fingerprint.json").read_text())
    (folder / "fingerprint.json").write_text(json.dumps({**written, "revision": "of yesterday"}))
    with Library(settings=settings(tmp_path / "data")) as library:
        with pytest.raises(FingerprintMismatch, match=r"of yesterday.*folioscope collections rebuild"):
            library.retriever().search("tide")
        library.rebuild()
        assert found(library, "tide") == [("a.pdf", 2)]
        assert library.documents()[0].coverage["lexical"].share == 1.0


def test_missing_paths_and_empty_folders(library: Library, tmp_path: Path) -> None:
    (tmp_path / "report.pdf").write_bytes(b"x")
    with pytest.raises(NotFoundError, match=r"Did you mean .*report\.pdf"):
        library.ingest([tmp_path / "reprot.pdf"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFoundError, match="no document"):
        library.ingest([tmp_path / "empty"])
    with pytest.raises(CollectionNotFound):
        library.retriever("nowhere")
    for name in ("", "a b", "../x", "-c", "x" * 65):
        with pytest.raises(ConfigError, match="can't be called"):
            library.create_collection(name)


def test_cancelling_a_job_gives_up_what_is_not_read(library: Library, make_pdf: MakePdf) -> None:
    paths = [make_pdf(f"d{n}.pdf", [f"words of page {p}" for p in range(150)]) for n in range(4)]

    def cancel(event: Event) -> None:
        if event.kind == "pages":
            library.cancel(library.jobs()[0].id)

    library.listen(cancel)
    report = library.ingest(paths)
    statuses = [outcome.status for outcome in report.outcomes]
    assert "cancelled" in statuses
    assert library.jobs()[0].state == "cancelled"
    ready = [outcome.pages for outcome in report.outcomes if outcome.status == "ready"]
    collection = library.collection()
    assert len(library.channels.of(collection.id)["lexical"].index) == sum(ready)


def test_a_job_cancelled_while_nothing_runs_stays_cancelled(tmp_path: Path, make_pdf: MakePdf) -> None:
    paths = [make_pdf(f"d{n}.pdf", [f"page {p}" for p in range(200)]) for n in range(2)]
    with Library(settings=settings(tmp_path / "data", workers=1)) as library:
        library.listen(lambda event: library.stop() if event.kind == "pages" else None)
        library.ingest(paths)
    with Library(settings=settings(tmp_path / "data")) as library:
        job = library.jobs()[0]
        assert library.cancel(job.id) == job.outstanding > 0
        library.run_outstanding()
        assert library.jobs()[0].state == "cancelled"
        ready = [document.pages for document in library.documents() if document.status == "ready"]
        assert len(library.channels.of(library.collection().id)["lexical"].index) == sum(ready)


def test_an_empty_file_can_be_removed_and_mended(library: Library, make_pdf: MakePdf, tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(b"")
    library.ingest([path])
    library.remove("a.pdf")
    assert library.documents() == []
    library.ingest([path])
    make_pdf("a.pdf", ["Now with words."])
    (outcome,) = library.ingest([path]).outcomes
    assert (outcome.status, outcome.version) == ("ready", 2)
    assert found(library, "words") == [("a.pdf", 1)]


def test_a_rebuild_in_the_middle_of_reading_loses_no_page(tmp_path: Path, make_pdf: MakePdf) -> None:
    path = make_pdf("a.pdf", [f"page w{p}x" for p in range(1, 201)])
    with Library(settings=settings(tmp_path / "data", workers=1)) as library:
        library.listen(lambda event: library.stop() if event.kind == "pages" else None)
        library.ingest([path])
        assert library.catalog.outstanding_versions()
    with Library(settings=settings(tmp_path / "data", workers=1)) as library:
        library.rebuild()
        assert found(library, "w3x") == [("a.pdf", 3)]
        assert len(library.channels.of(library.collection().id)["lexical"].index) == 200


def test_of_two_versions_on_their_way_the_newer_stays(tmp_path: Path, make_pdf: MakePdf) -> None:
    path = make_pdf("a.pdf", [f"old page {p}" for p in range(200)])
    with Library(settings=settings(tmp_path / "data", workers=2)) as library:
        library.listen(lambda event: library.stop() if event.kind == "pages" else None)
        library.ingest([path])
    make_pdf("a.pdf", ["new page"])
    with Library(settings=settings(tmp_path / "data", workers=2)) as library:
        library.ingest([path])
        library.run_outstanding()
        document = library.document("a.pdf")
        assert (document.version, document.pages, document.status) == (2, 1, "ready")
        assert found(library, "page") == [("a.pdf", 1)]
        assert len(library.channels.of(library.collection().id)["lexical"].index) == 1


def test_the_same_command_goes_on_with_what_was_left(tmp_path: Path, make_pdf: MakePdf) -> None:
    path = make_pdf("a.pdf", [f"page {p}" for p in range(300)])
    with Library(settings=settings(tmp_path / "data", workers=1)) as library:
        library.listen(lambda event: library.stop() if event.kind == "pages" else None)
        assert library.ingest([path]).outcomes[0].status == "queued"
        library.listen(lambda event: None)
    with Library(settings=settings(tmp_path / "data", workers=1)) as library:
        (outcome,) = library.ingest([path]).outcomes
        assert (outcome.status, outcome.pages) == ("duplicate", 300)
        assert library.documents()[0].status == "ready"


def test_a_stopped_library_works_again_when_asked_to(library: Library, make_pdf: MakePdf) -> None:
    library.stop()
    assert library.ingest([make_pdf("a.pdf", ["One."])]).outcomes[0].status == "ready"
    library.stop()
    assert library.ingest([make_pdf("b.pdf", ["Two."])]).outcomes[0].status == "ready"
    assert {name for name, _ in found(library, "one two")} == {"a.pdf", "b.pdf"}


def test_an_index_that_cannot_be_opened_is_no_lock_on_the_rest(tmp_path: Path, make_pdf: MakePdf) -> None:
    paths = [make_pdf("a.pdf", ["Alpha."]), make_pdf("b.pdf", ["Beta."])]
    with Library(settings=settings(tmp_path / "data")) as library:
        library.ingest(paths)
        library.ingest(paths[:1], collection="other")
        folder = library.folder / "indexes" / library.collection().id / "lexical"
    written = json.loads((folder / "fingerprint.json").read_text())
    (folder / "fingerprint.json").write_text(json.dumps({**written, "revision": "of yesterday"}))
    with Library(settings=settings(tmp_path / "data")) as library:
        library.remove("a.pdf")
        assert [document.filename for document in library.documents()] == ["b.pdf"]
    with Library(settings=settings(tmp_path / "data")) as library:
        assert library.retriever("other").search("alpha").hits
        library.rebuild()
        assert found(library, "alpha") == []
        assert found(library, "beta") == [("b.pdf", 1)]
        assert library.catalog.stale() == []
        library.remove_collection("other")


def test_an_index_that_is_gone_fills_anew(tmp_path: Path, make_pdf: MakePdf) -> None:
    with Library(settings=settings(tmp_path / "data")) as library:
        library.ingest([make_pdf("a.pdf", ["Alpha."])])
    shutil.rmtree(tmp_path / "data" / "indexes")
    with Library(settings=settings(tmp_path / "data")) as library:
        result = library.retriever().search("alpha")
        assert (result.hits, result.coverage["lexical"].done) == ((), 0)
        library.run_outstanding()
        assert found(library, "alpha") == [("a.pdf", 1)]


def test_a_name_that_is_no_utf8_and_a_file_that_cannot_be_read(
    library: Library, make_pdf: MakePdf, tmp_path: Path
) -> None:
    good = make_pdf("good.pdf", ["Good."])
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/odd\xff.pdf"))
    odd.write_bytes(good.read_bytes() + b"%")
    gone = tmp_path / "gone.pdf"
    gone.symlink_to("/proc/self/mem")
    report = library.ingest([odd, gone, good])
    assert [outcome.status for outcome in report.outcomes] == ["ready", "failed", "ready"]
    assert report.outcomes[0].filename == "odd\\xff.pdf"
    assert report.failed[0].problem is not None
    assert report.failed[0].problem.code == "document_unreadable"


def test_what_a_killed_process_left_is_tidied_and_others_cannot_look_in(tmp_path: Path, make_pdf: MakePdf) -> None:
    with Library(settings=settings(tmp_path / "data")):
        originals = tmp_path / "data" / "originals"
        (originals / "ab").mkdir()
        (originals / "ab" / ("ab" * 32)).write_bytes(b"nobody refers to me")
        (originals / ".part-x").write_bytes(b"half")
    with Library(settings=settings(tmp_path / "data")) as library:
        library.ingest([make_pdf("a.pdf", ["One."])])
        kept = [path.name for path in originals.rglob("*") if path.is_file()]
        assert kept == [library.documents()[0].sha256]
        assert library.folder.path.stat().st_mode & 0o077 == 0
        assert (library.folder / "catalog.sqlite").stat().st_mode & 0o077 == 0


def test_jobs_that_start_again_leave_files_alone_that_are_being_written(library: Library, make_pdf: MakePdf) -> None:
    library.create_collection("other")
    library.start()
    with library.files.stage(make_pdf("a.pdf", ["One."])) as staged:
        library.remove_collection("other")  # jobs leave off and start again
        library.files.keep(staged)
    assert library.files.originals.has(staged.sha256)


def test_an_original_that_is_gone_fails_its_document_alone(library: Library, make_pdf: MakePdf) -> None:
    target = library.create_collection()
    job = library.catalog.create_job("ingest", target.id)
    library.catalog.register(target, job, filename="gone.pdf", source="gone", sha256="ab" * 32, size=1)
    assert library.ingest([make_pdf("a.pdf", ["One."])]).outcomes[0].status == "ready"
    library.run_outstanding()
    gone = library.document("gone.pdf")
    assert (gone.status, gone.problem and gone.problem.code) == ("failed", "document_unreadable")


def test_nothing_works_while_indexes_are_erased(library: Library) -> None:
    library.start()
    entered, left = threading.Event(), threading.Event()

    def start() -> None:
        entered.set()
        library.start()
        assert left.is_set()

    with ThreadPoolExecutor(1) as threads:
        with library.work.at_rest():
            started = threads.submit(start)
            entered.wait(30)
            time.sleep(0.1)  # it may start meanwhile, and must not
            assert library.work.running is None
            left.set()
        started.result(60)
    assert library.work.running is not None


def test_a_broken_jobs_database_is_said_and_does_not_poison_the_process(tmp_path: Path, make_pdf: MakePdf) -> None:
    path = make_pdf("a.pdf", ["One."])
    data = tmp_path / "data"
    data.mkdir()
    (data / "jobs.sqlite").write_bytes(b"this is no database but a sentence" * 99)
    with Library(settings=settings(data)) as library, pytest.raises(StorageError, match="doctor"):
        library.ingest([path])
    with Library(settings=settings(tmp_path / "other")) as library:
        assert library.ingest([path]).outcomes[0].status == "ready"


def test_two_collections_keep_apart(library: Library, make_pdf: MakePdf) -> None:
    path = make_pdf("a.pdf", ["Shared words."])
    library.ingest([path], collection="one")
    library.ingest([path], collection="two")
    assert len(library.documents("one")) == len(library.documents("two")) == 1
    library.remove_collection("one")
    with pytest.raises(CollectionNotFound):
        library.documents("one")
    hits = library.retriever("two").search("shared words").hits
    assert [hit.page for hit in hits] == [1]
    assert library.files.originals.has(library.documents("two")[0].sha256)


def test_postgres_holds_catalog_and_jobs(tmp_path: Path, make_pdf: MakePdf, postgres_url: str) -> None:
    path = make_pdf("a.pdf", ["The lamp is lit.", "The tide is out."])
    with Library(settings=settings(tmp_path / "data", database_url=postgres_url)) as library:
        (outcome,) = library.ingest([path]).outcomes
        assert outcome.status == "ready"
        assert found(library, "tide") == [("a.pdf", 2)]
    assert not list((tmp_path / "data").glob("*.sqlite*"))


INGEST = """
import sys
from pathlib import Path
from folioscope.settings import Settings
from ingest import Library
with Library(settings=Settings(data_dir=Path(sys.argv[1]), channels=("lexical",), workers=2)) as library:
    library.listen(lambda event: print(event.kind, flush=True))
    library.ingest([Path(p) for p in sys.argv[2:]])
"""


def test_killed_in_the_middle_it_goes_on_and_nothing_is_doubled(tmp_path: Path, make_pdf: MakePdf) -> None:
    paths = [make_pdf(f"d{n}.pdf", [f"common words and d{n}p{p}x" for p in range(1, 301)]) for n in range(2)]
    data = tmp_path / "data"
    command = [sys.executable, "-c", INGEST, str(data), *map(str, paths)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while process.stdout.readline().strip() != "pages":
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
    _no_child_left(data)
    with Library(settings=settings(data)) as library:
        before = {document.filename: document.status for document in library.documents()}
        assert set(before) <= {"d0.pdf", "d1.pdf"}
        assert "processing" in before.values() or "queued" in before.values()
        library.ingest(paths)
        library.run_outstanding()
        for document in library.documents():
            assert (document.status, document.pages) == ("ready", 300)
            rows = [page.number for page in library.catalog.pages(document.id, document.version)]
            assert rows == list(range(1, 301))
        assert len(library.documents()) == 2
        assert len(library.channels.of(library.collection().id)["lexical"].index) == 600
        assert found(library, "d1p299x") == [("d1.pdf", 299)]


def _no_child_left(data: Path) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if not _processes_naming(str(data)):
            return
        time.sleep(0.1)
    raise AssertionError(_processes_naming(str(data)))


def _processes_naming(text: str) -> list[str]:
    found_ones = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if text in line:
                found_ones.append(line)
    return found_ones


def test_stopping_finishes_the_current_pages_and_the_rest_stays_outstanding(tmp_path: Path, make_pdf: MakePdf) -> None:
    paths = [make_pdf(f"d{n}.pdf", [f"page {p}" for p in range(200)]) for n in range(3)]
    with Library(settings=settings(tmp_path / "data", workers=1)) as library:
        library.listen(lambda event: library.stop() if event.kind == "pages" else None)
        report = library.ingest(paths)
        assert "queued" in {outcome.status for outcome in report.outcomes}
    with Library(settings=settings(tmp_path / "data", workers=1)) as library:
        library.run_outstanding()
        assert {document.status for document in library.documents()} == {"ready"}


def test_a_fault_of_ours_fails_that_document_and_says_so(library: Library, make_pdf: MakePdf, monkeypatch) -> None:
    paths = [make_pdf("good.pdf", ["Fine words."]), make_pdf("odd.pdf", ["Odd words."])]
    add_pages = library.catalog.add_pages

    def faulty(document_id: str, version: int, batch) -> None:
        if "Odd" in batch[0].words.text():
            raise ZeroDivisionError("a bug")
        add_pages(document_id, version, batch)

    monkeypatch.setattr(library.catalog, "add_pages", faulty)
    report = library.ingest(paths)
    by_name = {outcome.filename: outcome for outcome in report.outcomes}
    assert by_name["good.pdf"].status == "ready"
    assert by_name["odd.pdf"].problem is not None
    assert by_name["odd.pdf"].problem.code == "internal_error"
    assert found(library, "odd") == []


def test_progress_is_published_with_the_workflow(library: Library, make_pdf: MakePdf) -> None:
    from dbos import DBOS

    (outcome,) = library.ingest([make_pdf("a.pdf", ["One.", "Two."])]).outcomes
    progress = DBOS.get_event(f"{outcome.document_id}.{outcome.version}", "progress")
    assert progress == {"kind": "ready", "done": 2, "total": 2}
    json.dumps(progress)


def test_a_page_whose_document_goes_while_it_is_drawn_is_not_found(
    library: Library, make_pdf: MakePdf, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.ingest([make_pdf("a.pdf", ["One."])])
    key = PageKey(library.document("a.pdf").id, 1, 1)
    opened = library.original

    def meanwhile(sha256: str) -> AbstractContextManager[Path]:
        library.remove("a.pdf")
        return opened(sha256)

    monkeypatch.setattr(library, "original", meanwhile)
    with pytest.raises(DocumentNotFound):
        library.image(key)
