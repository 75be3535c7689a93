"""Does fusion help, whatever the second channel is worth? The lexical channel with one made of oracle and noise.

``python -m benchmarks.fusion [--json] [--data DIR]`` takes corpus/dev in without OCR (lexical channel alone;
``--data``: into a folder that is kept, and used as it is where it holds them already) and asks its questions.

The second channel knows the answers as well as ``d`` lets it: a page's score is noise from the standard normal
distribution, plus d on pages that answer the question, plus d / 2 on the other pages of their document, as real
channels confuse pages of one document most. It lists its best 200 pages, as a real one does. nDCG@5 over the whole
corpus, mean over questions and `DRAWS` draws of the noise; ``gain``: the fused figure minus that of the better single
channel, with its standard error over questions.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import need_corpus, parser, show
from folioscope.domain import PageKey, ScoredPage
from folioscope.settings import load_settings
from ingest import Library
from retrieval.fusion import fuse
from retrieval.retriever import Retriever

QUALITIES = (1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0)
DRAWS, LISTED = 5, 200
METHODS = ("normalized", "rrf")
Ranking = list[ScoredPage]


def lexical(retriever: Retriever, question: str) -> Ranking:
    found = retriever.search(question, k=LISTED, channels=["lexical"], regions=False)
    return [ScoredPage(hit.key, hit.scores["lexical"].score) for hit in found.hits]


def oracle(pages: Sequence[PageKey], gold: set[PageKey], quality: float, rng: np.random.Generator) -> Ranking:
    documents = {key.document_id for key in gold}
    signal = [1.0 if key in gold else 0.5 if key.document_id in documents else 0.0 for key in pages]
    scores = quality * np.array(signal) + rng.standard_normal(len(pages))
    return [ScoredPage(pages[n], float(scores[n])) for n in np.argsort(-scores)[:LISTED]]


def ndcg(found: Sequence[PageKey], gold: set[PageKey]) -> float:
    """nDCG@5 with binary gains."""
    gain = sum(1 / math.log2(rank + 1) for rank, key in enumerate(found[:5], 1) if key in gold)
    return gain / sum(1 / math.log2(rank + 1) for rank in range(1, min(5, len(gold)) + 1))


def compared(lists: Mapping[str, Ranking], gold: set[PageKey]) -> dict[str, float]:
    """nDCG@5 of each channel alone and of both ways to fuse them, with the default weights."""
    row = {name: ndcg([page.key for page in ranking], gold) for name, ranking in lists.items()}
    for method in METHODS:
        fused = fuse(lists, method=method, weights=dict.fromkeys(lists, 1.0), coverage={})  # type: ignore[arg-type]
        row[method] = ndcg([key for key, _ in fused], gold)
    return row


def measured(
    rankings: Sequence[Ranking], golds: Sequence[set[PageKey]], pages: Sequence[PageKey], quality: float
) -> dict[str, float]:
    """Means over questions and draws, and the gain of each way to fuse with its standard error."""
    rng = np.random.default_rng(int(10 * quality))
    rows = []
    for ranking, gold in zip(rankings, golds, strict=True):
        draws = [
            compared({"lexical": ranking, "second": oracle(pages, gold, quality, rng)}, gold) for _ in range(DRAWS)
        ]
        rows.append([np.mean([draw[name] for draw in draws]) for name in ("lexical", "second", *METHODS)])
    table = np.array(rows)  # [questions, lexical | second | normalized | rrf]
    means = dict(zip(("lexical", "second", *METHODS), table.mean(axis=0).round(4).tolist(), strict=True))
    better = table[:, 0] if means["lexical"] >= means["second"] else table[:, 1]
    for column, method in enumerate(METHODS, 2):
        gains = table[:, column] - better
        means[f"{method}_gain"] = round(float(gains.mean()), 4)
        means[f"{method}_gain_se"] = round(float(gains.std(ddof=1) / math.sqrt(len(gains))), 4)
    return means


def print_table(results: Mapping[str, Mapping[str, float]]) -> None:
    print(f"{'d':>5}{'lexical':>10}{'second':>10}{'normalized':>13}{'gain':>17}{'rrf':>9}{'gain':>17}")
    for quality, row in results.items():
        print(
            f"{quality:>5}{row['lexical']:>10.3f}{row['second']:>10.3f}{row['normalized']:>13.3f}"
            f"{row['normalized_gain']:>+10.3f} ±{row['normalized_gain_se']:.3f}"
            f"{row['rrf']:>9.3f}{row['rrf_gain']:>+10.3f} ±{row['rrf_gain_se']:.3f}"
        )


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--data", type=Path, help="a data folder to use and keep (default: a temporary one)")
    given = options.parse_args()
    lines = need_corpus("dev", "questions.jsonl").read_text(encoding="utf-8").splitlines()
    asked = [json.loads(line) for line in lines if line]
    with tempfile.TemporaryDirectory(prefix="folioscope-bench-") as temporary:
        flags: dict[str, Any] = {"data_dir": given.data or Path(temporary), "channels": ("lexical",), "ocr": "off"}
        with Library(settings=load_settings(flags)) as library:
            library.create_collection(channels=("lexical",))
            library.ingest([need_corpus("dev", "docs")], wait=True)
            documents = {document.filename: document for document in library.documents()}
            retriever = library.retriever()
            rankings = [lexical(retriever, question["question"]) for question in asked]
    pages = [
        PageKey(document.id, document.version, number)
        for document in documents.values()
        for number in range(1, document.pages + 1)
    ]
    golds = [
        {PageKey(documents[q["document"]].id, documents[q["document"]].version, page) for page in q["pages"]}
        for q in asked
    ]
    results = {str(quality): measured(rankings, golds, pages, quality) for quality in QUALITIES}
    figures = {"results": results, "questions": len(asked), "pages": len(pages), "draws": DRAWS}
    figures["text"] = "as in the data folder" if given.data else "without OCR"
    show(figures, given.json, partial(print_table, results))


if __name__ == "__main__":
    main()
