"""What a server tells of itself: figures for Prometheus, spans, a log without secrets and without anybody's words."""

from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from api import logs, samples
from api.keys import Keys
from api.tracing import Tracing, configured
from folioscope.errors import ConfigError
from folioscope.settings import load_settings
from ingest import Library
from tests.support.serving import finished, serving, upload
from tests.support.vendors import Refusal, Vendors

NOTICE = "skerrow-ferries-annual-report-2025.pdf"
QUESTION = "What dividend does the board propose?"


@pytest.fixture
def vendors() -> Iterator[Vendors]:
    with Vendors() as found:
        yield found


@pytest.fixture
def library(tmp_path, vendors, monkeypatch) -> Iterator[Library]:
    monkeypatch.setenv("OPENAI_API_KEY", vendors.key)
    given = {"data_dir": tmp_path / "data", "channels": "lexical", "model": "openai:gpt-6.1-terra", "model_retries": 0}
    with Library(settings=load_settings({**given, "openai_url": vendors.url("openai")})) as opened:
        yield opened


def figures(client: httpx2.Client, **headers: str) -> dict[tuple[str, ...], float]:
    """(name, values of the labels in the order of their names …) -> value."""
    answer = client.get("/metrics", headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = text_string_to_metric_families(answer.text)
    return {(each.name, *each.labels.values()): each.value for family in families for each in family.samples}


def taken_in(client: httpx2.Client) -> None:
    with samples.folder() as folder:
        assert finished(client, upload(client, folder / NOTICE).json()["job"])["ready"] == 1


def test_figures_say_what_was_read_searched_answered_and_not_found(library, vendors) -> None:
    vendors.reply = json.dumps(
        {"segments": [{"text": "0.35 euros.", "quotes": [{"page": 1, "quote": "a quote that is not there at all"}]}]}
    )
    with serving(library) as client:
        taken_in(client)
        client.post("/v1/search", json={"query": QUESTION})
        client.post("/v1/ask", json={"question": QUESTION})
        vendors.reply = Refusal("overloaded")
        assert client.post("/v1/ask", json={"question": QUESTION}).status_code == 503
        client.get("/v1/documents/doc_none")
        client.get("/no/such/path")
        found = figures(client)
    assert found["folioscope_pages_total",] == 6
    assert found["folioscope_documents_total", "ready"] == 1
    assert found["folioscope_queue_documents",] == 0
    assert found["folioscope_phase_pages_total", "", "text"] == 6
    assert found["folioscope_phase_pages_total", "lexical", "index"] == 6
    assert found["folioscope_phase_seconds_total", "lexical", "encode"] > 0
    assert found["folioscope_search_seconds_count", "lexical"] == 3
    assert found["folioscope_search_seconds_count", "total"] == 3
    model = "openai:gpt-6.1-terra"
    assert found["folioscope_answers_total", model, "not_found"] == 1
    assert found["folioscope_answers_total", model, "failed"] == 1
    assert found["folioscope_model_errors_total", "model_busy", model] == 1
    assert found["folioscope_quotes_total", "unverified"] == 1
    assert found["folioscope_first_token_seconds_count", model] == 1
    assert found["folioscope_tokens_total", "output_tokens", model] > 0
    assert found["folioscope_requests_total", "POST", "/v1/ask", "200"] == 1
    assert found["folioscope_requests_total", "POST", "/v1/ask", "503"] == 1
    assert found["folioscope_requests_total", "GET", "/v1/documents/{document}", "404"] == 1
    assert found["folioscope_requests_total", "GET", "other", "404"] == 1


def test_figures_are_for_keys_that_see_everything(library) -> None:
    keys = Keys(library.catalog.database)
    library.create_collection("mine")
    everything, writer = (keys.create(scope, scope)[1] for scope in ("admin", "write"))
    limited = keys.create("limited", "admin", [library.collection("mine").id])[1]
    with serving(library, needs_key=True) as client:
        assert client.get("/metrics").status_code == 401
        assert client.get("/metrics", headers={"x-api-key": writer}).status_code == 403
        assert client.get("/metrics", headers={"x-api-key": limited}).status_code == 404
        assert figures(client, **{"x-api-key": everything})


def test_spans_follow_a_request_to_the_model(library, vendors) -> None:
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    vendors.reply = '{"segments": []}'
    memory = InMemorySpanExporter()
    trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    with serving(library, spans=Tracing(SimpleSpanProcessor(memory))) as client:
        taken_in(client)
        asked = {"question": QUESTION}
        client.post("/v1/ask", json=asked, headers={"traceparent": f"00-{trace}-{parent}-01"})
        client.get("/metrics")  # the span of a request ends after its response: of the one before it surely
    spans = {span.name: span for span in memory.get_finished_spans()}
    request, search, chat = spans["POST /v1/ask"], spans["retrieval"], spans["chat openai:gpt-6.1-terra"]
    assert f"{request.context.trace_id:032x}" == trace
    assert f"{request.parent.span_id:016x}" == parent
    assert request.attributes["http.response.status_code"] == 200
    for below in (search, chat):
        assert below.parent.span_id == request.context.span_id
        assert request.start_time <= below.start_time <= below.end_time <= request.end_time
    assert search.attributes["gen_ai.operation.name"] == "retrieval"
    assert chat.attributes["gen_ai.provider.name"] == "openai"
    assert chat.attributes["gen_ai.request.model"] == "gpt-6.1-terra"
    assert chat.attributes["gen_ai.usage.input_tokens"] > 0
    assert spans["index"].attributes["folioscope.channel"] == "lexical"
    assert "dividend" not in "".join(span.to_json() for span in spans.values())


def test_spans_go_where_the_environment_says(library, monkeypatch) -> None:
    seen: list[tuple[str, bytes]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as collector:
        threading.Thread(target=collector.serve_forever, daemon=True).start()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.server_port}")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        with serving(library) as client:
            client.post("/v1/search", json={"query": QUESTION})
        collector.shutdown()
    assert {path for path, _ in seen} == {"/v1/traces"}
    sent = b"".join(body for _, body in seen)
    assert b"POST /v1/search" in sent
    assert b"folioscope" in sent
    assert b"dividend" not in sent


def test_spans_that_nobody_can_send_are_an_error_at_the_start(monkeypatch) -> None:
    assert configured() is None
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    with pytest.raises(ConfigError, match="'grpc'"):
        configured()
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    assert configured() is None


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What a server writes with ``--log-json``; the loggers are as before afterwards."""
    root, written = logging.getLogger(), io.StringIO()
    before = root.handlers[:], root.level, logs.access.level
    logs.start(as_json=True)
    root.handlers[0].setStream(written)  # type: ignore[attr-defined]
    yield written
    root.handlers[:], _, _ = before
    root.setLevel(before[1])
    logs.access.setLevel(before[2])


def lines(written: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written.getvalue().splitlines()]


def test_every_line_of_the_log_has_its_request_and_none_has_anybodys_words(library, vendors, log, tmp_path) -> None:
    key, secret = Keys(library.catalog.database).create("reader", "admin")
    vendors.reply = Refusal("overloaded")
    with serving(library) as client:
        client.headers["authorization"] = f"Bearer {secret}"
        taken_in(client)
        client.post("/v1/search", json={"query": QUESTION}, headers={"x-request-id": "mine-1"})
        client.post("/v1/ask", json={"question": QUESTION}, headers={"x-request-id": "mine-2"})
        client.app.state.service.model = lambda: 1 / 0  # a fault of ours
        client.post("/v1/ask", json={"question": QUESTION}, headers={"x-request-id": "mine-3"})
        client.get(f"/v1/documents?collection=dividend&after={secret}")
        client.get("/healthz")  # what comes after its response is logged before the next is answered
    found = lines(log)
    assert all({"time", "level", "logger", "message", "request_id"} <= line.keys() for line in found)
    asked = [line for line in found if line["request_id"] == "mine-1"]
    assert [(line["route"], line["status"], line["key"]) for line in asked] == [("/v1/search", 200, key.id)]
    busy = {line["logger"]: line for line in found if line["request_id"] == "mine-2"}
    assert busy["api.problems"]["message"].startswith("model_busy: openai:gpt-6.1-terra is busy")
    assert busy["api.access"]["status"] == 503
    fault = next(line for line in found if line["request_id"] == "mine-3" and "error" in line)
    assert fault["error"] == "builtins.ZeroDivisionError"
    assert "test_metrics.py" in fault["at"][-1]
    for words in (QUESTION, "dividend", secret, vendors.key):
        assert words not in log.getvalue()


def test_what_looks_like_a_key_is_blotted_out_of_any_line(log, capsys) -> None:
    for text in (
        "Authorization: Bearer abc.def-ghi",
        "fol_0123456789abcdef",
        "postgresql://user:hunter2@db/x",
        "Incorrect API key provided: sk-proj-0123456789",
        "password='hunter2'",
        "?api_key=hunter2&x=1",
    ):
        logging.getLogger("any").warning("it says: %s", text)
    assert not any(word in log.getvalue() for word in ("abc.def", "0123456789", "hunter2"))
    assert log.getvalue().count("•••") == 6


def test_a_log_for_people_has_no_words_of_an_unknown_error_either() -> None:
    try:
        raise ValueError("the dividend is 0.35 euros")
    except ValueError as error:
        record = logging.LogRecord("x", logging.ERROR, __file__, 1, "failed", (), (type(error), error, None))
    said = logs.Lines().format(record)
    assert said.splitlines()[0] == "error x: failed"
    assert "builtins.ValueError" in said
    assert "dividend" not in said
