"""The tools of `api.mcp` over stdin and stdout, for clients that start the program themselves."""

from __future__ import annotations

from typing import Any

import httpx2
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp_types import CallToolRequestParams, CallToolResult, ListToolsResult, PaginatedRequestParams, TextContent

from api.mcp import INSTRUCTIONS, server
from api.security import Access
from api.service import Service
from folioscope import __version__
from folioscope.errors import ServerUnreachable, Unauthorized
from ingest import Library

TIMEOUT_S = 900.0  # of a call: a model on the server may take as long as `model_total_s`, and retries


async def serve(library: Library) -> None:
    """Until the client closes stdin. Whoever may start the program may see everything in its library."""
    await _over_stdio(server(Access(Service(library, needs_key=False), None)))


async def relay(url: str, key: str) -> None:
    """As `serve`, with the tools of the server at ``url``. Raises `ServerUnreachable`, `Unauthorized`."""
    headers = {"authorization": f"Bearer {key}"} if key else {}
    async with httpx2.AsyncClient(headers=headers, timeout=TIMEOUT_S, trust_env=False) as http:
        await _probe(http, url)
        async with Client(streamable_http_client(f"{url.rstrip('/')}/mcp", http_client=http), cache=None) as there:
            await _over_stdio(_forwarding(there))


async def _probe(http: httpx2.AsyncClient, url: str) -> None:
    """What the SDK's client would tell as a broken stream is told in our words."""
    try:
        answer = await http.get(f"{url.rstrip('/')}/v1/collections")
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise ServerUnreachable(
            f"No Folioscope server answers at {url}: {error}.", hint="Start it with `folioscope serve`."
        ) from None
    if answer.status_code in (401, 403):
        raise Unauthorized(f"The server at {url} wants a key.", hint="Give one with --api-key or FOLIOSCOPE_API_KEY.")
    if answer.status_code != 200:
        raise ServerUnreachable(
            f"What answers at {url} is no Folioscope server: HTTP {answer.status_code}.", hint="Check --url."
        )


def _forwarding(there: Client) -> Server[dict[str, Any]]:
    async def listed(_: ServerRequestContext[Any, Any], __: PaginatedRequestParams | None) -> ListToolsResult:
        return await there.list_tools()

    async def call(_: ServerRequestContext[Any, Any], asked: CallToolRequestParams) -> CallToolResult:
        try:
            return await there.call_tool(asked.name, asked.arguments)
        except (MCPError, httpx2.HTTPError) as error:
            said = TextContent(type="text", text=f"The server did not answer: {error}")
            return CallToolResult(content=[said], is_error=True)

    return Server(
        "folioscope",
        title="Folioscope",
        version=__version__,
        instructions=INSTRUCTIONS,
        on_list_tools=listed,
        on_call_tool=call,
    )


async def _over_stdio(tools: Server[Any]) -> None:
    async with stdio_server() as (read, write):
        await tools.run(read, write, tools.create_initialization_options())
