"""The semantic channel's speed: pages a second against the bare model, and a query's latency.

``python -m benchmarks.semantic [--json] [--pages N]`` encodes N pages spread evenly over corpus/dev (text layer, no
OCR), in groups as the channel sees them. Each group is encoded twice, in turns first and second: by the encoder, and
by a bare loop of onnxruntime calls, on one core, over inputs of the same chunks that were padded and batched
beforehand. The share is the median over the groups, so that what else the machine does weighs on both; the encoder
works on a batch on each core, so that it is more than 1 where there are several.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import need_corpus, parser, show
from folioscope.domain import PageInput, PageKey
from ingest.sources import open_source
from retrieval.encoders.semantic import SemanticEncoder
from retrieval.encoders.sentence_model import BATCH_TOKENS, batches

Inputs = tuple[NDArray[np.int64], NDArray[np.bool_]]


def read_pages(folder: Path, count: int) -> list[PageInput]:
    """``count`` pages (or a few more) with words, spread evenly over the documents' pages."""
    places, pages = [], []
    for path in sorted(folder.glob("*.pdf")):
        source = open_source(path, None, max_pages=5000, max_pixels=40_000_000)
        places += [(path, number) for number in range(1, source.page_count + 1)]
        source.close()
    for path, number in places[:: max(1, len(places) // count)]:
        source = open_source(path, None, max_pages=5000, max_pixels=40_000_000)
        words = source.read(number, None).words
        source.close()
        if len(words):
            pages.append(PageInput(PageKey(path.name, 1, number), path.name, words))
    return pages


def bare_inputs(encoder: SemanticEncoder, pages: Sequence[PageInput]) -> list[Inputs]:
    """The chunks of these pages as token numbers and mask, special tokens included, sorted by length and batched."""
    encode = encoder.model.tokenizer.encode
    ranges = [(page.words.texts, span) for page in pages for span in encoder.chunks(page.words)]
    texts = [encode(" ".join(texts[start:stop])).ids[:256] for texts, (start, stop) in ranges]
    inputs = []
    for batch in batches([len(text) for text in texts], BATCH_TOKENS):
        rows = [texts[position] for position in batch]
        mask = np.arange(max(map(len, rows))) < np.array([len(row) for row in rows])[:, None]
        ids = np.zeros(mask.shape, np.int64)
        ids[mask] = np.concatenate(rows)
        inputs.append((ids, mask))
    return inputs


def seconds(encoder: SemanticEncoder, pages: Sequence[PageInput], inputs: Sequence[Inputs], turn: int) -> list[float]:
    """Seconds of the encoder and of the bare loop; which goes first changes with ``turn``."""
    taken = [0.0, 0.0]
    for way in (0, 1) if turn % 2 else (1, 0):
        start = time.perf_counter()
        if way == 0:
            encoder.encode_pages(pages)
        else:
            for ids, mask in inputs:
                encoder.model.run(ids, mask)
        taken[way] = time.perf_counter() - start
    return taken


def measure(encoder: SemanticEncoder, pages: Sequence[PageInput], questions: Sequence[str]) -> dict[str, Any]:
    """See the module's docstring."""
    size = encoder.batch_size
    groups = [pages[start : start + size] for start in range(0, len(pages), size)]
    start = time.perf_counter()
    encoder.encode_query("loads the weights")
    load = time.perf_counter() - start
    taken, tokens = [], 0
    for turn, group in enumerate(groups):
        inputs = bare_inputs(encoder, group)
        tokens += sum(int(mask.sum()) for _, mask in inputs)
        taken.append(seconds(encoder, group, inputs, turn))
    latencies = []
    for question in questions:
        start = time.perf_counter()
        encoder.encode_query(question)
        latencies.append((time.perf_counter() - start) * 1000)
    total, bare = np.sum(taken, axis=0).tolist()
    return {
        "pages": len(pages),
        "tokens_per_page": round(tokens / len(pages)),
        "pages_per_s": round(len(pages) / total, 2),
        "tokens_per_s": round(tokens / total),
        "bare_pages_per_s": round(len(pages) / bare, 2),
        "share_of_bare": round(median(bare / ours for ours, bare in taken), 3),
        "query_p50_ms": round(median(latencies), 2),
        "load_s": round(load, 2),
        "encoder": str(encoder.fingerprint),
    }


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--pages", type=int, default=160, help="how many pages are encoded (about)")
    options = arguments.parse_args()
    corpus = need_corpus("dev")
    lines = (corpus / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    questions = sorted({json.loads(line)["question"] for line in lines})
    show(measure(SemanticEncoder(), read_pages(corpus / "docs", options.pages), questions), options.json)


if __name__ == "__main__":
    main()
