"""OpenAI's own client, and a server whose model is not there."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from api import samples
from api.routes.completions import LINK, Told
from folioscope.settings import load_settings
from ingest import Library
from tests.support.serving import events, finished, serving, upload

openai = pytest.importorskip("openai", reason="needs the extra: pip install 'folioscope[openai]'")
ASKED = [{"role": "user", "content": "What dividend does the board propose?"}]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx2.Client]:
    folder = tmp_path_factory.mktemp("openai")
    settings = load_settings({"data_dir": folder, "channels": "lexical", "model": "extractive"})
    with Library(settings=settings) as library, serving(library) as client:
        with samples.folder() as documents:
            job = upload(client, documents / "skerrow-ferries-annual-report-2025.pdf").json()["job"]
        finished(client, job)
        yield client


@pytest.fixture
def client(served: httpx2.Client) -> Iterator[object]:
    with openai.OpenAI(base_url=f"{served.base_url}/v1", api_key="none", max_retries=0) as found:
        yield found


def test_it_lists_a_model_for_each_collection(client) -> None:
    assert [model.id for model in client.models.list()] == ["docs", "docs/default"]


def test_an_answer_carries_its_citations_three_times(client, served) -> None:
    found = client.chat.completions.create(model="docs", messages=ASKED, temperature=0)
    message = found.choices[0].message
    assert message.content.startswith("The board proposes a dividend of 0.35 euros a share")
    (annotation,) = message.annotations
    cited = annotation.url_citation
    assert message.content[cited.start_index : cited.end_index] == f"[1]({cited.url})"
    assert cited.title == "skerrow-ferries-annual-report-2025.pdf, page 2"
    assert cited.url.startswith(f"{served.base_url}/d/doc_")
    assert served.get(cited.url).headers["content-type"].startswith("text/html")
    where = parse_qs(urlsplit(cited.url).fragment)
    assert where == {"page": ["2"], "cite": [found.model_extra["folioscope"]["citations"][0]["quote"]]}
    assert found.model_extra["folioscope"]["citations"][0]["quote_status"] == "exact"


def test_a_streamed_answer_is_the_same(client) -> None:
    whole = client.chat.completions.create(model="docs/default", messages=ASKED)
    chunks = list(client.chat.completions.create(model="docs/default", messages=ASKED, stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == whole.choices[0].message.content
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert chunks[-1].model_extra["folioscope"]["status"] == "answered"


def test_what_no_page_says(client) -> None:
    asked = [{"role": "user", "content": "Who won the chess championship in Reykjavik?"}]
    found = client.chat.completions.create(model="docs", messages=asked)
    assert found.model_extra["folioscope"]["status"] == "not_found"
    assert "found" in found.choices[0].message.content
    assert found.choices[0].message.annotations == []


def test_no_text_becomes_a_link_an_image_or_html() -> None:
    said = "See ![x](https://evil.example/?q=1), [y](//evil), [z][1], <img src=//evil> and a[0] < b.\n[1]: https://evil"
    plain = "See ![x] (https://evil.example/?q=1), [y] (//evil), [z] [1], < img src=//evil> and a[0] < b.\n[1] : https://evil"
    for size in (1, 2, 1000):  # however the text is cut
        told = Told("http://here")
        assert "".join(told.piece(said[start : start + size]) for start in range(0, len(said), size)) == plain


def test_links_of_earlier_answers_are_taken_out_and_no_text_keeps_that_busy() -> None:
    assert LINK.sub("", "So it is. [1](http://here/d/doc_1#page=2&cite=a) And [2](http://else)") == (
        "So it is. And [2](http://else)"
    )
    for endless in ("/d/" * 300_000, "a" * 300_000, "/d" * 300_000):
        assert LINK.sub("", f" [1]({endless}") == f" [1]({endless}"
    assert LINK.sub("", " [" + "1" * 300_000) == " [" + "1" * 300_000


def test_what_is_wrong_a_hundred_thousand_times_is_told_a_few_times(served) -> None:
    asked = [{"role": "user", "content": [{}] * 100_000}]
    many = served.post("/v1/chat/completions", json={"model": "docs", "messages": asked})
    assert (many.status_code, many.json()["error"]["code"]) == (422, "request_invalid")
    assert len(many.content) < 10_000
    more = served.post("/v1/search", json={str(number): 1 for number in range(1000)})
    assert (more.status_code, len(more.json()["errors"])) == (422, 50)


def test_its_errors_are_openais(client) -> None:
    with pytest.raises(openai.NotFoundError, match="no model"):
        client.chat.completions.create(model="gpt-4", messages=ASKED)
    with pytest.raises(openai.UnprocessableEntityError, match="messages"):
        client.chat.completions.create(model="docs", messages=[])


def test_a_model_that_is_not_there_is_said_before_and_within_a_stream(tmp_path) -> None:
    settings = load_settings({"data_dir": tmp_path, "channels": "lexical", "model": "openai:some-model"})
    with Library(settings=settings) as library, serving(library) as client:
        library.create_collection()
        answer = client.post("/v1/ask", json={"question": "Who?"})
        assert (answer.status_code, answer.json()["code"]) == (503, "model_unavailable")
        assert answer.headers["retry-after"] == "5"
        assert "OPENAI" not in answer.text
        told = events(client, "POST", "/v1/ask", json={"question": "Who?", "stream": True})
        assert [name for name, _, _ in told] == ["ask.created", "error"]
        assert told[1][1]["code"] == "model_unavailable"
