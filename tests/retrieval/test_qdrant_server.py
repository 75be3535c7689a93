"""A Qdrant server that is down, busy, locked, or holds something else."""

import json
import socket
import threading
from collections import Counter
from contextlib import ExitStack
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from folioscope.domain import Fingerprint, PageKey
from folioscope.errors import ChannelUnavailable, FingerprintMismatch, StorageError
from retrieval.indexes import erase_index, index_exists, open_index, server
from retrieval.indexes.server import ServerIndex, connect, remove

qdrant_client = pytest.importorskip("qdrant_client")
ResponseHandlingException = pytest.importorskip("qdrant_client.http.exceptions").ResponseHandlingException
models = qdrant_client.models
PRINT = Fingerprint("test", "1", "multi", 4)
pytestmark = [
    pytest.mark.filterwarnings("ignore:Payload indexes have no effect in the local Qdrant:UserWarning"),
    pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection:UserWarning"),
]


@pytest.fixture
def memory():
    client = qdrant_client.QdrantClient(location=":memory:")
    yield client
    client.close()


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    """The pauses between attempts, which nobody waits for here."""
    slept = []
    monkeypatch.setattr(server.time, "sleep", slept.append)
    return slept


@pytest.fixture
def scripted():
    """A server that answers each request with the next status of its script, the last one again and again."""
    script, seen, keys = [], Counter(), []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            status = script.pop(0) if len(script) > 1 else script[0]
            seen[self.path] += 1
            keys.append(self.headers.get("api-key"))
            found = {"exists": False} if self.path.endswith("/exists") else True
            body = json.dumps({"result": found, "status": "ok", "time": 0.0}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815

        def log_message(self, *_):
            pass

    service = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=service.serve_forever, daemon=True).start()
    service.script, service.seen, service.keys = script, seen, keys
    service.url = f"http://127.0.0.1:{service.server_port}"
    yield service
    service.shutdown()
    service.server_close()


def test_a_server_that_is_down_is_tried_a_few_times(pauses, scripted):
    url = scripted.url
    scripted.shutdown()
    scripted.server_close()
    client = connect(url)
    with pytest.raises(ChannelUnavailable, match=r"does not serve 'pages': .*refused") as caught:
        ServerIndex(client, "pages", PRINT)
    assert "FOLIOSCOPE_QDRANT_URL" in caught.value.hint
    assert pauses == [0.25, 0.5, 1.0]
    client.close()


def test_a_busy_server_is_asked_again(scripted, pauses):
    scripted.script[:] = [503, 429, 502, 200]
    client = connect(scripted.url)
    remove(client, "pages")
    assert scripted.seen["/collections/pages"] == 4
    assert len(pauses) == 3
    client.close()


def test_a_refused_key_is_not_tried_again(scripted, pauses):
    scripted.script[:] = [403]
    client = connect(scripted.url, "secret-key")
    with pytest.raises(ChannelUnavailable, match=r"it answers 403.*FOLIOSCOPE_QDRANT_API_KEY") as caught:
        ServerIndex(client, "pages", PRINT)
    assert "secret-key" not in str(caught.value)
    assert scripted.keys == ["secret-key"]
    assert pauses == []
    client.close()


@pytest.mark.parametrize(
    "url", ["localhost:6333", "", "ftp://host", "http://", "http://host:port", "http://host:99999"]
)
def test_what_is_no_url_is_named(url):
    with pytest.raises(StorageError, match="FOLIOSCOPE_QDRANT_URL") as caught:
        connect(url)
    assert repr(url) in str(caught.value)


@pytest.mark.parametrize(("url", "said"), [("http://qdrant.example.org", True), ("http://localhost:1", False)])
def test_a_key_in_the_clear_is_noted_in_our_words(url, said, caplog, recwarn):
    connect(url, "secret-key").close()
    assert ("unencrypted" in caplog.text) == said
    assert "secret-key" not in caplog.text
    assert not recwarn.list


def test_https_is_tls_on_its_own_port():
    client = connect("https://qdrant.example.org", "key")
    assert client._client.rest_uri == "https://qdrant.example.org:443"
    client.close()


def test_another_fingerprint_is_refused(memory):
    ServerIndex(memory, "pages", PRINT)
    ServerIndex(memory, "pages", PRINT)
    other = replace(PRINT, revision="2")
    with pytest.raises(FingerprintMismatch) as caught:
        ServerIndex(memory, "pages", other)
    assert str(PRINT) in str(caught.value)
    assert str(other) in str(caught.value)


