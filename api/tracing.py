"""OpenTelemetry spans, where OTEL_EXPORTER_OTLP_ENDPOINT (or …_TRACES_ENDPOINT) says where to send them.

A request is a server span; searches and models are spans below it with the attributes of the GenAI conventions, phases
of the work in the background spans by themselves. None has a word of a question or of a document.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from starlette.datastructures import Headers
from starlette.types import Scope

from folioscope import __version__, telemetry
from folioscope.errors import ConfigError

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROVIDERS = {"anthropic": "anthropic", "openai": "openai", "gemini": "gcp.gemini"}
"""A model's prefix -> gen_ai.provider.name, where the conventions have one."""


def configured() -> Tracing | None:
    """As the OTEL_* variables say; None where they ask for nothing. Raises `ConfigError` where it can't be done."""
    off = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or os.environ.get("OTEL_TRACES_EXPORTER") == "none"
    if off or not any(os.environ.get(name) for name in ENDPOINTS):
        return None
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    if protocol not in (None, "", "http/protobuf"):
        raise ConfigError(f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol!r}.", hint="Only http/protobuf is spoken here.")
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise ConfigError(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, and OpenTelemetry is not installed.",
            hint="pip install 'folioscope[otel]', or unset it.",
        ) from None
    return Tracing(BatchSpanProcessor(OTLPSpanExporter()))


class Tracing:
    """``processor``: an OpenTelemetry span processor, which is handed every span."""

    def __init__(self, processor: Any) -> None:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider

        named = {} if "OTEL_SERVICE_NAME" in os.environ else {"service.name": "folioscope"}
        resource = Resource.create({**named, "service.version": __version__})
        self._provider = TracerProvider(resource=resource)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("folioscope", __version__)

    @contextmanager
    def request(self, scope: Scope) -> Iterator[Span]:
        """While a request is answered; a child of the caller's span, where it names one (W3C trace context)."""
        from opentelemetry.trace import SpanKind
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        context = TraceContextTextMapPropagator().extract(dict(Headers(scope=scope)))
        attributes = {"http.request.method": scope["method"], "url.scheme": scope["scheme"]}
        with self._tracer.start_as_current_span(
            scope["method"], context, SpanKind.SERVER, attributes, record_exception=False
        ) as span:
            yield Span(span)

    def told(self, what: telemetry.Told) -> None:
        """A span that has just ended."""
        from opentelemetry.trace import SpanKind, Status, StatusCode

        name, seconds, attributes = _described(what)
        end = time.time_ns()
        kind = SpanKind.CLIENT if isinstance(what, telemetry.Answered) else SpanKind.INTERNAL
        span = self._tracer.start_span(name, kind=kind, attributes=attributes, start_time=end - round(seconds * 1e9))
        if isinstance(what, telemetry.Answered) and what.error:
            span.set_status(Status(StatusCode.ERROR, what.error))
        span.end(end)

    def close(self) -> None:
        """Send what has not been sent."""
        self._provider.shutdown()


class Span:
    """A request's."""

    def __init__(self, span: Any) -> None:
        self._span = span

    def answered(self, method: str, route: str, status: int) -> None:
        """Name it after the route; 5xx is an error."""
        from opentelemetry.trace import Status, StatusCode

        self._span.update_name(f"{method} {route}")
        self._span.set_attributes({"http.route": route, "http.response.status_code": status})
        if status >= 500:
            self._span.set_status(Status(StatusCode.ERROR))


def _described(what: telemetry.Told) -> tuple[str, float, Mapping[str, Any]]:
    """A span's name, seconds and attributes."""
    if isinstance(what, telemetry.Searched):
        timings = {f"folioscope.timing.{stage}_ms": round(ms, 3) for stage, ms in what.timings.items()}
        about = {"folioscope.channels": list(what.channels), "folioscope.hits": what.hits, **timings}
        return "retrieval", what.timings["total"] / 1000, {"gen_ai.operation.name": "retrieval", **about}
    if isinstance(what, telemetry.Worked):
        about = {"folioscope.pages": what.pages, **({"folioscope.channel": what.channel} if what.channel else {})}
        return what.phase, what.seconds, about
    return f"chat {what.model}", what.seconds, _of_answer(what)


def _of_answer(what: telemetry.Answered) -> dict[str, Any]:
    prefix, _, name = what.model.partition(":")
    found: dict[str, Any] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": PROVIDERS.get(prefix, prefix),
        "gen_ai.request.model": name or what.model,
        "folioscope.answer.status": what.status,
    }
    for kind in ("input_tokens", "output_tokens"):
        if kind in what.usage:
            found[f"gen_ai.usage.{kind}"] = what.usage[kind]
    if what.first_s is not None:
        found["gen_ai.response.time_to_first_chunk"] = round(what.first_s, 6)
    if what.error:
        found["error.type"] = what.error
    return found | {f"folioscope.quotes.{status}": count for status, count in what.quotes.items()}
