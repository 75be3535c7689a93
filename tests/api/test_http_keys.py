"""Keys: every route, asked without one, with a foreign, an expired, a revoked and a weak one; what `serve` demands."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from typer.testing import CliRunner

from api import web
from api.app import ROUTERS
from api.cli.main import app
from api.keys import Keys
from folioscope.errors import ConfigError, FolioscopeError, NotFoundError
from folioscope.settings import load_settings
from ingest import Library
from tests.support.serving import finished, serving, upload

PUBLIC = {"/docs", "/healthz", "/readyz", "/version", "/openapi.json"} | {route.path for route in web.router.routes}
PROGRAM = [sys.executable, "-W", "error", "-c", "from api.cli.main import main; main()"]
BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("POST", "/v1/collections"): {"json": {"name": "another"}},
    ("POST", "/v1/documents"): {"files": {"file": b"%PDF-1.7"}, "params": {"collection": "secret"}},
    ("GET", "/v1/documents"): {"params": {"collection": "secret"}},
    ("GET", "/v1/jobs"): {"params": {"collection": "secret"}},
    ("PATCH", "/v1/documents/{document}"): {"json": {"metadata": {"a": 1}}},
    ("PATCH", "/v1/collections/{collection}"): {"json": {"name": "another"}},
    ("POST", "/v1/collections/{collection}/channels"): {"json": {"name": "semantic"}},
    ("POST", "/v1/documents/delete"): {"json": {"documents": ["{document}"]}},
    ("GET", "/v1/documents/{document}/pages/{number}/similarity"): {"params": {"query": "heron"}},
    ("POST", "/v1/search/image"): {"files": {"image": b"%PDF-1.7"}, "data": {"search": '{"collection": "secret"}'}},
    ("POST", "/v1/webhooks"): {"json": {"url": "https://hooks.example/"}},
    ("POST", "/v1/keys"): {"json": {"name": "another"}},
    ("GET", "/v1/documents/{document}/pages/{number}/quote"): {"params": {"text": "A heron"}},
    ("POST", "/v1/search"): {"json": {"query": "heron", "collection": "secret"}},
    ("POST", "/v1/chat/completions"): {
        "json": {"model": "docs/secret", "messages": [{"role": "user", "content": "heron?"}]}
    },
    ("POST", "/mcp"): {
        "json": {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": {"name": "search_pages", "arguments": {"query": "heron", "collection": "secret"}},
        },
        "headers": {"accept": "application/json, text/event-stream"},
    },
    ("POST", "/v1/ask"): {"json": {"question": "heron?", "collection": "secret"}},
    ("POST", "/v1/conversations"): {"json": {"collection": "secret"}},
    ("GET", "/v1/conversations"): {"params": {"collection": "secret"}},
    ("POST", "/v1/conversations/{conversation}/ask"): {"json": {"question": "heron?"}},
    ("POST", "/v1/feedback"): {"json": {"query": "heron?", "document": "{document}", "page": 1, "value": "up"}},
    ("GET", "/v1/feedback"): {"params": {"collection": "secret"}},
    ("POST", "/v1/extract"): {"json": {"document": "{document}", "schema": {"type": "object"}}},
    ("POST", "/v1/summarize"): {"json": {"document": "{document}"}},
    ("POST", "/v1/classify"): {"json": {"document": "{document}", "labels": ["a", "b"]}},
    ("POST", "/v1/compare"): {"json": {"first": {"document": "{document}"}, "second": {"document": "{document}"}}},
}


WHOLE = {"/v1/keys", "/v1/keys/{key}", "/v1/status", "/v1/settings", "/v1/webhooks", "/v1/webhooks/{webhook}"}
"""About the whole server: refused to a key that is limited to some collections, whatever it names."""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    settings = load_settings(
        {
            "data_dir": tmp_path_factory.mktemp("keys"),
            "channels": "lexical",
            "model": "extractive",
            "server_requests": 2,
        }
    )
    with Library(settings=settings) as opened:
        opened.create_collection("secret")
        opened.create_collection("mine")
        yield opened


@pytest.fixture(scope="module")
def client(library: Library) -> Iterator[httpx2.Client]:
    with serving(library, needs_key=True) as found:
        yield found


@pytest.fixture(scope="module")
def keys(library: Library) -> Keys:
    return Keys(library.catalog.database)


def bearer(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


@pytest.fixture(scope="module")
def filled(client: httpx2.Client, keys: Keys, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Names for the places in every route: a document of the collection ``secret`` and what belongs to it."""
    import pymupdf

    path = tmp_path_factory.mktemp("pdf") / "heron.pdf"
    with pymupdf.open() as pdf:
        pdf.new_page().insert_text((40, 60), "The heron stands on one leg.")
        pdf.save(path)
    owner = bearer(keys.create("owner", "write")[1])
    client.headers.update(owner)
    made = upload(client, path, "secret").json()
    finished(client, made["job"])
    conversation = client.post("/v1/conversations", json={"collection": "secret", "title": "On the heron"}).json()
    del client.headers["authorization"]
    names = {"document": made["document"]["id"], "job": made["job"], "conversation": conversation["id"]}
    others = {
        "collection": "secret",
        "number": "1",
        "model": "docs",
        "channel": "lexical",
        "key": "key_0",
        "webhook": "whk_0",
    }
    return {**names, **others}


