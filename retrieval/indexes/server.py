"""A Qdrant server or cluster, through qdrant-client: a collection of its own for each channel.

The collection's metadata carry the fingerprint; its vectors are compared with those that are wanted before anything is
read or written. What fails because the server is away or busy is tried again, a few times, with growing pauses.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

from folioscope.domain import Fingerprint, SparseVector
from folioscope.errors import ChannelUnavailable, FolioscopeError, StorageError
from retrieval.indexes import qdrant
from retrieval.indexes.folder import mismatch

ATTEMPTS = 4
SEARCH_ATTEMPTS = 2  # somebody waits, and the other channels have answers
PAUSE = 0.25  # seconds before the second attempt; doubled before each further one
CONNECT = 5.0  # seconds until an attempt to reach the server is given up
TIMEOUT = 60  # seconds for one request
FLOATS = 1 << 20  # in one request: as JSON they stay far under the server's 32 MB
LOCAL = ("localhost", "127.0.0.1", "::1")
PAYLOAD = {**dict.fromkeys(qdrant.INDEXED, "keyword"), "version": "integer"}  # all that filters name

T = TypeVar("T")
log = logging.getLogger(__name__)


class ServerIndex(qdrant.QdrantIndex):
    """The collection ``name`` on the server behind ``client`` (see `connect`), made there if there is none.

    ``pooled``, ``datatype`` (of one that is made now), ``candidates``: see qdrant.py. What was written has been
    acknowledged by the server and survives as its write-ahead log does. Raises `FingerprintMismatch` where the
    collection has another fingerprint, `StorageError` where it has another schema, `ChannelUnavailable` while the
    server can't be reached or refuses the key.
    """

    def __init__(
        self,
        client: Any,
        name: str,
        fingerprint: Fingerprint,
        *,
        pooled: bool = False,
        datatype: Literal["float16", "int8"] = "float16",
        candidates: int = qdrant.CANDIDATES,
    ) -> None:
        engine = ServerEngine(client, name, fingerprint, qdrant.schema_of(fingerprint, pooled, datatype))
        super().__init__(engine, fingerprint, pooled=pooled, candidates=candidates)


def connect(url: str, api_key: str = "") -> Any:
    """A client for the server at ``url`` (https: TLS, verified); nothing is sent yet.

    Raises `ChannelUnavailable` where qdrant-client is not installed, `StorageError` for what is no URL.
    """
    client = _client()
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 6333)
    except ValueError:  # no port, or one beyond 65535
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise StorageError(
            f"The address of the Qdrant server, {url!r}, is no URL.",
            hint="Set FOLIOSCOPE_QDRANT_URL to something like https://qdrant.example.org:6333.",
        )
    if api_key and parts.scheme == "http" and parts.hostname not in LOCAL:
        log.warning("the key of the Qdrant server goes to %s unencrypted; https would encrypt it", parts.hostname)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Api key is used with an insecure connection", UserWarning)  # said above
        return client.QdrantClient(
            url=url,
            port=port,
            api_key=api_key or None,
            timeout=TIMEOUT,
            check_compatibility=False,  # a request, and a warning, before anyone can handle either
            event_hooks={"request": [_connect_soon]},
        )


def _connect_soon(request: Any) -> None:
    """A server that does not answer at all need not be waited for as long as one that works on a request."""
    request.extensions["timeout"]["connect"] = CONNECT


def exists(client: Any, name: str) -> bool:
    """Whether the server has the collection."""
    with _errors(name, "looked for"):
        return bool(_retried(lambda: client.collection_exists(name)))


def remove(client: Any, name: str) -> None:
    """Remove the collection and all its points from the server; nothing happens where it is gone already."""
    with _errors(name, "removed"):
        _retried(lambda: client.delete_collection(name))


class ServerEngine:
    """A collection on a server: implements `retrieval.indexes.qdrant.Engine`."""

    def __init__(self, client: Any, name: str, fingerprint: Fingerprint, schema: qdrant.Schema) -> None:
        self._client, self._name = client, name
        with self.errors("opened"):
            _retried(partial(self._make, fingerprint, schema))
            found = _retried(lambda: client.get_collection(name))
            self._check(found.config, fingerprint, schema)
            for field, kind in PAYLOAD.items():
                if field not in found.payload_schema:
                    _retried(partial(client.create_payload_index, name, field, field_schema=kind, wait=True))

    def upsert(self, points: Sequence[qdrant.Point]) -> None:
        """Returns when the server has acknowledged all."""
        models = _client().models
        for batch in _batches(points):
            made = [
                models.PointStruct(
                    id=point.id,
                    vector={name: _native(vector) for name, vector in point.vectors.items()},
                    payload=dict(point.payload),
                )
                for point in batch
            ]
            _retried(partial(self._client.upsert, self._name, made, wait=True))

    def query(self, request: qdrant.Request) -> Iterable[tuple[Mapping[str, Any], float]]:
        """Payload (the page's key) and score, best first."""
        models = _client().models
        vector, filters = _native(request.vector), qdrant.native_filter(models, request.conditions)
        prefetch = None
        if request.prefetch is not None:
            using, count = request.prefetch
            prefetch = models.Prefetch(query=vector, using=using, limit=count, filter=filters)
        found = _retried(
            lambda: self._client.query_points(
                self._name,
                query=vector,
                using=request.using,
                limit=request.limit,
                prefetch=prefetch,
                query_filter=filters,
                with_payload=list(qdrant.KEY),
            ),
            SEARCH_ATTEMPTS,
        )
        return [(point.payload, point.score) for point in found.points]

    def vectors(self, ids: Sequence[str], name: str) -> Iterable[tuple[Mapping[str, Any], qdrant.Stored]]:
        """Payload (the page's key) and vector of these points, those that are there."""
        found = _retried(
            lambda: self._client.retrieve(self._name, list(ids), with_payload=list(qdrant.KEY), with_vectors=[name])
        )
        return [(record.payload, qdrant.stored(record.vector[name])) for record in found]

    def delete(self, conditions: Sequence[qdrant.Condition]) -> None:
        """Remove the points for which all conditions hold."""
        models = _client().models
        selector = models.FilterSelector(filter=qdrant.native_filter(models, conditions))
        _retried(lambda: self._client.delete(self._name, selector, wait=True))

    def flush(self) -> None:
        """Do nothing: every write waited for the server's acknowledgement."""

    def count(self) -> int:
        """Points of the collection."""
        return int(_retried(lambda: self._client.count(self._name, exact=True)).count)

    def close(self) -> None:
        """Do nothing: the client belongs to whoever made it and may serve other channels."""

    def errors(self, done: str) -> AbstractContextManager[None]:
        """Errors that name the collection, and say what to do for the usual reasons."""
        return _errors(self._name, done)

    def _make(self, fingerprint: Fingerprint, schema: qdrant.Schema) -> None:
        """Make the collection unless it is there: an attempt whose answer was lost may have made it."""
        if self._client.collection_exists(self._name):
            return
        models = _client().models
        dense = {name: _params(field) for name, field in schema.items() if field.kind != "sparse"}
        sparse = {
            name: models.SparseVectorParams(modifier=models.Modifier.IDF)
            for name, field in schema.items()
            if field.kind == "sparse"
        }
        self._client.create_collection(
            self._name,
            vectors_config=dense,
            sparse_vectors_config=sparse or None,
            metadata={"fingerprint": fingerprint.asdict()},
        )

    def _check(self, config: Any, fingerprint: Fingerprint, schema: qdrant.Schema) -> None:
        place = f"of the Qdrant collection {self._name!r}"
        stored = (config.metadata or {}).get("fingerprint")
        if not isinstance(stored, dict) or stored.keys() != fingerprint.asdict().keys():
            raise StorageError(
                f"The Qdrant collection {self._name!r} was not made by Folioscope: it has no fingerprint.",
                hint="Rename or remove it on the server, or name another collection.",
            )
        if stored != fingerprint.asdict():
            raise mismatch(place, Fingerprint(**stored), fingerprint)
        found = _described(config.params)
        wanted = {name: _wanted(field) for name, field in schema.items()}
        if found != wanted:
            raise StorageError(
                f"The Qdrant collection {self._name!r} has another schema: {found}; wanted is {wanted}.",
                hint="Remove it on the server and fill the channel again, or use the settings that it was made with.",
            )


@contextmanager
def _errors(name: str, done: str) -> Iterator[None]:
    try:
        yield
    except FolioscopeError:
        raise
    except Exception as error:
        # The other channels go on meanwhile; also where another process has replaced this one under a search.
        if _passing(error) or _refused(error) or (done == "searched" and _status(error) == 404):
            raise ChannelUnavailable(
                f"The Qdrant server does not serve {name!r}: {_reason(error)}.", hint=_hint(error)
            ) from error
        raise StorageError(
            f"The Qdrant collection {name!r} can't be {done}: {_reason(error)}.", hint=_hint(error)
        ) from error


def _retried(request: Callable[[], T], attempts: int = ATTEMPTS) -> T:
    """The request's result; every request here may be repeated without harm."""
    for attempt in range(attempts - 1):
        try:
            return request()
        except Exception as error:
            if not _passing(error):
                raise
            time.sleep(PAUSE * 2**attempt)
    return request()


def _client() -> Any:
    try:
        import qdrant_client
    except ImportError as error:
        raise ChannelUnavailable(
            "A Qdrant server is configured, but qdrant-client is not installed.",
            hint="pip install 'folioscope[qdrant]', or unset FOLIOSCOPE_QDRANT_URL.",
        ) from error
    return qdrant_client


def _params(field: qdrant.Field) -> Any:
    models = _client().models
    return models.VectorParams(
        size=field.dim,
        distance=models.Distance.COSINE,
        datatype=_DATATYPES[field.datatype],
        multivector_config=models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM)
        if field.kind == "multi"
        else None,
        hnsw_config=models.HnswConfigDiff(m=0),
        memory=models.Memory.COLD if field.cold else None,
    )


