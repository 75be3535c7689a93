"""A run over a small real collection: what it finds, what it records, what it refuses."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import eval as evaluation
from eval import Dataset, PageName, Question, Run
from eval.answering import JUDGE, judged
from eval.runs import Names
from folioscope.domain import Answer, Box, Citation, Document, DocumentRef, SearchResult, Segment
from folioscope.errors import EvaluationError
from generation import open_model
from ingest import Library
from retrieval import Retriever, analyzer

pytest.importorskip("ir_measures", reason="needs the extra: pip install 'folioscope[eval]'")


@pytest.fixture(scope="module")
def done(dataset: Dataset, library: Library) -> Run:
    model = open_model("extractive", library.settings, analyzer=analyzer())
    return evaluation.run(dataset, library, model=model, encode_pages=2, name="first")


def test_a_run_finds_and_scores(done: Run) -> None:
    assert [asked.id for asked in done.questions] == ["warranty", "repair", "bicycles", "button", "president"]
    assert done.retrieval("whole")["Success@1"] == 1.0
    assert done.retrieval("inside")["nDCG@5"] == 1.0
    bicycles = done.questions[2]
    assert bicycles.whole.hits[0] == ("ferry.pdf", 2)  # named "ferry" in the question
    assert bicycles.inside
    assert {document for document, _ in bicycles.inside.hits} == {"ferry.pdf"}
    assert done.questions[4].whole.scores == {}  # nothing answers it, so no ranking is right or wrong


def test_regions_are_measured_where_they_are_known(done: Run) -> None:
    assert set(done.questions[0].whole.regions) == {"IoU", "pointing"}
    assert done.retrieval("whole")["pointing"] == 1.0
    assert 0 < (done.retrieval("whole")["IoU"] or 0) <= 1
    assert done.questions[1].whole.regions == {}


def test_answers_are_measured(done: Run) -> None:
    figures = done.answers()
    assert figures["quoted"] is not None
    assert figures["quoted"] >= 0.5
    assert figures["citation precision"] is not None
    assert figures["unsupported"] == 0.0  # the extractive model quotes every word
    assert figures["not-found recall"] == 1.0
    answer = done.questions[0].answer
    assert answer is not None
    assert answer.citations[0][:2] == ("terms.pdf", 1)
    assert done.model == "extractive"


def test_a_run_records_what_it_was_made_with(done: Run, dataset: Dataset, taken_in: Path) -> None:
    assert done.dataset.hash == dataset.hash
    assert (done.collection.documents, done.collection.pages) == (3, 8)
    (channel,) = done.collection.channels
    assert channel.fingerprint.startswith("bm25@")
    assert (channel.done, channel.total) == (8, 8)
    assert channel.encode_ms is not None
    assert channel.encode_ms > 0
    assert done.bytes_per_page == channel.bytes / 8
    assert done.settings["fusion"] == "normalized"
    assert str(taken_in) not in done.model_dump_json()  # no path, no key
    assert set(done.milliseconds()) >= {"lexical", "fuse", "total"}


def test_a_run_is_one_file(done: Run, tmp_path: Path) -> None:
    path = done.save(tmp_path / "run.json")
    assert Run.load(path) == done
    path.write_text("{}")
    with pytest.raises(EvaluationError, match="no run of this version"):
        Run.load(path)
    with pytest.raises(EvaluationError, match="can't be read"):
        Run.load(tmp_path / "none.json")


def test_figures_by_domain_and_depth(done: Run) -> None:
    assert done.by_label("whole", "nDCG@5") == {"law": (1.0, 2), "travel": (1.0, 2)}
    curve = done.recall_curve()
    assert (len(curve), curve[0], curve[-1]) == (100, 1.0, 1.0)
    assert "inside the document" in done._repr_html_()


def test_what_is_not_in_the_collection_is_asked_and_listed(library: Library) -> None:
    dataset = Dataset(
        "odd",
        (
            Question("here", "How long does the warranty last?", {PageName("terms.pdf", 1): 1}, "terms.pdf"),
            Question("gone", "How long does the warranty last?", {PageName("gone.pdf", 1): 1}, "gone.pdf"),
            Question("beyond", "How long does the warranty last?", {PageName("terms.pdf", 99): 1}, "terms.pdf"),
        ),
    )
    found = evaluation.run(dataset, library)
    assert found.notes == (
        "1 questions speak of documents that are not in the collection: gone.pdf.",
        "1 pages are beyond the end of their document: beyond (page 99 of terms.pdf).",
    )
    assert found.retrieval("whole")["R@100"] == pytest.approx(1 / 3)
    gone = found.questions[1].inside
    assert gone is not None
    assert gone.hits == ()
    with pytest.raises(EvaluationError, match=r"none of the 1 documents.*gone.pdf"):
        evaluation.run(Dataset("other", dataset.questions[1:2]), library)


def test_a_name_that_fits_several_files_is_listed() -> None:
    def document(name: str) -> Document:
        return Document(f"doc_{name}", "col_1", name, name, "ab", 1, "ready", 3, 0, "2026-01-01T00:00:00Z")

    names = Names([document("report.pdf"), document("report.docx"), document("report")])
    assert names.ids("report") == {"doc_report"}  # a whole name goes before one without its ending
    names = Names([document("report.pdf"), document("report.docx"), document("ferry.pdf")])
    asked = Dataset(
        "odd", (Question("a", "?", {PageName("report", 1): 1}), Question("b", "?", {PageName("ferry", 1): 1}))
    )
    assert names.problems(asked, []) == [
        "These names fit several files and were taken for the first: report as report.pdf."
    ]


def test_progress_is_told_to_the_end(dataset: Dataset, library: Library) -> None:
    told: list[tuple[int, int]] = []
    evaluation.run(dataset, library, progress=lambda done, total: told.append((done, total)))
    assert told == [(number, 5) for number in range(6)]


def test_feedback_names_documents_by_id(library: Library) -> None:
    document = library.document("manual.pdf")
    dataset = Dataset("votes", (Question("a", "the button", {PageName(document.id, 1): 1}, document.id),))
    found = evaluation.run(dataset, library)
    assert found.notes == ()
    assert found.questions[0].whole.hits[0] == ("manual.pdf", 1)
    assert found.retrieval("inside")["Success@1"] == 1.0


def test_citations_are_measured_by_page_and_by_box() -> None:
    from eval.answering import measured

    document = DocumentRef("doc_1", 1, "a.pdf", 3)
    true = evaluation.TrueRegion(PageName("a.pdf", 1), Box(0, 0, 0.5, 1))
    pages = {PageName("a.pdf", 1): 1, PageName("a.pdf", 2): 1}
    question = Question("q", "How much?", pages, "a.pdf", ("12 %",), (true,))
    citations = (
        Citation(1, document, 1, "It is 12 %.", "exact", (Box(0, 0, 1, 1),)),
        Citation(2, document, 3, "Perhaps.", "unverified"),
    )
    segments = (Segment("12 percent", (1,)), Segment("or more", (2,)))
    answer = Answer("How much?", "partial", segments, citations, (), "m", confidence=0.4)
    scores = measured(question, answer, lambda ref: ref.filename).scores
    assert (scores["citation precision"], scores["citation recall"]) == (0.5, 0.5)
    assert (scores["box precision"], scores["box recall"]) == (pytest.approx(0.5, abs=0.01), 1.0)
    assert scores["unsupported"] == 0.5
    assert (scores["numeric"], scores["quoted"]) == (1.0, 1.0)


def test_a_judge_is_asked_with_the_pinned_instruction() -> None:
    pytest.importorskip("openai", reason="needs the extra: pip install 'folioscope[openai]'")
    from folioscope.settings import load_settings
    from generation import open_vision_model
    from tests.support.vendors import MODELS, Vendors

    reply = json.dumps({"reason": "the same figure", "verdict": "correct"})
    with Vendors(reply=reply) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", server.key)
        model = open_vision_model(f"openai:{MODELS[1]}", load_settings({"openai_url": server.url("openai")}))
        verdict = judged(model, "How long?", "24 months", ["two years"])
    assert verdict.verdict == "correct"
    assert server.asked[-1].system == JUDGE
    assert server.complaints == []


class Noting(Retriever):
    """A retriever that notes which channels it was asked for."""

    noted: list[Sequence[str] | None]

    def search(self, *arguments: Any, **options: Any) -> SearchResult:
        self.noted.append(arguments[3] if len(arguments) > 3 else options.get("channels"))
        return super().search(*arguments, **options)


def test_answers_are_read_from_the_channels_that_are_measured(dataset: Dataset, library: Library) -> None:
    retriever = library.retriever()
    noting = Noting.__new__(Noting)
    noting.__dict__ |= retriever.__dict__ | {"noted": []}
    model = open_model("extractive", library.settings, analyzer=analyzer())
    evaluation.run(dataset, library, retriever=noting, channels=["lexical"], model=model)
    assert len(noting.noted) > 2 * len(dataset)
    assert all(channels == ["lexical"] for channels in noting.noted)