def routes(client: httpx2.Client) -> list[tuple[str, str]]:
    """(method, path) of everything that the application answers to, from its own description."""
    paths = client.get("/openapi.json").json()["paths"]
    return [(method.upper(), path) for path, methods in paths.items() for method in methods if path not in PUBLIC]


def ask(client: httpx2.Client, method: str, path: str, filled: dict[str, str], **more: Any) -> httpx2.Response:
    given = dict(BODIES.get((method, path), {}))
    if "json" in given:
        given["json"] = json.loads(json.dumps(given["json"]).replace("{document}", filled["document"]))
    headers = {**given.get("headers", {}), **more.pop("headers", {})}
    return client.request(method, path.format(**filled), **{**given, **more, "headers": headers})


def test_every_route_stands_in_the_description(client) -> None:
    described = {path for _, path in routes(client)} | PUBLIC
    known = {route.path for router in ROUTERS for route in router.routes}
    assert len(described) > 15
    assert known <= described


def test_without_a_valid_key_no_route_answers(client, keys, filled) -> None:
    revoked, secret = keys.create("left", "admin")
    keys.revoke(revoked.id)
    late = keys.create("late", "admin", days=-1)[1]
    for method, path in routes(client):
        for headers in (
            {},
            bearer("fol_wrong"),
            bearer(late),
            bearer(secret),
            {"x-api-key": late},
            {"authorization": "Basic eDp5"},
        ):
            answer = ask(client, method, path, filled, headers=headers)
            assert answer.status_code == 401, (method, path, headers)
            assert answer.json().get("error", answer.json())["code"] == "unauthorized"
            assert answer.headers["www-authenticate"] == "Bearer"
            assert "heron" not in answer.text


def test_what_a_key_was_not_granted_does_not_exist_for_it(client, library, keys, filled) -> None:
    grants = [library.collection("mine").id]
    foreign = bearer(keys.create("foreign", "admin", grants)[1])
    for method, path in routes(client):
        answer = ask(client, method, path, filled, headers=foreign)
        said = answer.text.replace("'secret'", "").replace("/secret", "")  # back to who asked by that name
        assert "heron" not in said
        assert "secret" not in said
        if path in WHOLE:
            assert answer.json()["code"] == "forbidden", (method, path, answer.text)
        elif path in ("/v1/collections", "/v1/models", "/v1/models/{model}"):
            assert answer.status_code == (403 if method == "POST" else 200)
        elif path == "/mcp":  # there errors are results
            assert "There is no collection" in answer.text
        else:
            assert answer.status_code == 404, (method, path, answer.text)
    assert [each["name"] for each in client.get("/v1/collections", headers=foreign).json()["data"]] == ["mine"]
    by_document = {"query": "heron", "collection": "mine", "documents": [filled["document"]]}
    assert client.post("/v1/search", json=by_document, headers=foreign).json()["hits"] == []


def test_scopes_reach_so_far_and_no_further(client, keys, filled) -> None:
    read, write = (bearer(keys.create(scope, scope)[1]) for scope in ("read", "write"))
    assert client.get(f"/v1/documents/{filled['document']}", headers=read).status_code == 200
    for method, path in [
        ("POST", "/v1/documents"),
        ("DELETE", "/v1/documents/{document}"),
        ("POST", "/v1/jobs/{job}/cancel"),
        ("PATCH", "/v1/documents/{document}"),
    ]:
        assert ask(client, method, path, filled, headers=read).status_code == 403
    for method, path in [("POST", "/v1/collections"), ("DELETE", "/v1/collections/{collection}")]:
        for headers in (read, write):
            assert ask(client, method, path, filled, headers=headers).json()["code"] == "forbidden"


