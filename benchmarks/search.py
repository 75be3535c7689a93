"""Search time, embedded, warm, in process.

``python -m benchmarks.search [--json] [--data-dir DIR] [--limit N]`` takes corpus/dev in through `ingest.Library`
(``--data-dir``: into a folder that is kept and, when it already holds documents, used as it is) and asks its questions,
each once, so that no question is remembered: by turns for hits of the lexical channel alone, of all channels fused, and
the same with text regions and snippets.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from benchmarks.common import need_corpus, parser, show
from ingest import Library
from retrieval import Retriever


def measure(retriever: Retriever, questions: list[str], k: int = 5) -> dict[str, Any]:
    """Milliseconds: median and 95th percentile for each way of asking, medians of the stages."""
    ways: dict[str, Callable[[str], Any]] = {
        "lexical": partial(retriever.search, k=k, channels=["lexical"], regions=False),
        "fused": partial(retriever.search, k=k, regions=False),
        "fused_regions": partial(retriever.search, k=k),
    }
    for search in ways.values():
        for number in range(10):
            search(f"warming up number {number}")
    times: dict[str, list[float]] = defaultdict(list)
    stages: dict[str, list[float]] = defaultdict(list)
    for number, question in enumerate(questions):
        way = list(ways)[number % len(ways)]
        start = time.perf_counter()
        result = ways[way](question)
        times[way].append((time.perf_counter() - start) * 1000)
        for stage, ms in result.timings.items():
            stages[f"{way}_{stage}"].append(ms)
    figures = {f"{way}_p50_ms": round(median(ms), 2) for way, ms in times.items()}
    figures |= {f"{way}_p95_ms": round(quantiles(ms, n=20)[-1], 2) for way, ms in times.items()}
    return {**figures, "stages_p50_ms": {stage: round(median(ms), 2) for stage, ms in stages.items()}}


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--data-dir", type=Path, help="keep the index here, or use the one that is here")
    arguments.add_argument("--limit", type=int, help="take in only the first N files")
    options = arguments.parse_args()
    corpus = need_corpus("dev")
    questions = [json.loads(line)["question"] for line in (corpus / "questions.jsonl").read_text().splitlines()]
    with tempfile.TemporaryDirectory() as scratch, Library(options.data_dir or scratch) as library:
        library.create_collection()
        if not library.channel_coverage():
            library.ingest(sorted((corpus / "docs").iterdir())[: options.limit], wait=True)
        retriever = library.retriever()
        figures = measure(retriever, list(dict.fromkeys(questions)))
        figures["channels"] = {
            name: f"{share.done} of {share.total}" for name, share in library.channel_coverage().items()
        }
        figures["questions"] = len(questions)
    show(figures, options.json)


if __name__ == "__main__":
    main()
