"""The Model Context Protocol over HTTP (streamable, without sessions): one POST, one reply, one key."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.types import Message, Receive, Scope, Send

from api.security import Reader
from folioscope.errors import NotFoundError

if TYPE_CHECKING:
    from mcp.server.lowlevel import Server

router = APIRouter(tags=["mcp"])
MESSAGE: dict[str, Any] = {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}


class Handled(Response):
    """A reply that the SDK writes itself."""

    def __init__(self, tools: Server[Any], message: bytes) -> None:
        super().__init__()
        self._tools = tools
        self._message = message

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102
        from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

        unread: list[Message] = [{"type": "http.request", "body": self._message, "more_body": False}]

        async def again() -> Message:
            return unread.pop() if unread else await receive()

        # One a request: nothing outlives it, and whoever goes away ends the work. Host and Origin are the guard's.
        manager = StreamableHTTPSessionManager(self._tools, stateless=True)
        async with manager.run():
            await manager.handle_request(scope, again, send)


@router.post(
    "/mcp",
    response_class=Response,
    responses={
        200: {"content": {"application/json": {}, "text/event-stream": {}}},
        202: {"description": "a notification was taken"},
        400: {"description": "no message of the protocol"},
        404: {"description": "a method that is not there, or a server without the extra `mcp`"},
        406: {"description": "Accept must name application/json and text/event-stream"},
    },
    openapi_extra={"requestBody": MESSAGE},
)
async def mcp(request: Request, access: Reader) -> Response:
    """The tools search_pages, get_page, ask_documents, list_collections, list_documents: JSON-RPC 2.0."""
    request.state.access = access
    message = await request.body()  # here, where one that is too large is still an error like others
    return Handled(await run_in_threadpool(_tools), message)


@functools.cache
def _tools() -> Server[Any]:
    """Imported when first asked for: half a second."""
    try:
        from api.mcp import server
    except ModuleNotFoundError as error:
        if error.name != "mcp":
            raise
        raise NotFoundError("This server does not speak MCP: that needs pip install 'folioscope[mcp]'.") from None
    return server()