def test_a_revoked_key_ends_at_once(client, keys) -> None:
    key, secret = keys.create("short", "read")
    assert client.get("/v1/collections", headers={"x-api-key": secret}).status_code == 200
    keys.revoke(key.id)
    assert client.get("/v1/collections", headers={"x-api-key": secret}).status_code == 401


def test_the_secret_is_stored_nowhere(library, keys) -> None:
    secret = keys.create("hidden", "read")[1]
    for path in library.folder.path.glob("catalog.sqlite*"):
        assert secret.encode() not in path.read_bytes()


def test_more_requests_at_a_time_than_one_key_may_have(client, library, keys, filled) -> None:
    busy, other = (bearer(keys.create(name, "read")[1]) for name in ("busy", "other"))
    job = library.catalog.create_job("ingest", library.collection("mine").id)
    library.catalog.register(library.collection("mine"), job, filename="x", source="x", sha256=None, size=0)
    place = f"/v1/jobs/{job}/events"  # of a job that goes on: these streams stay open
    with client.stream("GET", place, headers=busy) as one, client.stream("GET", place, headers=busy) as two:
        assert (one.status_code, two.status_code) == (200, 200)
        refused = client.get("/v1/collections", headers=busy)
        assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
        assert refused.headers["retry-after"] == "1"
        assert client.get("/v1/collections", headers=other).status_code == 200
        library.cancel(job)
        one.read()
        two.read()
    assert client.get("/v1/collections", headers=busy).status_code == 200


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A command in this process: what it writes to stdout, or the error of ours that ends it."""
    monkeypatch.setenv("FOLIOSCOPE_DATA_DIR", str(tmp_path))

    def command(*words: str) -> str | FolioscopeError:
        done = CliRunner().invoke(app, words)
        if isinstance(done.exception, FolioscopeError):
            return done.exception
        assert done.exit_code == 0, done.output
        return done.stdout

    return command


def test_keys_on_the_command_line(run) -> None:
    made = json.loads(run("keys", "create", "ci", "--scope", "write", "--days", "1", "--json"))
    (listed,) = json.loads(run("keys", "ls", "--json"))
    assert made.pop("key").startswith("fol_")
    assert made == listed
    run("keys", "revoke", made["id"])
    assert json.loads(run("keys", "ls", "--json"))[0]["valid"] is False
    assert isinstance(run("keys", "revoke", "key_0"), NotFoundError)
    assert isinstance(run("keys", "create", "x", "-c", "nowhere"), NotFoundError)


@pytest.mark.parametrize("words", [("--host", "0.0.0.0"), ("--host", "::"), ("--allow-host", "docs.example")])
def test_others_than_this_machine_need_a_key(run, words) -> None:
    refused = run("serve", "--port", "0", *words)
    assert isinstance(refused, ConfigError)
    assert "keys create" in refused.hint
    run("keys", "revoke", json.loads(run("keys", "create", "x", "--json"))["id"])
    assert isinstance(run("serve", "--port", "0", *words), ConfigError)  # a revoked key is none


def test_serve_answers_and_leaves_in_order_when_told_to(tmp_path, run) -> None:
    environment = {**os.environ, "FOLIOSCOPE_DATA_DIR": str(tmp_path)}
    words = ["serve", "--port", "0"]
    process = subprocess.Popen([*PROGRAM, *words], env=environment, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    watchdog = threading.Timer(100, process.kill)
    watchdog.start()
    try:
        found = re.search(r"http://127\.0\.0\.1:\d+", process.stderr.readline())
        assert found
        assert httpx2.get(f"{found[0]}/readyz", trust_env=False, timeout=60).json()["status"] == "ok"
        key = run("keys", "create", "beside")  # the folder's lock is not in its way
        opened = httpx2.get(f"{found[0]}/v1/collections", headers=bearer(key.strip()), trust_env=False, timeout=60)
        assert opened.status_code == 200
        taken = run("serve", "--port", found[0].rpartition(":")[2], "--data-dir", str(tmp_path / "other"))
        assert isinstance(taken, ConfigError)
        assert "--port" in taken.hint
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert process.stderr.read() == ""
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()
        process.stderr.close()
