"""The retriever shows pages of current documents alone, fused over the channels that can be used."""

from pathlib import Path

import numpy as np
import pytest

from folioscope.domain import Coverage, DocumentRef, Fingerprint, PageInput, PageKey, Where, Words
from folioscope.errors import ChannelUnavailable, QueryError
from retrieval import Channel, MemoryIndex, Retriever, open_encoder, open_index


def words(text):
    texts = text.split()
    lines = np.arange(len(texts), dtype=np.int32) // 8
    left = (np.arange(len(texts)) % 8) / 8
    boxes = np.stack([left, 0.05 * lines, left + 0.1, 0.05 * lines + 0.03], axis=1).astype(np.float32)
    return Words(texts, boxes, lines, lines, "text-layer")


class Shelf:
    """A `PageStore` in memory."""

    def __init__(self):
        self.documents = {}
        self.texts = {}

    def put(self, document, version, pages):
        self.documents[document] = DocumentRef(document, version, f"{document}.pdf", len(pages))
        keys = [PageKey(document, version, number) for number in range(1, len(pages) + 1)]
        self.texts |= {key: words(text) for key, text in zip(keys, pages, strict=True)}
        return [PageInput(key, "", self.texts[key]) for key in keys]

    def current(self, document_ids):
        return {name: self.documents[name] for name in document_ids if name in self.documents}

    def words(self, keys):
        return {key: self.texts[key] for key in keys if key in self.texts}

    def coverage(self):
        return {name: Coverage(len(self.texts), len(self.texts)) for name in ("lexical", "letters")}


class Letters:
    """An encoder of how often each letter occurs: a dense second channel that needs no weights."""

    fingerprint = Fingerprint("letters", "1", "dense", 26)
    batch_size = 8
    missing = False

    def encode_pages(self, pages):
        return [self._vector(page.words.text()) for page in pages]

    def encode_query(self, query):
        if self.missing:
            raise ChannelUnavailable("The letters are not installed.", hint="pip install letters")
        return self._vector(query)

    @staticmethod
    def _vector(text):
        counts = [text.lower().count(letter) for letter in "abcdefghijklmnopqrstuvwxyz"]
        return np.array(counts, np.float32) if any(counts) else None


class Sizes(Letters):
    """How long a page's text is; takes an image for a page with as many words as the image has rows."""

    fingerprint = Fingerprint("sizes", "1", "dense", 2)

    def encode_image_query(self, image):
        return np.array([len(image), 1], np.float32)

    @staticmethod
    def _vector(text):
        return np.array([len(text.split()), 1], np.float32) if text.strip() else None


@pytest.fixture
def seeing(shelf, channels, add):
    """Pages of 1, 5 and 9 words, and channels of which one can be asked with an image."""
    encoder = Sizes()
    channels["image"] = Channel("image", encoder, MemoryIndex(encoder.fingerprint))
    add("doc_a", 1, "revenue", "four words and revenue", "b " * 9)
    return Retriever(channels, shelf)


def rows(count):
    return np.zeros((count, 3, 3), np.uint8)


@pytest.fixture
def shelf():
    return Shelf()


@pytest.fixture
def channels():
    encoders = {"lexical": open_encoder("lexical"), "letters": Letters()}
    return {name: Channel(name, encoder, MemoryIndex(encoder.fingerprint)) for name, encoder in encoders.items()}


@pytest.fixture
def add(shelf, channels):
    def add(document, version, *pages):
        inputs = shelf.put(document, version, pages)
        for channel in channels.values():
            channel.add(inputs)

    return add


@pytest.fixture
def retriever(shelf, channels):
    return Retriever(channels, shelf)


def pages(result):
    return [(hit.document.id, hit.page) for hit in result.hits]


def test_the_best_page_comes_first_with_what_led_to_it(add, retriever):
    add("doc_a", 1, "the annual report", "revenue grew by nine percent in spring", "the board thanks everyone")
    add("doc_b", 1, "a manual of pumps and valves")
    result = retriever.search("revenue in spring", k=2)
    best = result.hits[0]
    assert (best.rank, best.document.filename, best.page) == (1, "doc_a.pdf", 2)
    assert [hit.rank for hit in result.hits] == [1, 2]
    assert best.score >= result.hits[1].score
    assert best.scores["lexical"].rank == 1
    assert set(best.scores) == {"lexical", "letters"}
    assert "revenue grew" in " ".join(best.snippet.split())
    assert best.regions
    assert all(region.kind == "text_match" for region in best.regions)
    assert set(result.timings) == {"lexical", "letters", "fuse", "regions", "total"}
    assert sum(ms for stage, ms in result.timings.items() if stage != "total") <= result.timings["total"]
    assert set(result.coverage) == {"lexical", "letters"}
    assert result.notes == ()


