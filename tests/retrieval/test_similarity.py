"""Similarity maps on a tiny model that has learned to read eight words."""

import io

import numpy as np
import pytest
from PIL import Image

from benchmarks.tiny_models import WORDS
from benchmarks.tiny_reader import SIZE, draw_page, train_reader
from folioscope.domain import Box
from retrieval.encoders.colpali import ColPaliEncoder, PageVectors
from retrieval.encoders.torch_device import import_torch
from retrieval.similarity import SimilarityMap, overlay, patch_grid, regions, similarity

for extra in ("torch", "transformers", "colpali_engine"):
    pytest.importorskip(extra, reason="needs the extra folioscope[vision]")

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
