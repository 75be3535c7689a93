"""The HTTP application on a real server on 127.0.0.1, in a thread of the test's process."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import uvicorn
from blockbuster import BlockBuster

from api import samples
from api.app import create_app
from folioscope.settings import load_settings
from ingest import Library

REPORT = "skerrow-ferries-annual-report-2025.pdf"


@contextmanager
def _active(detector: BlockBuster) -> Iterator[None]:
    detector.activate()
    try:
        yield
    finally:
        detector.deactivate()


def _elsewhere(thread: threading.Thread, may: Callable[..., bool]) -> Callable[..., bool]:
    return lambda *given, **named: threading.current_thread() is not thread or may(*given, **named)


@contextmanager
def serving(library: Library, **options: Any) -> Iterator[httpx2.Client]:
    """A client of the library's server; ``options`` are those of `create_app`."""
    app = create_app(library, **options)
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=5))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    detector = BlockBuster("api")  # what blocks the server's loop is an error there; threads have loops of their own
    for function in detector.functions.values():
        function.can_block_predicate = _elsewhere(thread, function.can_block_predicate)
    with _active(detector):
        thread.start()
        try:
            base = f"http://127.0.0.1:{listening.getsockname()[1]}"
            with httpx2.Client(base_url=base, timeout=60, trust_env=False) as client:
                client.get("/healthz")
                client.app = app  # type: ignore[attr-defined]
                yield client
        finally:
            server.should_exit = True
            thread.join()
            listening.close()


def upload(client: httpx2.Client, path: Path, collection: str | None = None, **fields: Any) -> httpx2.Response:
    """A file handed in."""
    params = {"collection": collection} if collection else {}
    return client.post("/v1/documents", params=params, files={"file": (path.name, path.read_bytes())}, data=fields)


def finished(client: httpx2.Client, job: str, **headers: str) -> dict[str, Any]:
    """The job once it is done."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        found = client.get(f"/v1/jobs/{job}", headers=headers).json()
        if found["state"] in ("done", "cancelled"):
            return found
        time.sleep(0.05)
    raise AssertionError(f"{job} did not end")


def events(client: httpx2.Client, method: str, path: str, **request: Any) -> list[tuple[str, Any, str | None]]:
    """(name, data, id) of every event of a stream, to its end."""
    with client.stream(method, path, **request) as response:
        assert response.status_code == 200, response.read()
        assert response.headers["content-type"].startswith("text/event-stream")
        found = []
        for block in response.read().decode().split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
            if fields:
                found.append((fields["event"], json.loads(fields["data"]), fields.get("id")))
    return found


def filled(folder: Path, names: list[str], **settings: Any) -> Iterator[httpx2.Client]:
    """A server's client; these sample documents are in its library. A process has one library at a time."""
    settings = {"data_dir": folder, "channels": "lexical", "model": "extractive", **settings}
    opened = Library(settings=load_settings(settings))
    with opened as library, serving(library) as client, samples.folder() as source:
        for name in names:
            answer = upload(client, source / name)
            assert finished(client, answer.json()["job"])["ready"] == 1
        yield client
