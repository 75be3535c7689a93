"""A channel's vectors in Qdrant, one point a page: the same schema and plan for Qdrant Edge and for a server.

What differs between the two, the names of the calls, is behind `Engine`: edge.py and server.py. Sparse vectors score by
dot product with Qdrant's IDF, dense ones by cosine, multi ones by MaxSim of cosines (float16, or Qdrant's own 8 bits).
Why a page's vectors are one multivector: docs/experiments-index.md.

Pages of many vectors (``pooled``) have a second multivector of at most 64 pooled ones. A search takes the best
`CANDIDATES` pages by those and scores them by all their vectors, in one request: vectors never leave the engine.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from folioscope.domain import Fingerprint, PageKey, ScoredPage, SparseVector, Vector, VectorKind
from retrieval.pooling import pooled as pool

CANDIDATES = 800  # the fewest measured that hold .95 of the exact top 10 of 10,000 pages (docs/benchmarks.md)
Stored = SparseVector | NDArray[np.float32]
Datatype = Literal["float32", "float16", "int8"]
Condition = tuple[str, str | int | Sequence[str]]
"""A payload field and the value it has, or those of which it has one."""

_NAMESPACE = uuid.UUID("6f0b6b62-6d0c-5d0e-9f43-0c1f6d1f5a57")
KEY = ("document_id", "version", "page")
INDEXED = ("document_id",)


@dataclass(frozen=True, slots=True)
class Field:
    """A named vector of every point. HNSW is off; ``cold``: read from disk when it is needed."""

    kind: VectorKind
    dim: int
    datatype: Datatype
    cold: bool = False


Schema = Mapping[str, Field]


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """As written: ``vectors`` by name, multi ones as float32 [n, dim]."""

    id: str
    vectors: Mapping[str, Stored]
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """The ``limit`` points nearest to ``vector`` by the vector called ``using``.

    ``prefetch``: a vector's name and how many points are to be found by it first; None: all points are scored.
    """

    vector: Stored
    using: str
    limit: int
    conditions: Sequence[Condition]
    prefetch: tuple[str, int] | None = None


class Engine(Protocol):
    """What an index asks of Qdrant, wherever it runs."""

    def upsert(self, points: Sequence[Point]) -> None:
        """Write points; the same id again replaces."""
        ...

    def query(self, request: Request) -> Iterable[tuple[Mapping[str, Any], float]]:
        """Payload (`KEY` alone) and score, best first."""
        ...

    def vectors(self, ids: Sequence[str], name: str) -> Iterable[tuple[Mapping[str, Any], Stored]]:
        """Payload (`KEY` alone) and vector of these points, those that are there; dense and multi ones as float32."""
        ...

    def delete(self, conditions: Sequence[Condition]) -> None:
        """Remove the points for which all conditions hold."""
        ...

    def flush(self) -> None:
        """Returns when everything written so far survives a kill."""
        ...

    def count(self) -> int:
        """Points that are there."""
        ...

    def close(self) -> None:
        """Release what the engine itself has opened."""
        ...

    def errors(self, done: str) -> AbstractContextManager[None]:
        """What goes wrong inside becomes a `StorageError` that says what could not be ``done``."""
        ...


class QdrantIndex:
    """Implements `folioscope.ports.PageIndex` on an engine that was opened with `schema_of` the same arguments."""

    def __init__(self, engine: Engine, fingerprint: Fingerprint, *, pooled: bool, candidates: int) -> None:
        self._engine = engine
        self._fingerprint = fingerprint
        self._candidates = candidates
        self._pooled = pooled

    @property
    def fingerprint(self) -> Fingerprint:
        """What the stored vectors were made with."""
        return self._fingerprint

    def upsert(self, points: Iterable[tuple[PageKey, Vector]]) -> None:
        """Write points; the same key again replaces. Durable after `flush`."""
        with self._engine.errors("written"):
            made = [Point(_id(key), self._vectors(vector), _payload(key)) for key, vector in points]
            self._engine.upsert(made)

    def search(self, vector: Vector, limit: int, documents: frozenset[str] | None = None) -> list[ScoredPage]:
        """The nearest pages, best first, at most ``limit``; of equal scores any may come first."""
        if limit < 1 or documents == frozenset():
            return []
        native = self._native(vector)
        conditions = [] if documents is None else [("document_id", sorted(documents))]
        if self._pooled:
            first = ("pooled", max(self._candidates, limit))
            request = Request(native, "full", limit, conditions, prefetch=first)
        else:
            request = Request(native, "page", limit, conditions)
        with self._engine.errors("searched"):
            found = self._engine.query(request)
        return [ScoredPage(_key(payload), score) for payload, score in found]

    def vectors(self, keys: Sequence[PageKey]) -> dict[PageKey, Vector]:
        """The stored vectors of these pages, dense and multi ones with rows of length 1; others are missing."""
        with self._engine.errors("read"):
            found = self._engine.vectors([_id(key) for key in keys], "full" if self._pooled else "page")
            return {_key(payload): vector for payload, vector in found}

    def delete(self, document_id: str, version: int | None = None) -> None:
        """Remove a document's points, of one version or of all. Durable after `flush`."""
        conditions: list[Condition] = [
            ("document_id", document_id),
            *([("version", version)] if version is not None else []),
        ]
        with self._engine.errors("written"):
            self._engine.delete(conditions)

    def flush(self) -> None:
        """Returns when everything written so far survives a kill."""
        with self._engine.errors("written"):
            self._engine.flush()

    def __len__(self) -> int:
        with self._engine.errors("read"):
            return self._engine.count()

    def close(self) -> None:
        """Release files, connections and memory; the index can't be used afterwards."""
        with self._engine.errors("closed"):
            self._engine.close()

    def _vectors(self, vector: Vector) -> dict[str, Stored]:
        native = self._native(vector)
        if not self._pooled:
            return {"page": native}
        assert not isinstance(native, SparseVector)
        return {"full": native, "pooled": pool(native)}

    def _native(self, vector: Vector) -> Stored:
        if isinstance(vector, SparseVector) or self._fingerprint.kind != "multi":
            return vector
        return np.atleast_2d(vector)


