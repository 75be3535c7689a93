"""Regions and snippets: lines of a page whose words match."""

import numpy as np
import pytest

from folioscope.domain import Words
from retrieval.analysis import TextAnalyzer
from retrieval.regions import MAX_REGIONS, SNIPPET_LENGTH, snippet, text_regions

ANALYZER = TextAnalyzer()


def lines(*texts):
    """A page of one column: line i at height i / 100, each word a fiftieth wide."""
    words, boxes, numbers = [], [], []
    for number, text in enumerate(texts):
        for column, word in enumerate(text.split()):
            words.append(word)
            boxes.append((column / 50, number / 100, (column + 0.9) / 50, (number + 0.9) / 100))
            numbers.append(number)
    count = len(words)
    boxes = np.array(boxes, np.float32).reshape(count, 4)
    return Words(words, boxes, np.array(numbers, np.int32), np.zeros(count, np.int32), "text-layer")


def found(page, query):
    return ANALYZER.matches(query, page.texts)


def line_of(region):
    return int(region.box.y0 * 100 + 0.5)


def columns(region):
    return (round(region.box.x0 * 50), round(region.box.x1 * 50 + 0.1))


def test_the_line_that_holds_the_query_comes_first():
    page = lines("total of all", "some other words", "the net revenue in total grew", "nothing here", "net")
    regions = text_regions(page, found(page, "What is the total net revenue?"))
    assert line_of(regions[0]) == 2
    assert regions[0].score == 1.0
    assert {region.kind for region in regions} == {"text_match"}
    assert [region.score for region in regions] == sorted((region.score for region in regions), reverse=True)


def test_one_box_for_each_run():
    page = lines("net revenue of the year and many more words before revenue")
    regions = text_regions(page, found(page, "net revenue for the year"))
    assert sorted(columns(region) for region in regions) == [(0, 2), (4, 5), (10, 11)]
    bridged = text_regions(lines("net and revenue"), found(lines("net and revenue"), "net revenue"))
    assert [columns(region) for region in bridged] == [(0, 3)]


def test_a_word_across_a_line_end_gets_two_boxes():
    page = lines("they signed the agree-", "ment in spring")
    assert sorted(line_of(region) for region in text_regions(page, found(page, "the agreement of the two"))) == [0, 1]


def test_few_regions_and_never_the_whole_page():
    page = lines(*["revenue grew and revenue fell"] * 60)
    regions = text_regions(page, found(page, "revenue"))
    assert 0 < len(regions) <= MAX_REGIONS
    assert all(region.box.y1 - region.box.y0 < 0.02 for region in regions)


@pytest.mark.parametrize("query", ["the of", "absent", ""])
def test_nothing_matches(query):
    page = lines("net revenue")
    assert text_regions(page, found(page, query)) == ()
    assert snippet(page, found(page, query)) == "net revenue"


def test_a_page_without_words():
    assert text_regions(Words.empty(), found(Words.empty(), "revenue")) == ()
    assert snippet(Words.empty(), found(Words.empty(), "revenue")) == ""


def test_the_snippet_is_the_passage_that_answers():
    filler = ["Lorem ipsum dolor sit amet consectetur adipiscing elit."] * 30
    page = lines(*filler, "The net revenue of the firm was 5,120 million.", *filler, "Only revenue.", *filler)
    text = snippet(page, found(page, "What was the net revenue of the firm?"))
    assert "The net revenue of the firm was 5,120 million." in text
    assert len(text) <= SNIPPET_LENGTH + 4
    assert len(text) > SNIPPET_LENGTH / 2
    assert text.startswith("… ")
    assert text.endswith(" …")


def test_the_snippet_starts_with_a_sentence_where_one_is_near():
    page = lines(*["Lorem ipsum dolor sit amet."] * 20, "In that year the firm had revenue.", *["Lorem ipsum."] * 20)
    text = snippet(page, found(page, "What revenue did the firm have?"))
    assert text.startswith("… In that year the firm had revenue. Lorem ipsum.")


def test_the_snippet_of_a_page_without_a_match_is_its_start():
    page = lines(*["Lorem ipsum dolor sit amet consectetur."] * 20)
    text = snippet(page, found(page, "revenue"))
    assert text.startswith("Lorem ipsum")
    assert text.endswith(" …")
    assert len(text) <= SNIPPET_LENGTH + 2


def test_a_word_longer_than_the_snippet_is_given_whole():
    page = lines("x" * 300 + " revenue", "y")
    assert "revenue" in snippet(page, found(page, "revenue"))
