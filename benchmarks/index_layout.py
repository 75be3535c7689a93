"""Compare layouts of a page's chunks in Qdrant Edge: one multivector a page, or one point a chunk.

``python -m benchmarks.index_layout [--pages 100000] [--folder DIR] [--json] [LAYOUT ...]`` builds each layout from the
same synthetic unit vectors (5 chunks a page, 384 dimensions, clustered) in a process of its own and measures building,
optimising, disk, memory, search time and recall@10 against the exact best-chunk ranking.
"""

from __future__ import annotations

import argparse
import importlib
import json
import multiprocessing
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

CHUNKS, DIM, QUERIES, BATCH = 5, 384, 100, 500
LAYOUTS: dict[str, dict[str, Any]] = {
    "multi-f32": {},
    "multi-f32-m0-optimized": {"optimize": True},
    "multi-f16": {"f16": True},
    "multi-f16-m0-optimized": {"f16": True, "optimize": True},
    "multi-f16-int8-optimized": {"f16": True, "int8": True, "optimize": True},
    "multi-f16-hnsw-optimized": {"f16": True, "m": 16, "optimize": True},
    "points-f16": {"f16": True, "points": True},
    "points-f16-m0-optimized": {"f16": True, "points": True, "optimize": True},
    "points-f16-hnsw-optimized": {"f16": True, "points": True, "m": 16, "optimize": True},
}