def schema_of(fingerprint: Fingerprint, pooled: bool, datatype: Literal["float16", "int8"]) -> Schema:
    """The vectors of a point; ``datatype`` is that of multi vectors."""
    kind, dim = fingerprint.kind, fingerprint.dim
    if pooled:
        return {"full": Field(kind, dim, datatype, cold=True), "pooled": Field(kind, dim, "float16")}
    return {"page": Field(kind, dim, datatype if kind == "multi" else "float32")}


def native_filter(classes: Any, conditions: Sequence[Condition]) -> Any:
    """Conditions as a filter; ``classes``: a module that has Qdrant's, which are named alike in Edge and client."""
    if not conditions:
        return None
    must = [
        classes.FieldCondition(
            key=name,
            match=classes.MatchValue(value=value)
            if isinstance(value, str | int)
            else classes.MatchAny(any=list(value)),
        )
        for name, value in conditions
    ]
    return classes.Filter(must=must)


def stored(vector: Any) -> Stored:
    """A vector as an engine hands it out, in our own types."""
    if hasattr(vector, "indices"):
        return SparseVector(np.asarray(vector.indices, np.uint32), np.asarray(vector.values, np.float32))
    return np.asarray(vector, np.float32)


def _id(key: PageKey) -> str:
    return str(uuid.uuid5(_NAMESPACE, f"{key.document_id}/{key.version}/{key.number}"))


def _payload(key: PageKey) -> dict[str, Any]:
    return dict(zip(KEY, key, strict=True))


def _key(payload: Mapping[str, Any]) -> PageKey:
    return PageKey(payload["document_id"], payload["version"], payload["page"])
