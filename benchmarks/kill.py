"""Killed with -9 at random moments during ingest, re-ingest and delete, then resumed: whether all is there, once.

Documents are generated; each page carries a word of its own. After the last kill the work is finished and the catalog
and the index are compared with the files, page by page.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.common import parser, show

DOCUMENTS, PAGES = 12, 40


def word(document: int, page: int) -> str:
    """A word that stands on this page only; its end is nothing that a stemmer would take off."""
    return f"zq{document}w{page}".translate(str.maketrans("0123456789", "bcdfghjklm")) + "x"


def make_document(path: Path, document: int, pages: int) -> Path:
    """A PDF whose pages each say their own word among common ones."""
    import pymupdf

    with pymupdf.open() as pdf:
        for page in range(1, pages + 1):
            text = f"{word(document, page)}\n" + "the quick brown fox jumps over the lazy dog\n" * 40
            pdf.new_page().insert_text((50, 50), text, fontsize=8)
        pdf.save(path)
    return path


def make_documents(folder: Path) -> list[Path]:
    """`DOCUMENTS` of them, with `PAGES` pages each."""
    return [make_document(folder / f"document-{number}.pdf", number, PAGES) for number in range(DOCUMENTS)]


def killed(command: list[str], env: dict[str, str], after: float) -> bool:
    """Run a command, kill it after so many seconds; whether it was still running then."""
    with subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            process.wait(after)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            return True
    return False


def check(data: Path, files: list[Path], removed: set[str]) -> list[str]:
    """What is wrong; nothing, one hopes."""
    from folioscope.settings import Settings
    from ingest import Library

    wrong: list[str] = []
    with Library(settings=Settings(data_dir=data)) as library:
        documents = {document.filename: document for document in library.documents()}
        wanted = {path.name for path in files} - removed
        if len(library.documents()) != len(documents):
            wrong.append("a document is there twice")
        wrong += [f"{name} is missing" for name in wanted - documents.keys()]
        wrong += [f"{name} is back from the dead" for name in documents.keys() & removed]
        retriever = library.retriever()
        for name, document in documents.items():
            if document.status != "ready" or document.pages != PAGES:
                wrong.append(f"{name} is {document.status} with {document.pages} pages")
            rows = [page.number for page in library.catalog.pages(document.id, document.version)]
            if rows != list(range(1, PAGES + 1)):
                wrong.append(f"{name} has the page rows {rows}")
            for channel, coverage in document.coverage.items():
                if coverage.done != coverage.total:
                    wrong.append(f"{name}: {channel} has {coverage.done} of {coverage.total}")
        for number, path in enumerate(files):
            for page in range(1, PAGES + 1, 3):
                found = retriever.search(word(number, page), k=3, channels=["lexical"], regions=False).hits
                expected = [(path.name, page)] if path.name in documents else []
                if [(hit.document.filename, hit.page) for hit in found] != expected:
                    wrong.append(f"{path.name} page {page}: found {[(h.document.filename, h.page) for h in found]}")
        collection = library.collection()
        for name, channel in library.channels.of(collection.id).items():
            if len(channel.index) != PAGES * len(documents):
                wrong.append(f"{name} holds {len(channel.index)} points for {PAGES * len(documents)} pages")
    return wrong


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--kills", type=int, default=25)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--longest", type=float, default=6.0, help="seconds before the latest kill")
    given = arguments.parse_args()
    chance = random.Random(given.seed)
    program = str(Path(sys.executable).parent / "folioscope")
    with tempfile.TemporaryDirectory() as folder:
        files = make_documents(Path(folder))
        data = Path(folder) / "data"
        env = {**os.environ, "FOLIOSCOPE_DATA_DIR": str(data), "FOLIOSCOPE_CHANNELS": "lexical"}
        removed: set[str] = set()
        kills: dict[str, int] = {}
        started = time.perf_counter()
        while sum(kills.values()) < given.kills:
            # Few documents at a time at first, so that kills meet fresh work until the end.
            some = files[: 1 + DOCUMENTS * sum(kills.values()) // given.kills]
            action = chance.choices(["ingest", "reingest", "rm"], [6, 3, 1])[0]
            command = [program, "ingest", *map(str, some)]
            if action == "reingest":
                command = [program, "docs", "reingest", "--all"]
            if action == "rm":
                victim = chance.choice(some).name
                command = [program, "docs", "rm", victim]
            if killed(command, env, chance.uniform(0.2, given.longest)):
                kills[action] = kills.get(action, 0) + 1
        live = [path for path in files if path != files[-1]]
        subprocess.run([program, "ingest", "-q", *map(str, files)], env=env, check=True)
        subprocess.run([program, "docs", "rm", files[-1].name], env=env, check=True, stderr=subprocess.DEVNULL)
        removed.add(files[-1].name)
        subprocess.run([program, "jobs", "watch", "-q"], env=env, check=True)
        wrong = check(data, files, removed)
    for line in wrong:
        print("WRONG:", line)
    figures: dict[str, Any] = {
        "kills": sum(kills.values()),
        "by_command": kills,
        "documents": len(live),
        "pages": len(live) * PAGES,
        "wrong": len(wrong),
        "seconds": round(time.perf_counter() - started, 1),
        "seed": given.seed,
    }
    show(figures, given.json)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
