"""Does the extractive model quote the answer, and does it say when there is none? On corpus/dev, through `eval.run`.

    python -m benchmarks.answers [--json] [--data DIR] [--lexical-only] [--show N]

*Text questions* are those of the 210 whose answer string stands on one of the pages that answer them: the parts of a
list each, letters and numbers only, numbers compared as numbers. A text question counts as *quoted* when the quotes of
one answer hold all parts.
*Page* and *document precision* are the shares of all citations, on all answerable questions that were answered, on a
labelled page and in the right document.
*Not-found* figures take all 210 answerable and 26 unanswerable questions: precision and recall of saying
``not_found``, and the area under the ROC curve of the confidence, the one figure that no threshold moves.

Every question is answered with a threshold of 0; what another threshold would have withheld follows from the
confidences. Weights and threshold were chosen on these questions: docs/experiments-answers.md has the cross-validated
figures; what `eval.tuning` makes of the threshold is printed below the table.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.common import need_corpus, parser, show
from benchmarks.retrieval import ingested
from eval import Dataset, Run, load, metrics, run
from eval.records import SCOPES, TITLES, Answered, Asked
from eval.tuning import tune_threshold
from folioscope.domain import Document, PageKey
from folioscope.settings import Settings, load_settings
from generation import open_model
from ingest import Library
from retrieval.analysis import TextAnalyzer
from retrieval.encoders.semantic import SemanticEncoder

THRESHOLDS = (0.0, 0.05, 0.1, 0.125, 0.15, 0.175, 0.2, 0.25, 0.3)


def text_questions(library: Library, documents: Mapping[str, Document], dataset: Dataset) -> set[str]:
    """The ids of questions whose answer stands on a labelled page."""
    retriever = library.retriever()
    ids = set()
    for question in dataset:
        keys = [PageKey(documents[name].id, documents[name].version, page) for name, page in question.pages]
        if any(metrics.holds(words.text(), question.answers) for words in retriever.words(keys).values()):
            ids.add(question.id)
    return ids


def summary(done: Run, textual: set[str], threshold: float) -> dict[str, float]:
    """Figures of the answers with what the threshold withholds left out."""
    rows = [(asked, asked.answer) for asked in done.questions if asked.answer]
    given = [(asked, found) for asked, found in rows if _given(found, threshold)]
    answerable = [(asked, found) for asked, found in given if not asked.unanswerable]
    cited = [(asked, document, page) for asked, found in answerable for document, page, _ in found.citations]
    verified = [status == "exact" for _, found in given for _, _, status in found.citations]
    sure = done.confidences()
    found = {
        "text questions": len(textual),
        "quoted": _quoted(answerable, textual) / len(textual),
        "answered": sum(asked.id in textual for asked, _ in answerable) / len(textual),
        "page precision": metrics.mean((document, page) in asked.relevant for asked, document, page in cited),
        "document precision": metrics.mean(document == asked.group for asked, document, _ in cited),
        "citations an answer": len(cited) / max(len(answerable), 1),
        "words an answer": metrics.mean(len(found.text.split()) for _, found in answerable),
        "quotes verified": metrics.mean(verified),
        **{f"not-found {name}": share for name, share in _refusals(rows, threshold).items()},
        "AUROC": metrics.auroc([c for c, none in sure if not none], [c for c, none in sure if none]),
        "median ms": median(found.ms for _, found in rows),
    }
    return {name: round(value, 3) for name, value in found.items() if value is not None}


def _given(found: Answered, threshold: float) -> bool:
    return found.status != "not_found" and (found.confidence or 0) >= threshold


def _quoted(rows: Sequence[tuple[Asked, Answered]], textual: set[str]) -> float:
    return sum(found.scores["quoted"] or 0 for asked, found in rows if asked.id in textual)


def _refusals(rows: Sequence[tuple[Asked, Answered]], threshold: float) -> dict[str, float | None]:
    said = [float(_given(found, threshold)) for _, found in rows]
    return metrics.not_found(said, [asked.unanswerable for asked, _ in rows], 0.5)


def measured(library: Library, documents: Mapping[str, Document], shown: int) -> dict[str, Any]:
    dataset = load(need_corpus("dev"))
    textual = text_questions(library, documents, dataset)
    model = open_model(
        "extractive", load_settings({"extractive_threshold": 0.0}), analyzer=TextAnalyzer(), encoder=SemanticEncoder()
    )
    results: dict[str, Any] = {}
    for scope in SCOPES:
        done = run(dataset, library, model=model, answer_scope=scope, measures=["nDCG@5"])
        results[TITLES[scope]] = {
            "figures": summary(done, textual, Settings().extractive_threshold),
            "by threshold": {threshold: summary(done, textual, threshold) for threshold in THRESHOLDS},
            "tuned": tune_threshold(done, Settings().extractive_threshold).lines(),
        }
        for asked in done.questions[:: max(1, len(done.questions) // shown)] if shown else ():
            print(f"\n{asked.text}\n  {asked.answer.status}: {asked.answer.text}" if asked.answer else "")
    return results


def table(results: Mapping[str, Any]) -> None:
    figures = [found["figures"] for found in results.values()]
    print(f"{'':<24}" + "".join(f"{scope:>22}" for scope in results))
    for name in figures[0]:
        print(f"{name:<24}" + "".join(f"{found[name]:>22}" for found in figures))
    names = ("quoted", "page precision", "not-found recall", "not-found kept")
    for scope, found in results.items():
        print(f"\n{scope + ', by threshold':<34}" + "".join(f"{name:>18}" for name in names))
        for threshold, row in found["by threshold"].items():
            print(f"{threshold:<34}" + "".join(f"{row[name]:>18}" for name in names))
        print(*found["tuned"], sep="\n")


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