def test_regions_only_when_wanted(add, retriever):
    add("doc_a", 1, "revenue grew")
    result = retriever.search("revenue", regions=False)
    assert result.hits[0].regions == ()
    assert result.hits[0].snippet == ""
    assert "regions" not in result.timings


def test_chosen_channels_alone_take_part(add, retriever):
    add("doc_a", 1, "revenue grew", "unrelated words")
    result = retriever.search("revenue", channels=["lexical"])
    assert pages(result) == [("doc_a", 1)]
    assert set(result.hits[0].scores) == set(result.coverage) == {"lexical"}
    assert pages(retriever.search("revenue", channels=["letters"])) == [("doc_a", 1), ("doc_a", 2)]


def test_deleted_documents_never_show(add, retriever, shelf):
    add("doc_a", 1, "revenue grew")
    add("doc_b", 1, "revenue fell")
    del shelf.documents["doc_a"]
    assert pages(retriever.search("revenue")) == [("doc_b", 1)]


def test_only_the_current_version_shows(add, retriever, shelf):
    add("doc_a", 1, "revenue grew", "revenue fell")
    add("doc_a", 2, "revenue stayed")
    assert [hit.key for hit in retriever.search("revenue").hits] == [PageKey("doc_a", 2, 1)]
    shelf.documents["doc_a"] = DocumentRef("doc_a", 1, "doc_a.pdf", 2)  # the new version is not ready yet
    assert {hit.key.version for hit in retriever.search("revenue").hits} == {1}


def test_k_hits_come_though_most_candidates_are_gone(add, shelf, channels):
    for number in range(30):
        add(f"doc_{number}", 1, "revenue revenue revenue")
    add("doc_x", 1, *["revenue and more words than the others had"] * 3)
    for number in range(30):
        del shelf.documents[f"doc_{number}"]
    retriever = Retriever(channels, shelf, candidates=4)
    assert pages(retriever.search("revenue", k=3)) == [("doc_x", 1), ("doc_x", 2), ("doc_x", 3)]


def test_more_hits_than_candidates_may_be_asked_for(add, shelf, channels):
    add("doc_a", 1, *[f"revenue of year {number}" for number in range(12)])
    assert len(Retriever(channels, shelf, candidates=4).search("revenue", k=10).hits) == 10


def test_filters_reach_the_channels(add, retriever):
    add("doc_a", 1, "revenue grew")
    add("doc_b", 1, "revenue fell")
    assert pages(retriever.search("revenue", where=Where(documents=frozenset({"doc_b"})))) == [("doc_b", 1)]


def test_the_index_on_disk_ranks_as_the_one_in_memory(add, shelf, channels, retriever, tmp_path):
    add("doc_a", 1, "revenue grew in spring", "revenue", "nothing of the kind", "spring is late")
    encoder = channels["lexical"].encoder
    on_disk = Channel("lexical", encoder, open_index(tmp_path / "lexical", encoder.fingerprint))
    on_disk.add([PageInput(key, "", words) for key, words in shelf.texts.items()])
    expected = retriever.search("revenue in spring")
    assert pages(Retriever(channels | {"lexical": on_disk}, shelf).search("revenue in spring")) == pages(expected)
    on_disk.close()


def test_both_fusions_rank(add, shelf, channels):
    add("doc_a", 1, "revenue grew in spring", "revenue", "nothing of the kind")
    for method in ("normalized", "rrf"):
        assert pages(Retriever(channels, shelf, fusion=method).search("revenue grew in spring"))[0] == ("doc_a", 1)


def test_the_weightier_channel_decides(add, shelf, channels):
    add("doc_a", 1, "xylophone zzzz", "revenue qqqq")
    lexical_first = Retriever(channels, shelf, weights={"lexical": 9.0}).search("revenue zzzzzzzz")
    letters_first = Retriever(channels, shelf, weights={"letters": 9.0}).search("revenue zzzzzzzz")
    assert pages(lexical_first)[0] == ("doc_a", 2)
    assert pages(letters_first)[0] == ("doc_a", 1)


def test_a_channel_that_fails_to_load_is_left_out_and_noted(add, retriever, channels):
    add("doc_a", 1, "revenue grew")
    channels["letters"].encoder.missing = True
    result = retriever.search("revenue")
    assert pages(result) == [("doc_a", 1)]
    assert set(result.coverage) == {"lexical"}
    (note,) = result.notes
    assert "letters" in note
    assert "pip install letters" in note
    with pytest.raises(ChannelUnavailable):
        retriever.search("revenue", channels=["letters"])


