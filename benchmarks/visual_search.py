"""Search over pages of many vectors: recall@10 of exact MaxSim, time and bytes a page, for every way that is there.

``python -m benchmarks.visual_search [--pages 10000] [--queries 40] [--folder DIR] [--json] [WAY ...]``

Pages are synthetic and always the same: 1,030 unit vectors of 128 dimensions as ColPali makes them, in clusters. A page
has 40 to 120 motifs, a third of them varied from those of its topic (50 pages share one), some from a background that
all pages have, the rest its own; its vectors are motifs with noise, most from a few of them. A query is 20 vectors of
one page, each varied, a quarter of them noise alone. Real embeddings differ: what holds here is a comparison of ways.

Truth is MaxSim in float32 over all vectors. Every way is built first; then each query is asked of all of them in turn,
so that other work on the machine disturbs all alike, in two rounds of which the first warms up. Exact ways are asked
the first three queries. The vectors lie in a file (half a megabyte a page) beside the indexes: let memory hold both.
On a busy machine OPENBLAS_NUM_THREADS=1 keeps the pooling of pages from waiting for its own threads.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import parser, show
from folioscope.domain import Fingerprint, PageKey
from retrieval.indexes import EdgeIndex
from retrieval.indexes.edge import EdgeEngine
from retrieval.indexes.qdrant import QdrantIndex, Request, schema_of
from retrieval.maxsim import Rows, max_sim, quantized, unit

LENGTH, DIM, TOKENS, TOPIC, TOP = 1030, 128, 20, 50, 10
CANDIDATES = (32, 50, 64, 100, 200, 400, 800)
SLOW = 3  # queries asked of ways that score everything
BATCH = 50  # pages made or written at a time
PRINT = Fingerprint("synthetic", "1", "multi", DIM)
Vectors = NDArray[np.float32]
Figures = dict[str, Any]


class Way(NamedTuple):
    """``search``: a query [TOKENS, DIM] -> page numbers, best first. ``costs``: of building it. ``queries``: asked."""

    search: Callable[[Vectors], Sequence[int]]
    costs: Figures
    queries: int = sys.maxsize


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
    noise = rng.random(TOKENS) < 0.25
    tokens[noise] = draw(rng, int(noise.sum()), DIM)
    return unit(tokens)


def drawn(file: Path, count: int) -> Vectors:
    """float32 [count, LENGTH, DIM], mapped into memory: all pages."""
    pages = np.memmap(file, np.float32, "w+", shape=(count, LENGTH, DIM))
    for number in range(count):
        pages[number] = page(number)
    return pages


def joined(pages: Vectors) -> Rows:
    return Rows(pages.reshape(-1, DIM), np.arange(len(pages) + 1, dtype=np.int64) * LENGTH)


def exact(pages: Vectors, queries: Sequence[Vectors]) -> list[list[int]]:
    """For each query its ten best pages by all their vectors in float32."""
    scores = np.empty((len(queries), len(pages)), np.float32)
    for part in parts(len(pages)):
        full = joined(pages[part])
        for number, each in enumerate(queries):
            scores[number, part] = max_sim(each, full)
    return [best(row) for row in scores]


def parts(count: int) -> Iterator[slice]:
    return (slice(*ends) for ends in pairwise([*range(0, count, BATCH), count]))


def best(scores: NDArray[np.float32]) -> list[int]:
    return [int(number) for number in np.argsort(-scores)[:TOP]]


def measured(ways: Mapping[str, Way], queries: Sequence[Vectors], truth: Sequence[Sequence[int]]) -> dict[str, Figures]:
    """The second round's median times, by the clock and of the processors, which other work upsets less; recall."""
    for _ in range(2):
        asked: dict[str, list[tuple[float, float, Sequence[int]]]] = {name: [] for name in ways}
        for number, each in enumerate(queries):
            for name, way in ways.items():
                if number < way.queries:
                    asked[name].append(timed(way.search, each))
    results = {}
    for name, way in ways.items():
        times, processor, found = zip(*asked[name], strict=True)
        hits = [len(set(pages[:TOP]) & set(wanted)) / TOP for pages, wanted in zip(found, truth, strict=False)]
        results[name] = {
            "p50_ms": round(median(times), 1),
            "cpu_ms": round(median(processor), 1),
            "recall@10": round(sum(hits) / len(hits), 4),
            "queries": len(found),
            **way.costs,
        }
    return results


def timed(search: Callable[[Vectors], Sequence[int]], each: Vectors) -> tuple[float, float, Sequence[int]]:
    start, used = time.perf_counter(), time.process_time()
    found = search(each)
    return (time.perf_counter() - start) * 1000, (time.process_time() - used) * 1000, found


def filled(index: Any, pages: Vectors) -> float:
    """Write all pages; milliseconds a page."""
    start = time.perf_counter()
    for part in parts(len(pages)):
        first = part.start
        index.upsert((PageKey("synthetic", 1, first + n + 1), each) for n, each in enumerate(pages[part]))
        print(f"\r{part.stop} pages written", end="", file=sys.stderr)
    index.flush()
    print(file=sys.stderr)
    return round((time.perf_counter() - start) / len(pages) * 1000, 1)


