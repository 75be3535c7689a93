"""An exact index in memory, for notebooks and as the measure of the others. Nothing is written to disk."""

from __future__ import annotations

import heapq
import math
import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from folioscope.domain import Fingerprint, PageKey, ScoredPage, SparseVector, Vector


@dataclass(frozen=True, slots=True)
class _Point:
    vector: Vector
    terms: dict[int, float]  # of a sparse vector


class MemoryIndex:
    """Implements `folioscope.ports.PageIndex` with scores as Qdrant defines them.

    Sparse: sum of query value * page value * IDF over shared indices, IDF = ln(1 + (N - df + 0.5) / (df + 0.5)) over
    all N stored pages; pages that share no index are no result. Dense: cosine. Multi: MaxSim of cosines.
    """

    def __init__(self, fingerprint: Fingerprint) -> None:
        self._fingerprint = fingerprint
        self._points: dict[PageKey, _Point] = {}
        self._lock = threading.Lock()

    @property
    def fingerprint(self) -> Fingerprint:
        """What the stored vectors were made with."""
        return self._fingerprint

    def upsert(self, points: Iterable[tuple[PageKey, Vector]]) -> None:
        """Keep the points; the same key again replaces."""
        made = {key: _point(vector) for key, vector in points}
        with self._lock:
            self._points |= made

    def search(self, vector: Vector, limit: int, documents: frozenset[str] | None = None) -> list[ScoredPage]:
        """The nearest pages, best first, at most ``limit``; equal scores in the order of their keys."""
        with self._lock:
            points = dict(self._points)
        wanted = [(key, point) for key, point in points.items() if documents is None or key.document_id in documents]
        if isinstance(vector, SparseVector):
            weights = _weights(vector, points)
            scored = [(_dot(weights, point.terms), key) for key, point in wanted if weights.keys() & point.terms.keys()]
        else:
            query = _unit(np.atleast_2d(vector))
            scored = [(_max_sim(query, point.vector), key) for key, point in wanted]
        best = heapq.nsmallest(limit, ((-score, key) for score, key in scored))
        return [ScoredPage(key, -score) for score, key in best]

    def vectors(self, keys: Sequence[PageKey]) -> dict[PageKey, Vector]:
        """The stored vectors of these pages, dense and multi ones with rows of length 1; others are missing."""
        with self._lock:
            found = {key: self._points[key].vector for key in keys if key in self._points}
        return {key: self._as_given(vector) for key, vector in found.items()}

    def delete(self, document_id: str, version: int | None = None) -> None:
        """Remove a document's points, of one version or of all."""
        with self._lock:
            for key in list(self._points):
                if key.document_id == document_id and version in (None, key.version):
                    del self._points[key]

    def flush(self) -> None:
        """Do nothing: memory does not outlive its process."""

    def __len__(self) -> int:
        return len(self._points)

    def close(self) -> None:
        """Forget everything."""
        self._points.clear()

    def _as_given(self, vector: Vector) -> Vector:
        return vector[0] if self._fingerprint.kind == "dense" and isinstance(vector, np.ndarray) else vector


def _point(vector: Vector) -> _Point:
    if isinstance(vector, SparseVector):
        return _Point(vector, dict(zip(vector.indices.tolist(), vector.values.tolist(), strict=True)))
    return _Point(_unit(np.atleast_2d(vector)), {})


def _weights(query: SparseVector, points: dict[PageKey, _Point]) -> dict[int, float]:
    holders = Counter(index for point in points.values() for index in point.terms)
    return {
        index: value * math.log(1 + (len(points) - holders[index] + 0.5) / (holders[index] + 0.5))
        for index, value in zip(query.indices.tolist(), query.values.tolist(), strict=True)
    }


def _dot(weights: dict[int, float], terms: dict[int, float]) -> float:
    return sum(weight * terms[index] for index, weight in weights.items() if index in terms)


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(lengths == 0, 1, lengths), np.float32)


def _max_sim(query: NDArray[np.float32], page: Vector) -> float:
    assert not isinstance(page, SparseVector)
    return float((query @ page.T).max(axis=1).sum())
