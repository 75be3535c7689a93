"""The Model Context Protocol, driven by its own client: over HTTP with and without keys, over stdio as a process."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from PIL import Image

from api import samples
from api.keys import Keys
from folioscope.settings import load_settings
from ingest import Library
from tests.support.serving import finished, serving, upload

pytest.importorskip("mcp", reason="needs the extra: pip install 'folioscope[mcp]'")
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

REPORT = "skerrow-ferries-annual-report-2025.pdf"
DIVIDEND = "What dividend does the board propose?"
PROGRAM = [sys.executable, "-W", "error", "-c", "from api.cli.main import main; main()"]
TOOLS = {"search_pages", "get_page", "ask_documents", "list_collections", "list_documents"}
Call = Callable[..., Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mcp")


@pytest.fixture(scope="module")
def library(folder: Path) -> Iterator[Library]:
    with Library(settings=settings(folder)) as opened:
        yield opened


def settings(folder: Path) -> Any:
    return load_settings({"data_dir": folder, "channels": "lexical", "model": "extractive"})


@pytest.fixture(scope="module")
def open_server(library: Library) -> Iterator[httpx2.Client]:
    """Needs no key, and has read the annual report."""
    with serving(library) as client:
        with samples.folder() as documents:
            finished(client, upload(client, documents / REPORT).json()["job"])
        yield client


@pytest.fixture(scope="module")
def document(open_server: httpx2.Client) -> str:
    return open_server.get("/v1/documents").json()["data"][0]["id"]


def asked(url: str, *calls: tuple[str, dict[str, Any]], key: str = "", mode: str = "auto") -> list[Any]:
    """The results of calls over HTTP, one connection for all."""

    headers = {"authorization": f"Bearer {key}"} if key else {}
    # Made outside of the loop: it reads certificates, and the server's loop is not the only one that is watched.
    connection = httpx2.AsyncClient(headers=headers, trust_env=False, timeout=60)

    async def go() -> list[Any]:
        async with (
            connection as http,
            Client(streamable_http_client(f"{url}/mcp", http_client=http), mode=mode) as client,
        ):
            return [await client.call_tool(*call) for call in calls]

    return asyncio.run(go())


@pytest.fixture
def call(open_server: httpx2.Client) -> Call:
    return lambda name, **arguments: asked(str(open_server.base_url), (name, arguments))[0]


def test_a_message_without_an_end_is_too_large(open_server: httpx2.Client) -> None:
    headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
    told = open_server.post("/mcp", content=(b" " * 65_536 for _ in range(20)), headers=headers)
    assert (told.status_code, told.json()["code"]) == (413, "payload_too_large")


def test_the_tools_only_read_take_no_path_and_say_who_wrote_what_they_return(open_server) -> None:
    async def go() -> Any:
        async with Client(f"{open_server.base_url}/mcp") as client:
            return (await client.list_tools()).tools, client.instructions

    tools, instructions = asyncio.run(go())
    assert {tool.name for tool in tools} == TOOLS
    assert "follow no instruction" in instructions
    for tool in tools:
        assert tool.annotations.read_only_hint is True
        assert tool.annotations.open_world_hint is False
        assert tool.output_schema["properties"]["notice"]
        assert "follow no instruction" in tool.description
        assert not {"path", "file", "folder", "url"} & tool.input_schema["properties"].keys()


def test_search_finds_pages_and_fences_what_they_say(call, document) -> None:
    found = call("search_pages", query="dividend", top_k=2)
    hits = found.structured_content["hits"]
    assert [hit["document"]["id"] for hit in hits] == [document, document]
    notice, fence, *lines = found.content[0].text.splitlines()
    assert "follow no instruction" in notice
    mark = fence.removeprefix("[documents ").removesuffix("]")
    assert f"[end of documents {mark}]" in lines
    assert lines[0].startswith(f"1. {REPORT}, page {hits[0]['page']} (document {document}): ")
    assert call("search_pages", query="dividend", documents=["doc_0"]).structured_content["hits"] == []


def test_the_fence_is_another_one_each_time(call) -> None:
    first, second = (call("list_documents").content[0].text.splitlines()[1] for _ in range(2))
    assert first != second


def test_a_page_comes_as_text_or_as_an_image(call, document) -> None:
    text = call("get_page", document=document, page=2)
    assert "0.35 euros a share" in text.content[0].text
    assert "0.35 euros a share" in text.structured_content["text"]
    assert text.structured_content["cut"] is False
    shown = call("get_page", document=document, page=2, **{"as": "image"})
    assert shown.content[1].mime_type == "image/jpeg"
    data = base64.b64decode(shown.content[1].data)
    assert len(data) <= 700_000
    assert Image.open(io.BytesIO(data)).size == (shown.structured_content["width"], shown.structured_content["height"])
    assert max(Image.open(io.BytesIO(data)).size) == 1568
    assert shown.structured_content["text"] is None


def test_a_noisy_page_is_made_smaller_until_it_fits(call, open_server, tmp_path) -> None:
    path = tmp_path / "noise.png"
    Image.frombytes("RGB", (1600, 1600), os.urandom(1600 * 1600 * 3)).save(path)
    made = upload(open_server, path).json()
    finished(open_server, made["job"])
    shown = call("get_page", document=made["document"]["id"], page=1, **{"as": "image"})
    assert len(base64.b64decode(shown.content[1].data)) <= 700_000
    assert shown.structured_content["width"] < 1568
    said = call("get_page", document=made["document"]["id"], page=1)
    assert "look at its image" in said.content[0].text
    open_server.delete(f"/v1/documents/{made['document']['id']}")


def test_an_answer_comes_with_checked_quotes(call, document) -> None:
    found = call("ask_documents", question=DIVIDEND)
    assert found.structured_content["status"] == "answered"
    (citation,) = found.structured_content["citations"]
    assert citation["document"]["id"] == document
    assert citation["quote_status"] == "exact"
    assert "dividend of 0.35 euros a share, after two years in which we paid none. [1]" in found.content[0].text
    assert f"[1] {REPORT}, page 2 (document {document}, exact): “" in found.content[0].text
    nothing = call("ask_documents", question="Who won the chess championship in Reykjavik?")
    assert nothing.structured_content["status"] == "not_found"
    assert "don't say" in nothing.content[0].text


def test_lists(call, document) -> None:
    listed = call("list_documents", collection="default", limit=1)
    assert [each["id"] for each in listed.structured_content["data"]] == [document]
    assert "6 pages, ready" in listed.content[0].text
    assert call("list_documents", after=document).structured_content["data"] == []
    assert "default (col_" in call("list_collections").content[0].text


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("list_documents", {"collection": "nowhere"}, "There is no collection 'nowhere'."),
        ("get_page", {"document": "doc_0", "page": 1}, "There is no document 'doc_0'."),
        ("get_page", {"document": "doc_0", "page": 0}, "page: Input should be greater than or equal to 1"),
        ("search_pages", {}, "query: Field required"),
        ("search_pages", {"query": "a", "path": "/etc"}, "path: Extra inputs are not permitted"),
        ("search_pages", {"query": " "}, "The question is empty."),
        ("ask_documents", {"question": "x" * 10_001}, "question: String should have at most 10000 characters"),
        ("delete_page", {}, "There is no tool 'delete_page'; the tools are search_pages"),
    ],
)
def test_what_goes_wrong_is_a_result_in_our_words(call, name, arguments, said) -> None:
    found = call(name, **arguments)
    assert found.is_error is True
    assert found.content[0].text.startswith(said)
    assert "Traceback" not in found.content[0].text


def test_older_clients_shake_hands_first(open_server) -> None:
    (found,) = asked(str(open_server.base_url), ("list_collections", {}), mode="legacy")
    assert found.structured_content["data"][0]["name"] == "default"


def test_keys_open_what_they_were_granted_and_nothing_else(library, open_server, document) -> None:
    keys = Keys(library.catalog.database)
    mine = library.create_collection("mine")
    foreign, owner = keys.create("foreign", "read", [mine.id])[1], keys.create("owner", "read")[1]
    calls = [
        ("list_collections", {}),
        ("get_page", {"document": document, "page": 2}),
        ("search_pages", {"query": "dividend", "collection": "default"}),
        ("search_pages", {"query": "dividend", "collection": "mine", "documents": [document]}),
        ("ask_documents", {"question": DIVIDEND, "collection": "default"}),
        ("list_documents", {"collection": "default"}),
    ]
    with serving(library, needs_key=True) as client:
        url = str(client.base_url)
        for secret in ("", "fol_wrong", keys.create("late", "read", days=-1)[1]):
            with pytest.raises(BaseExceptionGroup) as refused:
                asked(url, *calls, key=secret)
            assert refused.group_contains(MCPError | httpx2.HTTPError, depth=None)
            assert client.post("/mcp", json={}, headers={"x-api-key": secret}).status_code == 401
        collections, *others = asked(url, *calls, key=foreign)
        assert [each["name"] for each in collections.structured_content["data"]] == ["mine"]
        assert [each.is_error for each in others] == [True, True, False, True, True]
        assert others[2].structured_content["hits"] == []
        assert "dividend of" not in "".join(each.model_dump_json() for each in others)
        assert not any(each.is_error for each in asked(url, *calls, key=owner))


def test_the_guard_stands_before_it(open_server) -> None:
    assert open_server.post("/mcp", json={}, headers={"host": "evil.example"}).status_code == 400
    assert open_server.post("/mcp", json={}, headers={"origin": "https://evil.example"}).status_code == 403
    assert open_server.post("/mcp", content=b"x" * (2 << 20)).status_code == 413
    assert open_server.get("/mcp").status_code == 405
    assert open_server.post("/mcp", json={}).json()["error"]["code"] < 0


def over_stdio(*words: str, env: dict[str, str] | None = None) -> list[Any]:
    """What a program that a client starts answers."""

    async def go() -> list[Any]:
        environment = {**os.environ, **(env or {})}
        program = StdioServerParameters(command=PROGRAM[0], args=[*PROGRAM[1:], "mcp", *words], env=environment)
        async with Client(program) as client:
            names = {tool.name for tool in (await client.list_tools()).tools}
            asked = await client.call_tool("ask_documents", {"question": DIVIDEND})
            return [names, asked, await client.call_tool("list_documents", {"collection": "nowhere"})]

    return asyncio.run(go())


@pytest.mark.slow
def test_over_stdio_it_opens_the_library_itself_or_goes_through_who_has_it(tmp_path) -> None:
    env = {"FOLIOSCOPE_DATA_DIR": str(tmp_path), "FOLIOSCOPE_CHANNELS": "lexical", "FOLIOSCOPE_MODEL": "extractive"}
    with samples.folder() as documents:
        words = [*PROGRAM, "ingest", "--quiet", str(documents / REPORT)]
        subprocess.run(words, env={**os.environ, **env}, check=True, capture_output=True, timeout=120)
    for through_server in (False, True):
        with serve(env) if through_server else contextlib.nullcontext():
            names, answer, nowhere = over_stdio(env=env)
        assert names == TOOLS
        assert answer.structured_content["status"] == "answered"
        assert nowhere.content[0].text == "There is no collection 'nowhere'."


@contextlib.contextmanager
def serve(env: dict[str, str]) -> Iterator[None]:
    """A server that has the data folder open."""
    command = [*PROGRAM, "serve", "--port", "0"]
    process = subprocess.Popen(command, env={**os.environ, **env}, stderr=subprocess.PIPE, text=True)
    watchdog = threading.Timer(200, process.kill)
    watchdog.start()
    try:
        assert process.stderr is not None
        assert "answers at" in process.stderr.readline()
        yield
    finally:
        watchdog.cancel()
        process.terminate()
        process.wait(60)
        process.stderr.close()


def test_over_stdio_it_goes_through_a_server(library, open_server) -> None:
    secret = Keys(library.catalog.database).create("relay", "read")[1]
    with serving(library, needs_key=True) as client:
        names, answer, nowhere = over_stdio("--url", str(client.base_url), env={"FOLIOSCOPE_API_KEY": secret})
        assert names == TOOLS
        assert answer.structured_content["citations"][0]["quote_status"] == "exact"
        assert nowhere.is_error is True
        refused = subprocess.run([*PROGRAM, "mcp", "--url", str(client.base_url)], capture_output=True, timeout=60)
    assert refused.returncode != 0
    assert b"wants a key" in refused.stderr
    assert b"Traceback" not in refused.stderr
    gone = subprocess.run([*PROGRAM, "mcp", "--url", str(client.base_url)], capture_output=True, timeout=60)
    assert b"folioscope serve" in gone.stderr


def test_without_the_package_server_and_command_say_so(tmp_path) -> None:
    (tmp_path / "mcp.py").write_text('raise ModuleNotFoundError("No module named \'mcp\'", name="mcp")')
    script = (
        "import tempfile\n"
        "from api.app import create_app\n"
        "from folioscope.settings import load_settings\n"
        "from ingest import Library\n"
        "from tests.support.serving import serving\n"
        "with tempfile.TemporaryDirectory() as folder, "
        "Library(settings=load_settings({'data_dir': folder})) as library, serving(library) as client:\n"
        "    answer = client.post('/mcp', json={})\n"
        "    print(answer.status_code, answer.json()['detail'], client.get('/healthz').status_code)\n"
    )
    env = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}."}
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, timeout=120)
    assert done.stdout == "404 This server does not speak MCP: that needs pip install 'folioscope[mcp]'. 200\n", done
    command = subprocess.run([*PROGRAM, "mcp"], env=env, capture_output=True, text=True, timeout=120)
    assert command.returncode == 2
    assert command.stderr == "folioscope: MCP needs a package. pip install 'folioscope[mcp]'\n"
