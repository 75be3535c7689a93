"""The commands that stay: the library over HTTP, and a worker for its jobs."""

from __future__ import annotations

import gc
import ipaddress
import logging
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Collection
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from api import logs
from api.cli.options import DataDir, Quiet, open_library
from api.cli.output import say

if TYPE_CHECKING:
    from fastapi import FastAPI

    from ingest import Library

log = logging.getLogger(__name__)

GRACE_S = 5  # for requests that are running when the server is told to stop


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(serve)
    app.command()(worker)


def serve(
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Where to listen; others than loopback need a key.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(metavar="NUMBER", min=0, max=65535, help="0: any that is free.")] = 8000,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A name by which the server may be called, as behind a proxy; needs a key."),
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Without a key in any case: whoever gets there may do everything.")
    ] = False,
    log_json: Annotated[
        bool | None, typer.Option("--log-json", help="Write the log as JSON, a line for each request, too.")
    ] = None,
    no_jobs: Annotated[
        bool, typer.Option("--no-jobs", help="Only take documents in; `folioscope worker` reads them (Postgres).")
    ] = False,
    data_dir: DataDir = None,
    quiet: Quiet = False,
) -> None:
    """Serve the library over HTTP. Documents that are handed in are read in the background."""
    needs_key = not insecure and (not _is_loopback(host) or bool(allow_host))
    with open_library(data_dir, log_json=log_json, run_jobs=False if no_jobs else None) as library:
        logs.start(as_json=library.settings.log_json)
        if needs_key:
            _demand_a_key(library, host)
        listening = listen(host, port)
        address = f"http://{_bracketed(host)}:{listening.getsockname()[1]}"
        whom = " to who has a key" if needs_key else ""
        greeting = "" if quiet else f"Folioscope answers at {address}{whom}; Ctrl-C stops it."
        answer(library, listening, host, needs_key=needs_key, hosts=allow_host or (), greeting=greeting)


def answer(
    library: Library,
    listening: socket.socket,
    host: str,
    *,
    needs_key: bool = False,
    hosts: Collection[str] = (),
    greeting: str = "",
) -> None:
    """Requests to the listening socket, until a signal. ``greeting``: said as soon as clients may come."""
    secret = secrets.token_urlsafe(32)
    # Announced first: who comes while the application is loaded waits, and is not told that the folder is in use.
    with library.folder.announced(f"http://{_bracketed(_from_here(host))}:{listening.getsockname()[1]}", secret):
        if greeting:
            say(greeting)
        from api.app import create_app  # a second or more, so only for who may serve

        app = create_app(library, needs_key=needs_key, hosts=[_bracketed(host), *hosts], secret=secret)
        gc.freeze()  # what is loaded by now stays: the collector need not look through it again and again
        _run(app, listening)


def worker(data_dir: DataDir = None, quiet: Quiet = False) -> None:
    """Read documents and fill channels that any process of the same catalog hands in, until it is told to stop.

    Several workers and servers share a catalog on Postgres, a Qdrant server and the originals; each has a data folder
    of its own, for caches.
    """
    stopping = _until_a_signal()
    with open_library(data_dir) as library:
        logs.start(as_json=library.settings.log_json)
        _demand_that_jobs_run(library)
        if not quiet:
            say("Folioscope works on what is handed in; Ctrl-C stops it.")
        work_until(library, stopping)


def work_until(library: Library, stopping: threading.Event) -> None:
    """Work in the background until then, and take it up again where a back end had stopped it."""
    from api.service import RESUME_S
    from folioscope.errors import FolioscopeError

    while not stopping.is_set():
        try:
            library.tend()
        except FolioscopeError as error:
            log.warning("work in the background does not go on: %s", error)
        stopping.wait(RESUME_S)


def _until_a_signal() -> threading.Event:
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    return stopping


def _demand_that_jobs_run(library: Library) -> None:
    from folioscope.errors import ConfigError

    if not library.settings.run_jobs:
        raise ConfigError("A worker runs jobs, and run_jobs is off.", hint="Unset FOLIOSCOPE_RUN_JOBS for it.")


def _run(app: FastAPI, listening: socket.socket) -> None:
    """Until a signal; uvicorn finishes its requests first and then sends the signal on to these handlers."""
    import uvicorn

    class Server(uvicorn.Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            app.state.service.leave()  # else streams of a job's news would last until they are cut off
            await super().shutdown(sockets)

    def leave(_number: int, _frame: FrameType | None) -> None:
        sys.exit(0)  # through the `with` around us, which closes the library

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, leave)
    config = uvicorn.Config(
        app,
        log_config=None,  # it all goes the way of our own log
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_S,
    )
    Server(config).run(sockets=[listening])


def _demand_a_key(library: Library, host: str) -> None:
    from api.keys import Keys
    from folioscope.errors import ConfigError

    if not any(key.valid for key in Keys(library.catalog.database).all()):
        raise ConfigError(
            f"Listening on {host} for others than this machine needs a key, and there is none.",
            hint="Make one with `folioscope keys create NAME`, or say --insecure to let everyone in.",
        )


def listen(host: str, port: int) -> socket.socket:
    """A socket there. Raises `ConfigError` where that can't be had."""
    from folioscope.errors import ConfigError

    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        raise ConfigError(
            f"{_bracketed(host)}:{port} can't be listened on: {error.strerror or error}.",
            hint="Choose another --port or --host.",
        ) from None


def _from_here(host: str) -> str:
    """The address under which this machine reaches what listens on ``host``."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
