"""Encoders on a server, against one that speaks the wire formats of vLLM and OpenAI and can misbehave."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
from PIL import Image

from folioscope.domain import PageInput, PageKey, Words
from folioscope.errors import ChannelUnavailable, ConfigError
from folioscope.ports import Encoder, TextEncoder
from retrieval import Channel, MemoryIndex, open_encoder
from retrieval.encoders import remote
from retrieval.encoders.remote import Patience, VllmEncoder

DIM = 8
KEY = "sk-very-secret"


def embed(text: str, dim: int) -> list[float]:
    """A vector for a text: the sum of one fixed vector a word, not normalised."""
    total = np.zeros(dim)
    for word in text.lower().split():
        seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big")
        total += np.random.default_rng(seed).standard_normal(dim)
    return (3 * total).tolist()


class Server(ThreadingHTTPServer):
    """Answers as vLLM 0.32 and OpenAI do. ``trouble``: called with the request's number, may answer in its place."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[tuple[str, dict[str, Any], str | None]] = []
        self.dim = DIM
        self.trouble: Callable[[int], tuple[int, bytes, dict[str, str]] | None] = lambda _number: None
        self.lock = threading.Lock()
        self.under_way = self.most_under_way = 0
        self.delay = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_args: object) -> None:
        """A client that has gone is no error of the server's."""

    def answer(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        if body.get("model") != "tiny/model":
            message = f"The model `{body.get('model')}` does not exist."
            return 404, {"error": {"message": message, "type": "NotFoundError", "code": 404}}
        if path == "/pooling":
            return self.pooling(body)
        if path == "/v1/embeddings":
            assert body["encoding_format"] == "float"
            rows = [
                {"object": "embedding", "index": n, "embedding": embed(text, self.dim)}
                for n, text in enumerate(body["input"])
            ]
            return 200, {"object": "list", "model": body["model"], "data": rows[::-1], "usage": {"total_tokens": 1}}
        return 404, {"detail": "Not Found"}

    def pooling(self, body: dict[str, Any]) -> tuple[int, Any]:
        assert body["task"] == "token_embed"
        if "messages" in body:
            (message,) = body["messages"]
            assert message["role"] == "user"
            picture, text = message["content"]
            assert text == {"type": "text", "text": "Describe the image."}
            head, _, encoded = picture["image_url"]["url"].partition(",")
            assert head == "data:image/png;base64"
            shade = Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB").getpixel((0, 0))
            inputs = [f"{'red' if shade[0] > 128 else 'blue'} page"]
        else:
            inputs = body["input"]
        data = [
            {"index": n, "object": "pooling", "data": [embed(word, self.dim) for word in text.split()]}
            for n, text in enumerate(inputs)
        ]
        return 200, {"id": "pool-1", "object": "list", "created": 1, "model": body["model"], "data": data, "usage": {}}


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = self.server
        with server.lock:
            server.requests.append((self.path, body, self.headers.get("Authorization")))
            number = len(server.requests)
            server.under_way += 1
            server.most_under_way = max(server.most_under_way, server.under_way)
        time.sleep(server.delay)
        given = server.trouble(number)
        if given is None:
            status, answer = server.answer(self.path, body)
            given = (status, json.dumps(answer).encode(), {"Content-Type": "application/json"})
        with server.lock:
            server.under_way -= 1
        status, raw, headers = given
        if status == 0:  # the connection breaks
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same steps in a hundredth of the time; no keys of whoever runs this."""
    monkeypatch.setattr(remote, "FIRST_WAIT_S", 0.005)
    monkeypatch.setattr(remote, "LONGEST_WAIT_S", 0.2)
    for name in ("VLLM_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(params=["vllm", "openai-embeddings"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def spec(kind: str, server: Server, model: str = "tiny/model") -> str:
    return f"{kind}:{server.url}#{model}"


def page(number: int, colour: str = "red", text: str = "") -> PageInput:
    words = text.split()
    none = np.zeros(len(words), np.int32)
    shade = (200, 20, 20) if colour == "red" else (20, 20, 200)
    return PageInput(
        PageKey("doc_a", 1, number),
        "a.pdf",
        Words(words, np.zeros((len(words), 4), np.float32), none, none, "text-layer"),
        lambda _long_edge: np.full((40, 30, 3), shade, np.uint8),
    )


def test_vllm_pages_are_found_by_what_they_look_like(server: Server) -> None:
    encoder = open_encoder(spec("vllm", server))
    as_encoder: Encoder = encoder
    assert as_encoder.fingerprint.dim == DIM
    assert as_encoder.fingerprint.kind == "multi"
    assert server.url not in str(as_encoder.fingerprint)
    channel = Channel("visual", encoder, MemoryIndex(encoder.fingerprint))
    channel.add([page(number, "red" if number % 2 else "blue") for number in range(1, 13)])
    assert {hit.key.number % 2 for hit in channel.search("red", 6)} == {1}
    assert {hit.key.number % 2 for hit in channel.search("blue", 6)} == {0}
    (vectors,) = encoder.encode_pages([page(1)])
    assert (vectors.dtype, vectors.shape) == (np.float32, (2, DIM))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_vllm_has_several_pages_at_once(server: Server) -> None:
    encoder = open_encoder(spec("vllm", server))
    assert encoder.fingerprint
    server.delay = 0.1
    vectors = encoder.encode_pages([page(n, "red" if n % 3 else "blue") for n in range(8)])
    assert server.most_under_way > 1
    red, blue = encoder.encode_pages([page(0, "red"), page(0, "blue")])
    for number, got in enumerate(vectors):
        np.testing.assert_allclose(got, red if number % 3 else blue)


def test_openai_embeds_chunks_in_batches(server: Server) -> None:
    encoder = open_encoder(spec("openai-embeddings", server))
    as_text_encoder: TextEncoder = encoder
    assert encoder.fingerprint.dim == DIM
    texts = [f"sentence {number}" for number in range(150)]
    server.requests.clear()
    vectors = as_text_encoder.encode_texts(texts)
    assert [len(body["input"]) for _, body, _ in server.requests] == [64, 64, 22]
    for text, got in zip(texts, vectors, strict=True):
        expected = np.array(embed(text, DIM))
        np.testing.assert_allclose(got, expected / np.linalg.norm(expected), atol=1e-6)
    long = page(1, text="whale " * 300)
    (chunks,) = encoder.encode_pages([long])
    assert len(chunks) == len(encoder.chunks(long.words)) == 3  # 600 estimated tokens
    assert encoder.encode_pages([page(2)]) == [None]
    assert encoder.encode_texts([]).shape == (0, DIM)


@pytest.mark.parametrize("base", ["/v1", "/v1/"])
def test_openai_urls_as_the_official_client_takes_them(server: Server, base: str) -> None:
    assert open_encoder(f"openai-embeddings:{server.url}{base}#tiny/model").encode_query("a").shape == (1, DIM)


def test_queries_are_remembered_and_empty_ones_say_nothing(kind: str, server: Server) -> None:
    encoder = open_encoder(spec(kind, server))
    assert encoder.encode_query("  ") is None
    vector = encoder.encode_query("red page")
    asked = len(server.requests)
    assert encoder.encode_query("red page") is vector
    assert len(server.requests) == asked
    with pytest.raises(ValueError, match="read-only"):
        vector[0, 0] = 1


def test_the_key_is_sent_and_never_shown(
    kind: str, server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    encoder = open_encoder(spec(kind, server))
    assert encoder.encode_query("a") is not None
    assert server.requests[-1][2] is None
    monkeypatch.setenv("VLLM_API_KEY" if kind == "vllm" else "OPENAI_API_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    server.trouble = lambda number: None if number % 2 else (401, b'{"error": "no such key"}', {})
    with pytest.raises(ChannelUnavailable) as caught:
        [encoder.encode_query(f"b{n}") for n in range(3)]
    assert server.requests[-1][2] == f"Bearer {KEY}"
    assert "_API_KEY" in caught.value.hint
    assert KEY not in str(caught.value) + repr(vars(encoder)) + caplog.text


@pytest.mark.parametrize("status", [429, 500, 503, 0])
def test_a_busy_server_is_asked_again(kind: str, status: int, server: Server) -> None:
    encoder = open_encoder(spec(kind, server))
    assert encoder.fingerprint
    before = len(server.requests)
    server.trouble = lambda number: (status, b"busy", {"Retry-After": "0.05"}) if number <= before + 3 else None
    started = time.monotonic()
    (vectors,) = encoder.encode_pages([page(1, text="one two three")])
    assert vectors is not None
    assert len(server.requests) == before + 4
    if status:
        assert time.monotonic() - started > 3 * 0.05


def test_a_server_asking_for_an_hour_is_not_waited_for(server: Server) -> None:
    encoder = open_encoder(spec("vllm", server))
    server.trouble = lambda _number: (429, b"", {"Retry-After": "3600"})
    started = time.monotonic()
    with pytest.raises(ChannelUnavailable, match="429"):
        encoder.encode_query("a")
    assert time.monotonic() - started < 5


def test_a_server_that_stays_busy(kind: str, server: Server) -> None:
    encoder = open_encoder(spec(kind, server))
    assert encoder.fingerprint
    server.trouble = lambda _number: (500, b"CUDA out of memory", {})
    before = len(server.requests)
    with pytest.raises(ChannelUnavailable, match=r"5 attempts .*status 500: CUDA out of memory") as caught:
        encoder.encode_pages([page(1, text="word")])
    assert len(server.requests) == before + 5
    assert "lexical channel works" in caught.value.hint
    with pytest.raises(ChannelUnavailable, match="2 attempts"):
        encoder.encode_query("a person waits")
    assert len(server.requests) == before + 7


def test_a_slow_server(kind: str, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = open_encoder(spec(kind, server))
    assert encoder.fingerprint
    monkeypatch.setattr(remote, "QUERY", Patience(2, 0.1))
    server.delay = 0.4
    with pytest.raises(ChannelUnavailable, match="ReadTimeout"):
        encoder.encode_query("a person waits")


def test_a_server_that_is_down(kind: str, server: Server) -> None:
    there, encoder = server.url, open_encoder(spec(kind, server))
    server.shutdown()
    server.server_close()
    with pytest.raises(ChannelUnavailable, match="ConnectError") as caught:
        encoder.encode_query("a")
    assert there in str(caught.value)
    assert "tiny/model" in str(caught.value)


def test_a_refusal_is_not_asked_again(kind: str, server: Server) -> None:
    encoder = open_encoder(spec(kind, server, model="another"))
    with pytest.raises(ChannelUnavailable, match="`another` does not exist") as caught:
        encoder.encode_query("a")
    assert len(server.requests) == 1
    assert "/v1/models" in caught.value.hint


def test_a_changed_dimension_is_noticed(kind: str, server: Server) -> None:
    encoder = open_encoder(spec(kind, server))
    assert encoder.fingerprint.dim == DIM
    server.dim = 12
    for ask in (lambda: encoder.encode_query("a"), lambda: encoder.encode_pages([page(1, text="word")])):
        with pytest.raises(ChannelUnavailable, match="12 dimensions now, it gave 8"):
            ask()


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>hello</html>",
        b"[]",
        b'{"data": 3}',
        b'{"data": []}',
        b'{"data": [{"index": 0}]}',
        b'{"data": [{"index": 0, "data": "AAAA", "embedding": "AAAA"}]}',
        b'{"data": [{"index": 0, "data": [], "embedding": []}]}',
        b'{"data": [{"index": 0, "data": [[1, 2], [3]], "embedding": [[1]]}]}',
        b'{"data": [{"index": 0, "data": [[1, NaN]], "embedding": [NaN, 1]}]}',
        b'{"data": [{"index": 0, "data": [[1]], "embedding": [1]}, {"index": 1, "data": [[1]], "embedding": [1]}]}',
    ],
)
def test_nonsense_is_not_taken_for_vectors(kind: str, answer: bytes, server: Server) -> None:
    encoder = open_encoder(spec(kind, server))
    server.trouble = lambda _number: (200, answer, {"Content-Type": "application/json"})
    with pytest.raises(ChannelUnavailable, match="not understood"):
        encoder.encode_query("a")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("vllm:http://127.0.0.1:1", "not URL#MODEL"),
        ("vllm:ftp://there#m", "not URL#MODEL"),
        ("openai-embeddings:#m", "not URL#MODEL"),
        ("vllm:http://me:hunter2@there#m", "carries a password"),
        ("vllm:", "no encoder"),
    ],
)
def test_bad_specs(given: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        open_encoder(given)
    assert "hunter2" not in str(caught.value)


def test_a_page_without_an_image_is_not_passed_over(server: Server) -> None:
    encoder = VllmEncoder(f"{server.url}#tiny/model")
    with pytest.raises(ValueError, match="without an image"):
        encoder.encode_pages([PageInput(PageKey("doc_a", 1, 1), "a.pdf", Words.empty())])