_DATATYPES = {"float32": "float32", "float16": "float16", "int8": "turbo8"}


def _wanted(field: qdrant.Field) -> str:
    """A vector in words, so that what is and what should be can be compared and shown; its datatype may be any."""
    if field.kind == "sparse":
        return "sparse, idf"
    return f"{field.kind}, {field.dim} dimensions, cosine"


def _described(params: Any) -> dict[str, str]:
    described = {}
    dense = params.vectors if isinstance(params.vectors, dict) else {"": params.vectors} if params.vectors else {}
    for name, vector in dense.items():
        kind = "multi" if vector.multivector_config else "dense"
        described[name] = f"{kind}, {vector.size} dimensions, {vector.distance.value.lower()}"
    for name, sparse in (params.sparse_vectors or {}).items():
        described[name] = f"sparse, {sparse.modifier.value if sparse.modifier else 'no modifier'}"
    return described


def _native(vector: qdrant.Stored) -> Any:
    if isinstance(vector, SparseVector):
        return _client().models.SparseVector(indices=vector.indices.tolist(), values=vector.values.tolist())
    return vector.tolist()


def _batches(points: Sequence[qdrant.Point]) -> Iterator[list[qdrant.Point]]:
    """Points in runs of at most `FLOATS` numbers, or of one point."""
    batch: list[qdrant.Point] = []
    room = FLOATS
    for point in points:
        size = sum(v.values.size if isinstance(v, SparseVector) else v.size for v in point.vectors.values())
        if batch and size > room:
            yield batch
            batch, room = [], FLOATS
        batch.append(point)
        room -= size
    if batch:
        yield batch


