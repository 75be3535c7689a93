"""What 10 thousand, 1 million and 100 million pages take: bytes, memory, cores, hours, from figures of one page.

``python -m benchmarks.scale [--json] [--pages 400] [--gpu-rate 20] [--scans 0.1]``

Bytes are measured here: documents of corpus/dev with a text layer (the sample documents where the corpus is absent) are
taken in by two halves, and what the folder grew by from the first to the second, divided by the pages, is the price of
one page, whatever a store reserves at its beginning. Channels whose models need a download are measured with random
vectors of the shape that the model gives: bytes don't depend on values. Times are `EARLIER`, each with the command that
gave it; ``--gpu-rate`` (pages a second of one GPU) and ``--scans`` (share of pages that need OCR) are assumptions, and
the rest is arithmetic, which `check` does a second time in another way.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from api import samples
from benchmarks.common import CORPUS, parser, show
from folioscope.domain import Fingerprint, PageKey
from folioscope.settings import Settings
from ingest import Library
from retrieval.indexes import EdgeIndex

TIERS = (10_000, 1_000_000, 100_000_000)
VISUAL = (875, 128)  # of an A4 page with the default model: 13 tiles of 64 vectors, 43 of what stands between them
IMAGE = (1, 512)  # CLIP ViT-B/32
NODE_GB, NODE_CORES = 64, 16
USABLE = 0.75  # of a node's memory; the rest is the engine's, the system's and for growth
REPLICAS = 2
SEARCH_S = 1.0  # what the search of one question may take on the cores that it gets


class Earlier(NamedTuple):
    """A figure that another benchmark has measured, and how."""

    value: float
    command: str


EARLIER = {
    "read_ms": Earlier(6.4, "benchmarks.ingest: CPU ms a page, words and lexical channel"),
    "ocr_ms": Earlier(2700, "tesseract 5.3 on one core, within the ingest of benchmarks.retrieval"),
    "semantic_ms": Earlier(253, "benchmarks.semantic: 7.9 pages/s on 2 cores"),
    "lexical_search_ms": Earlier(0.017e-3, "benchmarks.index_layout's page: 1.7 ms at 100,000 pages"),
    "semantic_search_ms": Earlier(0.24e-3, "benchmarks.index_layout: 24.1 ms at 100,000 pages"),
    "visual_search_ms": Earlier(13.8e-3, "benchmarks.visual_search: 138 CPU ms at 10,000 pages, C = 32"),
}
"""Milliseconds of one core, a page."""


def halves(pages: int) -> tuple[list[Path], list[Path]]:
    """Documents of about so many pages together, dealt out by turns, so that both halves are alike."""
    listed = CORPUS / "dev" / "documents.jsonl"
    if not listed.exists():
        with samples.folder() as folder:
            found = sorted(path for path in folder.iterdir() if path.suffix == ".pdf")
        return found[::2], found[1::2]
    rows = [json.loads(line) for line in listed.read_text().splitlines()]
    rows = [row for row in rows if row["text_pages"] >= 0.9 * row["pages"] and row["pages"] <= pages // 4]
    chosen: list[Path] = []
    for row in rows:
        if pages <= 0:
            break
        chosen.append(CORPUS / "dev" / "docs" / row["file"])
        pages -= row["pages"]
    return chosen[::2], chosen[1::2]


def used(folder: Path) -> int:
    """Bytes on disk."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def documents_cost(files: tuple[Sequence[Path], Sequence[Path]]) -> dict[str, Any]:
    """Bytes a page of originals, catalog, lexical and semantic channel."""
    with tempfile.TemporaryDirectory() as root:
        sizes = []
        for half in files:
            with Library(
                settings=Settings(data_dir=Path(root), channels=("lexical", "semantic"), ocr="off")
            ) as library:
                report = library.ingest(half, wait=True)
                assert not report.failed, report.failed
                collection, pages = library.collection().id, sum(each.pages for each in library.documents())
            folder = Path(root)
            indexes = folder / "indexes" / collection
            places = {
                "originals": folder / "originals",
                "lexical": indexes / "lexical",
                "semantic": indexes / "semantic",
            }
            sizes.append({name: used(place) for name, place in places.items()} | {"pages": pages})
            sizes[-1]["catalog"] = sum(path.stat().st_blocks * 512 for path in folder.glob("catalog.sqlite*"))
        first, second = sizes
        more = second["pages"] - first["pages"]
        costs = {name: round((second[name] - first[name]) / more) for name in first if name != "pages"}
        return {"pages_measured": [first["pages"], more], **costs}


def vectors_cost(shape: tuple[int, int], *, pooled: bool, datatype: Any = "float16", pages: int = 48) -> int:
    """Bytes a page of an index of pages with so many vectors."""
    rows, dim = shape
    print_ = Fingerprint("random", "1", "multi" if rows > 1 else "dense", dim)
    rng = np.random.default_rng(0)

    def drawn(numbers: Iterable[int]) -> list[Any]:
        made = []
        for number in numbers:
            vectors = rng.standard_normal(shape, np.float32)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            made.append((PageKey(f"doc_{number}", 1, 1), vectors if rows > 1 else vectors[0]))
        return made

    with tempfile.TemporaryDirectory() as root:
        sizes = []
        for half in (range(pages), range(pages, 2 * pages)):
            index = EdgeIndex(Path(root) / "index", print_, pooled=pooled, datatype=datatype)
            index.upsert(drawn(half))
            index.flush()
            index.close()
            sizes.append(used(Path(root)))
        return round((sizes[1] - sizes[0]) / pages)


