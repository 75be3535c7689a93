"""Pages of many vectors, searched in three stages from memory-mapped files.

1. Every page: 64 pooled vectors as sign bits in memory (1 KB a page at 128 dimensions), MaxSim by Hamming distance.
2. The best `COARSE` of them: the same 64 vectors as int8.
3. The best `FINE` of these: all vectors as int8, MaxSim within the rounding of int8 (one scale a vector).

Each stage asks its question of fewer pages at a greater cost; how many they are was measured
(benchmarks/visual_search.py). The folder holds ``fingerprint.json`` and ``rows`` (see rows.py).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from folioscope.domain import Fingerprint, Metadata, PageKey, ScoredPage, SparseVector, Vector, Where
from retrieval.indexes import folder as folders
from retrieval.indexes.labels import labels
from retrieval.indexes.rows import RowStore, page_of
from retrieval.maxsim import Rows, max_sim, unit
from retrieval.pooling import LIMIT, pooled

COARSE = 400
FINE = 100
_BLOCK = 256  # pages whose sign bits are compared at a time: they and what is made of them stay in the cache


class MappedIndex:
    """Implements `folioscope.ports.PageIndex` for multi vectors; any number of threads may write and search.

    Scores are MaxSim of cosines, off by the rounding to int8 (about .002 a query vector at 128 dimensions). Which
    pages are scored is approximate once there are more than ``coarse``; ``limit`` raises both numbers of candidates.
    Raises `FingerprintMismatch` where the folder was made with another fingerprint, `StorageError` where it is
    damaged, `DiskFull` where less than the reserve is free.
    """

    def __init__(self, folder: Path, fingerprint: Fingerprint, *, coarse: int = COARSE, fine: int = FINE) -> None:
        self._folder, self._fingerprint = folder, fingerprint
        self._coarse, self._fine = coarse, fine
        self._lock = threading.Lock()
        self._store: RowStore | None = None
        folders.prepare(folder, fingerprint, ["rows"])
        with folders.storage_errors(folder, "opened"):
            self._open()

    @property
    def fingerprint(self) -> Fingerprint:
        """What the stored vectors were made with."""
        return self._fingerprint

    def upsert(self, points: Iterable[tuple[PageKey, Vector, Metadata]]) -> None:
        """Write points; the same key again replaces. Durable after `flush`."""
        with folders.storage_errors(self._folder, "written"):
            folders.check_space(self._folder, folders.RESERVE)
            made = [(key, labels(more), unit(_multi(v)), _stand_ins(_multi(v))) for key, v, more in points]
            with self._lock:
                store = self._opened()
                try:
                    for key, marks, full, few in made:
                        store.append(key, marks, {"full": full, "pooled": few})
                finally:
                    self._refresh()

    def search(self, vector: Vector, limit: int, where: Where | None = None) -> list[ScoredPage]:
        """The nearest pages, best first, at most ``limit``; of equal scores any may come first."""
        if limit < 1:
            return []
        with folders.storage_errors(self._folder, "searched"):
            query = unit(_multi(vector))
            with self._lock:
                pages = np.array(self._opened().chosen(where), np.int64)
                entries, few, full = self._opened().entries, self._few, self._full
                signs = self._signs[:, :, : self._known]
            if len(pages) > (most := max(self._coarse, 2 * limit)):
                distances = hamming(sign_bits(query), signs)[pages]
                pages = pages[np.argpartition(distances, most)[:most]]
            if len(pages) > (most := max(self._fine, limit)):
                scores = _scored(query, _gathered(few, pages), np.arange(len(pages)))
                pages = pages[np.argpartition(-scores, most)[:most]]
            pages = np.sort(pages)  # as they lie in the file
            scores = _scored(query, full, pages)
            best = np.argsort(-scores, kind="stable")[:limit]
            pages = pages[best]
        return [
            ScoredPage(entries[page].key, score)
            for page, score in zip(pages.tolist(), scores[best].tolist(), strict=True)
        ]

    def vectors(self, keys: Sequence[PageKey]) -> dict[PageKey, Vector]:
        """The stored vectors of these pages, rows of length 1; others are missing."""
        with folders.storage_errors(self._folder, "read"):
            with self._lock:
                places, full = self._opened().places, self._full
                found = {key: places[key] for key in keys if key in places}
            return {key: page_of(full, place) for key, place in found.items()}

    def delete(self, document_id: str, version: int | None = None) -> None:
        """Remove a document's points, of one version or of all. Durable after `flush`."""
        with folders.storage_errors(self._folder, "written"), self._lock:
            self._opened().delete(document_id, version)

    def flush(self) -> None:
        """Returns when everything written so far survives a kill."""
        with folders.storage_errors(self._folder, "written"), self._lock:
            self._opened().flush()

    def optimize(self) -> bool:
        """Rewrite files without what was deleted; needs as much free disk again. False: there was nothing to do."""
        with folders.storage_errors(self._folder, "rewritten"), self._lock:
            folders.check_space(self._folder, folders.RESERVE + folders.size(self._folder))
            changed = self._opened().compact()
            if changed:
                self._open()
        return changed

    def __len__(self) -> int:
        with folders.storage_errors(self._folder, "read"):
            return len(self._opened().places)

    def close(self) -> None:
        """Release files and memory; the index can't be used afterwards."""
        with self._lock:
            if self._store is not None:
                self._store.close()
            self._store = None

    def _open(self) -> None:
        self._store = RowStore(self._folder / "rows", self._fingerprint.dim, ("full", "pooled"))
        # uint64 [words, 64, capacity]: a page is a column, so that bits of a block of pages are compared in long runs.
        self._signs = np.zeros((-(-self._fingerprint.dim // 64), LIMIT, 0), np.uint64)
        self._known = 0  # pages whose signs are there
        self._refresh()

    def _opened(self) -> RowStore:
        if self._store is None:
            raise ValueError("it is closed")
        return self._store

    def _refresh(self) -> None:
        """Take in what was appended."""
        store = self._opened()
        self._full, self._few = store.mapped("full"), store.mapped("pooled")
        total = len(store.entries)
        if total > self._signs.shape[2]:
            grown = np.zeros((*self._signs.shape[:2], max(_BLOCK, 2 * total)), np.uint64)
            grown[:, :, : self._known] = self._signs[:, :, : self._known]
            self._signs = grown
        for first in range(self._known, total, _BLOCK):
            last = min(first + _BLOCK, total)
            bits = sign_bits(self._few.vectors[first * LIMIT : last * LIMIT])
            self._signs[:, :, first:last] = bits.reshape(last - first, LIMIT, -1).transpose(2, 1, 0)
        self._known = total


def sign_bits(vectors: NDArray[Any]) -> NDArray[np.uint64]:
    """uint64 [n, words]: a bit for each dimension of vectors [n, dim], set where it is positive; the rest is 0."""
    octets = np.packbits(vectors > 0, axis=1)
    padded = np.zeros((len(octets), -(-octets.shape[1] // 8) * 8), np.uint8)
    padded[:, : octets.shape[1]] = octets
    return padded.view(np.uint64)


def hamming(query: NDArray[np.uint64], signs: NDArray[np.uint64]) -> NDArray[np.int32]:
    """int32 [pages]: for each row of ``query`` [n, words] the least number of differing bits on the page, summed.

    ``signs``: uint64 [words, rows, pages]. The blocks of pages are spread over threads; numpy lets them run at once.
    """
    distances = np.zeros(signs.shape[2], np.int32)

    def compare(first: int) -> None:
        block = signs[:, :, first : first + _BLOCK]
        differing, counts = np.empty_like(block), np.empty(block.shape, np.uint8)
        for row in query:
            np.bitwise_xor(block, row[:, None, None], out=differing)
            np.bitwise_count(differing, out=counts)
            # One word of 64 bits fits into uint8, up to three do; more are added up in uint16.
            total = counts.sum(axis=0, dtype=np.uint8 if len(signs) < 4 else np.uint16)
            distances[first : first + _BLOCK] += total.min(axis=0)

    list(_threads().map(compare, range(0, signs.shape[2], _BLOCK)))
    return distances


def _scored(query: NDArray[np.float32], rows: Rows, pages: NDArray[np.int64]) -> NDArray[np.float32]:
    """float32 [pages]: their MaxSim, spread over threads."""
    parts = np.array_split(pages, min(os.cpu_count() or 1, max(1, len(pages) // 8)))
    return np.concatenate(list(_threads().map(partial(max_sim, query, rows), parts)))


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count(), "folioscope-search")


def _multi(vector: Vector) -> NDArray[np.float32]:
    assert not isinstance(vector, SparseVector)
    if not vector.size:
        raise ValueError("there is no vector")
    return np.atleast_2d(vector)


def _stand_ins(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32 [64, dim]: the pooled vectors, repeated where they are fewer, which changes no maximum."""
    few = pooled(vectors)
    return np.resize(few, (LIMIT, few.shape[1]))


def _gathered(few: Rows, pages: NDArray[np.int64]) -> Rows:
    """The pooled vectors of these pages alone, one after the other."""
    assert few.scales is not None
    values = few.vectors.reshape(-1, LIMIT, few.vectors.shape[1])[pages]
    scales = few.scales.reshape(-1, LIMIT)[pages]
    return Rows(values.reshape(-1, values.shape[2]), np.arange(len(pages) + 1) * LIMIT, scales.reshape(-1))
