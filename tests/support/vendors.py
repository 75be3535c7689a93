"""A server on 127.0.0.1 that speaks as the vendors of vision-language models do, streaming included.

    with Vendors() as vendors:
        vendors.reply = "Text that every request is answered with"
        ... the SDK with base URL vendors.url("anthropic") and key vendors.key ...
        assert vendors.asked[-1].pictures

``reply`` is a text, a `Reply` (slow, cut, too long, refused), a `Refusal` (an HTTP error in the vendor's form) or a
function of the `Asked` that gives one of these. Each request is checked against the vendor's published shape
(tests/support/wire_*.py); one that breaks it gets the vendor's 400 and stands in ``complaints``.

Vendors: ``anthropic``, ``openai``, ``gemini``, ``ollama``, and ``compatible``: a server such as vLLM or LM Studio with
OpenAI's chat format that wants no key and knows no structured output. Models: any name in `MODELS` sees pictures,
``text-only`` does not, others are unknown.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

from tests.support import wire_anthropic, wire_gemini, wire_ollama, wire_openai
from tests.support.asked import MODELS, Asked, Bad, Trouble, Vendor

__all__ = ["KEY", "MODELS", "Asked", "Refusal", "Reply", "Vendors"]

KEY = "sk-fake-0123456789abcdef"

PREFIXES: dict[Vendor, str] = {
    "anthropic": "/anthropic",
    "openai": "/openai/v1",
    "gemini": "/gemini",
    "ollama": "/ollama",
    "compatible": "/compatible/v1",
}

WIRES: dict[Vendor, Any] = {
    "anthropic": wire_anthropic,
    "openai": wire_openai,
    "gemini": wire_gemini,
    "ollama": wire_ollama,
    "compatible": wire_openai,
}


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply with status 200, its text sent in so many ``pieces``.

    ``before_s``, ``between_s``: seconds before the first byte and between two pieces; ``hold``: what is waited for
    before the second piece. After a number of pieces ``cut_after``: the connection breaks; ``ends_after``: the stream
    ends as if all were said; ``error_after``: the vendor's error event comes; ``garbage_after``: an event that is not
    JSON. ``thinks``: thoughts come before the text.
    """

    text: str
    finish: Literal["stop", "length", "refusal"] = "stop"
    pieces: int = 3
    before_s: float = 0.0
    between_s: float = 0.0
    cut_after: int | None = None
    ends_after: int | None = None
    error_after: int | None = None
    garbage_after: int | None = None
    thinks: bool = False
    hold: threading.Event | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error in the vendor's form, see `Trouble`. ``retry_after``: seconds."""

    trouble: Trouble
    retry_after: float | None = None


Answering = str | Reply | Refusal


@dataclass
class Vendors:
    """See the module. ``asked``: every request that was understood, in order; ``complaints``: what was wrong with the
    others.
    """

    reply: Answering | Callable[[Asked], Answering] = "Yes."
    key: str = KEY
    asked: list[Asked] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self.closing = threading.Event()
        self._http = _Server(self)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> Vendors:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def url(self, vendor: Vendor) -> str:
        """The base URL as the vendor's SDK takes it."""
        return f"http://127.0.0.1:{self._http.server_port}{PREFIXES[vendor]}"

    def answer_to(self, asked: Asked) -> Reply | Refusal:
        """What ``reply`` gives for a request; a text is a `Reply`."""
        with self._lock:
            self.asked.append(asked)
            asked.number = len(self.asked)
        given = self.reply(asked) if callable(self.reply) else self.reply
        return Reply(given) if isinstance(given, str) else given


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, vendors: Vendors) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.vendors = vendors

    def handle_error(self, *_: object) -> None:
        """A client that has gone is no error of the server's."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        vendor = next((name for name, prefix in PREFIXES.items() if self.path.startswith(prefix + "/")), None)
        if vendor is None:
            self._send(404, {}, b"no such vendor")
            return
        path = self.path.removeprefix(PREFIXES[vendor])
        headers = {name.lower(): value for name, value in self.headers.items()}
        vendors = self.server.vendors
        try:
            asked = _read(vendor, path, headers, raw, vendors.key)
        except Bad as bad:
            if bad.trouble == "invalid":
                vendors.complaints.append(f"{vendor}: {bad}")
            self._refuse(vendor, bad.trouble, str(bad), None)
            return
        if isinstance(asked, bytes):  # a request that needs no model, such as ollama's /api/show
            self._send(200, {"Content-Type": "application/json"}, asked)
            return
        given = vendors.answer_to(asked)
        if isinstance(given, Refusal):
            self._refuse(vendor, given.trouble, "", given.retry_after)
        else:
            self._stream(asked, given)

    def _refuse(self, vendor: Vendor, trouble: Trouble, message: str, retry_after: float | None) -> None:
        if trouble == "cut":
            self.close_connection = True
            return
        if trouble == "not_json":
            self._send(200, {"Content-Type": "text/html"}, b"<html><body>It works!</body></html>")
            return
        status, body, headers = WIRES[vendor].refusal(trouble, message, retry_after)
        self._send(status, {"Content-Type": "application/json", **headers}, json.dumps(body).encode())

    def _send(self, status: int, headers: dict[str, str], raw: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def _stream(self, asked: Asked, reply: Reply) -> None:
        closing = self.server.vendors.closing
        closing.wait(reply.before_s)
        kind = "application/x-ndjson" if asked.vendor == "ollama" else "text/event-stream"
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for chunk in _script(asked, reply):
            if chunk is None:
                closing.wait(reply.between_s)
                if reply.hold is not None:
                    reply.hold.wait(60)
            elif not chunk:  # cut: no last chunk, so that the client sees the reply is not whole
                self.close_connection = True
                return
            else:
                self.wfile.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
                self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_: object) -> None:
        pass


def _read(vendor: Vendor, path: str, headers: dict[str, str], raw: bytes, key: str) -> Asked | bytes:
    if vendor in ("openai", "compatible"):
        return wire_openai.read(vendor, path, headers, raw, key)
    return WIRES[vendor].read(path, headers, raw, key)  # type: ignore[no-any-return]


def _script(asked: Asked, reply: Reply) -> Iterator[bytes | None]:
    """Bytes to send in order; None: a pause, empty: the connection breaks."""
    wire = WIRES[asked.vendor]
    yield from wire.start(asked, thinks=reply.thinks)
    for number, piece in enumerate([*_split(reply.text, reply.pieces), None]):
        if number == reply.cut_after:
            yield b""
            return
        if number == reply.ends_after:
            return
        if number == reply.error_after:
            yield wire.error_event(asked)
            return
        if number == reply.garbage_after:
            yield wire.garbage(asked)
        if piece is not None:
            if number:
                yield None
            yield wire.piece(asked, piece)
    yield from wire.end(asked, reply.finish, output_tokens=len(reply.text) // 4 + 1)


def _split(text: str, pieces: int) -> list[str]:
    """``pieces`` parts of nearly the same length, fewer where the text is shorter, none of them empty."""
    size = max(1, -(-len(text) // pieces))
    return [text[start : start + size] for start in range(0, len(text), size)]