def test_a_collection_of_somebody_else_is_refused(memory):
    memory.create_collection("pages", vectors_config=models.VectorParams(size=4, distance=models.Distance.COSINE))
    with pytest.raises(StorageError, match="not made by Folioscope"):
        ServerIndex(memory, "pages", PRINT)


def test_another_schema_is_refused(memory):
    ServerIndex(memory, "pages", PRINT)
    with pytest.raises(StorageError, match=r"another schema.*pooled"):
        ServerIndex(memory, "pages", PRINT, pooled=True)


def test_a_datatype_is_for_collections_made_with_it(memory):
    ServerIndex(memory, "pages", PRINT, datatype="int8")
    ServerIndex(memory, "pages", PRINT, datatype="float16")
    assert memory.get_collection("pages").config.params.vectors["page"].datatype == models.Datatype.TURBO8


def test_a_collection_whose_making_was_acknowledged_to_nobody_is_taken(memory, monkeypatch):
    create = memory.create_collection

    def lost(*given, **named):
        create(*given, **named)
        raise ResponseHandlingException(ConnectionResetError("the answer was lost"))

    monkeypatch.setattr(memory, "create_collection", lost)
    assert len(ServerIndex(memory, "pages", PRINT)) == 0


def test_payload_indexes_that_are_missing_are_made(memory, monkeypatch):
    made = []
    monkeypatch.setattr(
        memory, "create_payload_index", lambda name, field, field_schema, wait: made.append((field, field_schema))
    )
    ServerIndex(memory, "pages", PRINT)
    assert made == [("document_id", "keyword"), ("version", "integer")]


def test_a_server_that_does_not_answer_at_all_is_soon_given_up(monkeypatch, pauses):
    monkeypatch.setattr(server, "CONNECT", 0.1)
    with socket.socket() as silent, ExitStack() as waiting:
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)
        for _ in range(8):  # the system takes so many connections at most before it leaves the next ones unanswered
            other = waiting.enter_context(socket.socket())
            other.setblocking(False)
            other.connect_ex(silent.getsockname())
        client = connect(f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(ChannelUnavailable, match="timed out"):
            ServerIndex(client, "pages", PRINT)
        client.close()


def test_the_schema_is_the_design(memory):
    ServerIndex(memory, "pages", PRINT, pooled=True)
    vectors = memory.get_collection("pages").config.params.vectors
    assert vectors["full"].memory == models.Memory.COLD
    for vector in vectors.values():
        assert vector.datatype == models.Datatype.FLOAT16
        assert vector.hnsw_config.m == 0
        assert vector.multivector_config.comparator == models.MultiVectorComparator.MAX_SIM


def test_a_collection_is_named_after_its_folder(memory, tmp_path):
    folder = tmp_path / "col_1" / "visual"
    point = (PageKey("doc", 1, 1), np.eye(4, dtype=np.float32))
    assert not index_exists(folder, memory)
    index = open_index(folder, PRINT, pooled=True, datatype="int8", server=memory)
    index.upsert([point])
    assert [each.name for each in memory.get_collections().collections] == ["folioscope-col_1-visual"]
    assert index_exists(folder, memory)
    assert len(open_index(folder, PRINT, pooled=True, datatype="int8", server=memory)) == 1
    erase_index(folder, memory)
    assert not memory.collection_exists("folioscope-col_1-visual")
    assert not folder.exists()


def test_an_index_that_moved_starts_empty(memory, tmp_path):
    """Between the data folder and a server: what stayed behind has missed documents and deletions."""
    folder = tmp_path / "col_1" / "visual"
    point = (PageKey("doc", 1, 1), np.eye(4, dtype=np.float32))
    for place in (None, memory, None, memory):
        assert not index_exists(folder, place)
        index = open_index(folder, PRINT, pooled=True, server=place)
        assert len(index) == 0
        index.upsert([point])
        index.flush()
        index.close()
        assert index_exists(folder, place)
        index = open_index(folder, PRINT, pooled=True, server=place)
        assert len(index) == 1
        index.close()


def test_many_points_go_in_several_requests(memory, monkeypatch):
    sent = []
    monkeypatch.setattr(server, "FLOATS", 100)
    upsert = memory.upsert
    monkeypatch.setattr(
        memory, "upsert", lambda name, points, **more: (sent.append(len(points)), upsert(name, points, **more))
    )
    index = ServerIndex(memory, "pages", PRINT)
    vectors = [np.ones((rows, 4), np.float32) for rows in (10, 10, 10, 60, 1)]
    index.upsert((PageKey("doc", 1, number), vector) for number, vector in enumerate(vectors, 1))
    assert sent == [2, 1, 1, 1]
    assert len(index) == 5
