"""The checking of drafts on real pages, with models that are wrong in known ways."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pymupdf
import pytest
from numpy.typing import NDArray

from folioscope.domain import (
    Answer,
    Box,
    Citation,
    DocumentRef,
    Draft,
    DraftSegment,
    GivenPage,
    PageHit,
    PageKey,
    Quote,
    Region,
    SearchResult,
    Segment,
    Turn,
    Where,
    Words,
)
from folioscope.errors import ModelUnavailable, QueryError
from folioscope.settings import Settings
from generation import answer, open_model, stream, to_json
from retrieval.analysis import TextAnalyzer

REPORT = DocumentRef("doc_1", 1, "report.pdf", 3)
PAGES = [
    ["Annual report", "Revenue rose by 12 percent to 4,200 thousand euros in 2023.", "The board met four times."],
    ["Outlook", "The company expects to open a new plant in Porto next spring.", "Maria Silva leads the project."],
    [],
]


def read(lines: Sequence[str]) -> Words:
    """The words of a PDF page with these lines."""
    with pymupdf.open() as pdf:
        page = pdf.new_page()
        for i, line in enumerate(lines):
            page.insert_text((72, 100 + 40 * i), line, fontsize=20 if i == 0 else 11)
        found = page.get_text("words")
        size = (page.rect.width, page.rect.height) * 2
    if not found:
        return Words.empty()
    blocks = np.array([word[5] for word in found], np.int32)
    boxes = np.array([word[:4] for word in found]) / size
    return Words([word[4] for word in found], boxes.astype(np.float32), blocks, blocks, "text-layer")


@dataclass
class Pages:
    """All pages, in order, whatever is asked."""

    read: Mapping[PageKey, Words]
    regions: tuple[Region, ...] = ()
    on_page: Mapping[int, tuple[Region, ...]] = field(default_factory=dict)

    def search(self, query: str, k: int = 5, where: Where | None = None) -> SearchResult:
        hits = [PageHit(i, REPORT, i, 1 / i, {}, regions=self.regions) for i in range(1, 4)][:k]
        return SearchResult(query, tuple(hits), {}, {})

    def seen(self, key: PageKey, query: str) -> tuple[Region, ...]:
        return self.on_page.get(key.number, ())

    def words(self, keys: Sequence[PageKey]) -> Mapping[PageKey, Words]:
        return {key: self.read[key] for key in keys if key in self.read}


@dataclass
class Says:
    """A model that says what it is told to."""

    segments: tuple[DraftSegment, ...]
    name: str = "told"
    refused: bool = False
    standing_question: str | None = None

    async def draft(
        self, question: str, pages: Sequence[GivenPage], history: Sequence[Turn] = ()
    ) -> AsyncIterator[str | DraftSegment | Draft]:
        for segment in self.segments:
            yield segment.text
            yield segment
        yield Draft(self.segments, refused=self.refused)

    async def standing(self, question: str, history: Sequence[Turn]) -> str | None:
        return self.standing_question


class Grey:
    def image(self, key: PageKey, long_edge: int) -> NDArray[np.uint8]:
        return np.full((long_edge, long_edge // 2, 3), key.number, np.uint8)


@pytest.fixture(scope="module")
def pages() -> Pages:
    return Pages({PageKey("doc_1", 1, i): read(lines) for i, lines in enumerate(PAGES, 1)})


def says(text: str, *quotes: tuple[str, int]) -> DraftSegment:
    return DraftSegment(text, tuple(Quote(*quote) for quote in quotes))


def test_a_true_quote_is_cited_with_boxes(pages: Pages) -> None:
    found = answer("How did revenue do?", pages, Says((says("Up 12 percent.", ("rose by 12 percent", 0)),)))
    assert found.status == "answered"
    assert found.segments[0].citations == (1,)
    citation = found.citations[0]
    assert (citation.page, citation.quote_status, len(citation.boxes)) == (1, "exact", 1)
    assert citation.union_box == citation.boxes[0]
    assert found.warnings == ()
    assert [hit.page for hit in found.pages_used] == [1, 2, 3]


def test_a_quote_from_another_given_page_moves_there(pages: Pages) -> None:
    found = answer("Where?", pages, Says((says("In Porto.", ("a new plant in Porto", 0)),)))
    assert (found.citations[0].page, found.citations[0].quote_status) == (2, "exact")
    assert found.citations[0].moved
    assert found.warnings == ("A quote from report.pdf, page 1 stands on report.pdf, page 2: cited there.",)


def test_a_few_letters_are_not_looked_for_on_other_pages(pages: Pages) -> None:
    found = answer("Where?", pages, Says((says("In Porto.", ("Porto", 0)),)))
    assert [(c.page, c.quote_status, c.moved) for c in found.citations] == [(1, "unverified", False)]


@pytest.mark.parametrize("page", [3, 99, -1])
def test_a_page_never_given_is_dropped(pages: Pages, page: int) -> None:
    found = answer("Where?", pages, Says((says("In Porto.", ("a new plant in Porto", page)),)))
    assert found.citations == ()
    assert found.status == "not_found"
    assert "dropped" in found.warnings[0]


def test_an_invented_quote_draws_nothing(pages: Pages) -> None:
    found = answer("Why?", pages, Says((says("Because.", ("profits collapsed for unknown reasons", 0)),)))
    assert found.status == "not_found"
    assert found.citations[0].quote_status == "unverified"
    assert found.citations[0].boxes == ()


def test_a_page_without_words_is_visual(pages: Pages) -> None:
    found = answer("Why?", pages, Says((says("A photo.", ("a photo of a plant", 2)),)))
    assert found.status == "answered"
    assert (found.citations[0].quote_status, found.citations[0].boxes) == ("visual", ((0, 0, 1, 1),))


HOT = Box(0.2, 0.3, 0.4, 0.5)


def test_what_was_seen_is_visual_with_the_region_that_is_most_like_the_question(pages: Pages) -> None:
    regions = (Region(Box(0, 0, 1, 0.1), 1.0, "text_match"), Region(HOT, 0.9, "similarity"))
    seen = DraftSegment("It falls.", (Quote("the last bar is the lowest", 0, figure=True),))
    found = answer("How?", pages, Says((seen,)))
    assert [(c.page, c.quote_status, c.boxes) for c in found.citations] == [(1, "visual", ((0, 0, 1, 1),))]
    found = answer("How?", Pages(pages.read, regions), Says((seen, says("A photo.", ("a photo", 2)))))
    assert [(c.page, c.quote_status, c.boxes) for c in found.citations] == [
        (1, "visual", (HOT,)),
        (3, "visual", (HOT,)),
    ]
    assert found.status == "answered"


def test_words_that_are_said_to_be_seen_are_still_looked_up(pages: Pages) -> None:
    seen = DraftSegment("Four.", (Quote("board met four times", 0, figure=True),))
    assert answer("How?", pages, Says((seen,))).citations[0].quote_status == "exact"


def test_unsupported_segments_make_it_partial(pages: Pages) -> None:
    draft = (says("Up.", ("Revenue rose", 0)), says("I guess."))
    found = answer("How?", pages, Says(draft))
    assert found.status == "partial"
    assert [segment.citations for segment in found.segments] == [(1,), ()]


def test_a_number_from_nowhere_is_warned_about(pages: Pages) -> None:
    draft = (says("It rose to 4200 [1], that is 15 percent.", ("rose by 12 percent to 4,200", 0)),)
    found = answer("How?", pages, Says(draft))
    assert found.warnings == ("The number 15 in the answer stands in none of the quotes it rests on.",)


def test_numbers_of_list_items_and_numbers_quoted_elsewhere_are_not_warned_about(pages: Pages) -> None:
    draft = (says("1. Up 12 percent.", ("rose by 12 percent", 0)), says("\n2. So 12, not 7."))
    found = answer("How?", pages, Says(draft))
    assert found.warnings == ("The number 7 in the answer stands in none of the quotes it rests on.",)
    assert found.text == "1. Up 12 percent.\n2. So 12, not 7."


def test_a_refusal_is_blocked_and_keeps_what_came(pages: Pages) -> None:
    found = answer("How?", pages, Says((says("I can't.", ("Revenue rose", 0)),), refused=True))
    assert (found.status, found.text) == ("blocked", "I can't.")


def test_a_follow_up_is_searched_as_what_it_means(pages: Pages) -> None:
    history = (Turn("user", "How did revenue do in 2023?"), Turn("assistant", "It rose."))
    found = answer("And before?", pages, Says((), standing_question="How did revenue do in 2022?"), history=history)
    assert (found.question, found.query) == ("And before?", "How did revenue do in 2022?")
    found = answer("And before?", pages, Says(()), history=history)
    assert found.query == "And before?"
    assert found.warnings == ("told can't rewrite a follow-up: it was searched as it stands.",)
    assert answer("And before?", pages, Says((), standing_question="no history, no rewriting")).query == "And before?"


def test_the_stream_tells_pages_text_citations_and_the_answer(pages: Pages) -> None:
    async def told() -> list[object]:
        draft = (says("Up.", ("rose by 12 percent", 0)), says("Really up.", ("rose by 12 percent", 0)))
        return [event async for event in stream("How?", pages, Says(draft))]

    found, text, citation, segment, more, again, whole = asyncio.run(told())
    assert isinstance(found, SearchResult)
    assert (text, more) == ("Up.", "Really up.")
    assert isinstance(citation, Citation)
    assert (segment, again) == (Segment("Up.", (1,)), Segment("Really up.", (1,)))
    assert isinstance(whole, Answer)
    assert whole.citations == (citation,)
    assert whole.segments == (segment, again)


def test_the_loop_runs_on_while_pages_are_searched_and_quotes_checked(pages: Pages) -> None:
    ticked = threading.Event()

    class Waits(Pages):
        def search(self, query: str, k: int = 5, where: Where | None = None) -> SearchResult:
            assert ticked.wait(10)
            return super().search(query, k, where)

    async def both() -> Answer:
        asyncio.get_running_loop().call_later(0, ticked.set)
        *_, last = [event async for event in stream("How?", Waits(pages.read), Says(()))]
        assert isinstance(last, Answer)
        return last

    assert asyncio.run(both()).status == "not_found"


def test_an_answer_within_a_running_loop(pages: Pages) -> None:
    async def notebook() -> Answer:
        return answer("How?", pages, Says((says("Up.", ("rose by 12 percent", 0)),)))

    assert asyncio.run(notebook()).status == "answered"


def test_who_stops_listening_stops_the_model(pages: Pages) -> None:
    closed = []

    class Endless(Says):
        async def draft(
            self, question: str, pages: Sequence[GivenPage], history: Sequence[Turn] = ()
        ) -> AsyncIterator[str | DraftSegment | Draft]:
            try:
                while True:
                    yield "and "
            finally:
                closed.append(True)

    async def leave() -> None:
        events = stream("How?", pages, Endless(()))
        async for event in events:
            if event == "and ":
                break
        await events.aclose()  # type: ignore[attr-defined]

    asyncio.run(leave())
    assert closed == [True]


def test_the_same_quote_is_cited_once(pages: Pages) -> None:
    quote = ("The board met", 0)
    found = answer("How?", pages, Says((says("A.", quote, quote), says("B.", quote))))
    assert [segment.citations for segment in found.segments] == [(1,), (1,)]
    assert len(found.citations) == 1


def test_a_page_that_is_gone_is_not_given(pages: Pages) -> None:
    left = Pages({key: words for key, words in pages.read.items() if key.number != 1})
    found = answer("Where?", left, Says((says("In Porto.", ("a new plant in Porto", 0)),)))
    assert [hit.page for hit in found.pages_used] == [2, 3]
    assert found.citations[0].page == 2


def test_no_model_is_asked_about_no_pages() -> None:
    class NotAsked(Says):
        def draft(
            self, question: str, pages: Sequence[GivenPage], history: Sequence[Turn] = ()
        ) -> AsyncIterator[str | DraftSegment | Draft]:
            raise AssertionError

    found = answer("Where?", Pages({}), NotAsked(()))
    assert (found.status, found.pages_used, found.warnings) == ("not_found", (), ())


def test_images_are_handed_on(pages: Pages) -> None:
    seen = []

    class Looks(Says):
        async def draft(
            self, question: str, pages: Sequence[GivenPage], history: Sequence[Turn] = ()
        ) -> AsyncIterator[str | DraftSegment | Draft]:
            seen.extend(page.image(64).shape for page in pages if page.image)
            yield Draft(())

    assert answer("What?", pages, Looks(()), images=Grey()).status == "not_found"
    assert seen == [(64, 32, 3)] * 3


@pytest.mark.parametrize("question", ["", "  \n", "x" * 10_001])
def test_questions_that_are_none(pages: Pages, question: str) -> None:
    with pytest.raises(QueryError, match="question"):
        answer(question, pages, Says(()))


def test_a_question_with_half_a_character_can_be_sent(pages: Pages) -> None:
    assert answer("caf\udce9?", pages, Says(())).query == "caf??"


def test_json_has_the_documented_shape(pages: Pages) -> None:
    found = answer("How did revenue do?", pages, Says((says("Up 12 percent.", ("rose by 12 percent", 0)),)))
    said = json.loads(json.dumps(to_json(found)))
    assert said["status"] == "answered"
    assert said["segments"] == [{"text": "Up 12 percent.", "citations": [1]}]
    citation = said["citations"][0]
    assert citation["document"] == {"id": "doc_1", "filename": "report.pdf"}
    assert citation["boxes"] == [citation["union_box"]]
    assert len(citation["union_box"]) == 4
    assert {"pages_used", "usage", "warnings", "model", "took_ms"} <= said.keys()


def test_the_extractive_model_quotes_what_answers(pages: Pages) -> None:
    model = open_model("auto", Settings(), analyzer=TextAnalyzer())
    found = answer("By how much did revenue rise in 2023?", pages, model)
    assert found.status == "answered"
    assert found.model == "extractive"
    assert PAGES[0][1] in found.segments[0].text
    assert (found.citations[0].page, found.citations[0].quote_status) == (1, "exact")
    assert PAGES[1][2] in answer("Who leads the project?", pages, model).segments[0].text


def test_the_extractive_model_says_when_the_pages_do_not_answer(pages: Pages) -> None:
    found = answer(
        "What is the boiling point of mercury?", pages, open_model("extractive", Settings(), analyzer=TextAnalyzer())
    )
    assert found.status == "not_found"
    assert found.segments == ()
    assert len(found.pages_used) == 3


def test_an_unknown_model_is_refused_by_name() -> None:
    with pytest.raises(ModelUnavailable, match=r"'gpt-99'.*extractive"):
        open_model("gpt-99", Settings(), analyzer=TextAnalyzer())
