"""Indexes for pages of many vectors: their stages leave out what does not matter, their files survive what happens."""

import itertools
import json
import resource
import shutil
from dataclasses import replace

import numpy as np
import pytest

from folioscope.domain import Fingerprint, PageKey
from folioscope.errors import ConfigError, StorageError
from retrieval.indexes import EdgeIndex, MemoryIndex, open_index
from retrieval.indexes.chroma import ChromaIndex, approximate
from retrieval.indexes.rows import FORMAT, RowStore, page_of
from retrieval.maxsim import unit

DIM, LENGTH, PAGES = 72, 150, 240  # 72: the sign bits of a vector fill one word and a part of the next
PRINT = Fingerprint("test", "1", "multi", DIM)


def page(seed, length=LENGTH):
    rng = np.random.default_rng(seed)
    motifs = rng.standard_normal((30, DIM))
    return (motifs[rng.integers(0, 30, length)] + 0.4 * rng.standard_normal((length, DIM))).astype(np.float32)


def query(seed):
    rng = np.random.default_rng([1, seed])
    return page(seed)[:12] + rng.standard_normal((12, DIM)).astype(np.float32)


def points(count=PAGES):
    for seed in range(count):
        yield PageKey(f"doc_{seed // 10}", 1, seed % 10 + 1), page(seed)


@pytest.fixture(scope="module")
def exact():
    index = MemoryIndex(PRINT)
    index.upsert(points())
    return index


def edge(folder):
    return EdgeIndex(folder, PRINT, pooled=True, candidates=20)


def edge_int8(folder):
    return EdgeIndex(folder, PRINT, pooled=True, candidates=20, datatype="int8")


def chroma(folder):
    pytest.importorskip("chromadb")
    return ChromaIndex(folder, PRINT)


def recall(index, exact, documents=None, limit=5):
    found = 0
    for seed in range(0, PAGES, 12):
        wanted = {hit.key for hit in exact.search(query(seed), limit, documents)}
        found += len(wanted & {hit.key for hit in index.search(query(seed), limit, documents)})
    return found / (limit * len(range(0, PAGES, 12)))


