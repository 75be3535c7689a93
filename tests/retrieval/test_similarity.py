"""Similarity maps on a tiny model that has learned to read eight words."""

import io
from importlib.util import find_spec

import numpy as np
import pytest
from PIL import Image

from benchmarks.tiny_models import WORDS
from benchmarks.tiny_reader import SIZE, draw_page, train_reader
from folioscope.domain import Box, Coverage, DocumentRef, PageInput, PageKey, Words
from folioscope.errors import QueryError, Unreadable
from retrieval import Channel, EdgeIndex, Retriever
from retrieval.encoders.colpali import ColPaliEncoder, PageVectors
from retrieval.encoders.torch_device import import_torch
from retrieval.similarity import SimilarityMap, overlay, patch_grid, regions, similarity

pytestmark = pytest.mark.skipif(find_spec("transformers") is None, reason="needs the extra folioscope[vision]")

TEST_PAGES = 30


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reader") / "tiny"
    torch = import_torch()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    train_reader(folder)
    torch.set_num_threads(threads)
    return ColPaliEncoder(str(folder))


@pytest.fixture(scope="module")
def shelf(reader):
    """Pages that the model has not seen, with their vectors."""
    rng = np.random.default_rng(99)
    pages = [draw_page(rng) for _ in range(TEST_PAGES)]
    return list(zip(pages, reader.encode_images([page.image for page in pages]), strict=True))


class Shelf:
    """The drawn pages as the document ``drawn``: a `PageStore` and its `PageImages`. The pages have no words."""

    def __init__(self, pages):
        self.pages = pages

    def current(self, document_ids):
        return {"drawn": DocumentRef("drawn", 1, "drawn.pdf", len(self.pages))}

    def words(self, keys):
        return {key: Words.empty() for key in keys}

    def coverage(self):
        return {"visual": Coverage(len(self.pages), len(self.pages))}

    def image(self, key, long_edge):
        assert long_edge == SIZE
        return self.pages[key.number - 1].image


@pytest.fixture
def library(reader, shelf, tmp_path):
    """A retriever over the shelf, and the shelf; the last page is in no index yet."""
    pages = Shelf([page for page, _ in shelf])
    channel = Channel("visual", reader, EdgeIndex(tmp_path / "visual", reader.fingerprint, pooled=True))
    keys = [PageKey("drawn", 1, number) for number in range(1, TEST_PAGES + 1)]
    channel.add([PageInput(key, "", Words.empty(), lambda edge, key=key: pages.image(key, edge)) for key in keys[:-1]])
    yield Retriever({"visual": channel}, pages, images=pages), pages
    channel.close()


def even(grid):
    return SimilarityMap(("word",), np.array([True]), np.asarray(grid, np.float32)[None])


def test_a_question_finds_the_pages_that_show_its_word(reader, shelf):
    right = 0
    for number, word in enumerate(WORDS):
        query = reader.encode_query(word)
        scores = [(query @ found.vectors.T).max(axis=1).sum() for _, found in shelf]
        best, _ = shelf[int(np.argmax(scores))]
        right += number in best.words
    assert right >= len(WORDS) - 1


def test_the_maximum_of_the_map_lies_on_the_word(reader, shelf):
    right = total = 0
    for page, found in shelf:
        for number, (x0, y0, x1, y1) in page.words.items():
            strongest = similarity(reader, WORDS[number], found).strongest
            rows, cols = strongest.shape
            row, col = np.unravel_index(strongest.argmax(), strongest.shape)
            right += col / cols < x1 and (col + 1) / cols > x0 and row / rows < y1 and (row + 1) / rows > y0
            total += 1
    assert total == 3 * TEST_PAGES
    assert right >= 0.95 * total


def test_a_map_is_the_same_from_an_image_and_from_stored_vectors(reader, shelf):
    page, found = shelf[0]
    word = WORDS[next(iter(page.words))]
    stored = PageVectors(found.vectors, reader.patch_boxes(SIZE, SIZE))
    one, other = similarity(reader, word, page.image), similarity(reader, word, stored)
    assert one.grid.shape == other.grid.shape == (len(one.tokens), 6, 6)
    assert one.grid.dtype == np.float32
    assert np.allclose(one.grid, other.grid, atol=1e-5)
    assert one.tokens[0] == word
    assert one.asked.tolist() == [True] + [False] * (len(one.tokens) - 1)
    assert np.array_equal(one.strongest, one.grid[0])


def test_the_best_region_is_around_the_word(reader, shelf):
    page, found = shelf[1]
    number, (x0, y0, x1, y1) = next(iter(page.words.items()))
    best = regions(similarity(reader, WORDS[number], found))[0]
    assert (best.score, best.kind) == (1.0, "similarity")
    middle = ((best.box.x0 + best.box.x1) / 2, (best.box.y0 + best.box.y1) / 2)
    assert x0 - 0.1 <= middle[0] <= x1 + 0.1
    assert y0 - 0.1 <= middle[1] <= y1 + 0.1


