"""Server-sent events: one JSON value an event, a comment now and then so that no proxy takes silence for the end.

`respond` tells our own events; `streamed` sends whatever lines another interface's clients expect.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, NamedTuple

from anyio import CancelScope
from fastapi.sse import format_sse_event
from pydantic import BaseModel
from starlette.responses import StreamingResponse

from api import problems
from folioscope.errors import FolioscopeError

KEEP_ALIVE_S = 15.0

log = logging.getLogger(__name__)


class Sent(NamedTuple):
    """One event. ``id``: what a client that comes back sends as Last-Event-ID."""

    name: str
    data: BaseModel
    id: str | None = None


def respond(events: AsyncGenerator[Sent], path: str, request_id: str) -> StreamingResponse:
    """The events as they come; one that fails is told as ``error``, a problem, and ends them."""
    return streamed(_lines(events, path, request_id))


def streamed(lines: AsyncGenerator[bytes]) -> StreamingResponse:
    """``lines``: whole events. They are closed when the client leaves."""
    return StreamingResponse(
        _kept_alive(lines),
        media_type="text/event-stream",
        headers={"cache-control": "no-cache", "x-accel-buffering": "no"},
    )


def failure(error: Exception, path: str, request_id: str) -> dict[str, Any]:
    """What ended a stream, as a problem; what nobody expected is logged."""
    if isinstance(error, FolioscopeError):
        return problems.of_error(error, path, request_id)
    log.error("a stream failed", exc_info=error)
    return problems.problem(500, "internal_error", "The server failed; its log says why.", path, request_id)


async def _lines(events: AsyncGenerator[Sent], path: str, request_id: str) -> AsyncGenerator[bytes]:
    try:
        async with contextlib.aclosing(events):
            async for sent in events:
                yield format_sse_event(data_str=sent.data.model_dump_json(), event=sent.name, id=sent.id)
    except Exception as error:  # noqa: BLE001  logged and told
        yield format_sse_event(data_str=json.dumps(failure(error, path, request_id)), event="error")


async def _kept_alive(lines: AsyncGenerator[bytes]) -> AsyncIterator[bytes]:
    async with contextlib.aclosing(lines):
        while True:
            coming = asyncio.ensure_future(anext(lines, None))
            try:
                while not (await asyncio.wait({coming}, timeout=KEEP_ALIVE_S))[0]:
                    yield b": keep-alive\n\n"
            finally:
                if not coming.done():
                    coming.cancel()
                    with CancelScope(shield=True):  # a request that is given up is cancelled again and again
                        await asyncio.wait({coming})
            line = coming.result()
            if line is None:
                return
            yield line
