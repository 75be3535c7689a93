"""OpenAI's own client asks over a vision-language model: conversation, usage, why a reply ended, errors, models."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from api import samples
from api.keys import Keys
from api.problems import OPENAI
from folioscope.settings import load_settings
from ingest import Library
from tests.support.serving import finished, serving, upload
from tests.support.vendors import MODELS, Refusal, Reply, Vendors

openai = pytest.importorskip("openai", reason="needs the extra: pip install 'folioscope[openai]'")
QUESTION = "What dividend does the board propose?"
DRAFT = "It proposes 0.35 euros [[1: a dividend of 0.35 euros a share]]."
PUBLIC = "https://docs.example/papers"


@pytest.fixture(scope="module")
def vendors() -> Iterator[Vendors]:
    with Vendors() as made:
        yield made


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, vendors: Vendors) -> Iterator[Library]:
    settings = {
        "data_dir": tmp_path_factory.mktemp("openai"),
        "channels": "lexical",
        "model": f"openai:{MODELS[1]}",
        "openai_url": vendors.url("openai"),
        "public_url": PUBLIC,
        "model_retries": 0,
        "top_k": 1,
    }
    with pytest.MonkeyPatch.context() as patched, Library(settings=load_settings(settings)) as opened:
        patched.setenv("OPENAI_API_KEY", vendors.key)
        yield opened


@pytest.fixture(scope="module")
def served(library: Library) -> Iterator[httpx2.Client]:
    with serving(library) as client:
        with samples.folder() as documents:
            finished(client, upload(client, documents / "skerrow-ferries-annual-report-2025.pdf").json()["job"])
        yield client


@pytest.fixture
def client(served: httpx2.Client, vendors: Vendors) -> Iterator[Any]:
    vendors.asked.clear()
    vendors.reply = DRAFT
    with openai.OpenAI(base_url=f"{served.base_url}/v1", api_key="none", max_retries=0) as found:
        yield found


def ask(client: Any, *messages: tuple[str, Any], **more: Any) -> Any:
    said = [{"role": role, "content": content} for role, content in (*messages, ("user", QUESTION))]
    return client.chat.completions.create(model="docs", messages=said, **more)


def test_usage_is_what_the_model_counted(client) -> None:
    usage = ask(client).usage
    assert usage.prompt_tokens > 100
    assert usage.completion_tokens > 0
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


def test_a_stream_tells_usage_where_it_is_asked_to(client) -> None:
    plain = list(ask(client, stream=True))
    assert all(chunk.usage is None and chunk.choices for chunk in plain)
    *others, last = list(ask(client, stream=True, stream_options={"include_usage": True}))
    assert all(chunk.usage is None and chunk.choices for chunk in others)
    assert last.choices == []
    assert last.usage == ask(client).usage
    assert others[-1].choices[0].finish_reason == "stop"


def test_links_begin_with_the_public_url(client) -> None:
    found = ask(client)
    (annotation,) = found.choices[0].message.annotations
    assert annotation.url_citation.url.startswith(f"{PUBLIC}/d/doc_")
    assert "(" not in annotation.url_citation.url
    assert f"[1]({annotation.url_citation.url})" in found.choices[0].message.content
    assert found.model_extra["folioscope"]["citations"][0]["boxes"]


def test_a_follow_up_is_searched_as_what_it_means(client, vendors) -> None:
    said = f"A ferry company. [1]({PUBLIC}/d/doc_1#page=2&cite=a%20company) Founded in 1972. [2](/d/doc_1#page=3)"
    before = [("system", "Talk like a pirate."), ("user", "Tell me of Skerrow Ferries."), ("assistant", said)]
    vendors.reply = lambda asked: DRAFT if "Write the question so" not in asked.system else "Skerrow dividend 2025?"
    found = ask(client, *before)
    rewriting, answering = vendors.asked
    assert [text for _, text in rewriting.history] == [
        "Tell me of Skerrow Ferries.",
        "A ferry company. Founded in 1972.",
    ]
    assert "Skerrow dividend 2025?" in answering.texts[-1]
    assert "pirate" not in answering.system
    assert found.model_extra["folioscope"]["query"] == "Skerrow dividend 2025?"


@pytest.mark.parametrize(
    ("reply", "finish", "begins"),
    [
        (Reply(DRAFT), "stop", "It proposes 0.35 euros"),
        (Reply(DRAFT[:20], finish="length"), "length", "It proposes 0.35"),
        (Reply("", finish="refusal"), "content_filter", "The model declined to answer."),
        (Reply("A lie."), "stop", "A lie."),
    ],
)
def test_why_a_reply_ended(client, vendors, reply, finish, begins) -> None:
    vendors.reply = reply
    found = ask(client).choices[0]
    assert found.finish_reason == finish
    assert found.message.content.startswith(begins)
    *_, last = ask(client, stream=True)
    assert last.choices[0].finish_reason == finish


def test_models_are_retrieved_by_their_ids(client) -> None:
    assert client.models.retrieve("docs").id == "docs"
    assert client.models.retrieve("docs/default").id == "docs/default"
    for name in ("gpt-6", "docs/nowhere", "gpt/default"):
        with pytest.raises(openai.NotFoundError, match="There is no"):
            client.models.retrieve(name)


PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n not one").decode()


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([{"type": "image_url", "image_url": {"url": "https://evil.example/a.png"}}], "nothing is fetched"),
        ([{"type": "image_url", "image_url": {"url": "data:image/png;base64,@@@"}}], "no base64"),
        (
            [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}],
            "The image can't be searched with",
        ),
        ([{"type": "image_url", "image_url": {"url": "data:image/png;base64,é"}}], "no base64"),
        ([{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}], "neither text nor an image"),
        ([{"type": "image_url", "image_url": {"url": "data:,"}}] * 2, "with one image"),
    ],
)
def test_an_image_is_sent_and_never_fetched(client, parts, said) -> None:
    with pytest.raises(openai.UnprocessableEntityError, match=said) as refused:
        client.chat.completions.create(
            model="docs", messages=[{"role": "user", "content": [{"type": "text", "text": QUESTION}, *parts]}]
        )
    assert refused.value.body["type"] == "invalid_request_error"
    assert "/tmp" not in str(refused.value)


def test_every_error_on_its_routes_has_openais_shape(library, served) -> None:
    def shape(answer: httpx2.Response) -> tuple[int, str]:
        assert answer.headers["content-type"] == "application/json"
        assert answer.json().keys() == {"error"}
        return answer.status_code, answer.json()["error"]["code"]

    assert shape(served.post("/v1/chat/completions", headers={"host": "evil.example"})) == (400, "host_not_allowed")
    assert shape(served.get("/v1/models", headers={"host": "evil.example"})) == (400, "host_not_allowed")
    assert shape(served.get("/v1/chat/completions")) == (405, "method_not_allowed")
    assert shape(served.post("/v1/chat/nothing")) == (404, "not_found")
    assert shape(served.get("/v1/models/nothing")) == (404, "collection_not_found")
    for path, operations in served.get("/openapi.json").json()["paths"].items():
        for operation in operations.values():
            described = operation["responses"]["4XX"]["content"].keys()
            assert described == ({"application/json"} if path.startswith(OPENAI) else {"application/problem+json"})
    assert shape(served.post("/v1/chat/completions", content=b"{")) == (422, "request_invalid")
    long = {"model": "docs", "messages": [{"role": "user", "content": "x" * (17 << 20)}]}
    assert shape(served.post("/v1/chat/completions", json=long)) == (413, "payload_too_large")
    long["messages"][0]["content"] = "x" * (2 << 20)
    assert shape(served.post("/v1/chat/completions", json=long)) == (422, "query_invalid")
    Keys(library.catalog.database)
    with serving(library, needs_key=True) as client:
        assert shape(client.get("/v1/models")) == (401, "unauthorized")
        assert shape(client.get("/v1/models/docs")) == (401, "unauthorized")


def test_a_model_that_fails_is_said_within_a_stream(client, vendors) -> None:
    vendors.reply = Refusal("server_error")
    with pytest.raises(openai.APIError, match="The answering model failed"):
        list(ask(client, stream=True))
    with pytest.raises(openai.InternalServerError) as refused:
        ask(client)
    assert refused.value.status_code in (502, 503)


def test_a_stream_is_kept_alive_while_the_model_thinks(client, served, vendors, monkeypatch) -> None:
    monkeypatch.setattr("api.sse.KEEP_ALIVE_S", 0.01)
    heard = threading.Event()
    vendors.reply = lambda _: DRAFT if heard.wait(60) else "Nobody listened."
    asked = {"model": "docs", "messages": [{"role": "user", "content": QUESTION}], "stream": True}
    with served.stream("POST", "/v1/chat/completions", json=asked) as response:
        lines = []
        for line in response.iter_lines():
            lines.append(line)
            if line == ": keep-alive":
                heard.set()
    assert ": keep-alive" in lines
    assert "0.35 euros" in "".join(lines)
    assert lines[-2:] == ["data: [DONE]", ""]
