"""Indexes for pages of many vectors: their stages leave out what does not matter, their files survive what happens."""

import json
import resource
from dataclasses import replace

import numpy as np
import pytest

from folioscope.domain import Fingerprint, PageKey, Where
from folioscope.errors import ConfigError, StorageError
from retrieval.indexes import EdgeIndex, MappedIndex, MemoryIndex, open_index
from retrieval.indexes.chroma import ChromaIndex, approximate
from retrieval.indexes.mapped import hamming, sign_bits
from retrieval.indexes.rows import RowStore, page_of
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
        yield PageKey(f"doc_{seed // 10}", 1, seed % 10 + 1), page(seed), {"half": seed % 2}


@pytest.fixture(scope="module")
def exact():
    index = MemoryIndex(PRINT)
    index.upsert(points())
    return index


def mapped(folder):
    return MappedIndex(folder, PRINT, coarse=60, fine=20)


def edge(folder):
    return EdgeIndex(folder, PRINT, pooled=True, candidates=20)


def edge_int8(folder):
    return EdgeIndex(folder, PRINT, pooled=True, candidates=20, datatype="int8")


def chroma(folder):
    pytest.importorskip("chromadb")
    return ChromaIndex(folder, PRINT)


def recall(index, exact, where=None, limit=5):
    found = 0
    for seed in range(0, PAGES, 12):
        wanted = {hit.key for hit in exact.search(query(seed), limit, where)}
        found += len(wanted & {hit.key for hit in index.search(query(seed), limit, where)})
    return found / (limit * len(range(0, PAGES, 12)))


@pytest.mark.parametrize("make", [mapped, edge, edge_int8, chroma])
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
    assert recall(index, exact, Where(metadata={"half": 0}), limit=1) == 1
    assert len(index.search(query(3), 50)) == 50
    hits = index.search(query(3), 30, Where(frozenset({"doc_0", "doc_7"})))
    assert {hit.key.document_id for hit in hits} == {"doc_0", "doc_7"}
    assert len(hits) == 20
    index.close()


def test_with_as_many_candidates_as_pages_it_is_exact(exact, tmp_path):
    index = MappedIndex(tmp_path / "index", PRINT, coarse=PAGES, fine=PAGES)
    index.upsert(points())
    assert recall(index, exact, limit=10) > 0.95  # neighbours in rank may change places by the rounding to int8
    index.close()


def test_hamming_is_the_least_number_of_differing_signs():
    one, other = unit(page(1, 5)), page(2, 64 * 7)
    signs = sign_bits(other).reshape(7, 64, -1).transpose(2, 1, 0)
    differing = ((one[:, None] > 0) != (other[None] > 0)).sum(axis=2)  # [5, 7 * 64]
    assert hamming(sign_bits(one), signs).tolist() == differing.reshape(5, 7, 64).min(axis=2).sum(axis=0).tolist()


def test_distances_of_many_dimensions_do_not_overflow():
    ones = np.ones((64, 300), np.float32)
    signs = sign_bits(ones).reshape(1, 64, -1).transpose(2, 1, 0)
    assert hamming(sign_bits(-ones[:2]), signs).tolist() == [600]


def test_the_layout_is_chosen_by_who_opens(tmp_path):
    few, many = open_index(tmp_path / "few", PRINT), open_index(tmp_path / "many", PRINT, pooled=True)
    assert isinstance(few, EdgeIndex)
    assert isinstance(many, MappedIndex)
    few.close()
    many.close()
    other = open_index(tmp_path / "other", replace(PRINT, kind="sparse", dim=0), vectors="chroma")
    assert isinstance(other, EdgeIndex)
    other.close()
    again = open_index(tmp_path / "many", PRINT, pooled=True, vectors="chroma")
    assert isinstance(again, MappedIndex)  # as it was made
    again.close()
    with pytest.raises(StorageError, match="few"):
        EdgeIndex(tmp_path / "few", PRINT, pooled=True)


def filled(folder, count=20):
    index = MappedIndex(folder, PRINT)
    index.upsert(points(count))
    index.flush()
    return index


def test_optimize_gives_the_space_back(tmp_path):
    index = filled(tmp_path / "index")
    before = [hit for hit in index.search(query(3), 20) if hit.key.document_id == "doc_0"]
    index.upsert(points(3))  # again: replaced
    index.delete("doc_1")
    assert index.optimize()
    assert not index.optimize()
    assert index.search(query(3), 20) == before
    sizes = {path.name: path.stat().st_size for path in (tmp_path / "index" / "rows").glob("*.*")}
    assert sizes == {"full.2": 10 * LENGTH * (DIM + 2), "pooled.2": 10 * 64 * (DIM + 2)}
    index.close()
    index = MappedIndex(tmp_path / "index", PRINT)
    assert index.search(query(3), 20) == before
    index.close()


