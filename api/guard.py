"""What every request passes, whatever it asks for: its id, the Host allow-list, the limit on its body, which is read of
known senders alone, the headers of every response, and the last net under faults.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import secrets
from collections.abc import Collection, Mapping
from typing import Any

from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import logs
from api.problems import headers_of, of_error, problem, written
from api.security import entered
from folioscope.errors import FolioscopeError

JSON_BYTES = 1 << 20
"""The most that a request may bring, where it brings no file."""

IMAGE_BYTES = 16 << 20
"""The most where it may bring an image inside its JSON."""

FORM_BYTES = 1 << 20
"""What an upload may have around its file."""

UPLOADS = ("/v1/documents", "/v1/search/image")
"""Where a request may bring a file."""

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
HEADERS = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}
REQUEST_ID = re.compile(r"[\w.-]{1,64}", re.ASCII)

log = logging.getLogger(__name__)


class Guard:
    """``hosts``: names by which the server may be called, without ports. ``upload_bytes``: of a file."""

    def __init__(self, app: ASGIApp, *, hosts: Collection[str], upload_bytes: int) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in (*hosts, *LOOPBACK))
        self._upload_bytes = upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if REQUEST_ID.fullmatch(given) else f"req_{secrets.token_hex(8)}"
        scope.setdefault("state", {})["request_id"] = request_id
        logs.request_id.set(request_id)
        begun = False

        async def answer(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                found = MutableHeaders(scope=message)
                found["x-request-id"] = request_id
                for name, value in HEADERS.items():
                    found.setdefault(name, value)
                found.setdefault("cache-control", "no-store")
            await send(message)

        async def refuse(status: int, code: str, detail: str) -> None:
            await _send(answer, problem(status, code, detail, scope["path"], request_id))

        if _name(headers.get("host", "")) not in self._hosts:
            await refuse(400, "host_not_allowed", "The server does not answer to this name.")
            return
        origin = headers.get("origin")  # browsers say it when a page of another site sends something, a form even
        if origin is not None and _name(origin.partition("://")[2]) not in self._hosts:
            await refuse(403, "origin_not_allowed", "Pages of other sites may not use the server.")
            return
        limit = self._limit(scope)
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > limit:
            await refuse(413, "payload_too_large", f"The request has more than {limit:,} bytes.")
            return
        try:
            with contextlib.ExitStack() as door:
                if length != "0" or "transfer-encoding" in headers:
                    await entered(door, Request(scope))
                await self._app(scope, _bounded(receive, limit), answer)
        except Exception as error:
            if isinstance(error, FolioscopeError) and not begun:
                await _send(answer, of_error(error, scope["path"], request_id), headers_of(error))
                return
            log.exception("a request failed")
            if begun:
                raise
            await refuse(500, "internal_error", "The server failed; its log says why.")

    def _limit(self, scope: Scope) -> int:
        if scope["method"] == "POST" and scope["path"] in UPLOADS:
            return self._upload_bytes + FORM_BYTES
        return IMAGE_BYTES if scope["path"] == "/v1/chat/completions" else JSON_BYTES


def _name(host: str) -> str:
    """``[::1]:8000`` -> ``[::1]``."""
    return re.sub(r":\d+$", "", host).lower()


def _bounded(receive: Receive, limit: int) -> Receive:
    """Whatever a request's length says, no more of it is read."""
    seen = 0

    async def read() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > limit:
            raise HTTPException(413, f"The request has more than {limit:,} bytes.")
        return message

    return read


async def _send(send: Send, body: dict[str, Any], more: Mapping[str, str] | None = None) -> None:
    content, media_type = written(body)
    data = json.dumps(content).encode()
    said = {"content-type": media_type, "content-length": str(len(data)), **(more or {})}
    headers = [(name.lower().encode(), value.encode()) for name, value in said.items()]
    await send({"type": "http.response.start", "status": body["status"], "headers": headers})
    await send({"type": "http.response.body", "body": data})