def test_a_channel_that_could_not_be_opened_is_noted(add, shelf, channels):
    add("doc_a", 1, "revenue grew")
    retriever = Retriever({"lexical": channels["lexical"]}, shelf, notes={"letters": "No weights."})
    (note,) = retriever.search("revenue").notes
    assert "letters" in note
    assert "No weights." in note
    assert retriever.search("revenue", channels=["lexical"]).notes == ()
    with pytest.raises(ChannelUnavailable, match="No weights"):
        retriever.search("revenue", channels=["letters"])


def test_without_any_channel_it_is_an_error(shelf):
    with pytest.raises(ChannelUnavailable, match="No weights"):
        Retriever({}, shelf, notes={"lexical": "No weights."}).search("revenue")


def test_a_query_without_anything_to_look_for_has_no_hits(add, retriever):
    add("doc_a", 1, "revenue grew")
    result = retriever.search("?!")
    assert result.hits == ()
    assert result.notes == ()


def test_an_empty_collection_has_no_hits(retriever):
    assert retriever.search("revenue").hits == ()


@pytest.mark.parametrize("query", ["", "  \n"])
def test_an_empty_query_is_refused(retriever, query):
    with pytest.raises(QueryError, match="empty"):
        retriever.search(query)


def test_no_pages_can_be_asked_for(retriever):
    with pytest.raises(QueryError, match="at least 1"):
        retriever.search("revenue", k=0)


def test_an_unknown_channel_lists_the_known(retriever):
    with pytest.raises(QueryError, match=r"'visual'.*lexical, letters"):
        retriever.search("revenue", channels=["visual"])


def test_a_page_that_vanishes_keeps_its_hit(add, retriever, shelf):
    add("doc_a", 1, "revenue grew")
    shelf.texts.clear()
    (hit,) = retriever.search("revenue").hits
    assert hit.snippet == ""
    assert hit.regions == ()


def test_the_package_loads_nothing_heavy():
    import subprocess
    import sys

    code = "import sys, retrieval; print(*{'qdrant_edge', 'onnxruntime', 'tokenizers', 'Stemmer'} & sys.modules.keys())"
    root = Path(__file__).parents[2]
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root).stdout
    assert out.strip() == ""


def test_an_image_alone_asks_the_channels_that_take_one(seeing):
    result = seeing.search(image=rows(9))
    assert pages(result)[0] == ("doc_a", 3)
    assert result.hits[0].scores.keys() == result.coverage.keys() | {"image"} == {"image"}
    assert [note.split(":")[0] for note in result.notes] == [
        "The lexical channel was left out",
        "The letters channel was left out",
    ]
    assert pages(seeing.search(image=rows(1)))[0] == ("doc_a", 1)
    assert seeing.search(image=rows(9), channels=["image"]).notes == ()


def test_words_beside_an_image_ask_the_other_channels(seeing):
    result = seeing.search("revenue", image=rows(9))
    assert result.notes == ()
    by_page = {hit.page: set(hit.scores) for hit in result.hits}
    assert by_page[1] == {"lexical", "letters", "image"}
    assert by_page[3] == {"letters", "image"}
    assert next(hit for hit in result.hits if hit.page == 3).scores["image"].rank == 1


def test_an_image_that_no_channel_takes_is_refused_with_the_cure(add, retriever, seeing):
    del seeing._channels()["image"]
    with pytest.raises(QueryError, match=r"lexical, letters.*channels add image"):
        retriever.search("revenue", image=rows(3))


def test_a_channel_that_needs_words_can_not_be_chosen_for_an_image_alone(seeing):
    with pytest.raises(QueryError, match="lexical channel needs words"):
        seeing.search(image=rows(3), channels=["lexical", "image"])


@pytest.mark.parametrize("array", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)])
def test_an_array_that_is_no_image_is_refused(seeing, array):
    with pytest.raises(QueryError, match="query image is uint8"):
        seeing.search(image=array)


def test_similarity_is_refused_where_no_channel_can_show_it(seeing):
    for query, reason in (("revenue", "lexical, letters, image.*channels add visual"), ("", "words can be shown")):
        with pytest.raises(QueryError, match=reason):
            seeing.search(query, image=rows(3), similarity=True)
        with pytest.raises(QueryError, match=reason):
            seeing.similarity_map(PageKey("doc_a", 1, 1), query)
        assert seeing.seen(PageKey("doc_a", 1, 1), query) == ()
