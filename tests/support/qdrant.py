"""A server that speaks Qdrant's HTTP interface over a socket, so that the real client's connections, retries and errors
take part, and several processes can share it; behind it is the client's own emulation of the engine.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


class QdrantServer(ThreadingHTTPServer):
    """``state``: ``up``; ``busy`` answers 503, ``reset`` cuts connections off. ``breaks_at``: a part of a path; the
    first request to it and all later ones meet ``reset``.
    """

    def __init__(self) -> None:
        qdrant_client = pytest.importorskip("qdrant_client", reason="needs the extra: pip install 'folioscope[qdrant]'")
        super().__init__(("127.0.0.1", 0), Handler)
        self.engine = qdrant_client.QdrantClient(location=":memory:")
        self.models = qdrant_client.models
        self.lock = threading.Lock()
        self.state = "up"
        self.breaks_at = ""
        self.keys: set[str | None] = set()
        self.asked = 0
        self.url = f"http://127.0.0.1:{self.server_port}"

    def answer(self, method: str, path: list[str], body: Any) -> Any:
        """The result of one request, as its path is in Qdrant's interface."""
        engine, models = self.engine, self.models
        name, *rest = path
        match method, "/".join(rest):
            case "GET", "exists":
                return models.CollectionExistence(exists=engine.collection_exists(name))
            case "GET", "":
                return engine.get_collection(name)
            case "PUT", "":
                wanted = models.CreateCollection.model_validate(body)
                return engine.create_collection(
                    name,
                    vectors_config=wanted.vectors,
                    sparse_vectors_config=wanted.sparse_vectors,
                    metadata=wanted.metadata,
                )
            case "DELETE", "":
                return engine.delete_collection(name)
            case "PUT", "index":
                return engine.create_payload_index(name, body["field_name"], body["field_schema"])
            case "PUT", "points":
                return engine.upsert(name, models.PointsList.model_validate(body).points)
            case "POST", "points":
                asked = models.PointRequest.model_validate(body)
                return engine.retrieve(name, asked.ids, with_payload=asked.with_payload, with_vectors=asked.with_vector)
            case "POST", "points/delete":
                return engine.delete(name, models.FilterSelector.model_validate(body))
            case "POST", "points/count":
                return engine.count(name, exact=body["exact"])
            case "POST", "points/query":
                question = models.QueryRequest.model_validate(body)
                return engine.query_points(
                    name,
                    query=question.query,
                    using=question.using,
                    prefetch=question.prefetch,
                    query_filter=question.filter,
                    limit=question.limit,
                    with_payload=question.with_payload,
                )
        raise NotImplementedError(f"{method} {path}")

    def collections(self) -> dict[str, int]:
        """How many points each collection has."""
        names = [each.name for each in self.engine.get_collections().collections]
        return {name: self.engine.count(name).count for name in names}


class Handler(BaseHTTPRequestHandler):
    server: QdrantServer

    def do_GET(self) -> None:
        server = self.server
        server.keys.add(self.headers.get("api-key"))
        server.asked += 1
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or "null")
        if server.breaks_at and server.breaks_at in self.path:
            server.state = "reset"
        if server.state == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            return
        if server.state == "busy":
            self.reply(503, {"status": {"error": "starting"}, "time": 0.0})
            return
        path = self.path.partition("?")[0].split("/")[2:]  # without "", "collections"
        with server.lock:
            result = server.answer(self.command, path, body)
        self.reply(200, {"result": plain(result), "status": "ok", "time": 0.0})

    do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815

    def reply(self, status: int, content: Any) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def plain(result: Any) -> Any:
    if isinstance(result, list):
        return [plain(each) for each in result]
    return result.model_dump(mode="json") if hasattr(result, "model_dump") else result


@contextmanager
def serving() -> Iterator[QdrantServer]:
    """A server in a thread of this process."""
    made = QdrantServer()
    threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield made
    finally:
        made.shutdown()
        made.server_close()
        made.engine.close()
