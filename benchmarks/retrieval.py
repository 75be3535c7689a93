"""Do the pages that answer a question come first? nDCG@5 and recall on corpus/dev, through the product.

The 44 PDFs are ingested with OCR into a data folder (a temporary one, or the one given, where what is there is used),
then each of the 210 questions is searched over the whole corpus and inside the document that it is about, by each
channel alone and by all together. nDCG has binary gains; recall@k is the share of the answering pages among the first
k. Both are means over questions.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.common import need_corpus, parser, show
from folioscope.domain import Document, Where
from folioscope.settings import load_settings
from ingest import Library
from retrieval.retriever import Retriever

Question = Mapping[str, Any]
RECALLS = (1, 3, 5, 10)


def questions() -> list[Question]:
    lines = need_corpus("dev", "questions.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if line]


def ingested(library: Library, channels: Sequence[str]) -> dict[str, Document]:
    """File name -> document, after all channels have taken in all pages."""
    library.create_collection(channels=channels)
    report = library.ingest([need_corpus("dev", "docs")], wait=True)
    assert not report.failed, report.failed
    library.run_outstanding()
    documents = library.documents()
    for document in documents:
        assert all(document.coverage[name].share == 1 for name in channels), document
    return {document.filename: document for document in documents}


def ranked(search: Callable[..., Any], question: Question, where: Where | None) -> list[tuple[str, int]]:
    """(File name, page) of the first 10 hits."""
    result = search(question["question"], max(RECALLS), where)
    return [(hit.document.filename, hit.page) for hit in result.hits]


def metrics(found: Sequence[tuple[str, int]], question: Question) -> dict[str, float]:
    gold = {(question["document"], page) for page in question["pages"]}
    gain = sum(1 / math.log2(rank + 1) for rank, page in enumerate(found[:5], 1) if page in gold)
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(5, len(gold)) + 1))
    return {"ndcg@5": gain / ideal} | {f"recall@{k}": len(gold & set(found[:k])) / len(gold) for k in RECALLS}


def mean(rows: Iterable[Mapping[str, float]]) -> dict[str, float]:
    rows = list(rows)
    return {name: round(sum(row[name] for row in rows) / len(rows), 4) for name in rows[0]}


def measured(
    search: Callable[..., Any], documents: Mapping[str, Document], asked: Sequence[Question]
) -> dict[str, Any]:
    """Scope -> means over all questions, and nDCG@5 for each source of questions."""
    scopes: dict[str, Any] = {}
    for scope in ("whole corpus", "inside the document"):
        rows = []
        for question in asked:
            inside = Where(documents=frozenset({documents[question["document"]].id}))
            rows.append(metrics(ranked(search, question, None if scope == "whole corpus" else inside), question))
        sources: dict[str, list[dict[str, float]]] = {}
        for question, row in zip(asked, rows, strict=True):
            sources.setdefault(question["source_set"], []).append(row)
        by_source = {name: mean(part)["ndcg@5"] for name, part in sorted(sources.items())}
        scopes[scope] = mean(rows) | {"ndcg@5 by source": by_source}
    return scopes


def searches(retriever: Retriever, channels: Sequence[str]) -> Mapping[str, Callable[..., Any]]:
    """What is compared: each channel alone, then all of them fused."""
    alone = {name: partial(retriever.search, channels=[name], regions=False) for name in channels}
    return (
        alone | {"fused": partial(retriever.search, channels=channels, regions=False)} if len(channels) > 1 else alone
    )


def table(results: Mapping[str, Any]) -> None:
    for scope in ("whole corpus", "inside the document"):
        print(f"\n{scope:<22}" + "".join(f"{name:>11}" for name in ("nDCG@5", *(f"recall@{k}" for k in RECALLS))))
        for name, scopes in results.items():
            means = scopes[scope]
            print(f"{name:<22}" + "".join(f"{means[key]:>11.3f}" for key in means if key != "ndcg@5 by source"))
        print(f"\n{'nDCG@5 by source':<30}" + "".join(f"{name:>11}" for name in results))
        for source in next(iter(results.values()))[scope]["ndcg@5 by source"]:
            by_source = [scopes[scope]["ndcg@5 by source"][source] for scopes in results.values()]
            print(f"{source:<30}" + "".join(f"{value:>11.3f}" for value in by_source))


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--data", type=Path, help="a data folder to use and keep (default: a temporary one)")
    options.add_argument(
        "--lexical-only", action="store_true", help="without the semantic channel, which takes minutes"
    )
    given = options.parse_args()
    channels = ("lexical",) if given.lexical_only else ("lexical", "semantic")
    asked = questions()
    with tempfile.TemporaryDirectory(prefix="folioscope-bench-") as temporary:
        settings = load_settings({"data_dir": given.data or Path(temporary), "channels": channels})
        with Library(settings=settings) as library:
            documents = ingested(library, channels)
            retriever = library.retriever()
            compared = searches(retriever, channels).items()
            results = {name: measured(search, documents, asked) for name, search in compared}
    figures = {
        "results": results,
        "questions": len(asked),
        "documents": len(documents),
        "pages": sum(document.pages for document in documents.values()),
        "corpus": "corpus/dev, OCR included",
    }
    show(figures, given.json, partial(table, results))


if __name__ == "__main__":
    main()
