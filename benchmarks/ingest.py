"""Pages per second of ingestion: the corpus's text-layer PDFs, words and lexical channel durable.

Beside it, in the same run, a plain single-process loop that opens the same files and reads their words; and the CPU
time a page costs in each stage. Steady: a first small document has warmed everything up. Paired runs, medians.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.common import cpu_seconds, need_corpus, parser, show, tree


def text_layer_pdfs() -> list[Path]:
    """PDFs of corpus/dev of which nearly all pages have a text layer."""
    rows = [json.loads(line) for line in need_corpus("dev", "documents.jsonl").read_text().splitlines()]
    return [need_corpus("dev", "docs", row["file"]) for row in rows if row["text_pages"] >= 0.9 * row["pages"]]


def bare_loop(files: list[Path]) -> tuple[int, float]:
    """Pages and seconds of "open, words" over the files."""
    import pymupdf

    pymupdf.TOOLS.mupdf_display_errors(False)
    started = time.perf_counter()
    pages = 0
    for path in files:
        with pymupdf.open(path) as pdf:
            for page in pdf:
                page.get_text("words")
                pages += 1
    return pages, time.perf_counter() - started


def product(files: list[Path], warm_up: Path) -> dict[str, float]:
    """Pages, seconds and CPU seconds of the product over the files."""
    from folioscope.settings import Settings
    from ingest import Library

    folder = tempfile.mkdtemp(prefix="folioscope-bench-")
    try:
        with Library(settings=Settings(data_dir=Path(folder), channels=("lexical",), ocr="off")) as library:
            library.ingest([warm_up])
            children = [pid for pid in tree(os.getpid()) if pid != os.getpid()]
            parse = sum(map(cpu_seconds, children))
            own, started = time.process_time(), time.perf_counter()
            report = library.ingest(files)
            seconds = time.perf_counter() - started
            own = time.process_time() - own
            # Children that were replaced meanwhile count through their parent; most live as long as the library.
            parse = sum(map(cpu_seconds, [pid for pid in tree(os.getpid()) if pid != os.getpid()])) - parse
            assert all(outcome.status == "ready" for outcome in report.outcomes), report.failed
            pages = sum(outcome.pages for outcome in report.outcomes)
            stages = stage_costs(library)
        return {
            "pages": pages,
            "seconds": seconds,
            "parse_ms": 1e3 * parse / pages,
            "own_ms": 1e3 * own / pages,
            **stages,
        }
    finally:
        shutil.rmtree(folder)


def stage_costs(library: Any) -> dict[str, float]:
    """CPU milliseconds a page of encoding, indexing and writing rows, replayed alone over what was ingested."""
    from folioscope.domain import PageInput, PageKey
    from ingest.words import pack

    collection = library.collection()
    channel = library.channels.of(collection.id)["lexical"]
    inputs = [
        PageInput(PageKey(document.id, document.version, page.number), document.filename, page.words)
        for document in library.documents()[:12]
        for page in library.catalog.pages(document.id, document.version)
    ]
    spent: dict[str, float] = {}
    started = time.process_time()
    vectors = channel.encoder.encode_pages(inputs)
    spent["encode_ms"] = time.process_time() - started
    started = time.process_time()
    for first in range(0, len(inputs), 64):
        part = range(first, min(first + 64, len(inputs)))
        channel.index.upsert([(inputs[i].key, vectors[i]) for i in part if vectors[i] is not None])
        channel.flush()
    spent["index_ms"] = time.process_time() - started
    started = time.process_time()
    for entry in inputs:
        pack(entry.words)
    spent["pack_ms"] = time.process_time() - started
    return {name: 1e3 * seconds / len(inputs) for name, seconds in spent.items()}


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--runs", type=int, default=3)
    given = arguments.parse_args()
    files = text_layer_pdfs()
    warm_up = min(files, key=lambda path: path.stat().st_size)
    files.remove(warm_up)
    bare_loop(files[:2])
    runs = []
    for _ in range(given.runs):
        pages, bare = bare_loop(files)
        run = product(files, warm_up)
        runs.append({**run, "bare_pages_s": pages / bare, "pages_s": run["pages"] / run["seconds"]})
        runs[-1]["ratio"] = runs[-1]["pages_s"] / runs[-1]["bare_pages_s"]
        print({name: round(value, 3) for name, value in runs[-1].items()}, flush=True)
    figures: dict[str, Any] = {
        name: round(statistics.median(run[name] for run in runs), 3)
        for name in ("pages_s", "bare_pages_s", "ratio", "parse_ms", "own_ms", "encode_ms", "index_ms", "pack_ms")
    }
    figures |= {
        "runs": given.runs,
        "documents": len(files),
        "pages": int(runs[0]["pages"]),
        "corpus": "corpus/dev, text-layer PDFs",
    }
    show(figures, given.json)


if __name__ == "__main__":
    main()