def plan(pages: int, costs: Mapping[str, float], *, gpu_rate: float, scans: float) -> dict[str, float]:
    """What so many pages take. GB are 10^9 bytes; hours are of one core or one GPU; nodes have `NODE_GB`, `NODE_CORES`.

    ``memory_gb``: what every search reads: lexical and semantic vectors and the visual channel's pooled ones; the full
    visual vectors stay on disk. ``search_cores``: so that a question over all pages takes `SEARCH_S`, exactly, for
    nothing is skipped by a graph. ``shards``: by memory or by cores, whichever asks for more; each on `REPLICAS` nodes.
    """
    giga = pages / 1e9
    memory = giga * (costs["lexical"] + costs["semantic"] + costs["visual_pooled"])
    search_ms = pages * sum(EARLIER[f"{name}_search_ms"].value for name in ("lexical", "semantic", "visual"))
    cores = search_ms / 1000 / SEARCH_S
    shards = max(1, math.ceil(memory / (NODE_GB * USABLE)), math.ceil(cores / NODE_CORES))
    return {
        "pages": pages,
        "originals_gb": giga * costs["originals"],
        "catalog_gb": giga * costs["catalog"],
        "text_vectors_gb": giga * (costs["lexical"] + costs["semantic"]),
        "visual_vectors_gb": giga * costs["visual"],
        "disk_gb": giga * sum(costs[name] for name in ("originals", "catalog", "lexical", "semantic", "visual")),
        "memory_gb": memory,
        "read_core_hours": pages * (EARLIER["read_ms"].value + scans * EARLIER["ocr_ms"].value) / 3.6e6,
        "semantic_core_hours": pages * EARLIER["semantic_ms"].value / 3.6e6,
        "gpu_hours": pages / gpu_rate / 3600,
        "search_cores": cores,
        "shards": shards,
        "nodes": shards * REPLICAS,
    }


def check(found: Mapping[str, float], costs: Mapping[str, float], *, gpu_rate: float, scans: float) -> None:
    """The same by other ways: sums of parts, one page times the pages, what the nodes hold and can do."""
    pages = found["pages"]
    parts = ("originals_gb", "catalog_gb", "text_vectors_gb", "visual_vectors_gb")
    assert math.isclose(sum(found[name] for name in parts), found["disk_gb"])
    one = plan(1, costs, gpu_rate=gpu_rate, scans=scans)
    for name in ("disk_gb", "memory_gb", "read_core_hours", "semantic_core_hours", "gpu_hours", "search_cores"):
        assert math.isclose(pages * one[name], found[name]), name
    assert found["shards"] * NODE_GB * USABLE >= found["memory_gb"]
    assert found["shards"] * NODE_CORES * SEARCH_S >= found["search_cores"]
    fewer = found["shards"] - 1
    assert not fewer or fewer * NODE_GB * USABLE < found["memory_gb"] or fewer * NODE_CORES < found["search_cores"]
    assert math.isclose(found["gpu_hours"] * 3600 * gpu_rate, pages)


def measured(pages: int) -> dict[str, Any]:
    """Bytes a page of everything that is kept."""
    costs = documents_cost(halves(pages))
    visual = vectors_cost(VISUAL, pooled=True)
    return {
        **costs,
        "visual": visual,
        "visual_pooled": visual - vectors_cost(VISUAL, pooled=False),
        "visual_int8": vectors_cost(VISUAL, pooled=True, datatype="int8"),
        "image": vectors_cost(IMAGE, pooled=False, pages=4000),
    }


def main() -> None:
    command = parser(__doc__)
    command.add_argument("--pages", type=int, default=400, help="pages of documents to measure on, about")
    command.add_argument("--gpu-rate", type=float, default=20.0, help="pages a second that one GPU encodes (assumed)")
    command.add_argument("--scans", type=float, default=0.1, help="share of the pages that OCR must read (assumed)")
    given = command.parse_args()
    costs = measured(given.pages)
    assumed = {"gpu_rate": given.gpu_rate, "scans": given.scans}
    tiers = [plan(pages, costs, **assumed) for pages in TIERS]
    for tier in tiers:
        check(tier, costs, **assumed)
    figures = {
        "bytes_a_page": costs,
        "earlier": {name: entry._asdict() for name, entry in EARLIER.items()},
        "assumed": assumed,
        "tiers": [{name: float(f"{value:.3g}") for name, value in tier.items()} for tier in tiers],
    }
    show(figures, given.json, lambda: _table(figures))


def _table(figures: dict[str, Any]) -> None:
    for name, value in figures["bytes_a_page"].items():
        print(f"{name:<22} {value}")
    for name in figures["tiers"][0]:
        print(f"{name:<22}", *(f"{tier[name]:>14,g}" for tier in figures["tiers"]))


if __name__ == "__main__":
    main()
