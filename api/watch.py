"""What every request comes to: counted, logged and, where that is configured, traced. Outside of everything else."""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import logs
from api.metrics import Metrics

if TYPE_CHECKING:
    from api.tracing import Tracing

OTHER = "other"
"""The route of requests for what is not there: their paths, like unheard-of methods, are anybody's words."""


METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
GONE = 499  # as nginx has it: the client left before there was a response


class Watch:
    """``tracing``: makes a span of each request."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, tracing: Tracing | None) -> None:
        self._app = app
        self._metrics = metrics
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status, seconds = GONE, 0.0

        async def answer(message: Message) -> None:
            nonlocal status, seconds
            if message["type"] == "http.response.start":
                status, seconds = message["status"], time.perf_counter() - started
            await send(message)

        with self._tracing.request(scope) if self._tracing else nullcontext() as span:
            try:
                await self._app(scope, receive, answer)
            finally:
                method = scope["method"] if scope["method"] in METHODS else OTHER
                route = route_of(scope)
                self._metrics.request(method, route, status, seconds or time.perf_counter() - started)
                if span is not None:
                    span.answered(method, route, status)
                self._log(scope, method, route, status, time.perf_counter() - started)

    @staticmethod
    def _log(scope: Scope, method: str, route: str, status: int, seconds: float) -> None:
        state = scope.get("state", {})
        said = {"method": method, "route": route, "status": status, "ms": round(seconds * 1000, 1)}
        who = {"key": state["key"]} if state.get("key") else {}
        logs.request_id.set(state.get("request_id", ""))
        logs.access.info("%s %s %s", method, route, status, extra={"request": {**said, **who}})


def route_of(scope: Scope) -> str:
    """The template of the request's path, such as ``/v1/documents/{document}``."""
    return str(getattr(scope.get("route"), "path", OTHER))