def test_what_was_not_flushed_is_cut_off(tmp_path):
    index = filled(tmp_path / "index")
    rows = tmp_path / "index" / "rows"
    flushed = {path: path.stat().st_size for path in rows.iterdir()}
    index.upsert((PageKey("doc_x", 1, number), page(number), {}) for number in range(1, 4))
    index.delete("doc_0")
    index.close()
    with (rows / "journal").open("a") as journal:
        journal.write('["doc_x", 1, 1, [150, 64')  # as a kill in the middle of a flush leaves it
    index = MappedIndex(tmp_path / "index", PRINT)
    assert len(index) == 20
    assert {path: path.stat().st_size for path in rows.iterdir()} == flushed
    index.upsert([(PageKey("doc_y", 1, 1), page(99), {})])
    index.flush()
    index.close()
    index = MappedIndex(tmp_path / "index", PRINT)
    assert len(index) == 21
    assert index.search(query(99), 1)[0].key == PageKey("doc_y", 1, 1)
    index.close()


def test_a_kill_between_compacting_and_the_journal_harms_nothing(tmp_path):
    filled(tmp_path / "index").close()
    rows = tmp_path / "index" / "rows"
    (rows / "full.2").write_bytes(b"unfinished")
    (rows / "journal.new").write_text("unfinished")
    index = MappedIndex(tmp_path / "index", PRINT)
    assert index.search(query(3), 1)[0].key == PageKey("doc_0", 1, 4)
    assert not (rows / "full.2").exists()
    index.close()


def cut_rows(rows):
    (rows / "full.1").write_bytes((rows / "full.1").read_bytes()[:-1])


def lose_rows(rows):
    (rows / "pooled.1").unlink()


def garble_journal(rows):
    (rows / "journal").write_text('{"generation": 1}\n["doc_0"\n')


def empty_journal(rows):
    (rows / "journal").write_text("")


def lose_journal(rows):
    (rows / "journal").unlink()


def foreign_journal(rows):
    (rows / "journal").write_text(json.dumps([1, 2, 3]) + "\n")


@pytest.mark.parametrize("damage", [cut_rows, lose_rows, garble_journal, empty_journal, lose_journal, foreign_journal])
def test_damage_is_named(damage, tmp_path):
    filled(tmp_path / "index").close()
    damage(tmp_path / "index" / "rows")
    with pytest.raises(StorageError, match="collections rebuild") as caught:
        MappedIndex(tmp_path / "index", PRINT)
    assert str(tmp_path / "index") in str(caught.value)


def test_a_page_without_vectors_is_refused_and_harms_nothing(tmp_path):
    index = filled(tmp_path / "index")
    with pytest.raises(StorageError, match="can't be written"):
        index.upsert([(PageKey("doc_x", 1, 1), np.zeros((0, DIM), np.float32), {})])
    assert index.search(query(3), 1)[0].key == PageKey("doc_0", 1, 4)
    index.close()


def test_of_a_batch_that_fails_the_pages_before_are_found(tmp_path):
    index = filled(tmp_path / "index")
    narrow = np.ones((3, DIM - 1), np.float32)
    with pytest.raises(StorageError, match="can't be written"):
        index.upsert([(PageKey("doc_x", 1, 1), page(98), {}), (PageKey("doc_x", 1, 2), narrow, {})])
    assert index.search(query(98), 1)[0].key == PageKey("doc_x", 1, 1)
    index.upsert([(PageKey("doc_x", 1, 2), page(99), {})])
    index.flush()
    index.close()
    index = MappedIndex(tmp_path / "index", PRINT)
    assert [index.search(query(seed), 1)[0].key.number for seed in (98, 99)] == [1, 2]
    index.close()


def test_a_page_that_chroma_refuses_harms_nothing(tmp_path):
    index = chroma(tmp_path / "index")
    index.upsert(points(20))
    with pytest.raises(StorageError, match="can't be written"):
        index.upsert([(PageKey("doc_x", 1, 1), np.full((3, DIM), np.nan, np.float32), {})])
    assert len(index) == 20
    assert index.search(query(3), 1)[0].key == PageKey("doc_0", 1, 4)
    index.close()


def test_what_can_not_be_written_does_not_count(tmp_path):
    store = RowStore(tmp_path, DIM, ("full",))
    key, other = PageKey("doc", 1, 1), PageKey("doc", 1, 2)
    store.append(key, [], {"full": unit(page(1))})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / "full.1").stat().st_size + 100, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            store.append(other, [], {"full": unit(page(2))})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert store.places == {key: 0}
    store.append(other, [], {"full": unit(page(2))})
    store.flush()
    store.close()
    store = RowStore(tmp_path, DIM, ("full",))
    assert page_of(store.mapped("full"), store.places[other]) == pytest.approx(unit(page(2)), abs=5e-3)
    store.close()


def test_chroma_takes_no_sparse_vectors(tmp_path):
    with pytest.raises(ConfigError, match="sparse"):
        ChromaIndex(tmp_path / "index", Fingerprint("bm25", "1", "sparse", 0))


def test_a_page_that_was_not_found_for_a_vector_gets_the_last_ones_cosine():
    one, two, three = (PageKey("doc", 1, number) for number in (1, 2, 3))
    nearest = [[(one, 0.9), (one, 0.8), (two, 0.2)], [(three, 0.9), (two, 0.8)], []]
    assert approximate(nearest) == [one, three, two]  # .9 + .8, .2 + .9, .2 + .8
