"""Figures for Prometheus: what requests, searches, answers and the work in the background came to.

They come from three seams: `Watch` (api/watch.py) for requests, `folioscope.telemetry` for searches, answers and phases
of work, the library's events for documents. What is queued is counted in the catalog when somebody asks.
"""

from __future__ import annotations

import contextlib
from collections import Counter as Tally

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from folioscope import telemetry
from folioscope.errors import FolioscopeError
from ingest import Event, Library

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
"""Upper bounds of a search's seconds."""

SLOW = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
"""Upper bounds of a request's or a model's seconds."""


class Metrics:
    """Of one application."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self.registry = found = CollectorRegistry()
        ProcessCollector(registry=found)
        self._requests = Counter(
            "folioscope_requests", "Requests by route and status.", ["method", "route", "status"], registry=found
        )
        self._request_s = Histogram(
            "folioscope_request_seconds",
            "Until the response began.",
            ["method", "route"],
            registry=found,
            buckets=SLOW,
        )
        self._documents = Counter("folioscope_documents", "Documents read, by outcome.", ["outcome"], registry=found)
        self._pages = Counter("folioscope_pages", "Pages of documents that became ready.", registry=found)
        self._phase_s = Counter(
            "folioscope_phase_seconds", "Seconds that took pages in.", ["phase", "channel"], registry=found
        )
        self._phase_pages = Counter(
            "folioscope_phase_pages", "Pages that passed a phase.", ["phase", "channel"], registry=found
        )
        self._queued = Gauge(
            "folioscope_queue_documents", "Documents that wait to be read or are being read.", registry=found
        )
        self._filling = Gauge(
            "folioscope_queue_fills", "Documents that a channel has not wholly taken in.", ["channel"], registry=found
        )
        self._search_s = Histogram(
            "folioscope_search_seconds",
            "Searches by stage: each channel, fuse, regions, similarity, total.",
            ["stage"],
            registry=found,
            buckets=FAST,
        )
        self._answers = Counter(
            "folioscope_answers", "Answers by status; failed: the model gave none.", ["model", "status"], registry=found
        )
        self._faults = Counter("folioscope_model_errors", "Why models gave none.", ["model", "code"], registry=found)
        self._first_s = Histogram(
            "folioscope_first_token_seconds", "Until a model's first text.", ["model"], registry=found, buckets=SLOW
        )
        self._answer_s = Histogram(
            "folioscope_answer_seconds", "Until a model's last text.", ["model"], registry=found, buckets=SLOW
        )
        self._quotes = Counter("folioscope_quotes", "Quotes in answers by status.", ["status"], registry=found)
        self._tokens = Counter("folioscope_tokens", "Tokens by kind.", ["model", "kind"], registry=found)
        library.listen(self._happened)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered."""
        self._requests.labels(method, route, status).inc()
        self._request_s.labels(method, route).observe(seconds)

    def told(self, what: telemetry.Told) -> None:
        """A search, an answer or a phase of work is over."""
        if isinstance(what, telemetry.Searched):
            for stage, ms in what.timings.items():
                self._search_s.labels(stage).observe(ms / 1000)
        elif isinstance(what, telemetry.Worked):
            self._phase_s.labels(what.phase, what.channel).inc(what.seconds)
            self._phase_pages.labels(what.phase, what.channel).inc(what.pages)
        else:
            self._answered(what)

    def _answered(self, what: telemetry.Answered) -> None:
        self._answers.labels(what.model, what.status).inc()
        self._answer_s.labels(what.model).observe(what.seconds)
        if what.error:
            self._faults.labels(what.model, what.error).inc()
        if what.first_s is not None:
            self._first_s.labels(what.model).observe(what.first_s)
        for status, count in what.quotes.items():
            self._quotes.labels(status).inc(count)
        for kind, count in what.usage.items():
            self._tokens.labels(what.model, kind).inc(count)

    def _happened(self, event: Event) -> None:
        if event.kind in ("ready", "failed"):
            self._documents.labels(event.kind).inc()
            self._pages.inc(event.total if event.kind == "ready" else 0)

    def text(self) -> bytes:
        """In Prometheus' format. What can't be counted because the catalog is away is missing."""
        self._queued.set(float("nan"))
        self._filling.clear()
        with contextlib.suppress(FolioscopeError):
            self._queued.set(len(self._library.catalog.outstanding_versions()))
            for channel, count in Tally(fill.channel for fill in self._library.catalog.fills.outstanding()).items():
                self._filling.labels(channel).set(count)
        return generate_latest(self.registry)
