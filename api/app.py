"""The HTTP application over an opened library. FastAPI takes a second to import: only `serve` and tests do."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection

from fastapi import FastAPI

from api import problems, web
from api.guard import Guard
from api.metrics import Metrics
from api.openapi import describe_errors
from api.routes import (
    channels,
    collections,
    completions,
    conversations,
    documents,
    extract,
    feedback,
    jobs,
    keys,
    mcp,
    pages,
    questions,
    quotes,
    reference,
    status,
    system,
    webhooks,
)
from api.security import Crowd
from api.service import Service
from api.tracing import Tracing, configured
from api.watch import Watch
from api.webhooks import Caller
from folioscope import __version__, telemetry
from ingest import Library

ROUTERS = (
    collections.router,
    documents.router,
    pages.router,
    jobs.router,
    quotes.router,
    questions.router,
    conversations.router,
    feedback.router,
    extract.router,
    completions.router,
    mcp.router,
    reference.router,
    channels.router,
    keys.router,
    status.router,
    webhooks.router,
    system.router,
    web.router,
)


def create_app(
    library: Library,
    *,
    needs_key: bool = False,
    hosts: Collection[str] = (),
    secret: str = "",
    spans: Tracing | None = None,
) -> FastAPI:
    """``library``: opened; works in the background while the application runs, and is not closed by it.

    ``needs_key``: refuse requests without one. ``hosts``: names by which the server may be called, beside loopback's.
    ``secret``: what the data folder's owner sends in place of a key, see `ingest.folder`; empty: there is none.
    ``spans``: where they go; else as the environment says. Raises `ConfigError` where that can't be done.
    """
    spans = spans or configured()
    metrics = Metrics(library)
    service = Service(library, needs_key=needs_key, secret=secret)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        stopping = asyncio.Event()
        hooks = Caller(library, service.hooks_network)
        with contextlib.ExitStack() as listening:
            listening.enter_context(telemetry.listen(metrics.told))
            if spans:
                listening.enter_context(telemetry.listen(spans.told))
            running = [asyncio.create_task(service.run(stopping)), asyncio.create_task(asyncio.to_thread(hooks.run))]
            yield
            stopping.set()
            hooks.stop()
            await asyncio.gather(*running)
        if spans:
            await asyncio.to_thread(spans.close)

    # FastAPI's own /docs fetches script from elsewhere.
    app = FastAPI(title="Folioscope", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.service = service
    web.site()  # read now, so that no request waits for files
    app.state.crowd = Crowd(library.settings.server_requests)
    app.state.metrics = metrics
    for router in ROUTERS:
        app.include_router(router)
    problems.add_to(app)
    describe_errors(app)
    app.add_middleware(Guard, hosts=hosts, upload_bytes=library.settings.max_file_mb << 20)
    app.add_middleware(Watch, metrics=metrics, tracing=spans)  # the last that is added is the outermost
    return app
