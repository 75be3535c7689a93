"""What every `PageIndex` promises, for all kinds of vectors; the exact index in memory is the measure of the others."""

import os
import shutil
import signal
import subprocess
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from folioscope.domain import Fingerprint, PageKey, SparseVector
from folioscope.errors import DiskFull, FingerprintMismatch, StorageError
from retrieval.indexes import EdgeIndex, MemoryIndex
from retrieval.indexes.chroma import ChromaIndex
from retrieval.indexes.server import ServerIndex, connect, remove

DIM = 16
KINDS = ("sparse", "dense", "multi")
PRINTS = {kind: Fingerprint("test", "1", kind, 0 if kind == "sparse" else DIM) for kind in KINDS}


def vector(kind, seed):
    rng = np.random.default_rng(seed)
    if kind == "sparse":
        indices = np.unique(rng.integers(0, 40, 12).astype(np.uint32))
        return SparseVector(indices, rng.uniform(0.5, 2, len(indices)).astype(np.float32))
    shape = DIM if kind == "dense" else (1 + seed % 4, DIM)
    return rng.standard_normal(shape).astype(np.float32)


def key(number, document="doc_a", version=1):
    return PageKey(document, version, number)


def points(kind, count=30):
    for seed in range(count):
        yield key(seed % 10 + 1, f"doc_{'abc'[seed // 10]}"), vector(kind, seed)


def pooled_edge(folder, fingerprint):
    return EdgeIndex(folder, fingerprint, pooled=True)


# Each with the kinds of vectors that it takes. Those in a folder are reopened, killed and damaged below.
IN_FOLDERS = {
    "edge": (EdgeIndex, KINDS),
    "pooled_edge": (pooled_edge, ["multi"]),
    "chroma": (ChromaIndex, ["dense", "multi"]),
}
ON_SERVERS = {"client": KINDS, "pooled_client": ["multi"], "server": KINDS, "pooled_server": ["multi"]}
STORED = [(name, kind) for name, (_, kinds) in IN_FOLDERS.items() for kind in kinds]
SERVED = [(name, kind) for name, kinds in ON_SERVERS.items() for kind in kinds]
EVERY = [("memory", kind) for kind in KINDS] + STORED + SERVED
ROUNDED = ("chroma",)  # multi vectors are int8 there

pytestmark = [
    # The client's own emulation of the server says so of every collection.
    pytest.mark.filterwarnings("ignore:Payload indexes have no effect in the local Qdrant:UserWarning"),
]


def opened(name, folder, kind):
    if name == "chroma":
        pytest.importorskip("chromadb")
    return IN_FOLDERS[name][0](folder, PRINTS[kind])


@pytest.fixture(params=EVERY, ids="-".join)
def backend(request):
    return request.param


@pytest.fixture
def kind(backend):
    return backend[1]


@pytest.fixture
def index(backend, tmp_path):
    name, kind = backend
    if name == "memory":
        yield MemoryIndex(PRINTS[kind])
    elif name in IN_FOLDERS:
        index = opened(name, tmp_path / "index", kind)
        yield index
        index.close()
    else:
        qdrant_client = pytest.importorskip("qdrant_client")
        if "server" in name and not os.environ.get("FOLIOSCOPE_QDRANT_URL"):
            pytest.skip("FOLIOSCOPE_QDRANT_URL names no server")
        real = "server" in name
        client = (
            connect(os.environ["FOLIOSCOPE_QDRANT_URL"], os.environ.get("FOLIOSCOPE_QDRANT_API_KEY", ""))
            if real
            else qdrant_client.QdrantClient(location=":memory:")
        )
        collection = f"folioscope-test-{uuid.uuid4().hex}"
        yield ServerIndex(client, collection, PRINTS[kind], pooled="pooled" in name)
        remove(client, collection)
        client.close()


in_folders = pytest.mark.parametrize("backend", STORED, ids="-".join)


def found(index, kind, documents=None, limit=100, seed=99):
    return {key for key, _ in index.search(vector(kind, seed), limit, documents)}


def same(one, other, tolerance=2e-3):
    """The same pages with the same scores; pages of equal score may change places."""
    one, other = sorted(one), sorted(other)
    assert [page for page, _ in one] == [page for page, _ in other]
    assert [score for _, score in one] == pytest.approx([score for _, score in other], rel=tolerance, abs=tolerance)


