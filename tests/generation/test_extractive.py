"""What the extractive model picks, and what it leaves."""

from collections.abc import Sequence

import numpy as np
import pymupdf
import pytest
from numpy.typing import NDArray

from folioscope.domain import DocumentRef, GivenPage, Words
from generation import verify
from generation.models.extractive import THRESHOLD, Extractive
from retrieval.analysis import TextAnalyzer

REPORT = DocumentRef("doc_1", 1, "annual-report.pdf", 3)
HEAD = (72, 40, "Porto Ceramics annual report 2023")
CASH = [
    HEAD,
    (72, 100, "Cash flow statement"),
    (300, 120, "2023"),
    (400, 120, "2022"),
    (72, 140, "Depreciation and amortization"),
    (300, 140, "1,488"),
    (400, 140, "1,544"),
    (72, 160, "Purchases of kilns and equipment"),
    (300, 160, "(1,577)"),
    (400, 160, "(1,373)"),
]
PROSE = [
    HEAD,
    (72, 100, "Kilns are fired with hydrogen from the port. Trading of our shares began on"),
    (72, 114, "March 29, 1988. The headquarters are in Aveiro. When did the company move there?"),
    (72, 128, "See https://example.org/headquarters for a map of the headquarters in Aveiro."),
]


def given(pieces: Sequence[tuple[float, float, str]], number: int) -> GivenPage:
    """A PDF page with these texts: x, baseline, text."""
    with pymupdf.open() as pdf:
        made = pdf.new_page()
        for x, y, content in pieces:
            made.insert_text((x, y), content, fontsize=11)
        found = made.get_text("words")
        frame = (made.rect.width, made.rect.height) * 2
    lines: dict[tuple[int, int], int] = {}
    words = Words(
        [word[4] for word in found],
        (np.array([word[:4] for word in found]) / frame).astype(np.float32),
        np.array([lines.setdefault(word[5:7], len(lines)) for word in found], np.int32),
        np.array([word[5] for word in found], np.int32),
        "text-layer",
    )
    return GivenPage(REPORT, number, words, 1.0 / number)


@pytest.fixture(scope="module")
def pages() -> list[GivenPage]:
    return [given(CASH, 1), given(PROSE, 2)]


@pytest.fixture(scope="module")
def model() -> Extractive:
    return Extractive(TextAnalyzer())


def test_a_table_row_comes_with_the_header_that_was_asked_for(model: Extractive, pages: list[GivenPage]) -> None:
    draft = model.choose("How much was spent on purchases of kilns and equipment in 2022?", pages)
    first = draft.segments[0]
    row = "Purchases of kilns and equipment (1,577) (1,373)"
    assert first.text == f"2023 2022 | Depreciation and amortization 1,488 1,544 | {row}"
    assert [quote.page for quote in first.quotes] == [0, 0, 0]


def test_a_sentence_over_two_lines(model: Extractive, pages: list[GivenPage]) -> None:
    draft = model.choose("When did trading of the shares begin?", pages)
    assert draft.segments[0].text == "Trading of our shares began on March 29, 1988."
    assert f"port. {draft.segments[0].text} The headquarters" in draft.segments[0].quotes[0].text
    assert draft.confidence is not None
    assert THRESHOLD <= draft.confidence <= 1


def test_what_stands_beside_is_quoted_once_in_one_piece_and_not_where_it_is_long() -> None:
    long = "This warranty is void " + "when the kiln is moved " * 13
    prose = [(72, 100, "Kilns carry a warranty. It lasts for seven years and a day."), (72, 114, "Repairs are free.")]
    lines = [(72, 140 + 14 * n, " ".join(long.split()[9 * n : 9 * n + 9])) for n in range(8)]
    segments = (
        Extractive(TextAnalyzer(), threshold=0)
        .choose("How long is the warranty on kilns?", [given([*prose, *lines], 1)])
        .segments
    )
    quoted = [quote.text for segment in segments for quote in segment.quotes]
    assert quoted[0] == "Kilns carry a warranty. It lasts for seven years and a day."
    assert " ".join(quoted).count("seven years") == 1


@pytest.mark.parametrize("above", ["Warranty Of Kilns", "On the warranty of kilns"])
def test_a_heading_or_caption_is_quoted_by_itself(above: str) -> None:
    page = given(
        [(72, 100, above), (72, 140, "The warranty lasts for seven years."), (72, 154, "Repairs are free.")], 1
    )
    (segment, *_) = Extractive(TextAnalyzer(), threshold=0).choose("How long does the warranty last?", [page]).segments
    assert segment.text == "The warranty lasts for seven years."
    assert [quote.text for quote in segment.quotes] == [f"{segment.text} Repairs are free.", above]


def test_the_better_page_wins_where_the_words_are_the_same(model: Extractive) -> None:
    def page(town: str, number: int) -> GivenPage:
        return given([(72, 100, f"The headquarters of the company are in {town}.")], number)

    for towns in (("Aveiro", "Braga"), ("Braga", "Aveiro")):
        draft = model.choose("Where are the headquarters?", [page(town, n) for n, town in enumerate(towns, 1)])
        assert towns[0] in draft.segments[0].text


def test_questions_sources_and_running_heads_are_no_answers(model: Extractive, pages: list[GivenPage]) -> None:
    ranked = model.rank("Where are the headquarters of the company, Porto Ceramics?", pages)
    words = pages[1].words
    said = [" ".join(words.texts[i] for i in one.passage.words) for one in ranked if one.page == 1]
    assert said == ["The headquarters are in Aveiro."]


@pytest.mark.parametrize("question", ["Who won the chess match in Reykjavik?", "the of and", "??"])
def test_no_support_no_answer(model: Extractive, pages: list[GivenPage], question: str) -> None:
    draft = model.choose(question, pages)
    assert draft.segments == ()
    assert draft.confidence is not None
    assert draft.confidence < THRESHOLD


def test_no_pages_no_answer(model: Extractive) -> None:
    empty = GivenPage(REPORT, 3, Words.empty())
    assert model.choose("Where are the headquarters?", []).segments == ()
    assert model.choose("Where are the headquarters?", [empty]).segments == ()


def test_every_quote_is_on_its_page(model: Extractive, pages: list[GivenPage]) -> None:
    for question in ("What are kilns fired with?", "What was depreciation in 2023?", "When did trading begin?"):
        for segment in model.choose(question, pages).segments:
            for quote in segment.quotes:
                assert verify(quote.text, pages[quote.page].words).status == "exact"


def test_an_encoder_finds_what_shares_fewer_words(pages: list[GivenPage]) -> None:
    class Likes:
        """Puts texts that speak of hydrogen beside the question, which is the first, and all others at right angles."""

        def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
            near = np.array([[float(i == 0 or "hydrogen" in text)] for i, text in enumerate(texts)], np.float32)
            return np.hstack([near, 1 - near])

    question = "How are kilns and equipment heated?"
    without = Extractive(TextAnalyzer()).rank(question, pages)[0]
    liked = Extractive(TextAnalyzer(), Likes()).rank(question, pages)[0]
    assert (without.page, liked.page) == (0, 1)
    assert liked.parts["alike"] == 1
