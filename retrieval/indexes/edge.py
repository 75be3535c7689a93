"""Qdrant Edge: the engine of the Qdrant server, in this process, in a folder of its own.

The folder holds ``fingerprint.json`` and the engine's ``shard``. The engine synchronises itself: any number of threads
may write and search. Who else may open the folder is not this module's business.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal

from folioscope.domain import Fingerprint, SparseVector
from retrieval.indexes import folder as folders
from retrieval.indexes import qdrant


class EdgeIndex(qdrant.QdrantIndex):
    """The index in ``folder``, made there if there is none.

    ``pooled``, ``datatype`` (of one that is made now), ``candidates``: see qdrant.py. Pages deleted or replaced since
    the folder was opened still count in the IDF until it is opened again. Raises `FingerprintMismatch` where the folder
    was made with another fingerprint, `StorageError` where it is damaged, `DiskFull` where less than the reserve is
    free.
    """

    def __init__(
        self,
        folder: Path,
        fingerprint: Fingerprint,
        *,
        pooled: bool = False,
        datatype: Literal["float16", "int8"] = "float16",
        candidates: int = qdrant.CANDIDATES,
    ) -> None:
        self._edge = EdgeEngine(folder, fingerprint, qdrant.schema_of(fingerprint, pooled, datatype))
        super().__init__(self._edge, fingerprint, pooled=pooled, candidates=candidates)

    def optimize(self) -> bool:
        """Rewrite segments without what was deleted; needs as much free disk again. False: there was nothing to do."""
        return self._edge.optimize()


class EdgeEngine:
    """A shard in a folder: implements `retrieval.indexes.qdrant.Engine`."""

    def __init__(self, folder: Path, fingerprint: Fingerprint, schema: qdrant.Schema) -> None:
        self._folder = folder
        folders.prepare(folder, fingerprint, ["shard"], fill=lambda new: _make(new, schema))
        with self.errors("opened"):
            self._shard = _open(folder / "shard", schema)

    def upsert(self, points: Sequence[qdrant.Point]) -> None:
        """Durable after `flush`."""
        edge = _engine()
        folders.check_space(self._folder, folders.RESERVE)
        batch = [
            edge.Point(point.id, {name: _native(vector) for name, vector in point.vectors.items()}, point.payload)
            for point in points
        ]
        self._shard.update(edge.UpdateOperation.upsert_points(batch))

    def query(self, request: qdrant.Request) -> Iterable[tuple[Mapping[str, Any], float]]:
        """Payload (the page's key) and score, best first."""
        edge = _engine()
        vector, filters = _native(request.vector), qdrant.native_filter(edge, request.conditions)
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
                with_payload=list(qdrant.KEY),
            )
        )
        return [(point.payload, point.score) for point in found]

    def vectors(self, ids: Sequence[str], name: str) -> Iterable[tuple[Mapping[str, Any], qdrant.Stored]]:
        """Payload (the page's key) and vector of these points, those that are there."""
        found = self._shard.retrieve(list(ids), with_payload=list(qdrant.KEY), with_vector=[name])
        return [(record.payload, qdrant.stored(record.vector[name])) for record in found]

    def delete(self, conditions: Sequence[qdrant.Condition]) -> None:
        """Remove the points for which all conditions hold."""
        edge = _engine()
        self._shard.update(edge.UpdateOperation.delete_points_by_filter(qdrant.native_filter(edge, conditions)))

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


def _make(folder: Path, schema: qdrant.Schema) -> None:
    edge = _engine()
    shard = edge.EdgeShard.create(str(folder / "shard"), _config(schema))
    for field in qdrant.INDEXED:
        shard.update(edge.UpdateOperation.create_field_index(field, edge.PayloadSchemaType.Keyword))
    shard.flush()
    shard.close()


def _open(shard: Path, schema: qdrant.Schema) -> Any:
    """As it was made: which datatype is wanted may have changed since."""
    if not any(shard.glob("segments/*")):
        raise FileNotFoundError(f"{shard} has no segments")
    made = json.loads((shard / "edge_config.json").read_text())
    names = made["vectors"].keys() | made["sparse_vectors"].keys()
    if names != schema.keys():
        raise ValueError(f"it has the vectors {', '.join(sorted(names))}; wanted are {', '.join(sorted(schema))}")
    return _engine().EdgeShard.load(str(shard))


def _config(schema: qdrant.Schema) -> Any:
    edge = _engine()
    sparse = {
        name: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)
        for name, field in schema.items()
        if field.kind == "sparse"
    }
    dense = {name: _params(field) for name, field in schema.items() if field.kind != "sparse"}
    # Without the write-ahead log (hundreds of megabytes) `flush` is the one point of durability.
    return edge.EdgeConfig(vectors=dense or None, sparse_vectors=sparse or None, wal_enabled=False)


def _params(field: qdrant.Field) -> Any:
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


def _native(vector: qdrant.Stored) -> Any:
    return _engine().SparseVector(vector.indices, vector.values) if isinstance(vector, SparseVector) else vector
