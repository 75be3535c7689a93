"""The lexical encoder: BM25's numbers, adjacency, titles, languages; in a real index."""

import math

import numpy as np
import pytest

from folioscope.domain import PageInput, PageKey, Words
from folioscope.errors import FingerprintMismatch
from retrieval import Channel, open_index
from retrieval.encoders import lexical
from retrieval.encoders.lexical import LexicalEncoder, pair_index, saturate, term_index, title_terms


def words(text):
    texts = text.split()
    zeros = np.zeros(len(texts), np.int32)
    return Words(texts, np.tile(np.float32([0.1, 0.1, 0.2, 0.2]), (len(texts), 1)), zeros, zeros, "text-layer")


def page(number, text, document="doc_a", title=""):
    return PageInput(PageKey(document, 1, number), title, words(text))


def as_dict(vector):
    return dict(zip(vector.indices.tolist(), vector.values.tolist(), strict=True))


@pytest.fixture
def channel(tmp_path):
    encoder = LexicalEncoder()
    channel = Channel("lexical", encoder, open_index(tmp_path / "lexical", encoder.fingerprint))
    yield channel
    channel.close()


def test_values_are_bm25s_term_frequency_part():
    vector = as_dict(LexicalEncoder().encode_pages([page(1, "glacier glacier river")])[0])
    norm = 1.2 * (1 - 0.9 + 0.9 * 3 / 350)
    assert vector == pytest.approx(
        {
            term_index("glacier"): 2 * 2.2 / (2 + norm),
            term_index("river"): 2.2 / (1 + norm),
            pair_index(term_index("glacier"), term_index("glacier")): 0.5 * 2.2 / (1 + norm),
            pair_index(term_index("glacier"), term_index("river")): 0.5 * 2.2 / (1 + norm),
        }
    )


def test_indices_are_distinct_and_stable():
    text = " ".join(f"word{i % 700} other{i % 13}" for i in range(3000))
    vector = LexicalEncoder().encode_pages([page(1, text, title="word1.pdf")])[0]
    assert vector.indices.dtype == np.uint32
    assert vector.values.dtype == np.float32
    assert len(set(vector.indices.tolist())) == len(vector.indices)
    assert term_index("glacier") == 0xC00D1B79


def test_saturation_grows_with_frequency_and_falls_with_length():
    values = saturate(np.array([1, 2, 50]), 350)
    assert (np.diff(values) > 0).all()
    assert values.max() < lexical.K1 + 1
    assert saturate(np.array([1]), 700) < saturate(np.array([1]), 350)


def test_the_batch_does_not_change_a_vector():
    pages = [page(1, "rivers carry water"), page(2, ""), page(3, "the of and"), page(4, "Der Fluss und die Stadt")]
    together = LexicalEncoder().encode_pages(pages)
    assert together[1] is None
    assert together[2] is None
    for one, vector in zip(pages, together, strict=True):
        alone = LexicalEncoder().encode_pages([one])[0]
        assert (alone is None) == (vector is None)
        if vector is not None:
            assert as_dict(alone) == as_dict(vector)


def test_a_query_of_function_words_asks_nothing():
    assert LexicalEncoder().encode_query("what is the") is None
    assert LexicalEncoder().encode_query("?!") is None


def test_scores_are_bm25_with_the_idf_of_the_index(channel):
    channel.add([page(1, "glacier river"), page(2, "river bank"), page(3, "bank"), page(4, "moon")])
    found = {hit.key.number: hit.score for hit in channel.search("Where is the glacier?", 10)}
    idf = math.log(1 + (4 - 1 + 0.5) / (1 + 0.5))
    assert found == pytest.approx({1: idf * 2.2 / (1 + 1.2 * (1 - 0.9 + 0.9 * 2 / 350))}, rel=1e-4)


def test_words_side_by_side_come_before_words_apart(channel):
    filler = "alpha beta gamma delta"
    channel.add([page(1, f"cash {filler} flow"), page(2, f"cash flow {filler}"), page(3, f"flow cash {filler}")])
    assert channel.search("the cash flow of the firm", 3)[0].key.number == 2


def test_the_title_finds_its_pages(channel):
    channel.add(
        [page(1, "rivers and lakes", title="AcmeReport_2023Q2.pdf"), page(2, "rivers and lakes", "doc_b", "x.pdf")]
    )
    assert [hit.key.document_id for hit in channel.search("acme report", 5)] == ["doc_a"]
    assert channel.search("rivers in the 2023 report of the firm", 5)[0].key.document_id == "doc_a"


def test_titles_are_split_at_case_and_digits():
    assert {"acm", "report", "2023"} <= set(title_terms("AcmeReport_2023Q2.pdf"))
    assert title_terms("3M_2018_10K.pdf") == sorted({"3m", "2018", "10k", "3", "m", "10", "k"})


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("Die Verträge wurden von den Parteien in der Stadt unterzeichnet", "Vertrag"),
        ("Les contrats ont été signés par les deux parties dans la ville", "contrat signé"),
        ("Los contratos fueron firmados por las partes en la ciudad", "contrato"),
        ("Договоры были подписаны сторонами в этом городе", "договор"),
        ("契約は東京で署名された", "東京"),
        ("สัญญาลงนามในกรุงเทพ", "กรุงเทพ"),
        ("계약이 서울에서 체결되었다", "서울"),
    ],
)
def test_other_languages_are_found(channel, text, query):
    english = [page(number, f"the contracts were signed by party {number} in the town") for number in range(2, 12)]
    channel.add([page(1, text), *english])
    assert channel.search(query, 3)[0].key.number == 1


def test_the_fingerprint_is_the_recipe(tmp_path, monkeypatch):
    before = LexicalEncoder().fingerprint
    assert before == LexicalEncoder().fingerprint
    assert (before.kind, before.dim) == ("sparse", 0)
    open_index(tmp_path / "lexical", before).close()
    monkeypatch.setattr(lexical, "B", 0.75)
    with pytest.raises(FingerprintMismatch):
        open_index(tmp_path / "lexical", LexicalEncoder().fingerprint)


def test_inside_a_document(channel):
    channel.add([page(1, "glacier"), page(2, "glacier river"), page(1, "glacier glacier", "doc_b")])
    found = channel.search("glacier", 5, frozenset({"doc_a"}))
    assert {hit.key for hit in found} == {PageKey("doc_a", 1, 1), PageKey("doc_a", 1, 2)}
