"""A channel's vectors in Chroma, embedded: in this process, in a folder of its own.

Dense vectors are Chroma's own trade: one a page, cosine, HNSW. Of multi vectors Chroma gets the pooled ones (at most 64
a page), a row each: the pages of the rows nearest to the query's vectors are candidates, which are then scored by all
their vectors from our own files (rows.py). No embedding function, no telemetry, and never Chroma's server.

The folder holds ``fingerprint.json``, ``chroma`` and, for multi vectors, ``rows``.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from folioscope.domain import Fingerprint, PageKey, ScoredPage, SparseVector, Vector
from folioscope.errors import ChannelUnavailable, ConfigError
from retrieval.indexes import folder as folders
from retrieval.indexes.rows import RowStore, page_of
from retrieval.maxsim import max_sim, unit
from retrieval.pooling import pooled

CANDIDATES = 100  # pages scored by all their vectors
ROWS = 200  # pooled rows asked for each vector of the query

Row = tuple[str, NDArray[np.float32], dict[str, Any]]


class ChromaIndex:
    """Implements `folioscope.ports.PageIndex` for dense and multi vectors; which pages are found is approximate.

    Dense vectors score by cosine, multi ones by MaxSim of cosines, off by the rounding to int8. Dense writes are
    durable at once, multi ones after `flush`. Raises `ConfigError` for sparse vectors, `ChannelUnavailable`
    where chromadb is not installed, `FingerprintMismatch`, `StorageError` and `DiskFull` as the other indexes do.
    """

    def __init__(self, folder: Path, fingerprint: Fingerprint) -> None:
        if fingerprint.kind == "sparse":
            raise ConfigError(
                "Chroma can't hold the sparse vectors of this channel.", hint="Keep its index in Qdrant, the default."
            )
        self._folder, self._fingerprint = folder, fingerprint
        self._lock = threading.Lock()
        self._rows: RowStore | None = None
        folders.prepare(folder, fingerprint, ("chroma", "rows") if fingerprint.kind == "multi" else ("chroma",))
        with folders.storage_errors(folder, "opened"):
            self._client: Any = _client(folder / "chroma")
            self._collection = self._client.get_or_create_collection(
                "page", embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
            )
            if fingerprint.kind == "multi":
                self._rows = RowStore(folder / "rows", fingerprint.dim)
                self._full = self._rows.mapped()

    @property
    def fingerprint(self) -> Fingerprint:
        """What the stored vectors were made with."""
        return self._fingerprint

    def upsert(self, points: Iterable[tuple[PageKey, Vector]]) -> None:
        """Write points; the same key again replaces. Durable after `flush`."""
        with folders.storage_errors(self._folder, "written"), self._lock:
            folders.check_space(self._folder, folders.RESERVE)
            store = self._opened()
            latest = {key: np.atleast_2d(_array(vector)) for key, vector in points}
            self._clear(latest)
            self._write(
                (f"{_name(key)}/{number}" if store is not None else _name(key), row, _payload(key))
                for key, vectors in latest.items()
                for number, row in enumerate(pooled(vectors))
            )
            if store is not None:
                try:
                    for key, vectors in latest.items():
                        store.append(key, unit(vectors))
                finally:
                    self._full = store.mapped()

    def search(self, vector: Vector, limit: int, documents: frozenset[str] | None = None) -> list[ScoredPage]:
        """The nearest pages, best first, at most ``limit``; of equal scores any may come first."""
        if limit < 1 or documents == frozenset():
            return []
        assert not isinstance(vector, SparseVector)
        with folders.storage_errors(self._folder, "searched"):
            query = unit(np.atleast_2d(vector))
            if self._fingerprint.kind == "dense":
                found = self._nearest(query, limit, documents)[0]
                return [ScoredPage(key, similarity) for key, similarity in found]
            return self._search_multi(query, limit, documents)

    def vectors(self, keys: Sequence[PageKey]) -> dict[PageKey, Vector]:
        """The stored vectors of these pages, rows of length 1; others are missing."""
        with folders.storage_errors(self._folder, "read"):
            if self._fingerprint.kind == "dense":
                return self._dense({_name(key): key for key in keys})
            with self._lock:
                store = self._opened()
                assert store is not None
                found, full = {key: store.places[key] for key in keys if key in store.places}, self._full
            return {key: page_of(full, place) for key, place in found.items()}

    def delete(self, document_id: str, version: int | None = None) -> None:
        """Remove a document's points, of one version or of all. Durable after `flush`."""
        conditions: list[dict[str, Any]] = [{"document_id": document_id}]
        if version is not None:
            conditions.append({"version": version})
        with folders.storage_errors(self._folder, "written"), self._lock:
            store = self._opened()
            self._collection.delete(where=_all(conditions))
            if store is not None:
                store.delete(document_id, version)

    def flush(self) -> None:
        """Returns when everything written so far survives a kill."""
        with folders.storage_errors(self._folder, "written"), self._lock:
            store = self._opened()
            if store is not None:
                store.flush()

    def __len__(self) -> int:
        with folders.storage_errors(self._folder, "read"):
            store = self._opened()
            return len(store.places) if store is not None else int(self._collection.count())

    def close(self) -> None:
        """Release files and memory; the index can't be used afterwards."""
        with self._lock:
            if self._client is None:
                return
            if self._rows is not None:
                self._rows.close()
            self._client.close()
            self._client = None

    def _clear(self, keys: Iterable[PageKey]) -> None:
        """Remove what Chroma has of these pages: its upsert would leave metadata and rows that the new ones lack."""
        if self._rows is None:
            if names := [_name(key) for key in keys]:
                self._collection.delete(ids=names)
            return
        for key in keys:
            if key in self._rows.places:
                self._collection.delete(where={"point": _name(key)})

    def _write(self, rows: Iterable[Row]) -> None:
        remaining = iter(rows)
        while batch := list(islice(remaining, self._client.get_max_batch_size())):
            ids, embeddings, payloads = zip(*batch, strict=True)
            self._collection.upsert(ids=list(ids), embeddings=np.stack(embeddings), metadatas=list(payloads))

    def _opened(self) -> RowStore | None:
        if self._client is None:
            raise ValueError("it is closed")
        return self._rows

    def _dense(self, keys: Mapping[str, PageKey]) -> dict[PageKey, Vector]:
        self._opened()
        if not keys:  # Chroma would take no names for all
            return {}
        found = self._collection.get(ids=list(keys), include=["embeddings"])
        pairs = zip(found["ids"], found["embeddings"], strict=True)
        return {keys[name]: np.asarray(vector, np.float32) for name, vector in pairs}

    def _search_multi(
        self, query: NDArray[np.float32], limit: int, documents: frozenset[str] | None
    ) -> list[ScoredPage]:
        with self._lock:
            store = self._opened()
            assert store is not None
            pages, places, keys, full = store.chosen(documents), dict(store.places), store.keys, self._full
        if len(pages) > (most := max(CANDIDATES, limit)):
            likely = approximate(self._nearest(query, max(ROWS, limit), documents))
            # Chroma may know of pages that were written and not flushed before a kill.
            pages = sorted(places[key] for key in likely[:most] if key in places)
        scores = max_sim(query, full, np.array(pages, np.int64))
        best = np.argsort(-scores, kind="stable")[:limit]
        return [ScoredPage(keys[pages[n]], float(scores[n])) for n in best]

    def _nearest(
        self, query: NDArray[np.float32], count: int, documents: frozenset[str] | None
    ) -> list[list[tuple[PageKey, float]]]:
        """For each query vector the pages of the nearest rows with their cosine, best first."""
        self._opened()
        condition = None if documents is None else {"document_id": {"$in": sorted(documents)}}
        found = self._collection.query(
            query_embeddings=query, n_results=count, where=condition, include=["metadatas", "distances"]
        )
        return [
            [
                (PageKey(row["document_id"], row["version"], row["page"]), 1 - float(distance))
                for row, distance in zip(rows, distances, strict=True)
            ]
            for rows, distances in zip(found["metadatas"], found["distances"], strict=True)
        ]


