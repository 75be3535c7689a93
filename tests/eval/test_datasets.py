"""Questions in every format that is read, and what is said of files that can't be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from eval.datasets import Dataset, PageName, Question, load
from eval.formats import page_images
from folioscope.errors import EvaluationError
from tests.eval.pictures import png

ROW = {"id": "a", "question": "How long?", "document": "terms.pdf", "pages": [2], "answer": "two years"}


def write(path: Path, rows: list[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_our_own_format(tmp_path: Path) -> None:
    rows = [
        ROW | {"regions": [{"page": 2, "page_size": [200, 400], "bbox": [20, 40, 100, 80]}], "domain": "Law"},
        {"id": "b", "question": "Where?", "pages": [["x.pdf", 1, 2], ["y.pdf", 3]], "answers": ["here", "['a', 'b ']"]},
        {"id": "c", "question": "Why?", "document": "terms.pdf", "pages": [], "answer": "Not answerable"},
    ]
    first, second, third = load(write(tmp_path / "q.jsonl", rows))
    assert first.pages == {("terms.pdf", 2): 1}
    assert first.regions == ((("terms.pdf", 2), pytest.approx((0.1, 0.1, 0.5, 0.2))),)
    assert first.labels == {"domain": "Law"}
    assert second.pages == {PageName("x.pdf", 1): 2, PageName("y.pdf", 3): 1}
    assert second.answers == ("here", "a | b")
    assert (first.unanswerable, second.unanswerable, third.unanswerable) == (False, False, True)


def test_a_folder_takes_its_unanswerable_questions_along(tmp_path: Path) -> None:
    write(tmp_path / "questions.jsonl", [ROW])
    write(tmp_path / "unanswerable.jsonl", [ROW | {"id": "b", "pages": []}])
    assert [question.unanswerable for question in load(tmp_path)] == [False, True]


def test_the_hash_is_that_of_the_truth(tmp_path: Path) -> None:
    rows = [ROW, ROW | {"id": "b", "domain": "Law"}]
    one, other = load(write(tmp_path / "a.jsonl", rows)), load(write(tmp_path / "b.jsonl", rows[::-1]))
    one.save(tmp_path / "saved.jsonl")
    assert one.hash == other.hash == load(tmp_path / "saved.jsonl").hash
    assert load(write(tmp_path / "c.jsonl", [ROW, ROW | {"id": "b", "pages": [3]}])).hash != one.hash
    assert load(tmp_path / "saved.jsonl").questions == one.questions


def test_proposals_that_nobody_accepted_do_not_count(tmp_path: Path) -> None:
    rows = [ROW, ROW | {"id": "b", "accepted": None}, ROW | {"id": "c", "accepted": True}]
    found = load(write(tmp_path / "q.jsonl", rows))
    assert [question.id for question in found] == ["a", "c"]
    assert found.notes == ("1 proposed questions are not accepted and were left out.",)


def test_feedback_counts_what_most_found(tmp_path: Path) -> None:
    def vote(question: str, page: int, relevance: float) -> dict[str, Any]:
        return {"question": question, "document": "a.pdf", "page": page, "relevance": relevance}

    rows = [vote("x", 1, 3), vote("x", 1, 1), vote("x", 1, 0), vote("x", 2, 0), vote("y", 1, 1), vote("y", 1, 0)]
    found = load(write(tmp_path / "feedback.jsonl", rows))
    assert [(question.text, dict(question.pages)) for question in found] == [("x", {("a.pdf", 1): 2})]
    assert found.questions[0].document == "a.pdf"
    assert "1 questions" in found.notes[0]


def test_mmdocir_counts_pages_from_zero(tmp_path: Path) -> None:
    question = {
        "Q": "How many?",
        "A": "['4', '5']",
        "page_id": [3],
        "type": "['Chart']",
        "layout_mapping": [{"page": 3, "page_size": [100.0, 200.0], "bbox": [10, 20, 50, 100]}],
    }
    row = {"doc_name": "x.pdf", "domain": "Tutorial", "questions": [question]}
    (found,) = load(write(tmp_path / "data" / "MMDocIR_annotations.jsonl", [row]).parent)
    assert dict(found.pages) == {("x.pdf", 4): 1}
    assert found.regions == ((("x.pdf", 4), (0.1, 0.1, 0.5, 0.5)),)
    assert found.answers == ("4 | 5",)
    assert (found.document, found.id, found.labels["domain"]) == ("x.pdf", "x-00", "Tutorial")


def test_beir_as_json_lines(tmp_path: Path) -> None:
    write(tmp_path / "queries.jsonl", [{"_id": "q1", "text": "What?"}, {"_id": "q2", "text": "Who?"}])
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td7\t2\nq1\td8\t0\n")
    (tmp_path / "qrels" / "train.tsv").write_text("query-id\tcorpus-id\tscore\nq2\td7\t1\n")
    found = load(tmp_path)
    assert [(question.text, dict(question.pages)) for question in found] == [("What?", {("d7", 1): 2})]
    assert found.notes == ("1 queries have no relevant page and were left out.",)


def parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="needs the extra: pip install 'folioscope[eval]'")
    from pyarrow.parquet import write_table

    path.parent.mkdir(parents=True)
    write_table(pyarrow.Table.from_pylist(rows), path)


def test_vidore_as_parquet_with_its_page_images(tmp_path: Path) -> None:
    corpus = [{"corpus-id": n, "image": {"bytes": png(n), "path": None}} for n in (5, 6)]
    parquet(tmp_path / "corpus" / "test-00000-of-00001.parquet", corpus)
    parquet(tmp_path / "queries" / "test-00000-of-00001.parquet", [{"query-id": 0, "query": "What?", "language": "en"}])
    parquet(tmp_path / "qrels" / "test-00000-of-00001.parquet", [{"query-id": 0, "corpus-id": 6, "score": 1.0}])
    (found,) = load(tmp_path)
    assert (found.text, dict(found.pages), found.labels) == ("What?", {("6", 1): 1}, {"language": "en"})
    assert dict(page_images(tmp_path)) == {"5": png(5), "6": png(6)}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "no question"),
        ([ROW, ROW], "more than once: a"),
        ([ROW | {"pages": [0]}], "line 1.*count from 1"),
        ([ROW | {"question": " "}], "a text is wanted"),
        ([{"id": "a", "question": "x"}], "no field 'pages'"),
        ([{"id": "a", "question": "x", "pages": [1]}], "of no document"),
        ([ROW | {"regions": [{"page": 1, "box": [0.9, 0, 0.1, 1]}]}], "is no box"),
        ([ROW | {"pages": [], "unanswerable": False}], "has a relevant page"),
        ([{"text": "x"}], "no format that is known"),
        ([["a"]], "no JSON object"),
        ([{"question": "x", "document": "a", "page": 1, "relevance": 0}], "No question of q has a relevant page"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, rows: list[Any], said: str) -> None:
    with pytest.raises(EvaluationError, match=said):
        load(write(tmp_path / "q.jsonl", rows))


def test_broken_lines_and_empty_qrels(tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_text(json.dumps(ROW) + "\n{oops\n")
    with pytest.raises(EvaluationError, match="line 2 is no JSON"):
        load(tmp_path / "q.jsonl")
    write(tmp_path / "beir" / "queries.jsonl", [{"_id": "q1", "text": "What?"}])
    (tmp_path / "beir" / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n")
    with pytest.raises(EvaluationError, match="qrels of beir are empty"):
        load(tmp_path / "beir")
    (tmp_path / "beir" / "qrels.tsv").write_bytes("query-id\tcorpus-id\tscore\nq1\té\t1\n".encode("latin-1"))
    with pytest.raises(EvaluationError, match=r"qrels.tsv can't be read as UTF-8"):
        load(tmp_path / "beir")
    with pytest.raises(EvaluationError, match="no dataset"):
        load(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(EvaluationError, match="no dataset of a known format"):
        load(tmp_path / "empty")


def test_the_hub_can_be_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(EvaluationError, match=r"vidore/none could not be fetched.*name the folder"):
        load("hub:vidore/none")


def test_a_dataset_shows_itself() -> None:
    shown = Dataset("<i>mine", (Question("a", "<b>?", {PageName("x.pdf", 2): 1}),))._repr_html_()
    assert "&lt;i&gt;mine" in shown
    assert "&lt;b&gt;?" in shown
    assert "x.pdf" not in shown  # a page of no named document


def test_what_the_service_exports_is_read(tmp_path: Path) -> None:
    from api.feedback import Judgement
    from api.schemas.feedback import qrels

    found = Judgement(
        "fbk_1", "", "col", "ans_1", "What?", (("doc_a", 2), ("doc_b", 5)), "up", None, None, "2026-01-01"
    )
    (tmp_path / "feedback.jsonl").write_text("".join(f"{row.model_dump_json()}\n" for row in qrels(found)))
    (question,) = load(tmp_path / "feedback.jsonl")
    assert question.pages == {("doc_a", 2): 1, ("doc_b", 5): 1}
    assert question.document is None
