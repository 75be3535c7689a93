"""Do the pages that answer a question come first? On corpus/dev, through the product and its evaluation.

    python -m benchmarks.retrieval [--json] [--data DIR] [--lexical-only] [--crossvalidate]

The 44 PDFs are ingested with OCR into a data folder (a temporary one, or the one given, where what is there is used),
then each of the 210 questions is searched over the whole corpus and inside the document that it is about, by each
channel alone and by all together: `eval.run`, with the measures of ir_measures. nDCG has binary gains; R@k is the share
of the answering pages among the first k. All are means over questions.

*MMDocIR* are the 100 questions of that benchmark among them, about 17 of its documents, beside what Dong et al.
2025 (arXiv 2501.08828) give for all of its questions: a subset, with labels corrected and OCR by tesseract, so that
the rows can be read beside each other but not subtracted.

``--crossvalidate``: what fusion, weights and candidates chosen on some documents gain on others (`eval.tuning`).
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.common import need_corpus, parser, show
from eval import Dataset, Run, load, run
from eval.records import SCOPES, TITLES, Asked
from eval.tuning import tune_fusion
from folioscope.domain import Document
from folioscope.settings import load_settings
from ingest import Library

MEASURES = ("nDCG@5", "R@1", "R@3", "R@5", "R@10")
MMDOCIR = "MMDocIR/MMLongBench-Doc"

PUBLISHED = {
    "BGE": {"R@1": 0.357, "R@3": 0.554, "R@5": 0.627},
    "ColBERT": {"R@1": 0.403, "R@3": 0.588, "R@5": 0.660},
    "ColPali": {"R@1": 0.530, "R@3": 0.747, "R@5": 0.808},
}
"""Of pages inside the document, over all questions of MMDocIR."""


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


def is_mmdocir(asked: Asked) -> bool:
    return asked.labels["source_set"] == MMDOCIR


def figures_of(done: Run) -> dict[str, Any]:
    """Scope -> means over all questions and nDCG@5 for each source of questions; MMDocIR's, inside the document."""
    scopes: dict[str, Any] = {
        TITLES[scope]: {
            **_rounded(done.retrieval(scope)),
            "nDCG@5 by source": {
                name: round(mean or 0, 4) for name, (mean, _) in done.by_label(scope, "nDCG@5", "source_set").items()
            },
        }
        for scope in SCOPES
    }
    rows = sum(is_mmdocir(asked) for asked in done.questions)
    return scopes | {"MMDocIR": {"questions": rows, **_rounded(done.retrieval("inside", is_mmdocir))}}


def _rounded(means: Mapping[str, float | None]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in means.items() if name in MEASURES and value is not None}


def measured(library: Library, dataset: Dataset, channels: Sequence[str]) -> dict[str, Any]:
    """Each channel alone, then all of them fused."""
    compared = {name: [name] for name in channels} | ({"fused": list(channels)} if len(channels) > 1 else {})
    return {
        name: figures_of(run(dataset, library, channels=used, measures=MEASURES, name=name))
        for name, used in compared.items()
    }


def table(results: Mapping[str, Any], tuned: Sequence[str]) -> None:
    for scope in TITLES["whole"], TITLES["inside"]:
        print(f"\n{scope:<28}" + "".join(f"{name:>9}" for name in MEASURES))
        for name, found in results.items():
            print(f"{name:<28}" + "".join(f"{found[scope][key]:>9.3f}" for key in MEASURES))
        print(f"\n{'nDCG@5 by source':<28}" + "".join(f"{name:>9}" for name in results))
        for source in next(iter(results.values()))[scope]["nDCG@5 by source"]:
            by_source = [found[scope]["nDCG@5 by source"][source] for found in results.values()]
            print(f"{source:<28}" + "".join(f"{value:>9.3f}" for value in by_source))
    print(f"\n{'MMDocIR, inside':<28}" + "".join(f"{name:>9}" for name in ("R@1", "R@3", "R@5")))
    rows = {
        f"{name}, {found['MMDocIR']['questions']} of its questions": found["MMDocIR"] for name, found in results.items()
    }
    for name, means in (rows | {f"{name}, published, all": found for name, found in PUBLISHED.items()}).items():
        print(f"{name:<28}" + "".join(f"{means[key]:>9.3f}" for key in ("R@1", "R@3", "R@5")))
    for line in tuned:
        print(line)


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--data", type=Path, help="a data folder to use and keep (default: a temporary one)")
    options.add_argument(
        "--lexical-only", action="store_true", help="without the semantic channel, which takes minutes"
    )
    options.add_argument(
        "--crossvalidate", action="store_true", help="tune the fusion by document; needs both channels"
    )
    given = options.parse_args()
    channels = ("lexical",) if given.lexical_only else ("lexical", "semantic")
    dataset = load(need_corpus("dev", "questions.jsonl"))
    with tempfile.TemporaryDirectory(prefix="folioscope-bench-") as temporary:
        settings = load_settings({"data_dir": given.data or Path(temporary), "channels": channels})
        with Library(settings=settings) as library:
            documents = ingested(library, channels)
            results = measured(library, dataset, channels)
            tuned = tune_fusion(dataset, library).lines() if given.crossvalidate else []
    figures = {
        "results": results,
        "published (MMDocIR, all questions)": PUBLISHED,
        "cross-validated": tuned,
        "questions": len(dataset),
        "documents": len(documents),
        "pages": sum(document.pages for document in documents.values()),
        "corpus": "corpus/dev, OCR included",
    }
    show(figures, given.json, partial(table, results, tuned))


if __name__ == "__main__":
    main()