def tolerance(backend):
    return 2e-2 if backend[0] in ROUNDED and backend[1] == "multi" else 2e-3


def test_an_empty_index_finds_nothing(index, kind):
    assert len(index) == 0
    assert index.search(vector(kind, 1), 10) == []
    index.delete("doc_a")
    index.flush()


def test_all_score_as_the_exact_index(index, backend):
    kind, memory = backend[1], MemoryIndex(PRINTS[backend[1]])
    for each in (index, memory):
        each.upsert(points(kind))
    assert len(index) == len(memory) == 30
    for seed in range(100, 120):
        hits = index.search(vector(kind, seed), 100)
        scores = [score for _, score in hits]
        assert len(hits) > 5
        assert scores == sorted(scores, reverse=True)
        same(hits, memory.search(vector(kind, seed), 100), tolerance(backend))
        top = [score for _, score in memory.search(vector(kind, seed), 5)]
        assert scores[:5] == pytest.approx(top, rel=tolerance(backend), abs=tolerance(backend))
        same(index.search(vector(kind, seed), 5), hits[:5])


def test_a_query_row_may_stand_alone(index, kind):
    if kind != "multi":
        pytest.skip("only multi vectors have rows")
    index.upsert(points(kind))
    row = vector("dense", 7)
    same(index.search(row, 5), index.search(row[None], 5))


def test_the_same_key_replaces(index, kind):
    index.upsert([(key(1), vector(kind, 1)), (key(2), vector(kind, 2))])
    before = dict(index.search(vector(kind, 3), 10))
    index.upsert([(key(1), vector(kind, 3))])
    after = index.search(vector(kind, 3), 10)
    assert len(index) == 2
    assert after[0].key == key(1)
    assert after[0].score > before.get(key(1), 0)


def test_vectors_come_back(index, backend):
    name, kind = backend
    index.upsert(points(kind))
    keys = [key(1, "doc_b"), key(3, "doc_a"), key(99), key(1, "doc_x")]
    read = index.vectors(keys)
    assert read.keys() == set(keys[:2])
    for page, seed in ((keys[0], 10), (keys[1], 2)):
        given, got = vector(kind, seed), read[page]
        if kind == "sparse":
            order = np.argsort(got.indices)
            assert got.indices[order].tolist() == given.indices.tolist()
            np.testing.assert_allclose(got.values[order], given.values)
            continue
        assert (got.dtype, got.shape) == (np.float32, given.shape)
        unit = given / np.linalg.norm(given, axis=-1, keepdims=True)
        np.testing.assert_allclose(got, unit, atol=1e-6 if kind == "dense" else 5e-3 if name in ROUNDED else 1e-3)
    assert index.vectors([]) == {}


def test_limit(index, kind):
    index.upsert(points(kind))
    assert len(index.search(vector(kind, 5), 3)) == 3
    assert index.search(vector(kind, 5), 0) == []


def test_filters_on_documents(index, kind):
    index.upsert((key(n, document), vector(kind, 99)) for document in ("doc_a", "doc_b", "doc_c") for n in (1, 2))
    assert found(index, kind, frozenset({"doc_a"})) == {key(1), key(2)}
    assert len(found(index, kind, frozenset({"doc_a", "doc_c"}))) == 4
    assert found(index, kind, frozenset({"doc_x"})) == set()
    assert found(index, kind, frozenset()) == set()
    assert len(found(index, kind)) == 6


def test_delete_a_document_or_a_version(index, kind):
    for version in (1, 2):
        index.upsert((key(n, "doc_a", version), vector(kind, 99)) for n in (1, 2))
    index.upsert([(key(1, "doc_b"), vector(kind, 99))])
    index.delete("doc_a", 1)
    assert found(index, kind) == {key(1, "doc_a", 2), key(2, "doc_a", 2), key(1, "doc_b")}
    index.delete("doc_a")
    assert found(index, kind) == {key(1, "doc_b")}
    assert len(index) == 1


