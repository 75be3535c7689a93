"""Qdrant Edge: the engine of the Qdrant server, in this process, in a folder of its own.

The folder holds ``fingerprint.json`` and the engine's ``shard``. The engine synchronises itself: any number of threads
may write and search. Who else may open the folder is not this module's business.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal

from folioscope.domain import Fingerprint, SparseVector
from retrieval.indexes import folder as folders
from retrieval.indexes.qdrant import (
    CANDIDATES,
    INDEXED,
    KEY,
    Condition,
    Field,
    Point,
    QdrantIndex,
    Request,
    Schema,
    Stored,
    schema_of,
    stored,
)


class EdgeIndex(QdrantIndex):
    """The index in ``folder``, made there if there is none. ``pooled``, ``datatype``, ``candidates``: see qdrant.py.

    Pages deleted or replaced since the folder was opened still count in the IDF until it is opened again. Raises
    `FingerprintMismatch` where the folder was made with another fingerprint, `StorageError` where it is damaged,
    `DiskFull` where less than the reserve is free.
    """

    def __init__(
        self,
        folder: Path,
        fingerprint: Fingerprint,
        *,
        pooled: bool = False,
        datatype: Literal["float16", "int8"] = "float16",
        candidates: int = CANDIDATES,
    ) -> None:
        self._edge = EdgeEngine(folder, fingerprint, schema_of(fingerprint, pooled, datatype))
        super().__init__(self._edge, fingerprint, pooled=pooled, candidates=candidates)

    def optimize(self) -> bool:
        """Rewrite segments without what was deleted; needs as much free disk again. False: there was nothing to do."""
        return self._edge.optimize()


class EdgeEngine:
    """A shard in a folder: implements `retrieval.indexes.qdrant.Engine`."""

    def __init__(self, folder: Path, fingerprint: Fingerprint, schema: Schema) -> None:
        self._folder = folder
        folders.prepare(folder, fingerprint, ["shard"], fill=lambda new: _make(new, schema))
        with self.errors("opened"):
            self._shard = _open(folder, schema)

    def upsert(self, points: Sequence[Point]) -> None:
        """Durable after `flush`."""
        edge = _engine()
        folders.check_space(self._folder, folders.RESERVE)
        batch = [
            edge.Point(point.id, {name: _native(vector) for name, vector in point.vectors.items()}, point.payload)
            for point in points
        ]
        self._shard.update(edge.UpdateOperation.upsert_points(batch))

    def query(self, request: Request) -> Iterable[tuple[Mapping[str, Any], float]]:
        """Payload (the page's key) and score, best first."""
        edge = _engine()
        vector, filters = _native(request.vector), _filter(request.conditions)
        prefetches = []
        if request.prefetch is not None:
            using, count = request.prefetch
            prefetches = [edge.Prefetch(limit=count, query=edge.Query.Nearest(vector, using=using), filter=filters)]
        found = self._shard.query(
            edge.QueryRequest(
                limit=request.limit,
                query=edge.Query.Nearest(vector, using=request.using),
                prefetches=prefetches,
                filter=filters,
                with_payload=list(KEY),
            )
        )
        return [(point.payload, point.score) for point in found]

    def vectors(self, ids: Sequence[str], name: str) -> Iterable[tuple[Mapping[str, Any], Stored]]:
        """Payload (the page's key) and vector of these points, those that are there."""
        found = self._shard.retrieve(list(ids), with_payload=list(KEY), with_vector=[name])
        return [(record.payload, stored(record.vector[name])) for record in found]

    def delete(self, conditions: Sequence[Condition]) -> None:
        """Remove the points for which all conditions hold."""
        edge = _engine()
        self._shard.update(edge.UpdateOperation.delete_points_by_filter(_filter(conditions)))

    def flush(self) -> None:
        """The one point of durability."""
        self._shard.flush()

    def count(self) -> int:
        """Points that are not deleted."""
        count: int = self._shard.count(_engine().CountRequest(exact=True))
        return count

    def optimize(self) -> bool:
        """See `EdgeIndex.optimize`."""
        with self.errors("rewritten"):
            folders.check_space(self._folder, folders.RESERVE + folders.size(self._folder))
            changed: bool = self._shard.optimize()
        return changed

    def close(self) -> None:
        """Release files and memory."""
        self._shard.close()

    def errors(self, done: str) -> AbstractContextManager[None]:
        """Errors that name the folder."""
        return folders.storage_errors(self._folder, done)


def _engine() -> Any:
    import qdrant_edge

    return qdrant_edge


def _make(folder: Path, schema: Schema) -> None:
    edge = _engine()
    shard = edge.EdgeShard.create(str(folder / "shard"), _config(schema))
    for field in INDEXED:
        shard.update(edge.UpdateOperation.create_field_index(field, edge.PayloadSchemaType.Keyword))
    shard.flush()
    shard.close()


def _open(folder: Path, schema: Schema) -> Any:
    shard = folder / "shard"
    if not any(shard.glob("segments/*")):
        raise FileNotFoundError(f"{shard} has no segments")
    return _engine().EdgeShard.load(str(shard), _config(schema))


def _config(schema: Schema) -> Any:
    edge = _engine()
    sparse = {
        name: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)
        for name, field in schema.items()
        if field.kind == "sparse"
    }
    dense = {name: _params(field) for name, field in schema.items() if field.kind != "sparse"}
    # Without the write-ahead log (hundreds of megabytes) `flush` is the one point of durability.
    return edge.EdgeConfig(vectors=dense or None, sparse_vectors=sparse or None, wal_enabled=False)


def _params(field: Field) -> Any:
    edge = _engine()
    types = edge.VectorStorageDatatype
    stored = {"float32": None, "float16": types.Float16, "int8": types.Turbo8}
    max_sim = edge.MultiVectorConfig(edge.MultiVectorComparator.MaxSim) if field.kind == "multi" else None
    return edge.EdgeVectorParams(
        size=field.dim,
        distance=edge.Distance.Cosine,
        datatype=stored[field.datatype],
        multivector_config=max_sim,
        hnsw_config=edge.HnswIndexConfig(m=0, ef_construct=100, full_scan_threshold=10_000),
        memory=edge.Memory.Cold if field.cold else None,
    )


def _native(vector: Stored) -> Any:
    return _engine().SparseVector(vector.indices, vector.values) if isinstance(vector, SparseVector) else vector


def _filter(conditions: Sequence[Condition]) -> Any:
    edge = _engine()
    if not conditions:
        return None
    must = [
        edge.FieldCondition(
            name, match=edge.MatchValue(value) if isinstance(value, str | int) else edge.MatchAny(list(value))
        )
        for name, value in conditions
    ]
    return edge.Filter(must=must)