def engine() -> Any:
    """Qdrant Edge; untyped, its stubs know no numpy."""
    return importlib.import_module("qdrant_edge")


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows scaled to length 1, in place."""
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def corpus(pages: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Chunks float32 [pages * CHUNKS, DIM], clustered by topic and page, and queries float32 [QUERIES, DIM]."""
    rng = np.random.default_rng(7)

    def draw(shape: tuple[int, ...]) -> NDArray[np.float32]:
        return rng.standard_normal(shape, dtype=np.float32)

    topics = draw((max(pages // 50, 1), DIM))
    centres = 0.9 * topics[rng.integers(len(topics), size=pages)] + 0.6 * draw((pages, DIM))
    chunks = np.repeat(centres, CHUNKS, axis=0)
    chunks += 0.8 * draw(chunks.shape)
    unit(chunks)
    queries = chunks[rng.integers(len(chunks), size=QUERIES)] + 0.06 * draw((QUERIES, DIM))
    return chunks, unit(queries)


def exact(chunks: NDArray[np.float32], queries: NDArray[np.float32]) -> NDArray[np.int64]:
    """Page numbers int64 [QUERIES, 10]: the ten pages whose best chunk is nearest."""
    best = np.stack([(chunks @ query).reshape(-1, CHUNKS).max(axis=1) for query in queries])
    return np.argsort(-best, axis=1)[:, :10]


def build(folder: Path, chunks: NDArray[np.float32], layout: dict[str, Any]) -> Any:
    """An Edge shard with all chunks; payload as the product writes it."""
    edge = engine()

    points = layout.get("points", False)
    config = edge.EdgeConfig(
        vectors={
            "v": edge.EdgeVectorParams(
                size=DIM,
                distance=edge.Distance.Cosine,
                multivector_config=None if points else edge.MultiVectorConfig(edge.MultiVectorComparator.MaxSim),
                datatype=edge.VectorStorageDatatype.Float16 if layout.get("f16") else None,
                quantization_config=edge.ScalarQuantizationConfig(edge.ScalarType.Int8, always_ram=True)
                if layout.get("int8")
                else None,
                hnsw_config=edge.HnswIndexConfig(m=layout.get("m", 0), ef_construct=100, full_scan_threshold=10_000),
            )
        },
        wal_enabled=False,
    )
    shard = edge.EdgeShard.create(str(folder), config)
    pages = len(chunks) // CHUNKS
    for start in range(0, pages, BATCH):
        batch = []
        for page in range(start, min(start + BATCH, pages)):
            payload = {"document_id": f"doc_{page // 50:020d}", "version": 1, "page": page}
            rows = chunks[page * CHUNKS : (page + 1) * CHUNKS]
            if points:
                batch += [edge.Point(page * CHUNKS + i, {"v": row}, payload) for i, row in enumerate(rows)]
            else:
                batch.append(edge.Point(page, {"v": rows}, payload))
        shard.update(edge.UpdateOperation.upsert_points(batch))
    shard.flush()
    return shard


def find(shard: Any, query: NDArray[np.float32], limit: int, points: bool) -> list[int]:
    """The ``limit`` best pages; with one point a chunk it fetches three chunks for each, more when they are too few."""
    edge = engine()

    fetch = 3 * limit if points else limit
    while True:
        nearest = edge.Query.Nearest(query if points else query[None], using="v")
        request = edge.QueryRequest(limit=fetch, query=nearest, with_payload=["document_id", "version", "page"])
        found = shard.query(request)
        pages = list(dict.fromkeys(point.payload["page"] for point in found))
        if len(pages) >= limit or len(found) < fetch:
            return pages[:limit]
        fetch *= 2


def measure_build(name: str, pages: int, folder: Path) -> dict[str, float]:
    """Build one layout: seconds, and megabytes on disk after it was closed."""
    layout = LAYOUTS[name]
    chunks, _ = corpus(pages)
    start = time.perf_counter()
    shard = build(folder, chunks, layout)
    figures = {"build_s": time.perf_counter() - start}
    start = time.perf_counter()
    if layout.get("optimize"):
        shard.optimize()
    figures["optimize_s"] = time.perf_counter() - start
    shard.close()
    figures["disk_mb"] = sum(p.stat().st_blocks * 512 for p in folder.rglob("*") if p.is_file()) / 1e6
    return figures


def measure_search(name: str, folder: Path, queries: NDArray[np.float32], truth: NDArray[np.int64]) -> dict[str, float]:
    """Open one layout in a fresh process and search: seconds, milliseconds, recall, resident megabytes."""
    edge = engine()

    points = LAYOUTS[name].get("points", False)
    start = time.perf_counter()
    shard = edge.EdgeShard.load(str(folder))
    figures = {"open_s": time.perf_counter() - start}
    hits = [len(set(find(shard, q, 10, points)) & set(t.tolist())) for q, t in zip(queries, truth, strict=True)]
    for limit in (10, 200):
        times = []
        for query in queries:
            start = time.perf_counter()
            find(shard, query, limit, points)
            times.append((time.perf_counter() - start) * 1000)
        figures[f"search_{limit}_p50_ms"] = median(times)
    figures["recall_at_10"] = sum(hits) / (10 * len(queries))
    figures["rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return figures


def ground(pages: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Queries and their exact answers."""
    chunks, queries = corpus(pages)
    return queries, exact(chunks, queries)


def alone(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call in a fresh process, so that memory is the call's own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("layouts", nargs="*", metavar="LAYOUT", help=", ".join(LAYOUTS))
    parser.add_argument("--pages", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, default=None, help="where shards are built and removed again")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results: dict[str, dict[str, float]] = {}
    queries, truth = alone(ground, options.pages)
    for name in options.layouts or LAYOUTS:
        folder = Path(tempfile.mkdtemp(dir=options.folder))
        try:
            figures = alone(measure_build, name, options.pages, folder)
            figures |= alone(measure_search, name, folder, queries, truth)
        finally:
            shutil.rmtree(folder)
        results[name] = {key: round(value, 3) for key, value in figures.items()}
        print(f"{name:28}", "  ".join(f"{key} {value:,.2f}" for key, value in results[name].items()), flush=True)
    if options.json:
        print(json.dumps({"pages": options.pages, "chunks": CHUNKS, "dim": DIM, "layouts": results}))


if __name__ == "__main__":
    main()
