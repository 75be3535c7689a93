"""Search while a channel fills and while its model is changed.

``python -m benchmarks.filling [--json] [--pages N]`` ingests generated pages with the lexical channel, adds a visual
channel with a tiny ColModernVBERT (random weights: what is measured is the house, not the model) and then switches it
to a second one. A thread searches without a pause from before the first to after the last, each time for a word that
stands on one page alone. A search has failed when it raises or when that page is not among its five hits.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import parser, show
from benchmarks.tiny_models import colmodernvbert
from folioscope.settings import load_settings
from ingest import Library
from retrieval.encoders.torch_device import import_torch
from retrieval.retriever import Retriever

PAGES, PAGES_A_DOCUMENT = 1000, 100
WIDTH, HEIGHT = 210, 297  # points; small, so that drawing them costs little
WORDS = [
    "the",
    "ferry",
    "left",
    "a",
    "harbour",
    "under",
    "grey",
    "sky",
    "with",
    "copper",
    "letters",
    "and",
    "a",
    "forest",
    "of",
    "masts",
]


def word_of(page: int) -> str:
    """A word that stands on this page alone: its number in letters."""
    return "w" + "".join(chr(ord("a") + int(digit)) for digit in f"{page:05}")


def make_documents(folder: Path, pages: int) -> None:
    """PDFs of `PAGES_A_DOCUMENT` pages; page n holds `word_of` n among words that all pages share."""
    import pymupdf

    rng = np.random.default_rng(0)
    for first in range(0, pages, PAGES_A_DOCUMENT):
        with pymupdf.open() as pdf:
            for number in range(first, min(first + PAGES_A_DOCUMENT, pages)):
                lines = [" ".join(rng.permutation(WORDS)[:6]) for _ in range(8)]
                lines.insert(int(rng.integers(8)), word_of(number))
                pdf.new_page(width=WIDTH, height=HEIGHT).insert_text((15, 30), lines, fontsize=9)
            pdf.save(folder / f"{first:05}.pdf")


@dataclass
class Stage:
    """What was seen of searches while one thing happened. ``shares``: of the pages that the visual channel knew."""

    searches: int = 0
    failures: list[str] = field(default_factory=list)
    shares: set[float] = field(default_factory=set)
    ms: list[float] = field(default_factory=list)
    seconds: float = 0.0

    def figures(self) -> dict[str, Any]:
        """For people and programs."""
        return {
            "searches": self.searches,
            "failed": len(self.failures),
            "first failures": self.failures[:3],
            "shares seen": len(self.shares),
            "p50 ms": round(float(np.median(self.ms)), 1),
            "p99 ms": round(float(np.quantile(self.ms, 0.99)), 1),
            "seconds": round(self.seconds, 1),
        }


class Asker(threading.Thread):
    """Searches until it is stopped; writes down what it sees under the stage of the moment."""

    def __init__(self, retriever: Retriever, pages: int) -> None:
        super().__init__(daemon=True)
        self.retriever = retriever
        self.pages = pages
        self.stage = Stage()
        self.done = threading.Event()

    def run(self) -> None:
        """Search for pages at random."""
        rng = np.random.default_rng(1)
        while not self.done.is_set():
            self.search(int(rng.integers(self.pages)), self.stage)

    def search(self, page: int, stage: Stage) -> None:
        """Search for this page and note how it went."""
        start = time.perf_counter()
        try:
            result = self.retriever.search(word_of(page), regions=False)
        except Exception as error:  # noqa: BLE001 - each is what this benchmark counts
            stage.failures.append(repr(error))
        else:
            if (page // PAGES_A_DOCUMENT, page % PAGES_A_DOCUMENT + 1) not in {
                (int(hit.document.filename[:5]) // PAGES_A_DOCUMENT, hit.page) for hit in result.hits
            }:
                stage.failures.append(f"{word_of(page)} was not found")
            if "visual" in result.coverage:
                stage.shares.add(result.coverage["visual"].share)
        stage.searches += 1
        stage.ms.append((time.perf_counter() - start) * 1000)

    @contextmanager
    def during(self) -> Iterator[Stage]:
        """A stage that lasts as long as the block."""
        stage = self.stage = Stage()
        start = time.perf_counter()
        yield stage
        stage.seconds = time.perf_counter() - start


def make_checkpoint(folder: Path, seed: int) -> str:
    import_torch().manual_seed(seed)
    colmodernvbert(folder)
    return f"colpali:{folder}"


def fill(library: Library, spec: str) -> None:
    library.add_channel(None, "visual", spec)
    library.backfill()
    (entry,) = [row for row in library.channel_status() if row.entry.name == "visual"]
    assert entry.entry.encoder == spec, "the channel that was added last is searched now, alone of its name"
    assert entry.coverage.share == 1, entry


def measured(folder: Path, pages: int) -> dict[str, Any]:
    (folder / "documents").mkdir()
    make_documents(folder / "documents", pages)
    first, second = (make_checkpoint(folder / f"model-{seed}", seed) for seed in (1, 2))
    settings = load_settings({"data_dir": folder / "data", "channels": ("lexical",), "ocr": "off"})
    with Library(settings=settings) as library:
        library.ingest([folder / "documents"])
        asker = Asker(library.retriever(), pages)
        asker.start()
        steps: dict[str, Callable[[], None]] = {
            "lexical channel alone": lambda: time.sleep(5),
            "visual channel filling": lambda: fill(library, first),
            "switch to another model": lambda: fill(library, second),
            "both channels, at rest": lambda: time.sleep(5),
        }
        stages = {}
        for name, step in steps.items():
            with asker.during() as stage:
                step()
            stages[name] = stage
        asker.done.set()
        asker.join()
    rows = {name: stage.figures() for name, stage in stages.items()}
    return {
        "pages": pages,
        "stages": rows,
        "searches": sum(row["searches"] for row in rows.values()),
        "failed searches": sum(row["failed"] for row in rows.values()),
    }


def print_table(figures: dict[str, Any]) -> None:
    print(f"{'':<26}{'searches':>9}{'failed':>8}{'p50 ms':>8}{'p99 ms':>8}{'shares seen':>13}{'seconds':>9}")
    for name, row in figures["stages"].items():
        print(
            f"{name:<26}{row['searches']:>9}{row['failed']:>8}{row['p50 ms']:>8}{row['p99 ms']:>8}"
            f"{row['shares seen']:>13}{row['seconds']:>9}"
        )
        for failure in row["first failures"]:
            print(f"  {failure}")


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--pages", type=int, default=PAGES, help=f"pages to fill (default {PAGES})")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="folioscope-bench-") as temporary:
        figures = measured(Path(temporary), given.pages)
    show(figures, given.json, lambda: print_table(figures))


if __name__ == "__main__":
    main()
