"""One worker and two on the same Postgres: whether each document is read once, and how much faster two are.

Documents are generated: scans of one page each where tesseract is installed, else pages of text. The servers and the
workers are processes of this machine, so two are faster only where it has cores for them; each reads one document at a
time. Vectors go to the Qdrant server of FOLIOSCOPE_QDRANT_URL, else to qdrant-client's own emulation of one.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from benchmarks.common import parser, show
from folioscope.settings import Settings
from ingest import Library

WORKER = [sys.executable, "-c", "from api.cli.main import main; main()", "worker", "-q"]


def make_documents(folder: Path, count: int, scans: bool) -> list[Path]:
    """PDFs of one page that is a picture of words, or of four pages of words; no two have the same bytes."""
    import pymupdf

    files = []
    for number in range(count):
        path = folder / f"document-{number}.pdf"
        with pymupdf.open() as pdf:
            for page in range(1 if scans else 4):
                words = f"Document {number}, page {page}.\n" + "The quick brown fox jumps over the lazy dog.\n" * (
                    2 if scans else 40
                )
                pdf.new_page(width=420, height=297).insert_text((30, 40), words, fontsize=12)
            if scans:
                picture = pdf[0].get_pixmap(dpi=100).tobytes("png")
                pdf.delete_page(0)
                page = pdf.new_page(width=420, height=297)
                page.insert_image(page.rect, stream=picture)
            pdf.save(path)
        files.append(path)
    return files


@contextlib.contextmanager
def qdrant() -> Iterator[tuple[str, str]]:
    """A server's URL, and what it is."""
    if url := os.environ.get("FOLIOSCOPE_QDRANT_URL"):
        yield url, "server"
        return
    from tests.support.qdrant import serving

    with serving() as made:
        yield made.url, "emulated"


def until(done: Any, seconds: float) -> None:
    """Look every 20 ms."""
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            sys.exit("the workers did not finish")
        time.sleep(0.02)


@contextlib.contextmanager
def workers(count: int, folder: Path, environment: dict[str, str], library: Library) -> Iterator[None]:
    """So many processes, which have joined the catalog."""
    running = [
        subprocess.Popen(WORKER, env={**environment, "FOLIOSCOPE_DATA_DIR": str(folder / f"worker-{number}")})
        for number in range(count)
    ]
    query = sa.text(
        "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database "
        "WHERE locktype = 'advisory' AND mode = 'ShareLock' AND datname = current_database()"
    )

    def joined() -> bool:
        with library.catalog.database.read() as db:
            return int(db.execute(query).scalar_one()) == count + 1

    try:
        until(joined, 120)
        yield
    finally:
        for process in running:
            process.send_signal(signal.SIGTERM)
        for process in running:
            process.wait(60)


def run(count: int, files: list[Path], server: str, vectors: str, folder: Path) -> dict[str, Any]:
    """So many workers on all files, on a new database."""
    name = f"workers_{count}"
    engine = sa.create_engine(f"{server}/postgres", isolation_level="AUTOCOMMIT")
    with engine.connect() as db:
        db.execute(sa.text(f"DROP DATABASE IF EXISTS {name}"))
        db.execute(sa.text(f"CREATE DATABASE {name}"))
    engine.dispose()
    chosen = {
        "database_url": f"{server}/{name}",
        "qdrant_url": vectors,
        "files_url": f"file://{folder}/originals-{count}",
        "workers": "1",
        "channels": "lexical",
    }
    environment = {**os.environ, **{f"FOLIOSCOPE_{key.upper()}": value for key, value in chosen.items()}}
    settings = Settings(data_dir=folder / f"front-{count}", run_jobs=False, **chosen)
    with Library(settings=settings) as library:
        library.create_collection()
        library.start()
        with workers(count, folder / name, environment, library):
            started = time.perf_counter()
            job = library.catalog.create_job("ingest", library.collection().id)
            for path in files:
                library._intake.take(path, library.collection(), job, password=None, metadata=None)
            handed_in = time.perf_counter() - started
            until(lambda: not library.catalog.outstanding_versions(), 3600)
            seconds = time.perf_counter() - started
        documents = library.documents()
        (index,) = library.channels.of(library.collection().id).values()
        points = len(index.index)
    pages = sum(document.pages for document in documents)
    statuses = Counter(document.status for document in documents)
    engine = sa.create_engine(f"{server}/{name}")
    with engine.connect() as db:
        flows = db.execute(
            sa.text(
                "SELECT status, executor_id, recovery_attempts FROM dbos.workflow_status WHERE name='read_document'"
            )
        ).all()
        rows = int(db.execute(sa.text("SELECT count(*) FROM pages")).scalar_one())
    engine.dispose()
    once = (
        statuses == {"ready": len(files)}
        and len(flows) == len(files)
        and {flow.status for flow in flows} == {"SUCCESS"}
        and {flow.recovery_attempts for flow in flows} <= {0, 1}
        and rows == points == pages
    )
    return {
        "seconds": round(seconds, 2),
        "handed_in_seconds": round(handed_in, 2),
        "documents": len(documents),
        "pages": pages,
        "page_rows": rows,
        "points": points,
        "workflows": len(flows),
        "documents_by_worker": sorted(Counter(flow.executor_id for flow in flows).values()),
        "each_once": once,
    }


@contextlib.contextmanager
def postgres(url: str | None) -> Iterator[str]:
    """The URL of a server without a database name."""
    if url:
        yield url.rstrip("/")
        return
    from tests.support.postgres import Postgres, programs

    found = programs()
    if found is None:
        sys.exit("this benchmark needs Postgres: name a server with --postgres, or install Debian's package postgresql")
    with Postgres(found) as server:
        yield server.url


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--documents", type=int, default=200)
    arguments.add_argument("--postgres", metavar="URL", help="postgresql+psycopg://user@host:port; else one is started")
    given = arguments.parse_args()
    scans = shutil.which("tesseract") is not None
    with tempfile.TemporaryDirectory() as name, postgres(given.postgres) as server, qdrant() as (vectors, kind):
        folder = Path(name)
        files = make_documents(folder, given.documents, scans)
        figures = {count: run(count, files, server, vectors, folder) for count in (1, 2)}
    one, two = figures[1], figures[2]
    show(
        {
            "documents": given.documents,
            "kind": "scans" if scans else "text",
            "qdrant": kind,
            "one_worker": one,
            "two_workers": two,
            "speedup": round(one["seconds"] / two["seconds"], 2),
            "load_average": [round(load, 1) for load in os.getloadavg()],
        },
        given.json,
    )
    sys.exit(not (one["each_once"] and two["each_once"]))


if __name__ == "__main__":
    main()
