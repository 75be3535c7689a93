import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from folioscope.domain import Words
from ingest.words import pack, unpack

texts = st.lists(st.text(st.characters(exclude_categories=["Z", "C"]), min_size=1), max_size=40)


@given(texts, st.randoms(use_true_random=False))
def test_words_come_back_as_they_were(words: list[str], random) -> None:
    n = len(words)
    boxes = np.sort(np.array([random.random() for _ in range(4 * n)], np.float32).reshape(n, 2, 2), axis=1)
    lines = np.array(sorted(random.randrange(100) for _ in range(n)), np.int32)
    given_words = Words(words, boxes.reshape(n, 4), lines, lines // 3, "ocr")
    back = unpack(pack(given_words), "ocr")
    assert list(back.texts) == words
    np.testing.assert_allclose(back.boxes, given_words.boxes, atol=1 / 131069)
    assert back.boxes.dtype == np.float32
    assert back.boxes.shape == (n, 4)
    np.testing.assert_array_equal(back.lines, lines)
    np.testing.assert_array_equal(back.blocks, lines // 3)


def test_text_breaks_where_the_line_changes() -> None:
    lines = np.array([0, 0, 1], np.int32)
    words = Words(["one", "two", "three"], np.zeros((3, 4), np.float32), lines, lines, "text-layer")
    assert words.text() == "one two\nthree"
    assert words.text(1, 3) == "two\nthree"
    assert words.text(3) == ""
    assert Words.empty().text() == ""
