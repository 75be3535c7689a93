"""Does the extractive model quote the answer, and does it say when there is none? On corpus/dev, through the product.

    python -m benchmarks.answers [--json] [--data DIR] [--show N]

*Text questions* are those of the 210 whose answer string stands on one of the pages that answer them: the parts of a
list each, letters and numbers only, numbers compared as numbers. A text question counts as *quoted* when the quotes of
one answer hold all parts.
*Page precision* is the share of all citations, on all answerable questions that were answered, on a labelled page.
*Not-found* figures take all 210 answerable and 26 unanswerable questions: precision and recall of saying
``not_found``, and the area under the ROC curve of the confidence, the one figure that no threshold moves.

The model's weights and threshold were chosen on these questions: docs/experiments-answers.md has the cross-validated
figures.
"""

from __future__ import annotations

import ast
import json
import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.common import need_corpus, parser, show
from benchmarks.retrieval import ingested
from folioscope.domain import Answer, Document, PageKey, Where
from folioscope.settings import Settings, load_settings
from generation import answer, open_model
from generation.citations import fold, numbers
from ingest import Library
from retrieval.analysis import TextAnalyzer
from retrieval.encoders.semantic import SemanticEncoder

Question = Mapping[str, Any]
NUMERIC = re.compile(r"[\s$€£%()\d.,-]+(?:%|million|billion)?")


def read(name: str) -> list[Question]:
    lines = need_corpus("dev", name).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if line]


def wanted(question: Question) -> list[str]:
    """The parts of the answer: of a list written as Python's or with bars, else the whole."""
    text = str(question["answer"]).strip()
    if text.startswith("["):
        try:
            return [str(part) for part in ast.literal_eval(text)]
        except (SyntaxError, ValueError):
            return [text]
    return text.split(" | ")


def holds(text: str, parts: Sequence[str]) -> bool:
    """Whether the text has every part: its numbers where it is a number, else its letters and numbers in order."""
    return all(
        numbers(part) <= numbers(text) if NUMERIC.fullmatch(part) and numbers(part) else fold(part) in fold(text)
        for part in parts
    ) and any(map(fold, parts))


def auroc(positive: Sequence[float], negative: Sequence[float]) -> float:
    """The chance that a positive scores above a negative, ties counted half."""
    a, b = np.array(positive)[:, None], np.array(negative)[None, :]
    return float(((a > b) + 0.5 * (a == b)).mean())


def quoted(found: Answer) -> str:
    return " ".join(citation.quote for citation in found.citations)


def summary(rows: Sequence[tuple[Question, Answer, bool]]) -> dict[str, float]:
    """Figures over (question, answer, whether it is a text question)."""
    textual = [(question, found) for question, found, is_text in rows if is_text]
    cited = [
        (citation.document.filename, citation.page) in {(question["document"], page) for page in question["pages"]}
        for question, found, _ in rows
        if question["pages"]
        for citation in found.citations
    ]
    said = [(found.status == "not_found", not question["pages"]) for question, found, _ in rows]
    right = sum(no and none for no, none in said)
    return {
        "text questions": len(textual),
        "quoted": sum(holds(quoted(found), wanted(question)) for question, found in textual) / len(textual),
        "answered": sum(found.status != "not_found" for _, found in textual) / len(textual),
        "page precision": sum(cited) / max(len(cited), 1),
        "quotes verified": sum(citation.quote_status == "exact" for _, found, _ in rows for citation in found.citations)
        / max(sum(len(found.citations) for _, found, _ in rows), 1),
        "not-found precision": right / max(sum(no for no, _ in said), 1),
        "not-found recall": right / sum(none for _, none in said),
        "AUROC": auroc(
            [found.confidence or 0.0 for question, found, _ in rows if question["pages"]],
            [found.confidence or 0.0 for question, found, _ in rows if not question["pages"]],
        ),
        "median ms": median(found.took_ms for _, found, _ in rows),
    }


def text_questions(library: Library, documents: Mapping[str, Document], asked: Sequence[Question]) -> set[str]:
    retriever = library.retriever()
    ids = set()
    for question in asked:
        document = documents[question["document"]]
        keys = [PageKey(document.id, document.version, page) for page in question["pages"]]
        pages = retriever.words(keys).values()
        if any(holds(words.text(), wanted(question)) for words in pages):
            ids.add(question["id"])
    return ids


def measured(library: Library, documents: Mapping[str, Document], shown: int) -> dict[str, dict[str, float]]:
    asked = read("questions.jsonl") + read("unanswerable.jsonl")
    textual = text_questions(library, documents, asked)
    retriever = library.retriever()
    model = open_model("extractive", Settings(), analyzer=TextAnalyzer(), encoder=SemanticEncoder())
    results = {}
    for scope in ("whole corpus", "inside the document"):
        rows = []
        for question in asked:
            inside = Where(documents=frozenset({documents[question["document"]].id}))
            found = answer(question["question"], retriever, model, where=None if scope == "whole corpus" else inside)
            rows.append((question, found, question["id"] in textual))
        results[scope] = {name: round(value, 3) for name, value in summary(rows).items()}
        for question, found, _ in rows[:: max(1, len(rows) // shown)] if shown else ():
            print(f"\n{question['question']}\n  wanted: {question['answer']}\n  {found.status}: {found.text}")
    return results


def table(results: Mapping[str, Mapping[str, float]]) -> None:
    for name in next(iter(results.values())):
        print(f"{name:<22}" + "".join(f"{scope}: {figures[name]:<12}" for scope, figures in results.items()))


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--data", type=Path, help="a data folder to use and keep (default: a temporary one)")
    options.add_argument("--lexical-only", action="store_true", help="pages found by the lexical channel alone")
    options.add_argument("--show", type=int, default=0, help="print this many questions with their answers")
    given = options.parse_args()
    started = time.perf_counter()
    channels = ("lexical",) if given.lexical_only else ("lexical", "semantic")
    with tempfile.TemporaryDirectory(prefix="folioscope-bench-") as temporary:
        settings = load_settings({"data_dir": given.data or Path(temporary), "channels": channels})
        with Library(settings=settings) as library:
            documents = ingested(library, channels)
            results = measured(library, documents, given.show)
    figures = {
        "results": results,
        "channels": channels,
        "corpus": "corpus/dev, OCR included",
        "seconds": round(time.perf_counter() - started),
    }
    show(figures, given.json, partial(table, results))


if __name__ == "__main__":
    main()
