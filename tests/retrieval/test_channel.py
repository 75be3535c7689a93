"""A channel is an encoder and an index of the same fingerprint; encoders are opened by name."""

from dataclasses import replace

import numpy as np
import pytest

from folioscope.domain import PageInput, PageKey, Words
from folioscope.errors import ConfigError, FingerprintMismatch
from retrieval import Channel, MemoryIndex, open_encoder, open_index


def words(text):
    texts = text.split()
    count = len(texts)
    left = np.arange(count, dtype=np.float32) / max(count, 1)
    boxes = np.stack([left, np.full(count, 0.4), left + 0.5 / max(count, 1), np.full(count, 0.5)], axis=1)
    zeros = np.zeros(count, np.int32)
    return Words(texts, boxes.astype(np.float32), zeros, zeros, "text-layer")


def page(number, text, document="doc_a", version=1):
    return PageInput(PageKey(document, version, number), f"{document}.pdf", words(text))


PAGES = [page(1, "glaciers melt in summer"), page(2, "rivers carry glaciers to the sea"), page(3, "")]


@pytest.fixture
def channel(tmp_path):
    encoder = open_encoder("lexical")
    channel = Channel("lexical", encoder, open_index(tmp_path / "lexical", encoder.fingerprint))
    yield channel
    channel.close()


def test_pages_in_pages_found(channel):
    channel.add(PAGES)
    channel.flush()
    assert [hit.key.number for hit in channel.search("rivers", 5)] == [2]
    assert {hit.key.number for hit in channel.search("glaciers", 5)} == {1, 2}
    assert len(channel.search("glaciers", 1)) == 1


def test_encoding_and_writing_may_be_apart(channel):
    points = channel.encode(PAGES)
    assert [key.number for key, _ in points] == [1, 2, *([3] if len(points) == 3 else [])]
    assert len(channel.index) == 0
    channel.upsert(points)
    assert len(channel.index) == len(points)


def test_a_page_with_nothing_to_encode_is_skipped():
    encoder = open_encoder("lexical")
    channel = Channel("lexical", encoder, MemoryIndex(encoder.fingerprint))
    nothing = replace(page(1, ""), title="")
    channel.add([nothing, page(2, "rivers")])
    assert [key.number for key, _ in channel.encode([nothing, page(2, "rivers")])] == [2]
    assert len(channel.index) == 1


def test_a_query_that_says_nothing_finds_nothing(channel):
    channel.add(PAGES)
    assert channel.search("?!", 5) == []


def test_delete(channel):
    channel.add([*PAGES, page(1, "glaciers", version=2), page(1, "glaciers", "doc_b")])
    channel.delete("doc_a", 1)
    assert {hit.key for hit in channel.search("glaciers", 9)} == {PageKey("doc_a", 2, 1), PageKey("doc_b", 1, 1)}
    channel.delete("doc_a")
    assert {hit.key for hit in channel.search("glaciers", 9)} == {PageKey("doc_b", 1, 1)}


def test_another_encoder_is_refused():
    encoder = open_encoder("lexical")
    other = replace(encoder.fingerprint, revision="other")
    with pytest.raises(FingerprintMismatch) as caught:
        Channel("lexical", encoder, MemoryIndex(other))
    assert str(other) in str(caught.value)
    assert str(encoder.fingerprint) in str(caught.value)


@pytest.mark.parametrize("spec", ["nope", "", "semantic:", "lexical:x"])
def test_an_unknown_encoder_lists_the_known(spec):
    with pytest.raises(ConfigError, match="lexical, semantic, semantic:<folder or hub id>"):
        open_encoder(spec)