def numbers(index: Any, limit: int, each: Vectors) -> list[int]:
    return [found.key.number - 1 for found in index.search(each, limit)]


def bytes_a_page(folder: Path, pages: Vectors) -> int:
    return round(sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file()) / len(pages))


def edge(
    folder: Path, pages: Vectors, stack: ExitStack, datatype: Literal["float16", "int8"] = "float16"
) -> dict[str, Way]:
    """Qdrant Edge: its own pooled prefetch, and all vectors of all pages."""
    engine_name = "Qdrant Edge" if datatype == "float16" else f"Qdrant Edge {datatype}"
    index = EdgeIndex(folder, PRINT, pooled=True, datatype=datatype)
    spent = filled(index, pages)
    index.close()
    costs = {"bytes_a_page": bytes_a_page(folder, pages), "write_ms_a_page": spent}
    engine = EdgeEngine(folder, PRINT, schema_of(PRINT, True, datatype))
    stack.callback(engine.close)

    def all_of_them(each: Vectors) -> list[int]:
        return [payload["page"] - 1 for payload, _ in engine.query(Request(each, "full", TOP, ()))]

    ways = {}
    for count in CANDIDATES:
        prefetching = QdrantIndex(engine, PRINT, pooled=True, candidates=count)
        ways[f"{engine_name}, pooled prefetch, C={count}"] = Way(partial(numbers, prefetching, TOP), costs)
    return ways | {f"{engine_name}, exact": Way(all_of_them, costs, SLOW)}


def colpali(_: Path, pages: Vectors, __: ExitStack) -> dict[str, Way]:
    """colpali-engine's ``score_multi_vector``: everything in memory, float32, scored."""
    from retrieval.encoders.torch_device import import_torch

    torch = import_torch()
    from colpali_engine.utils.processing_utils import BaseVisualRetrieverProcessor

    held = list(torch.from_numpy(pages))
    score = BaseVisualRetrieverProcessor.score_multi_vector

    def search(each: Vectors) -> list[int]:
        return best(score([torch.from_numpy(each)], held, device="cpu")[0].numpy())

    return {"colpali-engine, everything scored": Way(search, {"bytes_a_page": LENGTH * DIM * 4}, SLOW)}


def ours_exact(_: Path, pages: Vectors, __: ExitStack) -> dict[str, Way]:
    """`max_sim` over everything in memory, as int8 with scales: exact search of our own, on one thread."""
    values = np.empty((len(pages), LENGTH, DIM), np.int8)
    scales = np.empty((len(pages), LENGTH), np.float16)
    for number, each in enumerate(pages):
        values[number], scales[number] = quantized(each)
    held = joined(pages)._replace(vectors=values.reshape(-1, DIM), scales=scales.reshape(-1))
    costs = {"bytes_a_page": LENGTH * (DIM + 2)}
    return {"max_sim, int8, everything scored": Way(lambda each: best(max_sim(each, held)), costs, SLOW)}


WAYS = {"edge": edge, "edge-int8": partial(edge, datatype="int8"), "colpali": colpali, "ours-exact": ours_exact}


def table(results: Mapping[str, Figures]) -> None:
    print(f"{'':<42}{'p50 ms':>10}{'CPU ms':>10}{'recall@10':>11}{'bytes a page':>14}{'write ms a page':>17}")
    for name, row in results.items():
        cells = (row.get(key) for key in ("p50_ms", "cpu_ms", "recall@10", "bytes_a_page", "write_ms_a_page"))
        texts = [f"{cell:,}" if cell is not None else "–" for cell in cells]
        print(f"{name:<42}{texts[0]:>10}{texts[1]:>10}{texts[2]:>11}{texts[3]:>14}{texts[4]:>17}")


def main() -> None:
    options = parser(__doc__)
    options.add_argument("ways", nargs="*", metavar="WAY", help=f"{', '.join(WAYS)}; default: all")
    options.add_argument("--pages", type=int, default=10_000)
    options.add_argument("--queries", type=int, default=40)
    options.add_argument("--folder", type=Path, help="where vectors and indexes are written and removed again")
    given = options.parse_args()
    if unknown := set(given.ways) - WAYS.keys():
        options.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(WAYS)}")
    queries = [query(number, given.pages) for number in range(given.queries)]
    with tempfile.TemporaryDirectory(dir=given.folder) as folder, ExitStack() as stack:
        pages = drawn(Path(folder) / "vectors", given.pages)
        truth = exact(pages, queries)
        ways: dict[str, Way] = {}
        for name in given.ways or WAYS:
            try:
                ways |= WAYS[name](Path(folder) / name, pages, stack)
            except ImportError as error:
                print(f"{name} is left out: {error}")
        results = measured(ways, queries, truth)
    show({"pages": given.pages, "queries": given.queries, "results": results}, given.json, partial(table, results))


if __name__ == "__main__":
    main()