def test_regions_are_islands_of_cells_best_first():
    found = regions(even([[1, 0.8, 0, 0], [0, 0, 0, 0.7], [0, 0, 0, 0.9]]))
    assert [region.box for region in found] == [
        pytest.approx(Box(0, 0, 0.5, 1 / 3)),
        pytest.approx(Box(0.75, 1 / 3, 1, 1)),
    ]
    assert [region.score for region in found] == pytest.approx([1, 0.9])
    assert len(regions(even([[1, 0.8, 0, 0], [0, 0, 0, 0.7], [0, 0, 0, 0.9]]), k=1)) == 1
    assert regions(even(np.full((2, 2), 0.3))) == ()


def test_the_overlay_is_coloured_where_the_page_is_similar_and_grey_elsewhere():
    page = np.full((60, 40, 3), 255, np.uint8)
    page[:, :4] = 0
    grid = np.zeros((6, 4))
    grid[4, 2] = 1
    picture = Image.open(io.BytesIO(overlay(page, even(grid))))
    assert (picture.format, picture.mode, picture.size) == ("PNG", "RGB", (40, 60))
    pixels = np.asarray(picture).astype(int)
    red, green, blue = pixels[45, 25]
    assert blue > green + 60
    assert red > green + 60
    assert np.ptp(pixels[5, 30]) == 0
    assert pixels[45, 1].tolist() == [0, 0, 0]


def test_cells_without_a_vector_are_no_grid():
    boxes = np.array([[0, 0, 0.5, 0.5], [np.nan] * 4], np.float32)
    with pytest.raises(AssertionError):
        patch_grid(boxes)


def test_hits_show_where_the_word_was_seen(library):
    retriever, pages = library
    hits = retriever.search("harbour", k=3, similarity=True).hits
    for hit in hits:
        x0, y0, x1, y1 = pages.pages[hit.page - 1].words[WORDS.index("harbour")]
        best = hit.regions[0]
        assert (best.score, best.kind) == (1.0, "similarity")
        assert best.box.x0 < x1
        assert best.box.x1 > x0
        assert best.box.y0 < y1
        assert best.box.y1 > y0
    assert all(hit.regions == () for hit in retriever.search("harbour", k=3).hits)


def test_hits_that_can_not_be_drawn_any_more_stay_hits(library, monkeypatch):
    retriever, pages = library

    def gone(key, long_edge):
        raise Unreadable("The original can't be read.")

    monkeypatch.setattr(pages, "image", gone)
    hits = retriever.search("harbour", k=3, similarity=True).hits
    assert [hit.regions for hit in hits] == [(), (), ()]


def test_a_page_that_is_not_indexed_yet_has_its_map_from_its_image(library, reader):
    retriever, pages = library
    for number, error in ((1, 0.01), (TEST_PAGES, 1e-6)):  # what is stored is rounded
        found = retriever.similarity_map(PageKey("drawn", 1, number), "forest")
        expected = similarity(reader, "forest", pages.pages[number - 1].image)
        assert np.allclose(found.grid, expected.grid, rtol=0, atol=error)


def test_where_a_page_was_seen_is_told_later_as_well(library):
    retriever, _ = library
    (hit,) = retriever.search("harbour", k=1, similarity=True).hits
    assert retriever.seen(hit.key, "harbour") == tuple(r for r in hit.regions if r.kind == "similarity") != ()


def test_a_map_of_one_word_of_the_question(library):
    retriever, _ = library
    found = retriever.similarity_map(PageKey("drawn", 1, 1), "harbour letter")
    places = {token.strip(): place for place, token in enumerate(found.tokens)}
    harbour, letter = places["harbour"], places["letter"]
    assert np.array_equal(found.of("harbour").strongest, found.grid[harbour])
    assert np.array_equal(found.of(" LETTER").strongest, found.grid[letter])
    assert np.array_equal(found.of("harbour letter").strongest, found.strongest)
    assert found.of("let").asked.tolist() == found.of("letter").asked.tolist()
    for word in ("zebra", " "):
        with pytest.raises(QueryError, match="reads it as 'harbour', 'letter'"):
            found.of(word)


def test_a_page_finds_itself_and_pages_that_share_its_words(library, reader):
    retriever, pages = library
    for number in range(1, 11):
        hits = retriever.search(image=pages.pages[number - 1].image, k=5).hits
        assert hits[0].page == number
    query = reader.encode_image_query(pages.pages[0].image)
    assert query.shape[1] == reader.fingerprint.dim
    assert np.allclose(np.linalg.norm(query, axis=1), 1, atol=1e-5)