def approximate(nearest: Sequence[Sequence[tuple[PageKey, float]]]) -> list[PageKey]:
    """Pages by their MaxSim over the rows that were found, best first.

    A page none of whose rows was found for a query vector is no nearer to it than the last that was: it gets that
    one's cosine (as PLAID does, Santhanam et al. 2022, with centroids it has not probed).
    """
    floor = sum(rows[-1][1] for rows in nearest if rows)
    gains: dict[PageKey, float] = {}
    for rows in nearest:
        best: dict[PageKey, float] = {}
        for key, cosine in rows:
            best.setdefault(key, cosine)  # the first is the best
        for key, cosine in best.items():
            gains[key] = gains.get(key, floor) + cosine - rows[-1][1]
    return sorted(gains, key=lambda key: -gains[key])


def _client(folder: Path) -> Any:
    try:
        import chromadb
        from chromadb.config import Settings
    except ImportError as error:
        raise ChannelUnavailable(
            "The index is to be kept in Chroma, but chromadb is not installed.",
            hint="pip install 'folioscope[chroma]', or keep it in Qdrant, the default.",
        ) from error
    return chromadb.PersistentClient(str(folder), settings=Settings(anonymized_telemetry=False))


def _name(key: PageKey) -> str:
    return f"{key.document_id}/{key.version}/{key.number}"


def _payload(key: PageKey) -> dict[str, Any]:
    return {"point": _name(key), "document_id": key.document_id, "version": key.version, "page": key.number}


def _array(vector: Vector) -> NDArray[np.float32]:
    assert not isinstance(vector, SparseVector)
    return vector


def _all(conditions: list[dict[str, Any]]) -> dict[str, Any] | None:
    """All of them; Chroma wants neither an empty nor a single-membered conjunction."""
    return {"$and": conditions} if len(conditions) > 1 else conditions[0] if conditions else None
