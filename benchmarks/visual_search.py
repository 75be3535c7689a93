"""Search over pages of many vectors: recall@10 of exact MaxSim, time and bytes a page, for every way that is there.

``python -m benchmarks.visual_search [--pages 10000] [--queries 40] [--folder DIR] [--json] [WAY ...]``

Pages are synthetic and always the same: 1,030 unit vectors of 128 dimensions as ColPali makes them, in clusters. A page
has 40 to 120 motifs, a third of them varied from those of its topic (50 pages share one), some from a background that
all pages have, the rest its own; its vectors are motifs with noise, most from a few of them. A query is 20 vectors of
one page, each varied, a quarter of them noise alone. Real embeddings differ: what holds here is a comparison of ways.

Truth is MaxSim in float32 over all vectors. Times are of one query at a time, after a first round that warms up. Ways
that take many seconds a query are timed on the first ten. ``colpali`` needs the pages as one float32 tensor: where
memory is short it is measured on a part of them and its time scaled up, which is said.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import parser, show
from folioscope.domain import Fingerprint, PageKey
from retrieval.indexes import EdgeIndex, MappedIndex
from retrieval.maxsim import max_sim, rows, unit

LENGTH, DIM, TOKENS, TOPIC, TOP = 1030, 128, 20, 50, 10
CANDIDATES = (32, 50, 64, 100, 200, 400)
PRINT = Fingerprint("synthetic", "1", "multi", DIM)
Search = Callable[[NDArray[np.float32]], Sequence[int]]
Figures = dict[str, Any]


def draw(rng: np.random.Generator, *shape: int) -> NDArray[np.float32]:
    """Random vectors of length about 1."""
    return rng.standard_normal(shape, np.float32) / np.float32(np.sqrt(shape[-1]))


def page(number: int) -> NDArray[np.float32]:
    """float32 [LENGTH, DIM], unit vectors."""
    background = draw(np.random.default_rng([1, 0]), 24, DIM)
    topic = draw(np.random.default_rng([2, number // TOPIC]), 60, DIM)
    rng = np.random.default_rng([3, number])
    count = int(rng.integers(40, 121))
    own = draw(rng, count, DIM)
    shared = rng.random(count)
    from_topic, from_background = shared < 0.33, shared > 0.85
    own[from_topic] = topic[rng.integers(0, 60, from_topic.sum())] + 0.5 * own[from_topic]
    own[from_background] = background[rng.integers(0, 24, from_background.sum())] + 0.2 * own[from_background]
    sizes = rng.dirichlet(np.full(count, 0.7))  # few motifs fill most of the page
    return unit(own[rng.choice(count, LENGTH, p=sizes)] + 0.55 * draw(rng, LENGTH, DIM))


def query(number: int, pages: int) -> NDArray[np.float32]:
    """float32 [TOKENS, DIM], unit vectors."""
    rng = np.random.default_rng([4, number])
    vectors = page(int(rng.integers(pages)))
    tokens = vectors[rng.choice(LENGTH, TOKENS, replace=False)] + 0.9 * draw(rng, TOKENS, DIM)
    tokens[rng.random(TOKENS) < 0.25] = draw(rng, DIM)
    return unit(tokens)


def batches(pages: int, size: int = 50) -> Iterator[tuple[int, list[NDArray[np.float32]]]]:
    for first in range(0, pages, size):
        yield first, [page(number) for number in range(first, min(first + size, pages))]


def exact(pages: int, queries: Sequence[NDArray[np.float32]]) -> list[list[int]]:
    """For each query its ten best pages by all their vectors in float32."""
    scores = np.empty((len(queries), pages), np.float32)
    for first, batch in batches(pages):
        full = rows(batch)
        for number, each in enumerate(queries):
            scores[number, first : first + len(batch)] = max_sim(each, full)
    return [best(row, TOP) for row in scores]


def best(scores: NDArray[np.float32], count: int) -> list[int]:
    return [int(number) for number in np.argsort(-scores)[:count]]


def measured(search: Search, queries: Sequence[NDArray[np.float32]], truth: Sequence[Sequence[int]]) -> Figures:
    """Recall, and the second round's median times: by the clock, and of the processors (less upset by other work)."""
    start = time.perf_counter()
    first = search(queries[0])
    slow = time.perf_counter() - start > 1
    asked = queries[: 10 if slow else None]
    found = [first, *(search(each) for each in asked[1:])]
    times, processor = [], []
    for each in asked:
        start, used = time.perf_counter(), time.process_time()
        search(each)
        times.append((time.perf_counter() - start) * 1000)
        processor.append((time.process_time() - used) * 1000)
    hits = [len(set(pages[:TOP]) & set(wanted)) / TOP for pages, wanted in zip(found, truth, strict=False)]
    return {
        "p50_ms": round(median(times), 1),
        "cpu_ms": round(median(processor), 1),
        "recall@10": round(sum(hits) / len(hits), 4),
        "queries": len(asked),
    }


def filled(index: Any, pages: int) -> float:
    """Write all pages; seconds, without those that making the pages takes."""
    spent = 0.0
    for first, batch in batches(pages):
        points = [(PageKey("synthetic", 1, first + n + 1), vectors, {}) for n, vectors in enumerate(batch)]
        start = time.perf_counter()
        index.upsert(points)
        spent += time.perf_counter() - start
    start = time.perf_counter()
    index.flush()
    return spent + time.perf_counter() - start


def numbers(index: Any, limit: int, each: NDArray[np.float32]) -> list[int]:
    return [found.key.number - 1 for found in index.search(each, limit)]


def folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def mapped(folder: Path, pages: int, queries: Sequence[Any], truth: Sequence[Any]) -> dict[str, Figures]:
    """Our three stages, for each number C of candidates of the last; the first passes on 4 C, at least 400."""
    index = MappedIndex(folder, PRINT)
    spent = filled(index, pages)
    index.close()
    size = round(folder_bytes(folder) / pages)
    results = {}
    for count in CANDIDATES:
        index = MappedIndex(folder, PRINT, coarse=max(4 * count, 400), fine=count)
        figures = measured(partial(numbers, index, TOP), queries, truth)
        results[f"three stages, C={count}"] = figures | {"bytes_a_page": size, "write_ms_a_page": ms(spent, pages)}
        index.close()
    return results


def edge(folder: Path, pages: int, queries: Sequence[Any], truth: Sequence[Any]) -> dict[str, Figures]:
    """Qdrant Edge: all vectors of all pages, and its own pooled prefetch."""
    index = EdgeIndex(folder, PRINT, pooled=True)
    spent = filled(index, pages)
    index.close()
    common = {"bytes_a_page": round(folder_bytes(folder) / pages), "write_ms_a_page": ms(spent, pages)}
    results = {}
    for count in (*CANDIDATES, pages):
        index = EdgeIndex(folder, PRINT, pooled=True, candidates=count)
        name = "Qdrant Edge, exact" if count == pages else f"Qdrant Edge, pooled prefetch, C={count}"
        results[name] = (
            measured(partial(numbers, index, TOP), queries[: 10 if count == pages else None], truth) | common
        )
        index.close()
    return results


def colpali(_: Path, pages: int, queries: Sequence[Any], truth: Sequence[Any]) -> dict[str, Figures]:
    """colpali-engine's ``score_multi_vector``: everything in memory, float32, scored."""
    from retrieval.encoders.torch_device import import_torch

    torch = import_torch()
    from colpali_engine.utils.processing_utils import BaseVisualRetrieverProcessor

    part = min(pages, available_bytes() // (2 * LENGTH * DIM * 4))
    held = [torch.from_numpy(vectors) for _, batch in batches(part) for vectors in batch]
    score = BaseVisualRetrieverProcessor.score_multi_vector

    def search(each: NDArray[np.float32]) -> list[int]:
        return best(score([torch.from_numpy(each)], held, device="cpu")[0].numpy(), TOP)

    figures = measured(search, queries, truth)
    if part < pages:
        figures |= {"p50_ms": round(figures["p50_ms"] * pages / part, 1), "recall@10": None, "scaled_from_pages": part}
    return {"colpali-engine, everything scored": figures | {"bytes_a_page": LENGTH * DIM * 4}}


def ours_exact(_: Path, pages: int, queries: Sequence[Any], truth: Sequence[Any]) -> dict[str, Figures]:
    """`max_sim` over everything in memory, as int8 with scales: exact search of our own."""
    from retrieval.maxsim import Rows, quantized

    parts = [quantized(vectors) for _, batch in batches(pages) for vectors in batch]
    values, scales = (np.concatenate(column) for column in zip(*parts, strict=True))
    del parts
    held = Rows(values, np.arange(pages + 1, dtype=np.int64) * LENGTH, scales)
    figures = measured(lambda each: best(max_sim(each, held), TOP), queries, truth)
    return {"max_sim, int8, everything scored": figures | {"bytes_a_page": LENGTH * (DIM + 2)}}


def ms(seconds: float, pages: int) -> float:
    return round(seconds / pages * 1000, 1)


def available_bytes() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable"):
            return int(line.split()[1]) * 1024
    return 1 << 33


WAYS = {"mapped": mapped, "edge": edge, "colpali": colpali, "ours-exact": ours_exact}


def table(results: Mapping[str, Figures]) -> None:
    print(f"{'':<38}{'p50 ms':>10}{'CPU ms':>10}{'recall@10':>11}{'bytes a page':>14}{'write ms a page':>17}")
    for name, row in results.items():
        cells = (row.get(key) for key in ("p50_ms", "cpu_ms", "recall@10", "bytes_a_page", "write_ms_a_page"))
        texts = [f"{cell:,}" if cell is not None else "–" for cell in cells]
        print(f"{name:<38}{texts[0]:>10}{texts[1]:>10}{texts[2]:>11}{texts[3]:>14}{texts[4]:>17}")


def main() -> None:
    options = parser(__doc__)
    options.add_argument("ways", nargs="*", metavar="WAY", help=f"{', '.join(WAYS)}; default: all")
    options.add_argument("--pages", type=int, default=10_000)
    options.add_argument("--queries", type=int, default=40)
    options.add_argument("--folder", type=Path, help="where indexes are built and removed again")
    given = options.parse_args()
    if unknown := set(given.ways) - WAYS.keys():
        options.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(WAYS)}")
    queries = [query(number, given.pages) for number in range(given.queries)]
    truth = exact(given.pages, queries)
    results: dict[str, Figures] = {}
    for name in given.ways or WAYS:
        folder = Path(tempfile.mkdtemp(dir=given.folder))
        try:
            found = WAYS[name](folder / "index", given.pages, queries, truth)
        except ImportError as error:
            print(f"{name} is left out: {error}")
            continue
        finally:
            shutil.rmtree(folder)
        results |= found
        table(found)
        sys.stdout.flush()
    figures = {"pages": given.pages, "queries": given.queries, "results": results}
    show(figures, given.json, partial(table, results))


if __name__ == "__main__":
    main()