@pytest.mark.parametrize("make", [edge, edge_int8, chroma])
def test_few_candidates_hold_what_all_would_find(make, exact, tmp_path, monkeypatch):
    monkeypatch.setattr("retrieval.indexes.chroma.CANDIDATES", 20)
    index = make(tmp_path / "index")
    index.upsert(points())
    first = exact.search(query(24), 1)[0]
    assert first.key == PageKey("doc_2", 1, 5)
    hit = index.search(query(24), 1)[0]
    assert hit.key == first.key
    assert hit.score == pytest.approx(first.score, abs=0.05)
    # Beyond the first page the ranking is among pages that have nothing to do with the query.
    assert recall(index, exact, limit=1) == 1
    assert recall(index, exact, frozenset(f"doc_{n}" for n in range(0, PAGES // 10, 2)), limit=1) == 1
    assert len(index.search(query(3), 50)) == 50
    hits = index.search(query(3), 30, frozenset({"doc_0", "doc_7"}))
    assert {hit.key.document_id for hit in hits} == {"doc_0", "doc_7"}
    assert len(hits) == 20
    index.close()


def test_the_layout_is_chosen_by_who_opens(tmp_path):
    few, many = open_index(tmp_path / "few", PRINT), open_index(tmp_path / "many", PRINT, pooled=True)
    few.close()
    many.close()
    other = open_index(tmp_path / "other", replace(PRINT, kind="sparse", dim=0), vectors="chroma")
    assert isinstance(other, EdgeIndex)
    other.close()
    again = open_index(tmp_path / "many", PRINT, pooled=True, vectors="chroma", datatype="int8")
    assert isinstance(again, EdgeIndex)  # as it was made
    again.close()
    with pytest.raises(StorageError, match=r"few.* it has the vectors page; wanted are full, pooled"):
        EdgeIndex(tmp_path / "few", PRINT, pooled=True)


# --- the file of vectors beside Chroma ---


def filled(folder, count=20):
    folder.mkdir()
    store = RowStore(folder, DIM)
    for key, vectors in itertools.islice(points(), count):
        store.append(key, unit(vectors))
    store.flush()
    return store


def holds(store, key, vectors):
    return page_of(store.mapped(), store.places[key]) == pytest.approx(unit(vectors), abs=5e-3)


def test_what_was_not_flushed_is_cut_off(tmp_path):
    store = filled(tmp_path / "rows")
    flushed = {path: path.stat().st_size for path in (tmp_path / "rows").iterdir()}
    for number in range(1, 4):
        store.append(PageKey("doc_x", 1, number), unit(page(number)))
    store.delete("doc_0", None)
    store.close()
    with (tmp_path / "rows" / "journal").open("a") as journal:
        journal.write('["doc_x", 1, 1, 150')  # as a kill in the middle of a flush leaves it
    store = RowStore(tmp_path / "rows", DIM)
    assert len(store.places) == 20
    assert {path: path.stat().st_size for path in (tmp_path / "rows").iterdir()} == flushed
    store.append(PageKey("doc_y", 1, 1), unit(page(99)))
    store.flush()
    store.close()
    store = RowStore(tmp_path / "rows", DIM)
    assert len(store.places) == 21
    assert holds(store, PageKey("doc_y", 1, 1), page(99))
    store.close()


def test_what_was_deleted_stays_deleted(tmp_path):
    store = filled(tmp_path / "rows")
    store.delete("doc_0", 2)
    store.delete("doc_0", 1)
    store.append(PageKey("doc_1", 1, 1), unit(page(77)))  # replaced
    store.flush()
    store.close()
    store = RowStore(tmp_path / "rows", DIM)
    assert {key.document_id for key in store.places} == {"doc_1"}
    assert len(store.chosen(None)) == 10
    assert store.chosen(frozenset({"doc_0"})) == []
    assert holds(store, PageKey("doc_1", 1, 1), page(77))
    store.close()


def test_lines_of_earlier_versions_are_read(tmp_path):
    """They end with metadata."""
    store = filled(tmp_path / "rows")
    places, journal = dict(store.places), tmp_path / "rows" / "journal"
    store.close()
    lines = [json.loads(line) for line in journal.read_bytes()[len(FORMAT) :].splitlines()]
    journal.write_bytes(FORMAT + "".join(json.dumps([*line, ["half=1"]]) + "\n" for line in lines).encode())
    store = RowStore(tmp_path / "rows", DIM)
    assert store.places == places
    store.close()


def cut_rows(rows):
    (rows / "rows").write_bytes((rows / "rows").read_bytes()[:-1])


def lose_rows(rows):
    (rows / "rows").unlink()


def garble_journal(rows):
    (rows / "journal").write_bytes(FORMAT + b'["doc_0"\n')


def empty_journal(rows):
    (rows / "journal").write_text("")


def lose_journal(rows):
    (rows / "journal").unlink()


def foreign_journal(rows):
    (rows / "journal").write_text(json.dumps([1, 2, 3]) + "\n")


@pytest.mark.parametrize("damage", [cut_rows, lose_rows, garble_journal, empty_journal, lose_journal, foreign_journal])
def test_damage_is_named(damage, tmp_path):
    chroma(tmp_path / "index").close()
    shutil.rmtree(tmp_path / "index" / "rows")
    filled(tmp_path / "index" / "rows").close()
    damage(tmp_path / "index" / "rows")
    with pytest.raises(StorageError, match="collections rebuild") as caught:
        chroma(tmp_path / "index")
    assert str(tmp_path / "index") in str(caught.value)


def test_killed_while_made_it_is_made_again(tmp_path):
    (tmp_path / "journal").touch()
    RowStore(tmp_path, DIM).close()
    (tmp_path / "rows").unlink()
    RowStore(tmp_path, DIM).close()


def test_a_page_that_chroma_refuses_harms_nothing(tmp_path):
    index = chroma(tmp_path / "index")
    index.upsert(points(20))
    with pytest.raises(StorageError, match="can't be written"):
        index.upsert([(PageKey("doc_x", 1, 1), np.full((3, DIM), np.nan, np.float32))])
    assert len(index) == 20
    assert index.search(query(3), 1)[0].key == PageKey("doc_0", 1, 4)
    index.close()


def test_what_can_not_be_written_does_not_count(tmp_path):
    store = RowStore(tmp_path, DIM)
    key, other = PageKey("doc", 1, 1), PageKey("doc", 1, 2)
    store.append(key, unit(page(1)))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / "rows").stat().st_size + 100, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            store.append(other, unit(page(2)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert store.places == {key: 0}
    store.append(other, unit(page(2)))
    store.flush()
    store.close()
    store = RowStore(tmp_path, DIM)
    assert holds(store, other, page(2))
    store.close()


def test_chroma_takes_no_sparse_vectors(tmp_path):
    with pytest.raises(ConfigError, match="sparse"):
        ChromaIndex(tmp_path / "index", Fingerprint("bm25", "1", "sparse", 0))


def test_a_page_that_was_not_found_for_a_vector_gets_the_last_ones_cosine():
    one, two, three = (PageKey("doc", 1, number) for number in (1, 2, 3))
    nearest = [[(one, 0.9), (one, 0.8), (two, 0.2)], [(three, 0.9), (two, 0.8)], []]
    assert approximate(nearest) == [one, three, two]  # .9 + .8, .2 + .9, .2 + .8
