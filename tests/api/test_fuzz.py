"""Requests made up from the server's own description, by the code of `python -m benchmarks.fuzz`; fewer of them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from starlette.responses import JSONResponse

from api.app import create_app
from api.problems import OPENAI
from benchmarks import fuzz
from folioscope.settings import load_settings
from ingest import Library
from tests.support.serving import serving

pytestmark = [
    pytest.mark.timeout(600),
    # Schemathesis chooses the bounds of multipart bodies so.
    pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies"),
]


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    given = {"data_dir": tmp_path / "data", "channels": "lexical", "model": "extractive"}
    with Library(settings=load_settings(given)) as opened:
        yield opened


@pytest.mark.slow
def test_no_request_ends_in_a_fault_or_undescribed(library, tmp_path) -> None:
    with serving(library) as client:
        found = fuzz.run(str(client.base_url), tmp_path, cases=120)
    assert found["what"] == {}
    assert found["2xx"] > 30  # much of it got somewhere
    assert found["4xx"] > 30
    assert "5xx" not in found


def test_errors_stand_in_the_description_once_for_all(library) -> None:
    described = create_app(library).openapi()
    for path, operations in described["paths"].items():
        for operation in operations.values():
            for status in ("4XX", "5XX"):
                ((media, content),) = operation["responses"][status]["content"].items()
                openai = path.startswith(OPENAI)
                assert media == ("application/json" if openai else "application/problem+json")
                assert content["schema"]["$ref"].endswith("OpenAIError" if openai else "Problem")
    schemas = described["components"]["schemas"]
    assert {"Problem", "Wrong", "OpenAIError", "OpenAIFault"} <= schemas.keys()
    assert "HTTPValidationError" not in schemas


class Shape(BaseModel):
    """What the bad server promises."""

    number: int


@contextmanager
def listening(app: FastAPI) -> Iterator[str]:
    socket_ = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [socket_]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{socket_.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        socket_.close()


def test_a_bad_server_is_found_out(tmp_path) -> None:
    app = FastAPI()

    @app.post("/v1/documents")
    def documents() -> dict[str, object]:
        return {"document": {"id": "doc_1"}, "job": None}

    @app.post("/v1/collections")
    def collections() -> None: ...

    @app.get("/fails")
    def fails() -> None:
        raise ZeroDivisionError

    @app.get("/undescribed")
    def undescribed() -> JSONResponse:
        return JSONResponse({}, status_code=418)

    @app.get("/other", response_model=Shape)
    def other() -> JSONResponse:
        return JSONResponse({"number": "many"})

    with listening(app) as url:
        found = fuzz.run(url, tmp_path, cases=20)
    wrong = " ".join(found["what"])
    assert "GET /fails" in wrong
    assert "GET /undescribed: Undocumented status code, status 418" in wrong
    assert "GET /other: Response violates schema, status 200" in wrong