@in_folders
def test_reopened_it_is_the_same(backend, tmp_path):
    name, kind = backend
    memory, index = MemoryIndex(PRINTS[kind]), opened(name, tmp_path / "index", kind)
    for each in (memory, index):
        each.upsert(points(kind))
        each.delete("doc_b")
    index.flush()
    index.close()
    index = opened(name, tmp_path / "index", kind)
    assert len(index) == 20
    same(index.search(vector(kind, 50), 100), memory.search(vector(kind, 50), 100), tolerance(backend))
    if hasattr(index, "optimize"):
        index.optimize()
        same(index.search(vector(kind, 50), 100), memory.search(vector(kind, 50), 100), tolerance(backend))
    index.close()


@in_folders
def test_another_fingerprint_is_refused(index, backend, tmp_path):
    name, kind = backend
    other = replace(PRINTS[kind], revision="2")
    with pytest.raises(FingerprintMismatch) as caught:
        IN_FOLDERS[name][0](tmp_path / "index", other)
    for part in (str(PRINTS[kind]), str(other), "folioscope collections rebuild"):
        assert part in str(caught.value)


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = [{root!r}, {tests!r}]
from test_index_contract import opened, points
index = opened({name!r}, Path({folder!r}), {kind!r})
index.upsert(points({kind!r}))
index.flush()
index.upsert(points({kind!r}, 3))
os.kill(os.getpid(), signal.SIGKILL)
"""


@in_folders
def test_killed_after_a_flush_it_loses_nothing(backend, tmp_path):
    name, kind = backend
    if name == "chroma":
        pytest.importorskip("chromadb")
    tests, folder = Path(__file__).parent, str(tmp_path / "index")
    code = KILLED.format(root=str(tests.parents[1]), tests=str(tests), folder=folder, kind=kind, name=name)
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    index, memory = opened(name, tmp_path / "index", kind), MemoryIndex(PRINTS[kind])
    memory.upsert(points(kind))
    assert len(index) == 30
    same(index.search(vector(kind, 50), 100), memory.search(vector(kind, 50), 100), tolerance(backend))
    index.close()


@in_folders
def test_threads_write_and_search_at_once(index, kind):
    def write(n):
        document = f"doc_{n}"
        for turn in range(20):
            index.upsert((key(10 * turn + i, document), vector(kind, 10 * turn + i)) for i in range(10))
        index.flush()

    def read(seed):
        for _ in range(20):
            index.search(vector(kind, seed), 20)

    with ThreadPoolExecutor(6) as pool:
        done = [pool.submit(work, n) for n in range(3) for work in (write, read)]
    for each in done:
        each.result()
    assert len(index) == 600


def damage_fingerprint(folder):
    (folder / "fingerprint.json").write_text("{")


def lose_fingerprint(folder):
    (folder / "fingerprint.json").unlink()


def lose_segments(folder):
    shutil.rmtree(folder / "shard" / "segments")


def damage_segments(folder):
    for path in folder.glob("shard/segments/*/segment.json"):
        path.write_bytes(b"\0")


def truncate_flags(folder):  # the engine panics
    for path in folder.glob("shard/segments/*/payload_index/*/*/status.dat"):
        os.truncate(path, 0)


@pytest.mark.parametrize(
    "damage", [damage_fingerprint, lose_fingerprint, lose_segments, damage_segments, truncate_flags]
)
def test_a_damaged_folder_is_named(damage, tmp_path, capfd):
    folder, mark = tmp_path / "index", PRINTS["sparse"]
    index = EdgeIndex(folder, mark)
    index.upsert(points("sparse"))
    index.flush()
    index.close()
    damage(folder)
    with pytest.raises(StorageError, match="collections rebuild") as caught:
        EdgeIndex(folder, mark)
    assert str(folder) in str(caught.value)


@in_folders
def test_a_closed_index_says_so(index, kind):
    index.close()
    with pytest.raises(StorageError, match="can't be searched"):
        index.search(vector(kind, 1), 5)


def test_killed_while_made_it_is_made_again(tmp_path):
    unfinished = tmp_path / "index.new" / "shard"
    unfinished.mkdir(parents=True)
    (unfinished / "edge_config.json").write_text("{")
    index = EdgeIndex(tmp_path / "index", PRINTS["sparse"])
    assert len(index) == 0
    index.close()


@in_folders
def test_a_full_disk_is_noticed_before_writing(index, kind, monkeypatch):
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=2**20))
    with pytest.raises(DiskFull, match="1 MB are free"):
        index.upsert(points(kind))
    if hasattr(index, "optimize"):
        with pytest.raises(DiskFull):
            index.optimize()
    assert len(index) == 0