def _passing(error: Exception) -> bool:
    """Whether the same request may succeed in a moment: no answer at all, too many requests, or the server's fault."""
    from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
    from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

    if isinstance(error, UnexpectedResponse):
        return error.status_code in (408, 429) or (error.status_code or 0) >= 500
    if isinstance(error, ResponseHandlingException):
        return isinstance(error.source, OSError) or type(error.source).__module__.startswith("httpx")
    return isinstance(error, ResourceExhaustedResponse)


def _refused(error: Exception) -> bool:
    return _status(error) in (401, 403)


def _status(error: Exception) -> int | None:
    return getattr(error, "status_code", None)


def _reason(error: Exception) -> str:
    source = getattr(error, "source", error)
    if status := _status(error):
        said = error.content.decode(errors="replace").strip()[:300]  # type: ignore[attr-defined]
        return f"it answers {status}" + (f", {said}" if said else "")
    return " ".join(str(source).split()).rstrip(".") or type(source).__name__


def _hint(error: Exception) -> str:
    if _refused(error):
        return "The server refuses the key: check FOLIOSCOPE_QDRANT_API_KEY."
    if _passing(error):
        return "It was tried several times: is the server of FOLIOSCOPE_QDRANT_URL running and reachable?"
    if _status(error) == 404:
        return "It was removed from the server; opened again, the channel makes it anew and fills it."
    return "The server's log says more."
