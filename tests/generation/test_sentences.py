"""Passages of pages made with PyMuPDF: what stands together, what is a table, what is a heading."""

from collections.abc import Sequence

import numpy as np
import pymupdf
import pytest

from folioscope.domain import Words
from generation import verify
from generation.sentences import Passage, passages, read_on, text

Piece = tuple[float, float, str, float]
TABLE = [
    (72, 100, "Consolidated cash flow", 11),
    (300, 120, "2023", 11),
    (400, 120, "2022", 11),
    (72, 140, "Investing activities", 11),
    (72, 160, "Purchases of equipment", 11),
    (300, 160, "(1,577)", 11),
    (400, 160, "(1,373)", 11),
    (72, 180, "Oleg Person", 11),
    (300, 180, "2019", 11),
    (400, 180, "4,067", 11),
    (300, 200, "2018", 11),
    (400, 200, "2,457", 11),
]


def page(pieces: Sequence[Piece]) -> Words:
    """The words of a PDF page with these texts: x, baseline, text, font size."""
    with pymupdf.open() as pdf:
        made = pdf.new_page()
        for x, y, content, size in pieces:
            made.insert_text((x, y), content, fontsize=size)
        found = made.get_text("words")
        frame = (made.rect.width, made.rect.height) * 2
    lines: dict[tuple[int, int], int] = {}
    return Words(
        [word[4] for word in found],
        (np.array([word[:4] for word in found]) / frame).astype(np.float32),
        np.array([lines.setdefault(word[5:7], len(lines)) for word in found], np.int32),
        np.array([word[5] for word in found], np.int32),
        "text-layer",
    )


def row(words: Words, start: str) -> Passage:
    return next(
        found for found in passages(words) if found.kind == "row" and text(words, found.words).startswith(start)
    )


def test_a_table_row_knows_its_header_and_what_stands_above() -> None:
    words = page(TABLE)
    found = row(words, "Purchases")
    assert text(words, found.words) == "Purchases of equipment (1,577) (1,373)"
    assert text(words, found.header) == "2023 2022"
    assert text(words, found.context) == "Investing activities"


def test_a_row_without_a_name_takes_the_one_above() -> None:
    words = page(TABLE)
    assert text(words, row(words, "2018").label) == "Oleg Person"


def test_paragraphs_become_sentences_joined_over_lines() -> None:
    lines = [
        "The board of the company met four times in the year, as Mr. Smith",
        "had asked it to do. It approved the budget of 4.5 million euros and",
        "sent the chairman, who had been ill, on a long and well earned holi-",
        "day. Nothing else happened (see Fig. 3) in the remaining months.",
    ]
    words = page([(72, 100 + 14 * i, line, 11) for i, line in enumerate(lines)])
    found = passages(words)
    assert [text(words, one.words)[:20] for one in found] == [
        "The board of the com",
        "It approved the budg",
        "Nothing else happene",
    ]
    assert "earned holiday." in text(words, found[1].words)
    assert all(one.kind == "sentence" for one in found)
    assert all(verify(text(words, one.words), words).status == "exact" for one in found)


def test_a_paragraph_whose_lines_are_blocks_of_their_own() -> None:
    made = page(
        [(72, 100, "The second ship of the line entered service on 3", 11), (72, 114, "March and took over.", 11)]
    )
    words = Words(made.texts, made.boxes, made.lines, made.lines, "text-layer")
    assert [text(words, one.words) for one in passages(words)] == [made.text().replace("\n", " ")]


def test_list_items_stand_alone_under_their_heading() -> None:
    items = ["- Keep the engine cold before service", "- Wear gloves at all times", "- Close the valve"]
    words = page([(72, 100, "Safety rules", 18), *[(72, 130 + 14 * i, item, 11) for i, item in enumerate(items)]])
    heading, *found = passages(words)
    assert (heading.kind, text(words, heading.words)) == ("heading", "Safety rules")
    assert [text(words, one.words) for one in found if one.kind == "sentence"] == items
    assert all(one.context == heading.words for one in found)


def test_columns_of_text_are_no_table() -> None:
    left = "these lines of the left column are long enough"
    right = "while those of the right one say other things"
    pieces = []
    for i in range(5):
        pieces.append((50.0, 100.0 + 14 * i, left, 8.0))
        pieces.append((300.0, 100.0 + 14 * i, right, 8.0))
    words = page(sorted(pieces))
    assert all(found.kind != "row" for found in passages(words))


@pytest.mark.parametrize("words", [Words.empty(), page([(72, 100, ". — .", 11)])])
def test_nothing_to_say(words: Words) -> None:
    assert passages(words) == []


def test_every_passage_is_on_its_page() -> None:
    words = page([*TABLE, (72, 300, "One sentence. Another one here!", 11), (300, 300, "Aside", 9)])
    assert {i for found in passages(words) for i in found.words} == set(range(len(words)))
    for found in passages(words):
        assert verify(text(words, found.words), words).status == "exact"


def test_a_row_is_read_on_as_far_as_quotes_are_verified() -> None:
    """Two cells of two lines each, beside each other."""
    cells = [(0.1, ["the red warning", "lamp is lit"]), (0.5, ["the pump is over-", "heated and stops"])]
    placed = [
        (word, (x + 0.06 * n, 0.1 + 0.03 * row), block, 2 * block + row)
        for block, (x, lines) in enumerate(cells)
        for row, line in enumerate(lines)
        for n, word in enumerate(line.split())
    ]
    words = Words(
        [word for word, *_ in placed],
        np.array([(x, y, x + 0.05, y + 0.02) for _, (x, y), *_ in placed], np.float32),
        np.array([line for *_, line in placed], np.int32),
        np.array([block for _, _, block, _ in placed], np.int32),
        "text-layer",
    )
    across = (0, 1, 2, 6, 7, 8, 9)
    assert text(words, across) == "the red warning the pump is over-"
    assert verify(text(words, across), words).status == "unverified"
    assert read_on(words, across) == [(0, 1, 2), (6, 7, 8, 9)]
    assert {verify(text(words, run), words).status for run in read_on(words, across)} == {"exact"}
    assert read_on(words, (6, 7, 8, 9, 10)) == [(6, 7, 8, 9, 10)]
    assert text(words, (9, 10)) == "overheated"
    assert text(words, (9, 3)) == "over- lamp"  # another cell: nothing that the page says
