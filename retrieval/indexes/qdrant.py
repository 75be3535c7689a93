"""A channel's vectors in Qdrant Edge: the engine of the Qdrant server, in this process, in a folder of its own.

The folder holds ``fingerprint.json`` and the engine's ``shard``. It appears complete, in one rename, or not at all. The
engine synchronises itself: any number of threads may write and search. Who else may open the folder is not this
module's business. Why a page's chunks are one multivector: docs/experiments-index.md.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from folioscope.domain import Fingerprint, Metadata, PageKey, ScoredPage, SparseVector, Vector, Where
from folioscope.errors import DiskFull, FingerprintMismatch, FolioscopeError, StorageError
from retrieval.indexes.labels import labels

REBUILD = "folioscope collections rebuild"
RESERVE = 128 * 2**20  # bytes

_NAME = "page"
_NAMESPACE = uuid.UUID("6f0b6b62-6d0c-5d0e-9f43-0c1f6d1f5a57")
_KEY = ["document_id", "version", "page"]


class EdgeIndex:
    """Implements `folioscope.ports.PageIndex`.

    Sparse vectors score by dot product with Qdrant's IDF, dense ones by cosine, multi ones by MaxSim of cosines
    (float16). Pages deleted or replaced since the folder was opened still count in the IDF until it is opened again.

    Opens the index in ``folder`` or makes one there. Raises `FingerprintMismatch` where it was made with another
    fingerprint, `StorageError` where it is damaged, `DiskFull` where less than `RESERVE` is free.
    """

    def __init__(self, folder: Path, fingerprint: Fingerprint) -> None:
        self._folder = folder
        self._fingerprint = fingerprint
        if not folder.exists() or not any(folder.iterdir()):
            with self._storage_errors("made"):
                self._make()
        self._check_fingerprint()
        with self._storage_errors("opened"):
            self._shard = self._open()

    @property
    def fingerprint(self) -> Fingerprint:
        """What the stored vectors were made with."""
        return self._fingerprint

    def upsert(self, points: Iterable[tuple[PageKey, Vector, Metadata]]) -> None:
        """Write points; the same key again replaces. Durable after `flush`."""
        edge = _engine()
        with self._storage_errors("written"):
            self._check_space(RESERVE)
            batch = [edge.Point(_id(key), {_NAME: self._native(v)}, _payload(key, more)) for key, v, more in points]
            self._shard.update(edge.UpdateOperation.upsert_points(batch))

    def search(self, vector: Vector, limit: int, where: Where | None = None) -> list[ScoredPage]:
        """The nearest pages, best first, at most ``limit``; of equal scores any may come first."""
        if limit < 1 or (where is not None and where.documents is not None and not where.documents):
            return []
        edge = _engine()
        request = edge.QueryRequest(
            limit=limit,
            query=edge.Query.Nearest(self._native(vector), using=_NAME),
            filter=_filter(where) if where else None,
            with_payload=_KEY,
        )
        with self._storage_errors("searched"):
            found = self._shard.query(request)
        return [ScoredPage(_key(point.payload), point.score) for point in found]

    def vectors(self, keys: Sequence[PageKey]) -> dict[PageKey, Vector]:
        """The stored vectors of these pages, dense and multi ones with rows of length 1; others are missing."""
        with self._storage_errors("read"):
            found = self._shard.retrieve([_id(key) for key in keys], with_payload=_KEY, with_vector=True)
        return {_key(record.payload): _vector(record.vector[_NAME]) for record in found}

    def delete(self, document_id: str, version: int | None = None) -> None:
        """Remove a document's points, of one version or of all. Durable after `flush`."""
        edge = _engine()
        conditions = [edge.FieldCondition("document_id", match=edge.MatchValue(document_id))]
        if version is not None:
            conditions.append(edge.FieldCondition("version", match=edge.MatchValue(version)))
        with self._storage_errors("written"):
            self._shard.update(edge.UpdateOperation.delete_points_by_filter(edge.Filter(must=conditions)))

    def flush(self) -> None:
        """Returns when everything written so far survives a kill."""
        with self._storage_errors("written"):
            self._shard.flush()

    def optimize(self) -> bool:
        """Rewrite segments without what was deleted; needs as much free disk again. False: there was nothing to do."""
        with self._storage_errors("rewritten"):
            self._check_space(RESERVE + _bytes(self._folder))
            changed: bool = self._shard.optimize()
        return changed

    def __len__(self) -> int:
        with self._storage_errors("read"):
            count: int = self._shard.count(_engine().CountRequest(exact=True))
        return count

    def close(self) -> None:
        """Release files and memory; the index can't be used afterwards."""
        with self._storage_errors("closed"):
            self._shard.close()

    def _native(self, vector: Vector) -> Any:
        if isinstance(vector, SparseVector):
            return _engine().SparseVector(vector.indices, vector.values)
        return np.atleast_2d(vector) if self._fingerprint.kind == "multi" else vector

    def _make(self) -> None:
        edge = _engine()
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        self._check_space(RESERVE)
        unfinished = self._folder.with_name(f"{self._folder.name}.new")
        shutil.rmtree(unfinished, ignore_errors=True)
        (unfinished / "shard").mkdir(parents=True)
        shard = edge.EdgeShard.create(str(unfinished / "shard"), _config(self._fingerprint))
        for field in ("document_id", "labels"):
            shard.update(edge.UpdateOperation.create_field_index(field, edge.PayloadSchemaType.Keyword))
        shard.flush()
        shard.close()
        (unfinished / "fingerprint.json").write_text(json.dumps(self._fingerprint.asdict(), indent=1))
        unfinished.replace(self._folder)

    def _open(self) -> Any:
        shard = self._folder / "shard"
        if not any(shard.glob("segments/*")):
            raise FileNotFoundError(f"{shard} has no segments")
        return _engine().EdgeShard.load(str(shard))

    def _check_fingerprint(self) -> None:
        try:
            stored = Fingerprint(**json.loads((self._folder / "fingerprint.json").read_text()))
        except (OSError, ValueError, TypeError) as error:
            raise self._damaged("opened", error) from error
        if stored != self._fingerprint:
            raise FingerprintMismatch(
                f"The index in {self._folder} was made with {stored}, the encoder is {self._fingerprint}.",
                hint=f"Use the encoder that it was made with, or rebuild it with `{REBUILD}`.",
            )

    def _check_space(self, needed: int) -> None:
        # The engine writes through memory maps: on a full disk the kernel ends the process (SIGBUS), without an error.
        free = shutil.disk_usage(self._folder.parent).free
        if free < needed:
            raise _disk_full(self._folder, f"{free >> 20} MB are free, {needed >> 20} MB are needed")

    @contextmanager
    def _storage_errors(self, done: str) -> Iterator[None]:
        try:
            yield
        except (FolioscopeError, KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a panic of the engine is no Exception
            if "No space left" in str(error):
                raise _disk_full(self._folder, str(error)) from error
            raise self._damaged(done, error) from error

    def _damaged(self, done: str, error: BaseException) -> StorageError:
        return StorageError(
            f"The index in {self._folder} can't be {done}: {error}.",
            hint=f"If it is damaged, remove this folder and rebuild it with `{REBUILD}`.",
        )


def _engine() -> Any:
    import qdrant_edge

    return qdrant_edge


def _config(fingerprint: Fingerprint) -> Any:
    edge = _engine()
    # Without the write-ahead log (hundreds of megabytes) `flush` is the one point of durability.
    if fingerprint.kind == "sparse":
        sparse = edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)
        return edge.EdgeConfig(sparse_vectors={_NAME: sparse}, wal_enabled=False)
    dense = edge.EdgeVectorParams(
        size=fingerprint.dim,
        distance=edge.Distance.Cosine,
        datatype=edge.VectorStorageDatatype.Float16 if fingerprint.kind == "multi" else None,
        multivector_config=edge.MultiVectorConfig(edge.MultiVectorComparator.MaxSim)
        if fingerprint.kind == "multi"
        else None,
        hnsw_config=edge.HnswIndexConfig(m=0, ef_construct=100, full_scan_threshold=10_000),
    )
    return edge.EdgeConfig(vectors={_NAME: dense}, wal_enabled=False)


def _id(key: PageKey) -> str:
    return str(uuid.uuid5(_NAMESPACE, f"{key.document_id}/{key.version}/{key.number}"))


def _vector(stored: Any) -> Vector:
    if hasattr(stored, "indices"):
        return SparseVector(np.asarray(stored.indices, np.uint32), np.asarray(stored.values, np.float32))
    return np.asarray(stored, np.float32)


def _payload(key: PageKey, metadata: Metadata) -> dict[str, Any]:
    return dict(zip(_KEY, key, strict=True)) | {"labels": labels(metadata)}


def _key(payload: dict[str, Any]) -> PageKey:
    return PageKey(payload["document_id"], payload["version"], payload["page"])


def _filter(where: Where) -> Any:
    edge = _engine()
    conditions = [edge.FieldCondition("labels", match=edge.MatchValue(label)) for label in labels(where.metadata)]
    if where.documents is not None:
        conditions.append(edge.FieldCondition("document_id", match=edge.MatchAny(sorted(where.documents))))
    return edge.Filter(must=conditions)


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def _disk_full(folder: Path, why: str) -> DiskFull:
    return DiskFull(f"No space left where the index {folder} lies: {why}.", hint="Free some disk space and try again.")
