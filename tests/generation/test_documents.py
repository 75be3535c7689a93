"""Summaries, labels and comparisons of whole documents, long ones through notes."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from folioscope.domain import Prompt
from folioscope.errors import ConfigError, ModelError, PromptTooLong, QueryError
from generation import reading
from generation.classify import classify
from generation.compare import compare
from generation.summarize import summarize
from tests.support.readers import Told, document, pages_of, pictures_of, text_of

REPORT = ("The harbour earned 35 crowns in 2024.", "Two cranes were bought in March.")


def quoted(page: int, quote: str) -> dict[str, Any]:
    return {"page": page, "quote": quote}


def claim(text: str, *evidence: dict[str, Any]) -> dict[str, Any]:
    return {"text": text, "evidence": list(evidence)}


def test_a_summary_with_its_pages() -> None:
    reply = {
        "claims": [
            claim("The harbour earned 35 crowns.", quoted(1, "earned 35 crowns"), quoted(1, "earned 35 crowns")),
            claim("Cranes came.", quoted(2, "Two cranes were bought"), quoted(7, "nowhere")),
            claim("It is a fine harbour."),
        ]
    }
    model = Told(lambda _: reply)
    found = summarize(model, document(*REPORT))
    assert found.text == "The harbour earned 35 crowns. Cranes came. It is a fine harbour."
    assert [segment.citations for segment in found.segments] == [(1,), (2,), ()]
    assert [(each.page, each.quote_status) for each in found.citations] == [(1, "exact"), (2, "exact")]
    assert found.warnings == ("A quote names page 7 of 2 given: dropped.",)
    assert pictures_of(model.asked[0].parts) == 2


LONG = [f"Sheet {number} tells of widget number {number}." for number in range(1, 61)]


def noting(prompt: Prompt, final: Any) -> object:
    """Notes on pages, fewer notes of many, and at last ``final`` of the notes."""
    text = text_of(prompt)
    if pages := pages_of(text):
        return {"notes": [{"page": page, "note": f"widget {page}", "quote": f"widget number {page}"} for page in pages]}
    listed = [int(page) for page in re.findall(r"^\[page (\d+)\]", text, re.MULTILINE)]
    if most := re.search(r"Keep at most (\d+)", text):
        kept = listed[::2][: int(most[1])]
        return {"notes": [{"page": page, "note": f"widget {page}", "quote": f"widget number {page}"} for page in kept]}
    return final(listed)


def summed(pages: list[int]) -> dict[str, Any]:
    return {
        "claims": [claim(f"There are {len(pages)} notes.", *(quoted(page, f"widget number {page}") for page in pages))]
    }


def test_a_long_document_goes_through_notes_and_its_quotes_are_checked_on_the_pages() -> None:
    model = Told(lambda prompt: noting(prompt, summed), pictures=8)
    found = summarize(model, document(*LONG))
    assert found.text == "There are 60 notes."
    assert [each.page for each in found.citations] == list(range(1, 61))
    assert {each.quote_status for each in found.citations} == {"exact"}
    assert len(model.asked) == 9
    assert max(pictures_of(prompt.parts) for prompt in model.asked) == 8
    assert found.warnings == ()


def test_notes_are_condensed_until_they_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "NOTES_CHARACTERS", 1000)
    model = Told(lambda prompt: noting(prompt, summed), pictures=8)
    found = summarize(model, document(*LONG))
    assert 5 < len(found.citations) < 30
    assert all(len(text_of(prompt)) < 2000 for prompt in model.asked if not pages_of(text_of(prompt)))


def test_a_model_that_takes_less_than_thought_gets_fewer_notes() -> None:
    def reply(prompt: Prompt) -> object:
        text = text_of(prompt)
        return PromptTooLong("too long") if len(text) > 3000 else noting(prompt, summed)

    found = summarize(Told(reply, pictures=8), document(*(f"{text} {'x' * 20}" for text in LONG)))
    assert found.citations
    with pytest.raises(PromptTooLong):
        summarize(Told(lambda _: PromptTooLong("too long")), document(*LONG))


def test_notes_that_do_not_get_fewer_are_cut_with_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "NOTES_CHARACTERS", 50)  # less than two notes
    found = summarize(Told(lambda prompt: noting(prompt, summed), pictures=30), document(*LONG[:40]))
    assert len(found.citations) == 1
    assert "Only 1 of 40 notes" in found.warnings[0]


def test_pages_that_fit_by_number_but_not_by_size_go_through_notes() -> None:
    def reply(prompt: Prompt) -> object:
        return PromptTooLong("too long") if len(pages_of(text_of(prompt))) > 1 else noting(prompt, summed)

    assert [each.page for each in summarize(Told(reply), document(*LONG[:4])).citations] == [1, 2, 3, 4]


def test_notes_on_pages_that_were_not_shown_are_dropped() -> None:
    def reply(prompt: Prompt) -> object:
        if pages_of(text_of(prompt)):
            return {"notes": [{"page": 1, "note": "widget", "quote": "widget number 1"}]}
        return summed([1])

    found = summarize(Told(reply, pictures=30), document(*LONG[:40]))
    assert len(found.citations) == 1
    assert "not shown ([1])" in found.warnings[0]


def test_a_label_and_why() -> None:
    reply = {"label": "report", "reason": "It tells of a year.", "evidence": [quoted(1, "earned 35 crowns in 2024")]}
    model = Told(lambda _: reply)
    found = classify(model, document(*REPORT), ["letter", "report", "report "])
    assert (found.label, found.reason.text, found.reason.citations) == ("report", "It tells of a year.", (1,))
    assert found.citations[0].quote_status == "exact"
    schema = model.asked[0].schema
    assert schema is not None
    assert {"enum": ["letter", "report"], "type": "string"} in schema["properties"]["label"]["anyOf"]
    assert classify(Told(lambda _: {**reply, "label": None}), document(*REPORT), ["a", "b"]).label is None


def test_a_label_that_was_not_given_is_asked_for_again_then_an_error() -> None:
    wrong, right = ({"label": label, "reason": "", "evidence": []} for label in ("novel", "report"))
    model = Told(lambda prompt: right if "You replied" in text_of(prompt) else wrong)
    assert classify(model, document(*REPORT), ["letter", "report"]).label == "report"
    with pytest.raises(ModelError, match="replied twice"):
        classify(Told(lambda _: wrong), document(*REPORT), ["letter", "report"])


@pytest.mark.parametrize("labels", [[], ["one"], ["one", " one "], ["one", " "]])
def test_labels_that_leave_no_choice(labels: list[str]) -> None:
    with pytest.raises(ConfigError, match="no choice"):
        classify(Told(lambda _: {}), document(*REPORT), labels)


OTHER = ("The harbour earned 41 crowns in 2025.",)


def test_two_documents_side_by_side() -> None:
    reply = {
        "summary": "Earnings grew.",
        "similarities": [claim("Both are of the harbour.", quoted(1, "The harbour"), quoted(3, "The harbour"))],
        "differences": [
            {
                "topic": "earnings",
                "first": claim("35 crowns", quoted(1, "earned 35 crowns")),
                "second": claim("41 crowns", quoted(3, "earned 41 crowns")),
            },
            {"topic": "cranes", "first": claim("two", quoted(2, "Two cranes")), "second": claim("")},
        ],
    }
    model = Told(lambda _: reply)
    found = compare(model, document(*REPORT, name="a.pdf"), document(*OTHER, name="b.pdf"))
    assert found.summary == "Earnings grew."
    earnings, cranes = found.differences
    second = found.citations[earnings.second.citations[0] - 1]
    assert (second.document.filename, second.page, second.quote_status) == ("b.pdf", 1, "exact")
    assert (cranes.second.text, cranes.second.citations) == ("", ())
    assert len(found.similarities[0].citations) == 2
    assert 'Pages 1 to 2 are the first document, "a.pdf"; pages 3 to 3 are the second' in text_of(model.asked[0])


def test_long_documents_are_compared_by_notes() -> None:
    def final(pages: list[int]) -> dict[str, Any]:
        assert pages == list(range(1, 61))
        difference = {
            "topic": "widget",
            "first": claim("5", quoted(5, "widget number 5")),
            "second": claim("35", quoted(35, "widget number 35")),
        }
        return {"summary": "s", "similarities": [], "differences": [difference]}

    first, second = document(*LONG[:30], name="a.pdf"), document(*LONG[30:], name="b.pdf")
    found = compare(Told(lambda prompt: noting(prompt, final), pictures=8), first, second)
    assert [(each.document.filename, each.page) for each in found.citations] == [("a.pdf", 5), ("b.pdf", 5)]


def test_nothing_to_read() -> None:
    model = Told(lambda _: json.dumps({}))
    for ask in (
        lambda: summarize(model, []),
        lambda: classify(model, [], ["a", "b"]),
        lambda: compare(model, document("a"), []),
    ):
        with pytest.raises(QueryError, match="no pages"):
            ask()
    assert model.asked == []
